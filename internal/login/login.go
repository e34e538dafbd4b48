package login

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Bounds of a sign-in.
const (
	DefaultTimeout = 5 * time.Minute // for the person
	requestTimeout = 10 * time.Second
	maxAnswer      = 1 << 20 // bytes
)

// DefaultRedirectURI lets the system choose the port (RFC 8252 section 7.3).
const DefaultRedirectURI = "http://127.0.0.1:0/callback"

// Config says where to sign in and as which client.
type Config struct {
	Resource    string       // URL of the MCP endpoint: https, or http on loopback
	ClientID    string       // "" means dynamic registration
	Scopes      oauth.Scopes // none means what the resource asks for
	RedirectURI string       // "" means [DefaultRedirectURI]
	Timeout     time.Duration
	// Open shows the authorization URL to the person.
	Open func(ctx context.Context, authorizationURL string) error
	// Transport decides what may be dialled.
	Transport http.RoundTripper
}

// Tokens is what a sign-in gives.
type Tokens struct {
	AccessToken  secret.Value
	RefreshToken secret.Value // may be unset
	TokenType    string
	Scope        string        // as granted; "" means as asked for
	Lifetime     time.Duration // of the access token; 0 means not told
	Issuer       string        // of the authorization server
	ClientID     string
	Resource     string
}

// SignIn walks through one sign-in and returns its tokens. It ends with ctx, and
// after the timeout at the latest.
func SignIn(ctx context.Context, cfg Config) (Tokens, error) {
	if err := discovery.CheckURL(cfg.Resource); err != nil {
		return Tokens{}, err
	}
	if cfg.Open == nil || cfg.Transport == nil {
		return Tokens{}, errors.New("login: Open and Transport are required")
	}
	if cfg.RedirectURI == "" {
		cfg.RedirectURI = DefaultRedirectURI
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Timeout, fmt.Errorf("nobody signed in within %s", cfg.Timeout))
	defer cancel()
	c := &client{
		http: &http.Client{
			Transport:     cfg.Transport,
			Timeout:       requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		fetcher: discovery.NewFetcher(cfg.Transport),
	}
	found, err := c.discover(ctx, cfg.Resource)
	if err != nil {
		return Tokens{}, err
	}
	if len(cfg.Scopes) > 0 {
		found.scopes = cfg.Scopes
	}
	redirect, err := listen(ctx, cfg.RedirectURI)
	if err != nil {
		return Tokens{}, err
	}
	defer redirect.close(ctx)
	registered := registration{ClientID: cfg.ClientID}
	if registered.ClientID == "" {
		if registered, err = c.register(ctx, found, redirect.uri); err != nil {
			return Tokens{}, err
		}
	}
	attempt := attempt{state: rand.Text(), verifier: oauth.NewVerifier(), redirectURI: redirect.uri, client: registered, found: found}
	target, err := attempt.authorizationURL()
	if err != nil {
		return Tokens{}, err
	}
	redirect.expect(attempt)
	if err := cfg.Open(ctx, target); err != nil {
		return Tokens{}, err
	}
	code, err := redirect.wait(ctx)
	if err != nil {
		return Tokens{}, err
	}
	return c.redeem(ctx, attempt, code)
}

// client speaks to the resource and to its authorization server.
type client struct {
	http    *http.Client
	fetcher *discovery.Fetcher
}

// attempt is one authorization request.
type attempt struct {
	state, verifier string
	redirectURI     string
	client          registration
	found           found
}

// authorizationURL is where the person signs in (RFC 6749 section 4.1.1, RFC
// 7636 section 4.3, RFC 8707 section 2.1).
func (a attempt) authorizationURL() (string, error) {
	u, err := url.Parse(a.found.server.AuthorizationEndpoint)
	if err != nil {
		return "", errors.New("the authorization endpoint is not a URL")
	}
	query := u.Query()
	for name, value := range map[string]string{
		"response_type":         "code",
		"client_id":             a.client.ClientID,
		"redirect_uri":          a.redirectURI,
		"scope":                 a.found.scopes.String(),
		"state":                 a.state,
		"code_challenge":        oauth.S256(a.verifier),
		"code_challenge_method": oauth.ChallengeMethodS256,
		"resource":              a.found.resource,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}
