package bearer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Tolerance for clocks that differ (RFC 7519 section 4.1.4).
const (
	defaultLeeway = 30 * time.Second
	maxLeeway     = 60 * time.Second
)

// maxRefetches bounds how often one token looks for newer keys: once because
// somebody else has just brought some, once in a load that was under way and may
// be older than its key, once in a load of its own.
const maxRefetches = 3

// IssuerConfig is one trusted issuer.
type IssuerConfig struct {
	// Issuer is the exact "iss" of its tokens. Empty means the issuer that
	// Source's metadata publishes.
	Issuer string
	// JWKSURL is where its keys are. Empty means the jwks_uri of Source's
	// metadata, followed when it changes; Source must then be this issuer's.
	JWKSURL string
	// Source is the issuer's metadata. It may be nil when Issuer and JWKSURL
	// are set.
	Source *discovery.Source
	// Algorithms lists the signature algorithms its tokens may have: RS256,
	// PS256, ES256, EdDSA. Empty means RS256 only.
	Algorithms []string
}

// Config is what a [Verifier] needs. There is no way to leave the issuer or the
// audience open.
type Config struct {
	Issuers        []IssuerConfig  // at least one
	Audiences      []string        // at least one; see oauth.SameResource
	Leeway         time.Duration   // 0 means 30 s; at most 60 s
	RequiredScopes oauth.Scopes    // every request needs them
	Hierarchy      oauth.Hierarchy // which scopes stand for others
	Fetcher        *discovery.Fetcher
	Logger         *slog.Logger     // nil means none
	Now            func() time.Time // nil means the wall clock
}

// Verifier verifies access tokens. Use [New]. It is safe for concurrent use.
type Verifier struct {
	issuers   []*issuer
	audiences []string
	leeway    time.Duration
	required  oauth.Scopes
	hierarchy oauth.Hierarchy
	now       func() time.Time
}

// New returns a Verifier, or an error with everything that is wrong with cfg.
// It does no I/O.
func New(cfg Config) (*Verifier, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	v := &Verifier{
		audiences: slices.Clone(cfg.Audiences),
		leeway:    cfg.Leeway,
		required:  slices.Clone(cfg.RequiredScopes),
		hierarchy: cfg.Hierarchy,
		now:       cfg.Now,
	}
	if v.leeway == 0 {
		v.leeway = defaultLeeway
	}
	if v.now == nil {
		v.now = time.Now
	}
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	for _, config := range cfg.Issuers {
		i := &issuer{
			config: config, algorithms: slices.Clone(config.Algorithms), label: config.label(),
			fetcher: cfg.Fetcher, logger: logger, now: v.now,
			wake: make(chan time.Duration, 1),
		}
		if len(i.algorithms) == 0 {
			i.algorithms = []string{rs256}
		}
		v.issuers = append(v.issuers, i)
	}
	return v, nil
}

// label is the issuer's name as far as the configuration knows it.
func (c IssuerConfig) label() string {
	if c.Issuer == "" && c.Source != nil {
		return c.Source.Issuer()
	}
	return c.Issuer
}

func (c Config) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(c.Issuers) == 0 {
		problem("bearer: Issuers: at least one is required")
	}
	for n, issuer := range c.Issuers {
		for _, err := range issuer.validate() {
			problem("bearer: Issuers[%d]: %w", n, err)
		}
		for _, other := range c.Issuers[:n] {
			if sameButSlash(issuer.label(), other.label()) {
				problem("bearer: Issuers[%d]: %s is listed twice", n, issuer.label())
			}
		}
	}
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		problem("bearer: Audiences: at least one is required and none may be empty; there is no any")
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		problem("bearer: Leeway: %s is not between 0 and %s", c.Leeway, maxLeeway)
	}
	if err := c.RequiredScopes.Validate(); err != nil {
		problem("bearer: RequiredScopes: %w", err)
	}
	if c.Fetcher == nil {
		problem("bearer: Fetcher: required")
	}
	return errors.Join(problems...)
}

func (c IssuerConfig) validate() []error {
	var problems []error
	if c.Source == nil && (c.Issuer == "" || c.JWKSURL == "") {
		problems = append(problems, errors.New("without Source, both Issuer and JWKSURL are required"))
	}
	if c.JWKSURL != "" {
		if err := discovery.CheckURL(c.JWKSURL); err != nil {
			problems = append(problems, fmt.Errorf("JWKSURL: %w", err))
		}
	}
	// Keys of another issuer must not vouch for this one (RFC 8414 section 3.3).
	if c.Source != nil && c.Issuer != "" && c.JWKSURL == "" && !sameButSlash(c.Issuer, c.Source.Issuer()) {
		problems = append(problems, fmt.Errorf("the keys of %s are not those that %s publishes; set JWKSURL", c.Issuer, c.Source.Issuer()))
	}
	for _, algorithm := range c.Algorithms {
		if !slices.Contains(possibleAlgorithms, algorithm) {
			problems = append(problems, fmt.Errorf("algorithm %q is not one of %s", algorithm, strings.Join(possibleAlgorithms, ", ")))
		}
	}
	return problems
}

// Verify returns whom an access token speaks for. The error is always a
// [*oauth.Refusal] whose Reason is one of [Reasons]: 401 for a token that is
// not acceptable, 403 for one without the required scopes, 503 when the issuer's
// keys cannot be had.
func (v *Verifier) Verify(ctx context.Context, access secret.Value) (oauth.Principal, error) {
	t, err := parseToken(access.Reveal())
	if err != nil {
		return oauth.Principal{}, err
	}
	t.now = v.now()
	for _, step := range []func(context.Context, *token) error{
		v.verifyHeader, v.chooseIssuer, v.verifySignature, v.verifyClaims,
	} {
		if err := step(ctx, t); err != nil {
			return oauth.Principal{}, err
		}
	}
	principal := t.principal()
	if missing := v.hierarchy.Missing(principal.Scopes, v.required); len(missing) > 0 {
		return oauth.Principal{}, forbidden(v.required, principal.Scopes)
	}
	return principal, nil
}

func (v *Verifier) verifyHeader(_ context.Context, t *token) error {
	return v.pass(headerChecks, t)
}

// chooseIssuer picks whose keys decide, by the exact "iss". Only tokens that
// name a configured issuer, in one of its slash forms, can cause a load.
func (v *Verifier) chooseIssuer(ctx context.Context, t *token) error {
	for _, i := range v.issuers {
		if !sameButSlash(i.label, t.issuer) {
			continue
		}
		keys, err := i.keys(ctx)
		if err != nil {
			return err
		}
		if keys.issuer != t.issuer {
			continue
		}
		t.signer, t.keys = i, keys
		return v.pass(signerChecks, t)
	}
	return WrongIssuer.refuse(v.wrongIssuer(t.issuer), nil)
}

// verifySignature tries the issuer's keys. go-jose gets exactly the one
// algorithm that was checked, and what it verified must be what was parsed.
func (v *Verifier) verifySignature(ctx context.Context, t *token) error {
	signed, err := jose.ParseSignedCompact(t.raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.algorithm)})
	if err != nil {
		return MalformedToken.refuse(malformedHint, err)
	}
	for round := 0; ; round++ {
		candidates, known := t.keys.candidates(t.keyID, t.algorithm)
		for _, candidate := range candidates {
			payload, err := signed.Verify(candidate.key)
			if err == nil && bytes.Equal(payload, t.payload) {
				return nil
			}
		}
		switch {
		case known && len(candidates) == 0:
			return WrongAlgorithm.refuse("The token's key is not published for the algorithm "+echo(t.algorithm)+"; sign in again.", nil)
		case known:
			return BadSignature.refuse(badSignatureHint, nil)
		case round == maxRefetches:
			return t.keyMissing()
		}
		keys, err := t.signer.newer(ctx, t.keys)
		if errors.Is(err, errNoNewerKeys) {
			return t.keyMissing()
		}
		if err != nil {
			return err
		}
		t.keys = keys
	}
}

const badSignatureHint = "The token's signature does not fit its issuer's keys: it was changed on the way or comes from somebody else. Sign in again."

// keyMissing is the refusal when no published key has verified the token.
func (t *token) keyMissing() error {
	if t.keyID == "" {
		return BadSignature.refuse(badSignatureHint, nil)
	}
	return UnknownKey.refuse("The token is signed with a key that its issuer does not publish, or no longer; sign in again.", nil)
}

func (v *Verifier) verifyClaims(_ context.Context, t *token) error {
	var err error
	if t.claims, err = decodeClaims(t.members); err != nil {
		return InvalidClaim.refuse("A claim of the token is not what it should be: "+err.Error()+". Report this to who issued it.", err)
	}
	return v.pass(claimChecks, t)
}

// principal tells whom a verified token speaks for.
func (t *token) principal() oauth.Principal {
	clientID := t.claims.clientID
	if clientID == "" {
		clientID = t.claims.azp
	}
	return oauth.Principal{
		Issuer:   t.issuer,
		Subject:  t.claims.subject,
		ClientID: clientID,
		Scopes:   t.claims.scopes,
		Audience: t.claims.audience,
		IssuedAt: t.claims.issuedAt,
		Expiry:   t.claims.expiry,
		TokenID:  t.claims.tokenID,
		ACR:      t.claims.acr,
		AMR:      t.claims.amr,
		AuthTime: t.claims.authTime,
		Claims:   json.RawMessage(t.payload),
	}
}
