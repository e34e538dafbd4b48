package bearer

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Tolerance for clocks that differ (RFC 7519 section 4.1.4).
const (
	defaultLeeway = 30 * time.Second
	maxLeeway     = 60 * time.Second
)

// Types says which "typ" headers an issuer's access tokens may have. The zero
// value is [TypesCompat].
type Types string

// The policies for "typ".
const (
	// TypesCompat takes what identity providers sign access tokens as: at+jwt,
	// JWT (the default profile of Auth0 and many others) or nothing. What is
	// evidently of another profile is refused.
	TypesCompat Types = "compat"
	// TypesStrict takes at+jwt and application/at+jwt only (RFC 9068 section 4).
	TypesStrict Types = "strict"
)

// IssuerConfig is one trusted issuer and what its tokens must be like. Nothing
// of it holds for the tokens of another issuer.
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
	// Audiences replaces Config.Audiences for its tokens; empty does not.
	Audiences []string
	// Leeway replaces Config.Leeway for its tokens; 0 does not.
	Leeway time.Duration
	// Types is the policy for "typ".
	Types Types
	// Clients lists the clients whose tokens are taken, by client_id or azp, in
	// addition to every other check. Empty means those of every client.
	Clients []string
	// MaxAge is how long after "iat" a token is taken; a token without "iat" is
	// not. 0 means until it expires.
	MaxAge time.Duration
	// MaxLifetime is the longest time from "iat" to "exp" that a token may have
	// been given. 0 means any.
	MaxLifetime time.Duration
	// Introspection says which of its tokens it is asked about. The zero value
	// means none.
	Introspection IntrospectionConfig
}

// Config is what a [Verifier] needs. There is no way to leave the issuer or the
// audience open.
type Config struct {
	Issuers        []IssuerConfig  // at least one
	Audiences      []string        // of issuers that name none; see oauth.SameResource
	Leeway         time.Duration   // of issuers that name none; 0 means 30 s; at most 60 s
	RequiredScopes oauth.Scopes    // every request needs them
	Hierarchy      oauth.Hierarchy // which scopes stand for others
	Binding        BindingConfig   // tokens that are bound to a key
	// Revoked reports whether the tokens of a principal are worth nothing. It is
	// asked on every request and does not wait; nil means that none are.
	Revoked   func(oauth.Principal) bool
	Fetcher   *discovery.Fetcher
	Transport http.RoundTripper // for introspection; decides what may be dialled
	Meter     metric.Meter      // nil means none
	Logger    *slog.Logger      // nil means none
	Now       func() time.Time  // nil means the wall clock
}

// label is the issuer's name as far as the configuration knows it.
func (c IssuerConfig) label() string {
	if c.Issuer == "" && c.Source != nil {
		return c.Source.Issuer()
	}
	return c.Issuer
}

// complete returns issuer with every default filled in.
func (c Config) complete(issuer IssuerConfig) IssuerConfig {
	if len(issuer.Algorithms) == 0 {
		issuer.Algorithms = []string{rs256}
	}
	if len(issuer.Audiences) == 0 {
		issuer.Audiences = c.Audiences
	}
	if issuer.Leeway == 0 {
		issuer.Leeway = c.Leeway
	}
	if issuer.Leeway == 0 {
		issuer.Leeway = defaultLeeway
	}
	issuer.Introspection = issuer.Introspection.complete()
	issuer.Algorithms = slices.Clone(issuer.Algorithms)
	issuer.Audiences = slices.Clone(issuer.Audiences)
	issuer.Clients = slices.Clone(issuer.Clients)
	return issuer
}

func (c Config) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(c.Issuers) == 0 {
		problem("bearer: Issuers: at least one is required")
	}
	asked := 0
	for n, issuer := range c.Issuers {
		if issuer.Introspection.Tokens.opaque() {
			asked++
		}
		if issuer.Introspection.Tokens != IntrospectNone && c.Transport == nil {
			problem("bearer: Transport: required for introspection")
		}
		for _, err := range c.complete(issuer).validate() {
			problem("bearer: Issuers[%d]: %w", n, err)
		}
		for _, other := range c.Issuers[:n] {
			if sameButSlash(issuer.label(), other.label()) {
				problem("bearer: Issuers[%d]: %s is listed twice", n, issuer.label())
			}
		}
	}
	if asked > 1 {
		problem("bearer: Issuers: an opaque token does not tell whose it is, so only one issuer can be asked about them")
	}
	if err := c.RequiredScopes.Validate(); err != nil {
		problem("bearer: RequiredScopes: %w", err)
	}
	if c.Fetcher == nil {
		problem("bearer: Fetcher: required")
	}
	if err := c.Binding.validate(); err != nil {
		problem("bearer: Binding: %w", err)
	}
	return errors.Join(problems...)
}

// validate checks an issuer whose defaults are filled in.
func (c IssuerConfig) validate() []error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Source == nil && (c.Issuer == "" || c.JWKSURL == "") {
		problem("without Source, both Issuer and JWKSURL are required")
	}
	if c.JWKSURL != "" {
		if err := discovery.CheckURL(c.JWKSURL); err != nil {
			problem("JWKSURL: %w", err)
		}
	}
	// Keys of another issuer must not vouch for this one (RFC 8414 section 3.3).
	if c.Source != nil && c.Issuer != "" && c.JWKSURL == "" && !sameButSlash(c.Issuer, c.Source.Issuer()) {
		problem("the keys of %s are not those that %s publishes; set JWKSURL", c.Issuer, c.Source.Issuer())
	}
	for _, algorithm := range c.Algorithms {
		if !slices.Contains(possibleAlgorithms, algorithm) {
			problem("algorithm %q is not one of %s", algorithm, strings.Join(possibleAlgorithms, ", "))
		}
	}
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		problem("Audiences: at least one is required and none may be empty; there is no any")
	}
	if slices.Contains(c.Clients, "") {
		problem("Clients: none may be empty")
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		problem("Leeway: %s is not between 0 and %s", c.Leeway, maxLeeway)
	}
	if c.Types != "" && c.Types != TypesCompat && c.Types != TypesStrict {
		problem("Types: %q is neither %s nor %s", c.Types, TypesCompat, TypesStrict)
	}
	if c.MaxAge < 0 || c.MaxLifetime < 0 {
		problem("MaxAge and MaxLifetime: negative")
	}
	return append(problems, c.Introspection.validate(c.Source != nil)...)
}
