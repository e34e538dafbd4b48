package authcode

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// newTestServer serves one handler for any method and path.
func newTestServer(t *testing.T, handle func(http.ResponseWriter, *http.Request) error) *system {
	t.Helper()
	s := &system{t: t, Server: httptest.NewServer(asEdge(handle)), as: &authServer{}}
	t.Cleanup(s.Close)
	return s
}

func TestReq092_IssuerTable(t *testing.T) {
	for _, failed := range []bool{false, true} {
		for _, tc := range []struct {
			advertised bool
			iss        string
			ok         bool
		}{
			{true, "right", true},
			{true, "https://evil.example", false},
			{true, "", false},
			{false, "right", true},
			{false, "https://evil.example", false},
			{false, "", true},
			{true, "slash", false},
			{false, "slash", false},
		} {
			t.Run(fmt.Sprintf("error=%t advertised=%t iss=%s", failed, tc.advertised, tc.iss), func(t *testing.T) {
				s := startSystem(t)
				s.as.set(func(k *knobs) {
					k.issAdvertised, k.iss = tc.advertised, tc.iss
					if tc.iss == "slash" {
						k.iss = s.as.URL + "/"
					}
					if failed {
						k.answerError, k.answerText = "access_denied", "because-evil-says-so"
					}
				})
				browser := s.browser()
				callback := s.begin(browser)
				got := s.get(browser, callback, acceptJSON)
				switch {
				case !tc.ok:
					s.wantRefusal(got, http.StatusBadRequest, reasonIssuer)
					if strings.Contains(got.text, "evil") || strings.Contains(got.text, "access_denied") {
						t.Errorf("something of the response is shown: %s", got.text)
					}
					if len(s.as.tokenRequests()) != 0 {
						t.Error("the code was sent out")
					}
				case failed:
					s.wantRefusal(got, http.StatusForbidden, reasonDenied)
				case got.StatusCode != http.StatusOK:
					t.Errorf("%d %s", got.StatusCode, got.text)
				}
				// The attempt is used up either way.
				s.wantRefusal(s.get(browser, callback, acceptJSON), http.StatusBadRequest, reasonNoAttempt)
			})
		}
	}
}

func TestReq092_AnEmptyIssIsPresent(t *testing.T) {
	s := startSystem(t)
	s.as.set(func(k *knobs) { k.issAdvertised, k.iss = false, "" })
	browser := s.browser()
	s.wantRefusal(s.get(browser, s.begin(browser)+"&iss=", acceptJSON), http.StatusBadRequest, reasonIssuer)
}

func TestReq092_IssuerOfTheMetadataChanged(t *testing.T) {
	asked := "https://as.example"
	response := authorizationResponse{issuer: asked, hasIssuer: true}
	if issuerMatches(discovery.Metadata{Issuer: "https://other.example"}, asked, response) {
		t.Error("the code would go to another server's token endpoint")
	}
	if !issuerMatches(discovery.Metadata{Issuer: asked}, asked, response) {
		t.Error("the right issuer is refused")
	}
}

func TestCallbackParameters(t *testing.T) {
	s := startSystem(t)
	browser := s.browser()
	callback := s.begin(browser)
	for name, bad := range map[string]string{
		"nothing":         s.URL + "/auth/callback",
		"no state":        edit(t, callback, "state", ""),
		"no code":         edit(t, callback, "code", ""),
		"code and error":  edit(t, callback, "error", "access_denied"),
		"two codes":       callback + "&code=other",
		"two states":      callback + "&state=other",
		"two issuers":     callback + "&iss=other",
		"bad escape":      callback + "&x=%zz",
		"very long":       callback + "&x=" + strings.Repeat("x", maxCallbackQuery),
		"semicolon query": callback + ";x=1",
	} {
		if got := s.get(browser, bad, acceptJSON); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.text, reasonParameters) {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.text)
		}
	}
	if got := s.get(browser, edit(t, callback, "state", "other"), acceptJSON); got.StatusCode != http.StatusBadRequest {
		t.Errorf("other state: %d %s", got.StatusCode, got.text)
	}
	// None of that used up the sign-in, nor does a link checker.
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodHead, callback, nil)
	if got := s.do(browser, request); got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET" {
		t.Errorf("HEAD: %d", got.StatusCode)
	}
	if got := s.get(browser, callback, acceptJSON); got.StatusCode != http.StatusOK {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

func TestReq095_ErrorsOfTheServerAreNeverReflected(t *testing.T) {
	const attack = `"><script>alert('xss')</script><img src=x onerror=alert(1)>`
	for code, want := range map[string]struct {
		status int
		reason string
	}{
		"access_denied":           {http.StatusForbidden, reasonDenied},
		"login_required":          {http.StatusForbidden, reasonDenied},
		"temporarily_unavailable": {http.StatusServiceUnavailable, reasonASBusy},
		"invalid_scope":           {http.StatusBadGateway, reasonASConfig},
		"unheard_of":              {http.StatusBadGateway, reasonASRefused},
		attack:                    {http.StatusBadGateway, reasonASRefused},
	} {
		for _, accept := range []string{acceptJSON, acceptPage} {
			s := startSystem(t)
			s.as.set(func(k *knobs) { k.answerError, k.answerText = code, attack })
			browser := s.browser()
			got := s.get(browser, s.begin(browser), accept)
			s.wantRefusal(got, want.status, want.reason)
			for where, text := range map[string]string{"answer": got.text, "log": s.logs.String()} {
				if strings.Contains(text, "alert(") || strings.Contains(text, "unheard_of") || strings.Contains(text, "onerror") {
					t.Errorf("the %s reflects the error: %s", where, text)
				}
			}
		}
	}
}

func TestReq095_EveryParameterIsHarmless(t *testing.T) {
	const attack = `"'><script>alert(1)</script>`
	for _, name := range []string{"state", "code", "iss", "error", "error_description", "error_uri", "scope", "session_state", attack} {
		s := startSystem(t)
		browser := s.browser()
		callback := s.begin(browser)
		if name == "error" {
			callback = edit(t, callback, "code", "")
		}
		got := s.get(browser, edit(t, callback, name, attack), acceptPage)
		if strings.Contains(got.text, "alert(1)") {
			t.Errorf("%s is reflected: %s", name, got.text)
		}
	}
	s := startSystem(t)
	s.subject = attack // even the verified token's own words
	browser := s.browser()
	got := s.get(browser, s.begin(browser), acceptPage)
	if got.StatusCode != http.StatusOK || strings.Contains(got.text, attack) || !strings.Contains(got.text, "&lt;script&gt;alert(1)") {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

func TestReq095_TokenIsVerifiedBeforeItIsShown(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		status int
		reason string
		retry  string
	}{
		"refused":       {oauth.InvalidToken("wrong_audience", "The token is for another audience.", nil), http.StatusBadGateway, reasonTokenRefused, ""},
		"outage":        {oauth.Unavailable("no keys", 17*time.Second, nil), http.StatusServiceUnavailable, reasonVerifier, "17"},
		"no scopes":     {oauth.InsufficientScope(oauth.Scopes{"x"}, nil), http.StatusForbidden, reasonScopes, ""},
		"unknown error": {errors.New("broken"), http.StatusServiceUnavailable, reasonVerifier, "5"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, accept := range []string{acceptJSON, acceptPage} {
				s := startSystem(t)
				s.failVerify(tc.err)
				browser := s.browser()
				got := s.get(browser, s.begin(browser), accept)
				s.wantRefusal(got, tc.status, tc.reason)
				if got.Header.Get("Retry-After") != tc.retry {
					t.Errorf("Retry-After: %q", got.Header.Get("Retry-After"))
				}
			}
		})
	}
}

func TestReq095_Nonce(t *testing.T) {
	for name, spoil := range map[string]func(*knobs){
		"another nonce":   func(k *knobs) { k.nonce = "other" },
		"not a JWT":       func(k *knobs) { k.plainIDToken = "x.y" },
		"encrypted":       func(k *knobs) { k.plainIDToken = "a.b.c.d.e" },
		"no nonce in it":  func(k *knobs) { k.plainIDToken = "e30.e30.x" },
		"nonce not text":  func(k *knobs) { k.plainIDToken = "e30.eyJub25jZSI6MX0.x" },
		"two nonces":      func(k *knobs) { k.plainIDToken = "e30.eyJub25jZSI6ImEiLCJub25jZSI6ImIifQ.x" },
		"claims not JSON": func(k *knobs) { k.plainIDToken = "e30.e3.x" },
	} {
		s := startSystem(t)
		s.as.set(spoil)
		t.Log(name)
		s.wantRefusal(s.signIn(s.browser()), http.StatusBadGateway, reasonNonce)
		if s.verified != 0 {
			t.Errorf("%s: went on with the answer", name)
		}
	}
	// Without openid there is no nonce, and an ID token is dropped unread.
	s := startSystem(t, func(c *Config) { c.Scopes = oauth.Scopes{"teams:read"} })
	s.as.set(func(k *knobs) { k.plainIDToken = "x.y" })
	got := s.signIn(s.browser())
	if got.StatusCode != http.StatusOK || strings.Contains(got.text, "id_token") || s.as.asked[0].Has("nonce") || s.as.asked[0].Has("prompt") {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

func TestTokenEndpointFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		httpStatus int
		body       string
		status     int
		reason     string
	}{
		"code refused":   {400, `{"error":"invalid_grant"}`, 400, reasonCodeRefused},
		"client refused": {401, `{"error":"invalid_client"}`, 502, reasonASConfig},
		"unknown code":   {400, `{"error":"<b>x</b>"}`, 502, reasonASRefused},
		"not JSON":       {400, `<html>`, 502, reasonASRefused},
		"outage":         {500, `{"error":"invalid_grant"}`, 503, reasonASBusy},
		"rate limited":   {429, ``, 503, reasonASBusy},
		"redirect":       {307, ``, 502, reasonASRefused},
		"redirect 302":   {302, `{"error":"invalid_grant"}`, 502, reasonASRefused},
		"huge":           {200, `{"access_token":"a","token_type":"Bearer"}` + strings.Repeat(" ", maxTokenResponse), 502, reasonTokenAnswer},
		"no token":       {200, `{"token_type":"Bearer"}`, 502, reasonTokenAnswer},
		"wrong type":     {200, `{"access_token":"a","token_type":"DPoP"}`, 502, reasonTokenAnswer},
		"shell token":    {200, `{"access_token":"$(reboot)","token_type":"Bearer"}`, 502, reasonTokenAnswer},
		"header token":   {200, `{"access_token":"a\r\nx: y","token_type":"Bearer"}`, 502, reasonTokenAnswer},
		"bad refresh":    {200, `{"access_token":"a","token_type":"Bearer","refresh_token":"\u0000"}`, 502, reasonTokenAnswer},
		"two tokens":     {200, `{"access_token":"a","access_token":"b","token_type":"Bearer"}`, 502, reasonTokenAnswer},
		"other names":    {200, `{"Access_Token":"a","token_type":"Bearer"}`, 502, reasonTokenAnswer},
		"array":          {200, `[]`, 502, reasonTokenAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSystem(t)
			s.as.set(func(k *knobs) { k.tokenStatus, k.tokenBody = tc.httpStatus, tc.body })
			s.wantRefusal(s.signIn(s.browser()), tc.status, tc.reason)
			if n := len(s.as.tokenRequests()); n != 1 {
				t.Errorf("%d token requests", n)
			}
		})
	}
}

func TestTokenEndpointUnreachable(t *testing.T) {
	s := startSystem(t)
	browser := s.browser()
	callback := s.begin(browser)
	s.as.CloseClientConnections()
	s.as.Close()
	s.wantRefusal(s.get(browser, callback, acceptPage), http.StatusServiceUnavailable, reasonASBusy)
}

func TestMetadataOutageUsesNothingUp(t *testing.T) {
	s := startSystem(t)
	s.as.set(func(k *knobs) { k.metadataDown = true })
	s.wantRefusal(s.get(s.browser(), s.URL+"/auth/start", acceptPage), http.StatusServiceUnavailable, reasonMetadata)
	s.as.set(func(k *knobs) { k.metadataDown = false })
	s.advance(time.Minute)
	browser := s.browser()
	callback := s.begin(browser)

	// A replica that just started has no metadata yet.
	fresh := startSystemWith(t, s.as, false, func(c *Config) {
		c.ServerURL, c.Now = s.config.ServerURL, s.now
	})
	s.as.set(func(k *knobs) { k.metadataDown = true })
	there := strings.Replace(callback, s.URL, fresh.URL, 1)
	s.wantRefusal(fresh.get(browser, there, acceptJSON), http.StatusServiceUnavailable, reasonMetadata)
	s.as.set(func(k *knobs) { k.metadataDown = false })
	s.advance(time.Minute)
	fresh.advance(time.Minute)
	if got := fresh.get(browser, there, acceptJSON); got.StatusCode != http.StatusOK {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

func TestEndpointsMustBeUsable(t *testing.T) {
	for _, endpoint := range []string{"", "javascript:alert(1)", "http://as.example/authorize", "/authorize"} {
		s := startSystem(t, func(c *Config) {
			c.Metadata = fixedMetadata{Issuer: "https://as.example", AuthorizationEndpoint: endpoint, TokenEndpoint: "https://as.example/token", ChallengeMethods: []string{"S256"}}
		})
		s.wantRefusal(s.get(s.browser(), s.URL+"/auth/start", acceptJSON), http.StatusBadGateway, reasonEndpoints)
	}
}

func TestEveryReasonHasItsSentences(t *testing.T) {
	for reason, v := range verdicts {
		if v.status < 400 || v.code == "" || v.en == "" || oauth.SafeText(v.en) != v.en {
			t.Errorf("%s: %+v", reason, v)
		}
	}
	for _, reasons := range []map[string]string{callbackReasons, codeReasons} {
		for code, reason := range reasons {
			if verdicts[reason].es == "" {
				t.Errorf("%s (%s) has no Spanish sentence", reason, code)
			}
		}
	}
	for code, reason := range refreshReasons {
		if verdicts[reason].en == "" {
			t.Errorf("%s has no sentence", code)
		}
	}
}

func TestTokenSyntax(t *testing.T) {
	for text, want := range map[string]bool{"": false, "=": false, "a": true, "a.b-c_d~e+f/g==": true, "a b": false, "a\n": false, "a;b": false, "é": false} {
		if isBearerToken(text) != want {
			t.Errorf("%q", text)
		}
	}
	for raw, want := range map[string]time.Duration{
		"": 0, "600": 10 * time.Minute, `"600"`: 10 * time.Minute, "600.5": 10 * time.Minute, "-1": 0, "0": 0, "1e99": 0, "null": 0, `"NaN"`: 0, `{}`: 0,
	} {
		if got := parseLifetime([]byte(raw)); got != want {
			t.Errorf("%q: %s", raw, got)
		}
	}
}

func FuzzCallbackQuery(f *testing.F) {
	f.Add("state=a&code=b&iss=c")
	f.Add("state=a&error=b")
	f.Fuzz(func(t *testing.T, query string) {
		response, err := parseResponse(&url.URL{RawQuery: query})
		if err == nil && (!response.state.IsSet() || response.code.IsSet() == (response.errorCode != "")) {
			t.Errorf("%q gave %+v", query, response)
		}
		_ = nonceMatches(secret.New(query), secret.New("n"))
	})
}

// fixedMetadata is a MetadataSource that always knows.
type fixedMetadata discovery.Metadata

func (m fixedMetadata) Metadata(context.Context) (discovery.Metadata, error) {
	return discovery.Metadata(m), nil
}
