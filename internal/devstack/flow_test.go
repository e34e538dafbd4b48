package devstack

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

func TestWalkOfEachPerson(t *testing.T) {
	tests := []struct {
		who         string
		permissions []string
		expiresIn   int64
		otus        int
	}{
		{"ana", []string{"teams:read"}, 3600, http.StatusOK},
		{"bruno", []string{}, 3600, http.StatusForbidden},
		{"carla", []string{"teams:read"}, 60, http.StatusOK},
	}
	stack := start(t)
	for _, tt := range tests {
		t.Run(tt.who, func(t *testing.T) {
			v := newVisitor(t, stack)
			code := v.signIn(tt.who, request())
			tokens, got := v.tokens(redeeming(code))
			if got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("token: %d %v %s", got.status, got.header, got.body)
			}
			if tokens.TokenType != "Bearer" || tokens.ExpiresIn != tt.expiresIn || tokens.Scope != "openid profile email offline_access" {
				t.Errorf("answer: %+v", tokens)
			}
			header, claims := open(t, stack, tokens.AccessToken)
			if header["typ"] != "JWT" || header["alg"] != "RS256" {
				t.Errorf("header %v", header)
			}
			lifetime := number(t, claims, "exp") - number(t, claims, "iat")
			if lifetime < tt.expiresIn-1 || lifetime > tt.expiresIn+1 {
				t.Errorf("lives %d s, want %d", lifetime, tt.expiresIn)
			}
			permissions := []any{}
			for _, p := range tt.permissions {
				permissions = append(permissions, p)
			}
			if claims["jti"] == "" {
				t.Error("no jti")
			}
			for _, changing := range []string{"exp", "iat", "nbf", "jti"} {
				delete(claims, changing)
			}
			want := map[string]any{
				"iss": stack.URLs().TokenIssuer, "sub": "auth0|" + tt.who, "aud": []any{testServer + "/mcp"},
				"azp": DevClientID, "client_id": DevClientID, "scope": tokens.Scope, "permissions": permissions,
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			_, identity := open(t, stack, tokens.IDToken)
			if diff := cmp.Diff([]any{DevClientID}, identity["aud"]); diff != "" || identity["nonce"] != "no" || identity["email"] != tt.who+"@example.com" {
				t.Errorf("ID token %v", identity)
			}
			if got := v.do(http.MethodGet, stack.URLs().Otus+"/teams", nil, "Authorization", "Bearer "+tokens.AccessToken); got.status != tt.otus {
				t.Errorf("Otus: %d %s", got.status, got.body)
			}
			info := v.do(http.MethodGet, stack.broker.origin+userinfoPath, nil, "Authorization", "Bearer "+tokens.AccessToken)
			if info.status != http.StatusOK || !strings.Contains(info.body, `"sub":"auth0|`+tt.who) || !strings.Contains(info.body, tt.who+"@example.com") {
				t.Errorf("userinfo: %d %s", info.status, info.body)
			}
		})
	}
}

func TestAuthorizationResponsesCarryIssuerAndState(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	allowed := v.choose(v.authorize(request()), "ana", "allow")
	denied := v.choose(v.authorize(request("prompt", "login")), "ana", "deny")
	refused := v.authorize(request("code_challenge", ""))
	for name, got := range map[string]answer{"code": allowed, "denied": denied, "error": refused} {
		if got.callback.Get("iss") != stack.URLs().AuthorizationServer || got.callback.Get("state") != "st" {
			t.Errorf("%s: %s", name, got.location)
		}
		if !strings.HasPrefix(got.location, testRedirect+"?") {
			t.Errorf("%s went to %s", name, got.location)
		}
	}
	if denied.callback.Get("error") != "access_denied" || denied.callback.Has("code") {
		t.Errorf("denied: %s", denied.location)
	}
}

func TestAuthorizationRequestRefused(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	tests := []struct {
		name, code string
		values     url.Values
	}{
		{"no challenge", "invalid_request", request("code_challenge", "")},
		{"no method", "invalid_request", request("code_challenge_method", "")},
		{"plain", "invalid_request", request("code_challenge_method", "plain")},
		{"challenge not a hash", "invalid_request", request("code_challenge", "short")},
		{"response type", "unsupported_response_type", request("response_type", "token")},
		{"response mode", "invalid_request", request("response_mode", "fragment")},
		{"request object", "request_not_supported", request("request", "e30.e30.")},
		{"request uri", "request_uri_not_supported", request("request_uri", "https://x.example/r")},
		{"foreign resource", "invalid_target", request("resource", "https://other.example")},
		{"resource climbs out", "invalid_target", request("resource", testServer+"/mcp/../../x")},
		{"resource with fragment", "invalid_target", request("resource", testServer+"/mcp#x")},
		{"resource is a longer host", "invalid_target", request("resource", testServer+".evil.example/")},
		{"foreign audience", "invalid_target", request("audience", "https://other.example")},
		{"none with more", "invalid_request", request("prompt", "none login")},
		{"scope", "invalid_scope", request("scope", `a"b`)},
		{"max age", "invalid_request", request("max_age", "-1")},
	}
	repeated := request()
	repeated.Add("state", "second")
	tests = append(tests, struct {
		name, code string
		values     url.Values
	}{"repeated parameter", "invalid_request", repeated})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := v.authorize(tt.values)
			if got.callback.Get("error") != tt.code || got.callback.Has("code") || got.callback.Get("iss") == "" {
				t.Errorf("got %d %s, want %s", got.status, got.location, tt.code)
			}
		})
	}
}

func TestNeverRedirectsToUnregisteredURI(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	twice := request()
	twice.Add("redirect_uri", "https://evil.example/")
	tests := map[string]url.Values{
		"foreign host":   request("redirect_uri", "https://evil.example/callback"),
		"foreign port":   request("redirect_uri", "http://127.0.0.1.evil.example/callback"),
		"user info":      request("redirect_uri", "http://localhost:1@evil.example/callback"),
		"fragment":       request("redirect_uri", "http://localhost:1/callback#x"),
		"https loopback": request("redirect_uri", "https://localhost:1/callback"),
		"script":         request("redirect_uri", "javascript:alert(1)"),
		"missing":        request("redirect_uri", ""),
		"two":            twice,
		"unknown client": request("client_id", "nobody"),
		"no client":      request("client_id", ""),
	}
	for name, values := range tests {
		got := v.authorize(values)
		if got.status != http.StatusBadRequest || got.location != "" || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d, to %q", name, got.status, got.location)
		}
	}
	if got := v.authorize(request("redirect_uri", testServer+"/auth/callback")); got.callback.Get("code") == "" {
		t.Errorf("the server's own callback: %d %s", got.status, got.body)
	}
}

func TestCodeExchangeRefused(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	other := registerClient(t, v, `{"redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}`)
	tests := []struct {
		name   string
		change []string
		status int
		code   string
	}{
		{"wrong verifier", []string{"code_verifier", strings.Repeat("x", 43)}, 400, "invalid_grant"},
		{"no verifier", []string{"code_verifier", ""}, 400, "invalid_request"},
		{"other redirect", []string{"redirect_uri", "http://127.0.0.1:1/callback"}, 400, "invalid_grant"},
		{"other client", []string{"client_id", other.ClientID}, 400, "invalid_grant"},
		{"unknown client", []string{"client_id", "nobody"}, 401, "invalid_client"},
		{"unknown code", []string{"code", "nothing"}, 400, "invalid_grant"},
		{"foreign resource", []string{"resource", "https://other.example"}, 400, "invalid_target"},
		{"wider resource", []string{"resource", testServer + "/mcp/sse"}, 400, "invalid_target"},
		{"grant type", []string{"grant_type", "password"}, 400, "unsupported_grant_type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code := v.authorize(request()).callback.Get("code")
			_, got := v.tokens(redeeming(code, tt.change...))
			got.wantError(t, tt.status, tt.code)
		})
	}
	t.Run("parameters in the query", func(t *testing.T) {
		code := v.authorize(request()).callback.Get("code")
		got := v.do(http.MethodPost, stack.broker.origin+tokenPath+"?"+redeeming(code).Encode(), nil)
		got.wantError(t, 400, "invalid_request")
	})
}

func TestCodeReplayRevokesWhatTheCodeGave(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	code := v.authorize(request()).callback.Get("code")
	first, _ := v.tokens(redeeming(code))
	_, again := v.tokens(redeeming(code))
	again.wantError(t, 400, "invalid_grant")
	_, refreshed := v.tokens(refreshing(first.RefreshToken))
	refreshed.wantError(t, 400, "invalid_grant")
}

func TestResources(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	otusURL := stack.URLs().Otus
	several := request("resource", testServer+"/mcp")
	several.Add("resource", otusURL)
	tests := []struct {
		name   string
		values url.Values
		narrow []string // in the token request
		want   []any
	}{
		{"default", request("resource", ""), nil, []any{testServer}},
		{"endpoint", request(), nil, []any{testServer + "/mcp"}},
		{"root with slash, verbatim", request("resource", testServer+"/"), nil, []any{testServer + "/"}},
		{"several", several, nil, []any{testServer + "/mcp", otusURL}},
		{"several narrowed", several, []string{"resource", otusURL}, []any{otusURL}},
		{"named in the token request only", request("resource", ""), []string{"resource", testServer + "/mcp"}, []any{testServer + "/mcp"}},
		{"audience", request("resource", "", "audience", otusURL), nil, []any{otusURL}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tokens, got := v.tokens(redeeming(v.authorize(tt.values).callback.Get("code"), tt.narrow...))
			if got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			_, claims := open(t, stack, tokens.AccessToken)
			if diff := cmp.Diff(tt.want, claims["aud"]); diff != "" {
				t.Errorf("aud (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScopes(t *testing.T) {
	tests := []struct{ who, asked, granted string }{
		{"ana", "openid admin:all teams:read", "openid teams:read"},
		{"bruno", "openid teams:read", "openid"},
		{"ana", "", ""},
	}
	for _, tt := range tests {
		stack := start(t, func(c *Config) { c.SignIn = tt.who })
		v := newVisitor(t, stack)
		tokens, got := v.tokens(redeeming(v.authorize(request("scope", tt.asked)).callback.Get("code")))
		if got.status != http.StatusOK || tokens.Scope != tt.granted {
			t.Errorf("%s asked %q, got %q (%d)", tt.who, tt.asked, tokens.Scope, got.status)
		}
		if tokens.RefreshToken != "" || (tokens.IDToken != "") != strings.Contains(tt.granted, "openid") {
			t.Errorf("%q gave refresh %t, ID token %t", tt.asked, tokens.RefreshToken != "", tokens.IDToken != "")
		}
	}
}

// TestAuthenticationIsToldWhereItWasAskedFor: RFC 9470 section 6.1.
func TestAuthenticationIsToldWhereItWasAskedFor(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	for _, tt := range []struct {
		asked    []string
		acr      any
		authTime bool
	}{
		{nil, nil, false},
		{[]string{"acr_values", "urn:dev:mfa urn:dev:other"}, "urn:dev:mfa", true},
		{[]string{"max_age", "60"}, nil, true},
	} {
		tokens, got := v.tokens(redeeming(v.authorize(request(tt.asked...)).callback.Get("code")))
		if got.status != http.StatusOK {
			t.Fatal(got.body)
		}
		refreshed, _ := v.tokens(refreshing(tokens.RefreshToken))
		for _, token := range []string{tokens.AccessToken, refreshed.AccessToken} {
			_, told := open(t, stack, token)
			if _, has := told["auth_time"]; told["acr"] != tt.acr || has != tt.authTime {
				t.Errorf("asked %v, told %v", tt.asked, told)
			}
		}
	}
	if got := v.authorize(request("acr_values", strings.Repeat("x", maxACR+1))); got.callback.Get("error") != oauth.CodeInvalidRequest {
		t.Errorf("%v", got.callback)
	}
}

func TestRefresh(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	first, _ := v.tokens(redeeming(v.authorize(request()).callback.Get("code")))

	second, got := v.tokens(refreshing(first.RefreshToken))
	if got.status != http.StatusOK || second.RefreshToken == "" || second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Fatalf("refresh: %d %s", got.status, got.body)
	}
	_, claims := open(t, stack, second.AccessToken)
	if diff := cmp.Diff([]any{testServer + "/mcp"}, claims["aud"]); diff != "" {
		t.Errorf("aud after refresh:\n%s", diff)
	}
	if _, identity := open(t, stack, second.IDToken); cmp.Diff([]any{DevClientID}, identity["aud"]) != "" {
		t.Errorf("ID token after refresh: %v", identity)
	}
	// The second process of the same client, a moment later.
	third, got := v.tokens(refreshing(first.RefreshToken))
	if got.status != http.StatusOK || third.RefreshToken == second.RefreshToken {
		t.Fatalf("racing refresh: %d %s", got.status, got.body)
	}
	for _, live := range []string{second.RefreshToken, third.RefreshToken} {
		if _, got := v.tokens(refreshing(live)); got.status != http.StatusOK {
			t.Errorf("after the race: %d %s", got.status, got.body)
		}
	}
	narrowed := refreshing(third.RefreshToken)
	narrowed.Set("scope", "openid")
	less, _ := v.tokens(narrowed)
	if less.Scope != "openid" || less.RefreshToken == "" {
		t.Errorf("narrowed: %+v", less)
	}
	wider := refreshing(less.RefreshToken)
	wider.Set("scope", "openid admin:all")
	_, got = v.tokens(wider)
	got.wantError(t, 400, "invalid_scope")

	revoking := url.Values{"token": {less.RefreshToken}, "client_id": {DevClientID}}
	if got := v.do(http.MethodPost, stack.broker.origin+revokePath, revoking); got.status != http.StatusOK {
		t.Errorf("revoke: %d %s", got.status, got.body)
	}
	_, got = v.tokens(refreshing(less.RefreshToken))
	got.wantError(t, 400, "invalid_grant")
}

func TestRefreshTokenReuseRevokesTheFamily(t *testing.T) {
	now := time.Now()
	store := newGrants(func() time.Time { return now })
	entry, err := store.redeem(store.newCode(grant{authorization: authorization{clientID: "c"}}))
	if err != nil {
		t.Fatal(err)
	}
	first := store.start(entry)
	second, err := store.rotate(first, "c")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.rotate(second, "somebody else"); err == nil {
		t.Error("another client's refresh token was accepted")
	}
	now = now.Add(refreshGrace)
	third, err := store.rotate(first, "c")
	if err != nil {
		t.Fatalf("in grace: %v", err)
	}
	now = now.Add(time.Second)
	if _, err := store.rotate(first, "c"); err == nil {
		t.Fatal("a spent refresh token was accepted")
	}
	for _, token := range []string{second, third} {
		if _, err := store.lookup(token, "c"); err == nil {
			t.Error("the family outlived the reuse")
		}
	}
}

func TestCodeExpires(t *testing.T) {
	now := time.Now()
	store := newGrants(func() time.Time { return now })
	code := store.newCode(grant{})
	now = now.Add(codeLifetime + time.Second)
	if _, err := store.redeem(code); err == nil {
		t.Error("an expired code was accepted")
	}
}
