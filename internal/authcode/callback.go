package authcode

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/negotiate"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// maxCallbackQuery bounds the query of a callback, in bytes; codes of real
// servers stay under 2 KiB.
const maxCallbackQuery = 16 << 10

// Callback finishes a sign-in: the page with the token for people, JSON for
// programs. See the package comment for the order of the checks.
func (f *Flow) Callback(w http.ResponseWriter, r *http.Request) error {
	return f.forPeople(w, r, f.callback)
}

func (f *Flow) callback(w http.ResponseWriter, r *http.Request) error {
	if f.cfg.ClientID == "" {
		return refuse(reasonDisabled, nil)
	}
	// A GET route also gets HEAD, as link checkers send it; it must not use up
	// the code.
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		return refuse(reasonMethod, nil)
	}
	got, principal, err := f.finish(w, r)
	f.audit(r.Context(), "sign_in", principal, err)
	if err != nil {
		return err
	}
	if negotiate.PrefersJSON(r.Header) {
		return writeTokens(w, f.answer(got, principal))
	}
	return f.tokenPage(w, r, got, principal)
}

// finish turns the authorization response into verified tokens.
func (f *Flow) finish(w http.ResponseWriter, r *http.Request) (tokens, oauth.Principal, error) {
	nobody := oauth.Principal{}
	response, err := parseResponse(r.URL)
	if err != nil {
		return tokens{}, nobody, err
	}
	mine, err := f.match(r, response)
	if err != nil {
		return tokens{}, nobody, err
	}
	metadata, err := f.metadata(r.Context())
	if err != nil {
		return tokens{}, nobody, err // nothing is used up: the page can be reloaded
	}
	if err := f.useUp(w, r, mine); err != nil {
		return tokens{}, nobody, err
	}
	if !issuerMatches(metadata, mine.issuer, response) {
		return tokens{}, nobody, refuse(reasonIssuer, nil)
	}
	if response.errorCode != "" {
		return tokens{}, nobody, refuse(reasonFor(callbackReasons, response.errorCode), nil)
	}
	got, err := f.endpoint.redeemCode(r.Context(), metadata, f.codeForm(response.code, mine))
	if err != nil {
		return tokens{}, nobody, err
	}
	if f.cfg.Scopes.Has(scopeOpenID) && got.identity.IsSet() && !nonceMatches(got.identity, mine.nonce) {
		return tokens{}, nobody, refuse(reasonNonce, nil)
	}
	principal, err := f.verify(r.Context(), got.access)
	return got, principal, err
}

// authorizationResponse is what the redirect carried (RFC 6749 section 4.1.2,
// RFC 9207 section 2). The error's description and URI are not read at all.
type authorizationResponse struct {
	state     secret.Value
	code      secret.Value
	issuer    string
	hasIssuer bool
	errorCode string
}

// parseResponse reads the query. A parameter must not come twice (RFC 6749
// section 3.1): two codes or two issuers are two stories.
func parseResponse(u *url.URL) (authorizationResponse, error) {
	if len(u.RawQuery) > maxCallbackQuery {
		return authorizationResponse{}, refuse(reasonParameters, nil)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return authorizationResponse{}, refuse(reasonParameters, nil) // the parse error would quote the query
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(query[name]) > 1 {
			return authorizationResponse{}, refuse(reasonParameters, nil)
		}
	}
	response := authorizationResponse{
		state: secret.New(query.Get("state")), code: secret.New(query.Get("code")),
		issuer: query.Get("iss"), hasIssuer: query.Has("iss"), errorCode: query.Get("error"),
	}
	if !response.state.IsSet() || response.code.IsSet() == (response.errorCode != "") {
		return authorizationResponse{}, refuse(reasonParameters, nil)
	}
	return response, nil
}

// match finds the attempt of this browser that the response answers.
func (f *Flow) match(r *http.Request, response authorizationResponse) (attempt, error) {
	for _, a := range f.cookies.attempts(r) {
		if !a.state.IsSet() || !a.state.Equal(response.state) {
			continue
		}
		if a.expired(f.now()) {
			return attempt{}, refuse(reasonLate, nil)
		}
		return a, nil
	}
	return attempt{}, refuse(reasonNoAttempt, nil)
}

// useUp makes the attempt's state worthless: out of the cookie, and into this
// replica's memory for as long as a kept copy of the cookie would open.
func (f *Flow) useUp(w http.ResponseWriter, r *http.Request, mine attempt) error {
	now := f.now()
	_, first := f.used.Claim(now, mine.state.Reveal(), func() struct{} { return struct{}{} })
	rest := slices.DeleteFunc(f.cookies.attempts(r), func(a attempt) bool {
		return a.expired(now) || a.state.Equal(mine.state)
	})
	if err := f.cookies.keep(w, rest); err != nil {
		return err
	}
	if !first {
		return refuse(reasonReplayed, nil)
	}
	return nil
}

// issuerMatches is the table of RFC 9207 section 2.4 as MCP reads it. It holds
// for error responses too. Issuers are compared byte for byte.
//
//	advertised  iss      decision
//	yes         present  must be the issuer that was asked
//	yes         absent   refused
//	no          present  must be the issuer that was asked
//	no          absent   goes on
//
// In every case the metadata must still be that of the issuer that was asked.
func issuerMatches(metadata discovery.Metadata, asked string, response authorizationResponse) bool {
	switch {
	case metadata.Issuer != asked:
		return false
	case response.hasIssuer:
		return response.issuer == asked
	default:
		return !metadata.IssParameter
	}
}

// reasonFor finds the meaning of an error code in one of the closed lists.
func reasonFor(reasons map[string]string, code string) string {
	if reason, known := reasons[code]; known {
		return reason
	}
	return reasonASRefused
}

// codeForm is the token request (RFC 6749 section 4.1.3, RFC 7636 section 4.5,
// RFC 8707 section 2.2) without client authentication.
func (f *Flow) codeForm(code secret.Value, mine attempt) url.Values {
	form := url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code.Reveal()},
		"redirect_uri":  {f.redirectURI()},
		"code_verifier": {mine.verifier.Reveal()},
	}
	f.setTarget(form)
	return form
}

// nonceMatches reports whether the ID token carries the nonce of the attempt.
// Its signature is not checked: it came over TLS straight from the token
// endpoint, which OpenID Connect Core section 3.1.3.7 takes instead. Nothing
// else of it is used, and it is never shown.
func nonceMatches(identity, nonce secret.Value) bool {
	parts := strings.Split(identity.Reveal(), ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	claims, ok := parseObject(payload)
	if !ok {
		return false
	}
	got, ok := claims.Text("nonce")
	return ok && subtle.ConstantTimeCompare([]byte(got), []byte(nonce.Reveal())) == 1
}
