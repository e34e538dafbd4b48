package authcode

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// maxRefreshBody bounds the body of a refresh request, in bytes.
const maxRefreshBody = 16 << 10

// Refresh trades a refresh token for new tokens (RFC 6749 section 6). The token
// comes in the body, as JSON or form; the answer is RFC 6749's token response,
// and refusals carry its error codes. It uses no cookie.
//
// Two requests with the same token, at once or within ten seconds, get the same
// answer, so that a client that refreshes from two places loses neither. That
// holds within one replica; across replicas the authorization server's own
// reuse interval has to cover it.
func (f *Flow) Refresh(w http.ResponseWriter, r *http.Request) error {
	protect(w)
	if f.cfg.ClientID == "" {
		return refuse(reasonDisabled, nil)
	}
	got, principal, err := f.refreshed(w, r)
	f.audit(r.Context(), "token_refresh", principal, err)
	if err != nil {
		return err
	}
	return writeTokens(w, f.answer(got, principal))
}

func (f *Flow) refreshed(w http.ResponseWriter, r *http.Request) (tokens, oauth.Principal, error) {
	nobody := oauth.Principal{}
	if err := f.sameOrigin(r); err != nil {
		return tokens{}, nobody, err
	}
	if err := f.limits.admit(f.now(), r.RemoteAddr); err != nil {
		return tokens{}, nobody, err
	}
	token, err := readRefreshToken(w, r)
	if err != nil {
		return tokens{}, nobody, err
	}
	key := tokenKey(token)
	if err := f.limits.admitToken(f.now(), key); err != nil {
		return tokens{}, nobody, err
	}
	type result struct {
		tokens    tokens
		principal oauth.Principal
	}
	// The first request does the work for all of the same token, and finishes
	// it even if its caller goes away: the old token is spent by then, and the
	// caller's retry has to find the new ones. Every step has its own timeout.
	ctx := context.WithoutCancel(r.Context())
	shared, err, _ := f.flight.Do(key, func() (any, error) {
		got, principal, err := f.redeemOnce(ctx, token)
		return result{got, principal}, err
	})
	if err != nil {
		return tokens{}, nobody, err
	}
	both, ok := shared.(result)
	if !ok {
		return tokens{}, nobody, errors.New("authcode: singleflight returned another type")
	}
	return both.tokens, both.principal, nil
}

// redeemOnce redeems token, unless that was done a moment ago, and verifies
// what came of it.
func (f *Flow) redeemOnce(ctx context.Context, token secret.Value) (tokens, oauth.Principal, error) {
	result, found := f.recent.find(f.now(), token)
	if !found {
		got, err := f.redeemRefresh(ctx, token)
		if err != nil {
			return tokens{}, oauth.Principal{}, err
		}
		result = redemption{tokens: got}
		f.recent.keep(f.now(), token, result)
	}
	principal, err := f.verify(ctx, result.tokens.access)
	if err != nil {
		return tokens{}, oauth.Principal{}, err
	}
	if !result.verified {
		result.verified = true
		f.recent.keep(f.now(), token, result)
	}
	return result.tokens, principal, nil
}

func (f *Flow) redeemRefresh(ctx context.Context, token secret.Value) (tokens, error) {
	metadata, err := f.metadata(ctx)
	if err != nil {
		return tokens{}, err
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.Reveal()}}
	f.setTarget(form)
	return f.endpoint.redeemRefresh(ctx, metadata, form)
}

// readRefreshToken reads the body, and only the body: a token in the URL ends
// up in logs and histories (RFC 9700 section 4.3).
func readRefreshToken(w http.ResponseWriter, r *http.Request) (secret.Value, error) {
	if r.URL.Query().Has("refresh_token") {
		return secret.Value{}, refuse(reasonContentType, nil)
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return secret.Value{}, refuse(reasonContentType, nil)
	}
	read := map[string]func([]byte) (grantType, token string, ok bool){
		"application/json":                  fromJSON,
		"application/x-www-form-urlencoded": fromForm,
	}[mediaType]
	if read == nil {
		return secret.Value{}, refuse(reasonContentType, nil)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRefreshBody)) //nolint:forbidigo // bounded by MaxBytesReader
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return secret.Value{}, refuse(reasonBodyTooLarge, nil)
	}
	if err != nil {
		return secret.Value{}, refuse(reasonBody, err)
	}
	grantType, token, ok := read(body)
	switch {
	case !ok || !isPrintable(token):
		return secret.Value{}, refuse(reasonBody, nil)
	case grantType != "" && grantType != "refresh_token":
		return secret.Value{}, refuse(reasonGrantType, nil)
	}
	return secret.New(token), nil
}

// fromJSON reads {"refresh_token": "…"}; grant_type may be there, members with
// other names are passed over, none may come twice (RFC 6749 section 3.2).
func fromJSON(body []byte) (grantType, token string, ok bool) {
	members, ok := parseObject(body)
	if !ok {
		return "", "", false
	}
	_, given := members.Get("grant_type")
	grantType, isText := members.Text("grant_type")
	token, ok = members.Text("refresh_token")
	return grantType, token, ok && given == isText
}

// fromForm reads refresh_token=…; no parameter may come twice (RFC 6749 section
// 3.2).
func fromForm(body []byte) (grantType, token string, ok bool) {
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["refresh_token"]) != 1 || len(form["grant_type"]) > 1 {
		return "", "", false
	}
	return form.Get("grant_type"), form.Get("refresh_token"), true
}
