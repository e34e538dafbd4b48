package authcode

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/generations"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// Paths of the flow below Config.ServerURL.
const (
	startPath    = "/auth/start"
	callbackPath = "/auth/callback"
	refreshPath  = "/auth/refresh"
)

// minSessionKey is the least length of a configured SessionKey, in bytes of
// text.
const minSessionKey = 32

// verifyTimeout bounds the verification of a received token, which may have to
// fetch keys.
const verifyTimeout = 10 * time.Second

// MetadataSource gives the metadata of the authorization server that people
// sign in at.
type MetadataSource interface {
	Metadata(ctx context.Context) (discovery.Metadata, error)
}

// Config is what a [Flow] needs. With an empty ClientID nothing else is looked
// at and every handler answers 503.
type Config struct {
	ServerURL    string       // public URL, no trailing slash; https, or loopback http in development
	ClientID     string       // registered at the authorization server
	ClientSecret secret.Value // set for a confidential client
	Scopes       oauth.Scopes // asked for in the authorization request
	Resource     string       // "resource" parameter (RFC 8707)
	Audience     string       // "audience" parameter of Auth0; empty: not sent
	SessionKey   secret.Value // seals cookies; empty: a random key, which no other replica has
	Metadata     MetadataSource
	Verify       func(ctx context.Context, token secret.Value) (oauth.Principal, error) // the resource server's own verifier
	Transport    http.RoundTripper                                                      // reaches the token endpoint
	Logger       *slog.Logger                                                           // nil: no log
	Now          func() time.Time                                                       // nil: the wall clock
}

// Flow has the three handlers. Use [New]; it is safe for concurrent use and
// starts no goroutine.
type Flow struct {
	cfg      Config
	logger   *slog.Logger
	now      func() time.Time
	pages    *template.Template
	origin   string // of ServerURL, as browsers write it in Origin
	cookies  *cookieJar
	used     *generations.Map[struct{}] // states that reached the token exchange
	endpoint *tokenEndpoint
	limits   *refreshLimits
	recent   *recentResults
	flight   singleflight.Group // one redemption per refresh token at a time
}

// New checks cfg and returns the Flow. The error names every problem.
func New(cfg Config) (*Flow, error) {
	f := &Flow{cfg: cfg, logger: cfg.Logger, now: cfg.Now}
	if f.logger == nil {
		f.logger = slog.New(slog.DiscardHandler)
	}
	if f.now == nil {
		f.now = time.Now
	}
	pages, err := parsePages()
	if err != nil {
		return nil, fmt.Errorf("authcode: %w", err)
	}
	f.pages = pages
	if cfg.ClientID == "" {
		return f, nil
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("authcode: %w", err)
	}
	key := []byte(cfg.SessionKey.Reveal())
	if len(key) == 0 {
		key = []byte(rand.Text() + rand.Text())
	}
	f.origin = originOf(cfg.ServerURL)
	cookies, err := newCookieJar(key, cfg)
	if err != nil {
		return nil, fmt.Errorf("authcode: %w", err)
	}
	f.cookies = cookies
	f.used = generations.New[struct{}](maxUsedStates, attemptLifetime+clockSkew)
	f.endpoint = newTokenEndpoint(cfg, f.now)
	f.limits = newRefreshLimits()
	f.recent = newRecentResults()
	return f, nil
}

func (c Config) validate() error {
	var problems []error
	problem := func(bad bool, text string) {
		if bad {
			problems = append(problems, errors.New(text))
		}
	}
	if err := checkServerURL(c.ServerURL); err != nil {
		problems = append(problems, err)
	}
	if err := c.Scopes.Validate(); err != nil {
		problems = append(problems, fmt.Errorf("scopes: %w", err))
	}
	problem(c.SessionKey.IsSet() && len(c.SessionKey.Reveal()) < minSessionKey, "session key: at least 32 bytes are needed")
	problem(c.Resource == "", "resource: required (RFC 8707)")
	problem(c.Metadata == nil, "metadata source: required")
	problem(c.Verify == nil, "verifier: required")
	problem(c.Transport == nil, "transport: required")
	return errors.Join(problems...)
}

// checkServerURL is strict about characters too, because the page puts the URL
// into command lines that people paste into a shell.
func checkServerURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || discovery.CheckURL(raw) != nil:
		return errors.New("server URL: want https, or http on a loopback host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(raw, "/"):
		return errors.New("server URL: no user, query, fragment or trailing slash")
	case strings.ContainsFunc(raw, unsafeInCommand):
		return errors.New("server URL: only letters, digits and -._~:/%[] are allowed")
	}
	return nil
}

func unsafeInCommand(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~:/%[]", r)
}

// originOf returns the origin of a valid URL as browsers serialise it: lower
// case, without the scheme's own port (RFC 6454 section 6.2).
func originOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	origin := strings.ToLower(u.Scheme + "://" + u.Host)
	switch u.Scheme {
	case "https":
		return strings.TrimSuffix(origin, ":443")
	default:
		return strings.TrimSuffix(origin, ":80")
	}
}

func (f *Flow) redirectURI() string { return f.cfg.ServerURL + callbackPath }

// metadata returns the authorization server's metadata once it has what the
// flow needs: both endpoints, and PKCE with S256 (RFC 9700 section 2.1.1).
func (f *Flow) metadata(ctx context.Context) (discovery.Metadata, error) {
	metadata, err := f.cfg.Metadata.Metadata(ctx)
	if err != nil {
		return discovery.Metadata{}, refuse(reasonMetadata, err)
	}
	if !metadata.SupportsS256() {
		return discovery.Metadata{}, refuse(reasonNoPKCE, nil)
	}
	for _, endpoint := range []string{metadata.AuthorizationEndpoint, metadata.TokenEndpoint} {
		if err := discovery.CheckURL(endpoint); err != nil {
			return discovery.Metadata{}, refuse(reasonEndpoints, err)
		}
	}
	return metadata, nil
}

// verify has the resource server's own verifier look at a token that came from
// the authorization server. A failure of the verifier itself is an outage and
// keeps its Retry-After; it is never blamed on the token.
func (f *Flow) verify(ctx context.Context, token secret.Value) (oauth.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	principal, err := f.cfg.Verify(ctx, token)
	if err == nil {
		return principal, nil
	}
	verdict, isVerdict := errors.AsType[*oauth.Refusal](err)
	if isVerdict && verdict.Status == http.StatusForbidden {
		return oauth.Principal{}, refuse(reasonScopes, err)
	}
	if isVerdict && verdict.Status < http.StatusInternalServerError {
		return oauth.Principal{}, refuse(reasonTokenRefused, err)
	}
	refusal := refuse(reasonVerifier, err)
	if isVerdict && verdict.RetryAfter > 0 {
		refusal.RetryAfter = verdict.RetryAfter
	}
	return oauth.Principal{}, refusal
}

// audit leaves the record of one decision of this package.
func (f *Flow) audit(ctx context.Context, event string, principal oauth.Principal, err error) {
	record := telemetry.Audit{Event: event, Decision: "allow", Reason: "ok", ClientID: f.cfg.ClientID}
	if err != nil {
		record.Decision, record.Reason = "deny", oauth.AsRefusal(err).Reason
	} else {
		record.Issuer, record.Subject, record.SubjectHash = principal.Issuer, principal.Subject, principal.SubjectHash()
		record.TokenHash = principal.TokenIDHash()
	}
	record.Write(ctx, f.logger)
}
