package authcode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// Bounds of one token request.
const (
	tokenTimeout     = 10 * time.Second
	maxTokenResponse = 64 << 10 // bytes, after decompression
	maxJSONDepth     = 16
	maxLifetime      = 10 * 365 * 24 * time.Hour
)

// tokens is a token response (RFC 6749 section 5.1).
type tokens struct {
	access   secret.Value
	refresh  secret.Value // zero when none was issued
	identity secret.Value // the ID token; looked at for its nonce, then dropped
	scope    string       // "" when the server did not say
	expires  time.Time    // zero when the server did not say
}

// tokenEndpoint talks to the authorization server's token endpoint as this
// server's client. It follows no redirect: the request holds credentials.
type tokenEndpoint struct {
	client       *http.Client
	clientID     string
	clientSecret secret.Value
	now          func() time.Time
}

func newTokenEndpoint(cfg Config, now func() time.Time) *tokenEndpoint {
	return &tokenEndpoint{
		client: &http.Client{
			Transport: cfg.Transport,
			Timeout:   tokenTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
		clientID:     cfg.ClientID,
		clientSecret: cfg.ClientSecret,
		now:          now,
	}
}

// redeemCode sends the form of a code grant; refusals speak of the sign-in.
func (e *tokenEndpoint) redeemCode(ctx context.Context, metadata discovery.Metadata, form url.Values) (tokens, error) {
	return e.redeem(ctx, metadata, form, codeReasons)
}

// redeemRefresh sends the form of a refresh grant; refusals speak of the
// refresh token.
func (e *tokenEndpoint) redeemRefresh(ctx context.Context, metadata discovery.Metadata, form url.Values) (tokens, error) {
	return e.redeem(ctx, metadata, form, refreshReasons)
}

// redeem authenticates the client, sends form and reads the answer. Every error
// is a refusal, and none holds any of the answer's body.
func (e *tokenEndpoint) redeem(ctx context.Context, metadata discovery.Metadata, form url.Values, reasons map[string]string) (tokens, error) {
	request, err := e.request(ctx, metadata, form)
	if err != nil {
		return tokens{}, err
	}
	response, err := e.client.Do(request)
	if err != nil {
		return tokens{}, refuse(reasonASBusy, err) // *url.Error names the URL only
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxTokenResponse+1)) //nolint:forbidigo // bounded by the line's own limit
	switch {
	case err != nil:
		return tokens{}, refuse(reasonASBusy, fmt.Errorf("read token response: %w", err))
	case len(body) > maxTokenResponse:
		return tokens{}, refuse(reasonTokenAnswer, errors.New("token response is larger than 64 KiB"))
	case response.StatusCode == http.StatusOK:
		got, err := e.parse(body)
		if err != nil {
			return tokens{}, refuse(reasonTokenAnswer, err)
		}
		return got, nil
	default:
		return tokens{}, refuse(failureReason(response.StatusCode, body, reasons), fmt.Errorf("token endpoint answered status %d", response.StatusCode))
	}
}

// failureReason reads a token response that is not 200. An error code counts
// only in a 4xx answer and only from the closed list; outages are what is left
// of 5xx and 429.
func failureReason(status int, body []byte, reasons map[string]string) string {
	if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		return reasonASBusy
	}
	failure, ok := parseObject(body)
	if !ok || status < http.StatusBadRequest {
		return reasonASRefused
	}
	code, _ := failure.Text("error")
	return reasonFor(reasons, code)
}

// request authenticates the client the way the server's metadata allows. A
// server that says nothing takes client_secret_basic (RFC 8414 section 2).
func (e *tokenEndpoint) request(ctx context.Context, metadata discovery.Metadata, form url.Values) (*http.Request, error) {
	const basic, post = "client_secret_basic", "client_secret_post"
	methods := metadata.TokenAuthMethods
	useBasic := e.clientSecret.IsSet() && (len(methods) == 0 || slices.Contains(methods, basic))
	switch {
	case useBasic:
	case !e.clientSecret.IsSet():
		form.Set("client_id", e.clientID)
	case slices.Contains(methods, post):
		form.Set("client_id", e.clientID)
		form.Set("client_secret", e.clientSecret.Reveal())
	default:
		return nil, refuse(reasonClientAuth, nil)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, metadata.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, refuse(reasonEndpoints, err)
	}
	if useBasic {
		// Both halves are form-encoded first (RFC 6749 section 2.3.1).
		request.SetBasicAuth(url.QueryEscape(e.clientID), url.QueryEscape(e.clientSecret.Reveal()))
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "oauth-mcp-server")
	return request, nil
}

// parse reads a successful token response. Its errors are constant texts: a
// decoder's own would quote the body.
func (e *tokenEndpoint) parse(body []byte) (tokens, error) {
	wire, ok := parseObject(body)
	if !ok {
		return tokens{}, errors.New("token response is not one JSON object with distinct names")
	}
	tokenType, _ := wire.Text("token_type")
	access, _ := wire.Text("access_token")
	refresh, _ := wire.Text("refresh_token")
	identity, _ := wire.Text("id_token")
	scope, _ := wire.Text("scope")
	switch {
	case !strings.EqualFold(tokenType, "Bearer"):
		return tokens{}, errors.New("token_type is not Bearer")
	case !isBearerToken(access):
		return tokens{}, errors.New("access_token is missing or has characters that a bearer token may not have")
	case refresh != "" && !isPrintable(refresh):
		return tokens{}, errors.New("refresh_token has characters that it may not have")
	}
	got := tokens{access: secret.New(access), refresh: secret.New(refresh), identity: secret.New(identity)}
	if scopes := oauth.ParseScopes(scope); scopes.Validate() == nil {
		got.scope = scopes.String()
	}
	expiresIn, _ := wire.Get("expires_in")
	if lifetime := parseLifetime(expiresIn); lifetime > 0 {
		got.expires = e.now().Add(lifetime)
	}
	return got, nil
}

// parseObject reads a JSON object in which no name comes twice.
func parseObject(raw []byte) (strictjson.Object, bool) {
	if strictjson.Check(raw, maxJSONDepth) != nil {
		return nil, false
	}
	object, err := strictjson.ParseObject(raw)
	return object, err == nil
}

// parseLifetime reads expires_in, in seconds; some servers send it as a text.
// Anything unusable is "not said".
func parseLifetime(raw json.RawMessage) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err == nil && seconds >= 1 && seconds <= maxLifetime.Seconds() {
		return time.Duration(seconds) * time.Second
	}
	return 0
}

// isBearerToken is the syntax of RFC 6750 section 2.1 (b64token).
func isBearerToken(text string) bool {
	body := strings.TrimRight(text, "=")
	return body != "" && !strings.ContainsFunc(body, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/", r)
	})
}

// isPrintable is the syntax of a refresh token: 1*VSCHAR (RFC 6749 appendix
// A.17).
func isPrintable(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r > 0x7e })
}
