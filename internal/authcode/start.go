package authcode

import (
	"net/http"
	"net/url"
	"slices"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Scopes of OpenID Connect that change the authorization request.
const (
	scopeOpenID  = "openid"
	scopeOffline = "offline_access"
)

// Start begins a sign-in: 303 to the authorization server with PKCE, state,
// nonce and resource, and the sealed cookie that remembers them. It reads
// nothing from the request but its cookie, so it cannot be made to redirect
// anywhere else.
func (f *Flow) Start(w http.ResponseWriter, r *http.Request) error {
	return f.forPeople(w, r, f.start)
}

func (f *Flow) start(w http.ResponseWriter, r *http.Request) error {
	if f.cfg.ClientID == "" {
		return refuse(reasonDisabled, nil)
	}
	metadata, err := f.metadata(r.Context())
	if err != nil {
		return err
	}
	now := f.now()
	fresh := newAttempt(metadata.Issuer, now)
	open := slices.DeleteFunc(f.cookies.attempts(r), func(a attempt) bool { return a.expired(now) })
	target, err := f.authorizationURL(metadata.AuthorizationEndpoint, fresh)
	if err != nil {
		return refuse(reasonEndpoints, err)
	}
	if err := f.cookies.keep(w, append(open, fresh)); err != nil {
		return err
	}
	// 303, never 307 or 308, so that no body or method is carried along (RFC
	// 9700 section 4.12).
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}

// authorizationURL adds the authorization request (RFC 6749 section 4.1.1, RFC
// 7636 section 4.3, RFC 8707 section 2.1) to the endpoint, which may have a
// query of its own.
func (f *Flow) authorizationURL(endpoint string, a attempt) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set("response_type", "code")
	query.Set("client_id", f.cfg.ClientID)
	query.Set("redirect_uri", f.redirectURI())
	query.Set("state", a.state.Reveal())
	query.Set("code_challenge", oauth.S256(a.verifier.Reveal()))
	query.Set("code_challenge_method", oauth.ChallengeMethodS256)
	if len(f.cfg.Scopes) > 0 {
		query.Set("scope", f.cfg.Scopes.String())
	}
	if f.cfg.Scopes.Has(scopeOpenID) {
		query.Set("nonce", a.nonce.Reveal())
		if f.cfg.Scopes.Has(scopeOffline) {
			// OpenID Connect Core section 11: without it the server has to
			// ignore offline_access.
			query.Set("prompt", "consent")
		}
	}
	f.setTarget(query)
	u.RawQuery, u.Fragment = query.Encode(), ""
	return u.String(), nil
}

// setTarget names the resource the token is for; authorization and token
// requests say the same.
func (f *Flow) setTarget(parameters url.Values) {
	parameters.Set("resource", f.cfg.Resource)
	if f.cfg.Audience != "" {
		parameters.Set("audience", f.cfg.Audience)
	}
}
