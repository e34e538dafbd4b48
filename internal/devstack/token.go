package devstack

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// TokenResponse is the answer of the token endpoint and of the forge (RFC 6749
// section 5.1).
type TokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	Scope        string `json:"scope,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	// IssuedTokenType is part of the answer to a token exchange (RFC 8693 section
	// 2.2.1).
	IssuedTokenType string `json:"issued_token_type,omitempty"`
}

// token answers POST /ares/oauth/token.
func (b *broker) token(w http.ResponseWriter, r *http.Request) error {
	form, err := postedForm(w, r)
	if err != nil {
		return err
	}
	grantType := form.Get("grant_type")
	if !slices.Contains(slices.Concat(supportedGrantTypes, serviceGrantTypes), grantType) {
		return badRequest("unsupported_grant_type", "grant_type is authorization_code or refresh_token; services have others")
	}
	verified, err := b.verifyClient(w, r, form)
	if err != nil {
		return err
	}
	key, err := provenKey(r, b.origin+tokenPath)
	if err != nil {
		return err
	}
	ctx := op.ContextWithIssuer(r.Context(), b.urls.TokenIssuer)
	var answer TokenResponse
	switch grantType {
	case string(oidc.GrantTypeCode):
		answer, err = b.exchangeCode(ctx, verified, form, key)
	case string(oidc.GrantTypeRefreshToken):
		answer, err = b.refresh(ctx, verified, form, key)
	default:
		answer, err = b.delegate(verified, form)
	}
	if err != nil {
		return err
	}
	for _, token := range []string{answer.AccessToken, answer.RefreshToken, answer.IDToken} {
		if token != "" {
			b.issued.add(token)
		}
	}
	return writeJSON(w, http.StatusOK, answer)
}

// verifyClient authenticates the client of a POST: HTTP Basic, the form, or
// nothing where the client is public (RFC 6749 section 2.3).
func (b *broker) verifyClient(w http.ResponseWriter, r *http.Request, form url.Values) (op.Client, error) {
	credentials := &op.ClientCredentials{ClientID: form.Get("client_id"), ClientSecret: form.Get("client_secret")}
	if id, password, ok := r.BasicAuth(); ok {
		if credentials.ClientSecret != "" {
			return nil, badRequest(oauth.CodeInvalidRequest, "The client has to authenticate in one way only")
		}
		// Basic credentials are form-encoded first (RFC 6749 section 2.3.1).
		var idErr, passwordErr error
		credentials.ClientID, idErr = url.QueryUnescape(id)
		credentials.ClientSecret, passwordErr = url.QueryUnescape(password)
		if idErr != nil || passwordErr != nil || form.Has("client_id") && form.Get("client_id") != credentials.ClientID {
			return nil, badRequest(oauth.CodeInvalidRequest, "The Authorization header and client_id do not agree")
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="ares"`) // taken back unless the answer is 401
	}
	verified, err := b.core.VerifyClient(r.Context(), &op.Request[op.ClientCredentials]{
		Method: r.Method, URL: r.URL, Header: r.Header, Form: form, PostForm: form, Data: credentials,
	})
	if err != nil {
		return nil, err
	}
	w.Header().Del("WWW-Authenticate")
	return verified, nil
}

func (b *broker) exchangeCode(ctx context.Context, c op.Client, form url.Values, key string) (TokenResponse, error) {
	found, err := op.AuthRequestByCode(ctx, b.storage, form.Get("code"))
	if err != nil {
		return TokenResponse{}, err
	}
	request, ok := found.(*codeRequest)
	if !ok {
		return TokenResponse{}, fmt.Errorf("unexpected %T behind a code", found)
	}
	request.dpopKey = key
	if request.GetClientID() != c.GetID() {
		return TokenResponse{}, oidc.ErrInvalidGrant().WithDescription("the code was given to another client")
	}
	if request.GetRedirectURI() != form.Get("redirect_uri") {
		return TokenResponse{}, oidc.ErrInvalidGrant().WithDescription("redirect_uri is not the one of the authorization request")
	}
	if err := op.AuthorizeCodeChallenge(form.Get("code_verifier"), request.GetCodeChallenge()); err != nil {
		return TokenResponse{}, err
	}
	if request.audience, err = b.audience(request.grant, form); err != nil {
		return TokenResponse{}, err
	}
	access, refresh, err := b.accessToken(ctx, request, c, "")
	if err != nil {
		return TokenResponse{}, err
	}
	return b.respondTokens(ctx, &request.tokenRequest, codeIdentity{request}, c, access, refresh)
}

func (b *broker) refresh(ctx context.Context, c op.Client, form url.Values, key string) (TokenResponse, error) {
	current := form.Get("refresh_token")
	found, err := b.storage.grants.lookup(current, c.GetID())
	if err != nil {
		return TokenResponse{}, err
	}
	request := &refreshRequest{tokenRequest{grant: found, scopes: found.granted, dpopKey: key}}
	if err := op.ValidateRefreshTokenScopes(oauth.ParseScopes(form.Get("scope")), request); err != nil {
		return TokenResponse{}, err
	}
	if request.audience, err = b.audience(found, form); err != nil {
		return TokenResponse{}, err
	}
	access, refresh, err := b.accessToken(ctx, request, c, current)
	if err != nil {
		return TokenResponse{}, err
	}
	return b.respondTokens(ctx, &request.tokenRequest, refreshIdentity{request}, c, access, refresh)
}

func (b *broker) audience(g grant, form url.Values) ([]string, error) {
	asked, err := b.resources.requested(form)
	if err != nil {
		return nil, err
	}
	return b.resources.narrow(g.resources, asked)
}

func (b *broker) accessToken(ctx context.Context, request op.TokenRequest, c op.Client, current string) (access, refresh string, err error) {
	access, refresh, _, err = op.CreateAccessToken(ctx, request, op.AccessTokenTypeJWT, b.core.Provider(), c, current)
	return access, refresh, err
}

// respondTokens completes an answer; an ID token is part of it only when
// openid was granted.
func (b *broker) respondTokens(ctx context.Context, request *tokenRequest, identity op.IDTokenRequest, c op.Client, access, refresh string) (TokenResponse, error) {
	answer := TokenResponse{
		AccessToken: access, TokenType: tokenType(request.dpopKey), Scope: request.scopes.String(), RefreshToken: refresh,
		ExpiresIn: int64(request.grant.person.lifetime(b.storage.lifetime).Seconds()),
	}
	if request.scopes.Has(oidc.ScopeOpenID) {
		idToken, err := op.CreateIDToken(ctx, b.urls.TokenIssuer, identity, c.IDTokenLifetime(), access, "", b.storage, c)
		if err != nil {
			return TokenResponse{}, err
		}
		answer.IDToken = idToken
	}
	return answer, nil
}

// revoke answers POST /ares/oauth/revoke (RFC 7009). An unknown token is fine. A
// JWT lives on for whoever does not ask the introspection endpoint.
func (b *broker) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := postedForm(w, r)
	if err != nil {
		return err
	}
	verified, err := b.verifyClient(w, r, form)
	if err != nil {
		return err
	}
	b.storage.grants.revoke(form.Get("token"), verified.GetID())
	if claims, err := b.verifier.verify(form.Get("token")); err == nil && claims.ClientID == verified.GetID() {
		b.spoken.revoke(form.Get("token"))
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// userinfo answers /ares/userinfo for tokens that the token signer signed,
// whatever their audience.
func (b *broker) userinfo(w http.ResponseWriter, r *http.Request) error {
	token, ok := bearerToken(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer realm="ares"`)
		return &oauth.Refusal{Status: http.StatusUnauthorized, Code: oauth.CodeUnauthorized, Description: "No bearer token", Reason: "no_token"}
	}
	claims, err := b.verifier.verify(token)
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="ares", error="invalid_token"`)
		return &oauth.Refusal{Status: http.StatusUnauthorized, Code: oauth.CodeInvalidToken, Description: "The token is not good here", Reason: oauth.CodeInvalidToken, Err: err}
	}
	info := &oidc.UserInfo{Subject: claims.Subject}
	if err := b.storage.SetUserinfoFromScopes(r.Context(), info, claims.Subject, claims.ClientID, strings.Fields(claims.Scope)); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, info)
}

// postedForm reads the body of a form POST within its bound. Parameters in the
// query do not count, and a repeated one is refused (RFC 6749 section 3.2),
// except for those that name resources.
func postedForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	if len(r.PostForm) == 0 {
		return nil, badRequest(oauth.CodeInvalidRequest, "The parameters go into an application/x-www-form-urlencoded body")
	}
	if name, repeated := repeatedParameter(r.PostForm); repeated {
		return nil, badRequest(oauth.CodeInvalidRequest, "The parameter "+name+" is repeated")
	}
	return r.PostForm, nil
}

func repeatedParameter(form url.Values) (string, bool) {
	for name, values := range form {
		if len(values) > 1 && !slices.Contains([]string{"resource", "audience"}, name) {
			return name, true
		}
	}
	return "", false
}
