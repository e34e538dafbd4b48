package devstack

import (
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// tokenRequest is one request for tokens as op sees it: the grant with the
// audience and the scopes that this request narrowed it to.
type tokenRequest struct {
	grant    grant
	audience []string
	scopes   oauth.Scopes
	dpopKey  string // thumbprint of the key that was proven, "" without one
}

func (t *tokenRequest) boundTo() string { return t.dpopKey }

// authentication returns how and when the person signed in, for the access token
// of a client that asked for it (RFC 9470 section 6.1). Refreshed tokens tell the
// same: nobody has signed in again.
func (t *tokenRequest) authentication() (acr string, authTime time.Time) {
	if t.grant.acr == "" && t.grant.maxAge < 0 {
		return "", time.Time{}
	}
	return t.grant.acr, t.grant.authTime
}

// GetAMR implements op.AuthRequest and op.RefreshTokenRequest.
func (t *tokenRequest) GetAMR() []string { return nil }

// GetAudience implements op.TokenRequest.
func (t *tokenRequest) GetAudience() []string { return t.audience }

// GetAuthTime implements op.AuthRequest and op.RefreshTokenRequest.
func (t *tokenRequest) GetAuthTime() time.Time { return t.grant.authTime }

// GetClientID implements op.AuthRequest and op.RefreshTokenRequest.
func (t *tokenRequest) GetClientID() string { return t.grant.clientID }

// GetScopes implements op.TokenRequest.
func (t *tokenRequest) GetScopes() []string { return t.scopes }

// GetSubject implements op.TokenRequest.
func (t *tokenRequest) GetSubject() string { return t.grant.person.subject }

// codeRequest redeems an authorization code. It implements op.AuthRequest.
type codeRequest struct {
	tokenRequest
	code *authCode
}

// GetID implements op.AuthRequest.
func (c *codeRequest) GetID() string { return "" }

// GetACR implements op.AuthRequest.
func (c *codeRequest) GetACR() string { return c.grant.acr }

// GetCodeChallenge implements op.AuthRequest. There always is one: the
// authorization endpoint insists.
func (c *codeRequest) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: c.grant.challenge, Method: oidc.CodeChallengeMethodS256}
}

// GetNonce implements op.AuthRequest.
func (c *codeRequest) GetNonce() string { return c.grant.nonce }

// GetRedirectURI implements op.AuthRequest.
func (c *codeRequest) GetRedirectURI() string { return c.grant.redirectURI }

// GetResponseType implements op.AuthRequest.
func (c *codeRequest) GetResponseType() oidc.ResponseType { return oidc.ResponseTypeCode }

// GetResponseMode implements op.AuthRequest.
func (c *codeRequest) GetResponseMode() oidc.ResponseMode { return oidc.ResponseModeQuery }

// GetState implements op.AuthRequest.
func (c *codeRequest) GetState() string { return c.grant.state }

// Done implements op.AuthRequest.
func (c *codeRequest) Done() bool { return true }

// refreshRequest uses a refresh token. It implements op.RefreshTokenRequest.
type refreshRequest struct{ tokenRequest }

// SetCurrentScopes implements op.RefreshTokenRequest.
func (r *refreshRequest) SetCurrentScopes(scopes []string) { r.scopes = scopes }

// An ID token is for the client alone (OpenID Connect Core section 2): these
// hide the audience of the access token from it.
type (
	codeIdentity    struct{ op.AuthRequest }
	refreshIdentity struct{ op.RefreshTokenRequest }
)

// GetAudience implements op.IDTokenRequest.
func (codeIdentity) GetAudience() []string { return nil }

// GetAudience implements op.IDTokenRequest.
func (refreshIdentity) GetAudience() []string { return nil }
