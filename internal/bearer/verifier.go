package bearer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// maxRefetches bounds how often one token looks for newer keys: once because
// somebody else has just brought some, once in a load that was under way and may
// be older than its key, once in a load of its own.
const maxRefetches = 3

// Verifier verifies access tokens. Use [New]. It is safe for concurrent use.
type Verifier struct {
	issuers   []*issuer
	opaque    *issuer // who is asked about tokens that are no JWT; nil: nobody
	required  oauth.Scopes
	hierarchy oauth.Hierarchy
	binding   *binding
	revoked   func(oauth.Principal) bool
	now       func() time.Time
	metrics   instruments
	verified  memory[*token]
}

// New returns a Verifier, or an error with everything that is wrong with cfg.
// It does no I/O.
func New(cfg Config) (*Verifier, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	v := &Verifier{required: slices.Clone(cfg.RequiredScopes), hierarchy: cfg.Hierarchy, revoked: cfg.Revoked, now: cfg.Now}
	if v.now == nil {
		v.now = time.Now
	}
	var err error
	if v.binding, err = newBinding(cfg.Binding, v.now); err != nil {
		return nil, err
	}
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if v.metrics, err = newInstruments(cfg.Meter, v); err != nil {
		return nil, fmt.Errorf("bearer: Meter: %w", err)
	}
	for _, config := range cfg.Issuers {
		i := &issuer{
			config: cfg.complete(config), label: config.label(),
			fetcher: cfg.Fetcher, logger: logger, now: v.now, metrics: v.metrics,
			wake: make(chan time.Duration, 1),
		}
		if config.Introspection.Tokens != IntrospectNone {
			if i.introspector, err = newIntrospector(i, cfg.Transport); err != nil {
				return nil, err
			}
		}
		if config.Introspection.Tokens.opaque() {
			v.opaque = i
		}
		v.issuers = append(v.issuers, i)
	}
	return v, nil
}

// verifyToken returns whom an access token speaks for, whatever it is bound to. The
// error is always a [*oauth.Refusal] whose Reason is one of [Reasons]: 401 for a
// token that is not acceptable, 403 for one without the required scopes, 503 when
// the issuer's keys, or its word on the token, cannot be had.
//
// A token that was verified is remembered until it expires or its issuer's keys
// change, by its hash. What changes with time is checked again each time.
func (v *Verifier) verifyToken(ctx context.Context, raw string) (oauth.Principal, error) {
	of := fingerprintOf(raw)
	t, known := v.recall(ctx, of)
	v.metrics.looked(ctx, known)
	var err error
	if known {
		err = v.pass(liveChecks, t)
	} else {
		t, err = v.examine(ctx, of, raw)
	}
	if err != nil {
		return oauth.Principal{}, err
	}
	principal := t.principal()
	if missing := v.hierarchy.Missing(principal.Scopes, v.required); len(missing) > 0 {
		return oauth.Principal{}, forbidden(v.required, principal.Scopes)
	}
	return principal, nil
}

// recall returns the token with that fingerprint if it was verified before and
// its issuer still has the keys it was verified with.
func (v *Verifier) recall(ctx context.Context, of fingerprint) (*token, bool) {
	now := v.now()
	found, ok := v.verified.get(of, now)
	if !ok {
		return nil, false
	}
	keys, ok := found.signer.usable()
	if !ok || keys.generation != found.keys.generation {
		return nil, false
	}
	found.signer.refreshBehind(ctx, keys)
	t := *found
	t.now = now
	return &t, true
}

// examine verifies a token that is not known yet, and remembers it.
func (v *Verifier) examine(ctx context.Context, of fingerprint, raw string) (*token, error) {
	epoch := v.verified.begin()
	t, err := parseToken(raw)
	switch {
	case err == nil:
		t.now = v.now()
		err = v.examineJWT(ctx, of, t)
	case v.opaque != nil && isOpaque(err):
		t, err = v.examineOpaque(ctx, of, raw)
	}
	if err != nil {
		return nil, err
	}
	t.raw, t.header, t.members = "", nil, nil // done with, and not worth keeping
	v.verified.put(of, t, t.size(), t.now, t.memorable(), epoch)
	return t, nil
}

func (v *Verifier) examineJWT(ctx context.Context, of fingerprint, t *token) error {
	for _, step := range []func(context.Context, *token) error{
		v.verifyHeader, v.chooseIssuer, v.verifySignature, v.verifyClaims,
	} {
		if err := step(ctx, t); err != nil {
			return err
		}
	}
	if !t.signer.config.Introspection.Tokens.jwts() {
		return nil
	}
	answer, err := t.signer.introspector.ask(ctx, of, t.raw, t.keys.issuer)
	t.heard = answer.at
	return err
}

// Forget drops what is remembered of tokens whose principal matches, so that the
// next request with one is verified anew. matches must not call v.
func (v *Verifier) Forget(matches func(oauth.Principal) bool) {
	v.verified.forget(func(t *token) bool { return matches(t.principal()) })
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
		refusal := t.unverified(known, len(candidates))
		if round == maxRefetches {
			return refusal
		}
		// A key id that is known is no proof of the right key: there are issuers
		// that publish a new key under the old id.
		keys, err := t.signer.newer(ctx, t.keys)
		if errors.Is(err, errNoNewerKeys) {
			return refusal
		}
		if err != nil {
			return err
		}
		t.keys = keys
	}
}

const badSignatureHint = "The token's signature does not fit its issuer's keys: it was changed on the way or comes from somebody else. Sign in again."

// unverified is the refusal when no published key has verified the token. known
// is whether its key id is published, candidates how many keys it may be from.
func (t *token) unverified(known bool, candidates int) error {
	switch {
	case known && candidates == 0:
		return WrongAlgorithm.refuse("The token's key is not published for the algorithm "+echo(t.algorithm)+"; sign in again.", nil)
	case known || t.keyID == "":
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

// client is who the token was issued to: "client_id" (RFC 9068 section 2.2), or
// "azp" as OpenID Connect has it.
func (t *token) client() string {
	if t.claims.clientID != "" {
		return t.claims.clientID
	}
	return t.claims.azp
}

// principal tells whom a verified token speaks for.
func (t *token) principal() oauth.Principal {
	return oauth.Principal{
		Issuer:       t.issuer,
		Subject:      t.claims.subject,
		ClientID:     t.client(),
		Scopes:       t.claims.scopes,
		Audience:     t.claims.audience,
		IssuedAt:     t.claims.issuedAt,
		Expiry:       t.claims.expiry,
		TokenID:      t.claims.tokenID,
		Confirmation: t.claims.confirmation,
		ACR:          t.claims.acr,
		AMR:          t.claims.amr,
		AuthTime:     t.claims.authTime,
		Claims:       json.RawMessage(t.payload),
	}
}
