package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// The clients that are registered from the start: a public one for people, and
// the resource server, whose secret [Stack.ResourceSecret] tells.
const (
	DevClientID   = "dev-public-client"
	DevResourceID = "dev-resource-server"
)

// idTokenLifetime is Auth0's default, in round figures.
const idTokenLifetime = 10 * time.Hour

// client is a registered OAuth client. It implements op.Client.
type client struct {
	id           string
	name         string
	authMethod   oidc.AuthMethod
	secret       secret.Value // only of confidential clients
	redirectURIs []string
	anyLoopback  bool // any http loopback redirect: the pre-registered client, and unverified ones
}

// GetID implements op.Client.
func (c *client) GetID() string { return c.id }

// RedirectURIs implements op.Client.
func (c *client) RedirectURIs() []string { return c.redirectURIs }

// PostLogoutRedirectURIs implements op.Client: there is no logout here.
func (c *client) PostLogoutRedirectURIs() []string { return nil }

// ApplicationType implements op.Client.
func (c *client) ApplicationType() op.ApplicationType { return op.ApplicationTypeNative }

// AuthMethod implements op.Client.
func (c *client) AuthMethod() oidc.AuthMethod { return c.authMethod }

// ResponseTypes implements op.Client.
func (c *client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

// GrantTypes implements op.Client.
func (c *client) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
}

// LoginURL implements op.Client.
func (c *client) LoginURL(id string) string { return signInPath + "?id=" + url.QueryEscape(id) }

// AccessTokenType implements op.Client.
func (c *client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

// IDTokenLifetime implements op.Client.
func (c *client) IDTokenLifetime() time.Duration { return idTokenLifetime }

// DevMode implements op.Client.
func (c *client) DevMode() bool { return false }

// RestrictAdditionalIdTokenScopes implements op.Client.
func (c *client) RestrictAdditionalIdTokenScopes() func([]string) []string { return unrestricted } //nolint:revive,staticcheck // the name is op's

// RestrictAdditionalAccessTokenScopes implements op.Client.
func (c *client) RestrictAdditionalAccessTokenScopes() func([]string) []string { return unrestricted }

func unrestricted(scopes []string) []string { return scopes }

// IsScopeAllowed implements op.Client.
func (c *client) IsScopeAllowed(string) bool { return true }

// IDTokenUserinfoClaimsAssertion implements op.Client: like Auth0, profile and
// e-mail are in the ID token.
func (c *client) IDTokenUserinfoClaimsAssertion() bool { return true }

// ClockSkew implements op.Client.
func (c *client) ClockSkew() time.Duration { return 0 }

// redirectAllowed compares redirect URIs exactly (RFC 9700 section 2.1), with
// the one exception for native applications: the port of an http loopback URI
// is the application's choice (RFC 8252 section 7.3).
func (c *client) redirectAllowed(raw string) bool {
	if slices.Contains(c.redirectURIs, raw) {
		return true
	}
	u, ok := parseLoopback(raw)
	if !ok {
		return false
	}
	if c.anyLoopback {
		return true
	}
	return slices.ContainsFunc(c.redirectURIs, func(registered string) bool {
		r, ok := parseLoopback(registered)
		return ok && r.Hostname() == u.Hostname() && r.EscapedPath() == u.EscapedPath() && r.RawQuery == u.RawQuery
	})
}

// parseLoopback parses a clean http URL on a loopback host.
func parseLoopback(raw string) (*url.URL, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" || !isLoopbackHost(u.Hostname()) || u.User != nil || strings.Contains(raw, "#") {
		return nil, false
	}
	return u, true
}

func isLoopbackHost(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// checkRedirectURI says whether a client may register raw: https, or http on
// loopback, without user information and fragment.
func checkRedirectURI(raw string) error {
	if len(raw) > maxURL {
		return fmt.Errorf("a redirect URI is longer than %d bytes", maxURL)
	}
	if _, ok := parseLoopback(raw); ok {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Contains(raw, "#") {
		return errors.New("redirect URIs are https, or http on localhost, 127.0.0.1 or [::1], without fragment and user information")
	}
	return nil
}

var errUnknownClient = errors.New("no such client")

// registry finds clients: the pre-registered ones, those registered dynamically
// and those that are described by a document at their id.
type registry struct {
	documents *documents

	presets []*client

	mu      sync.Mutex
	dynamic *bounded[string, *client]
}

func newRegistry(docs *documents, presets ...*client) *registry {
	return &registry{documents: docs, presets: presets, dynamic: newBounded[string, *client](maxClients)}
}

func (r *registry) add(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dynamic.put(c.id, c)
}

// find returns the client with that id. A URL is looked up on the network.
func (r *registry) find(ctx context.Context, id string) (*client, error) {
	if at := slices.IndexFunc(r.presets, func(preset *client) bool { return preset.id == id }); at >= 0 {
		return r.presets[at], nil
	}
	if strings.Contains(id, "://") {
		return r.documents.client(ctx, id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.dynamic.get(id)
	if !ok {
		return nil, errUnknownClient
	}
	return found, nil
}
