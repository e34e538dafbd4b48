package authcode

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

func TestReq090_SignInPublicAndConfidential(t *testing.T) {
	for name, methods := range map[string][]string{
		"public": nil, "basic by default": nil, "basic": {"client_secret_post", "client_secret_basic"}, "post": {"client_secret_post"},
	} {
		t.Run(name, func(t *testing.T) {
			as := startAuthServer(t)
			as.knobs.authMethods = methods
			if name != "public" {
				as.knobs.clientSecret = "s3cret +:%é"
			}
			s := startSystemWith(t, as, false, func(c *Config) { c.ClientSecret = secret.New(as.knobs.clientSecret) })
			got := s.signIn(s.browser())
			if got.StatusCode != http.StatusOK {
				t.Fatalf("%d %s", got.StatusCode, got.text)
			}
			body := got.json(t)
			if s.as.access[got.member(t, "access_token")] == "" || !s.as.refresh[got.member(t, "refresh_token")] {
				t.Errorf("not the issued tokens: %v", body)
			}
			delete(body, "access_token")
			delete(body, "refresh_token")
			want := map[string]any{"token_type": "Bearer", "expires_in": 300.0, "scope": "openid offline_access teams:read"}
			if diff := cmp.Diff(want, body); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(s.logs.String(), `"event":"sign_in","decision":"allow"`) {
				t.Error("no audit record: " + s.logs.String())
			}
		})
	}
}

func TestReq090_ClientSecretWithoutAMethod(t *testing.T) {
	s := startSystem(t, func(c *Config) { c.ClientSecret = secret.New("s3cret") })
	s.as.set(func(k *knobs) { k.authMethods = []string{"private_key_jwt"} })
	s.wantRefusal(s.signIn(s.browser()), http.StatusBadGateway, reasonClientAuth)
	if len(s.as.tokenRequests()) != 0 {
		t.Error("the code was sent without client authentication")
	}
}

func TestReq090_OffUnlessConfigured(t *testing.T) {
	flow, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"start": flow.Start, "callback": flow.Callback, "refresh": flow.Refresh,
	} {
		for _, accept := range []string{acceptJSON, acceptPage} {
			server := newTestServer(t, handle)
			got := server.get(server.browser(), server.URL, accept)
			if got.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got.text, "OAUTH_CLIENT_ID") {
				t.Errorf("%s: %d %s", name, got.StatusCode, got.text)
			}
		}
	}
}

func TestReq090_ServerWithoutS256IsRefused(t *testing.T) {
	s := startSystem(t)
	s.as.set(func(k *knobs) { k.noS256 = true })
	s.wantRefusal(s.get(s.browser(), s.URL+"/auth/start", acceptJSON), http.StatusBadGateway, reasonNoPKCE)
}

func TestReq090_Req093_AuthorizationAndTokenRequest(t *testing.T) {
	s := startSystem(t, func(c *Config) { c.Audience = "https://api.example" })
	if got := s.signIn(s.browser()); got.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	asked, sent := s.as.asked[0], s.as.tokenRequests()[0]
	if len(asked.Get("state")) < 22 || len(asked.Get("nonce")) < 22 || len(sent.Get("code_verifier")) < 43 {
		t.Error("state, nonce or verifier has too little entropy")
	}
	if oauth.S256(sent.Get("code_verifier")) != asked.Get("code_challenge") {
		t.Error("the challenge is not the verifier's")
	}
	for _, random := range []string{"state", "nonce", "code_challenge"} {
		asked.Del(random)
	}
	sent.Del("code")
	sent.Del("code_verifier")
	callback := s.URL + "/auth/callback"
	if diff := cmp.Diff(url.Values{
		"tenant": {"a b"}, "response_type": {"code"}, "client_id": {testClient}, "redirect_uri": {callback},
		"scope": {"openid offline_access teams:read"}, "code_challenge_method": {"S256"}, "prompt": {"consent"},
		"resource": {testResource}, "audience": {"https://api.example"},
	}, asked); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(url.Values{
		"grant_type": {"authorization_code"}, "redirect_uri": {callback}, "client_id": {testClient},
		"resource": {testResource}, "audience": {"https://api.example"},
	}, sent); diff != "" {
		t.Error(diff)
	}
}

func TestReq091_CookieAttributes(t *testing.T) {
	for _, https := range []bool{true, false} {
		s := startSystemWith(t, startAuthServer(t), https)
		got := s.get(s.browser(), s.URL+"/auth/start", acceptPage)
		want := &http.Cookie{Name: "oauth-mcp-signin", Path: "/", MaxAge: 600, HttpOnly: true, SameSite: http.SameSiteLaxMode}
		if https {
			want.Name, want.Secure = "__Host-oauth-mcp-signin", true
		}
		if len(got.Cookies()) != 1 {
			t.Fatalf("cookies: %v", got.Cookies())
		}
		cookie := got.Cookies()[0]
		cookie.Value, cookie.Raw = "", ""
		if diff := cmp.Diff(want, cookie); diff != "" {
			t.Error(diff)
		}
		// It works end to end with a browser's rules, and ends with the cookie gone.
		browser := s.browser()
		finished := s.signIn(browser)
		if finished.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", finished.StatusCode, finished.text)
		}
		here, _ := url.Parse(s.URL)
		if left := browser.Jar.Cookies(here); len(left) != 0 {
			t.Errorf("cookies left: %v", left)
		}
	}
}

func TestReq091_OtherBrowserIsRefused(t *testing.T) {
	s := startSystem(t)
	callback := s.begin(s.browser())
	s.wantRefusal(s.get(s.browser(), callback, acceptJSON), http.StatusBadRequest, reasonNoAttempt)
	other := s.browser()
	s.begin(other) // has a cookie of its own
	s.wantRefusal(s.get(other, callback, acceptPage), http.StatusBadRequest, reasonNoAttempt)
	if len(s.as.tokenRequests()) != 0 {
		t.Error("the code was redeemed")
	}
}

func TestReq091_ReplayIsRefused(t *testing.T) {
	s := startSystem(t)
	browser := s.browser()
	callback := s.begin(browser)
	here, _ := url.Parse(s.URL)
	kept := browser.Jar.Cookies(here)
	if got := s.get(browser, callback, acceptJSON); got.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	s.wantRefusal(s.get(browser, callback, acceptJSON), http.StatusBadRequest, reasonNoAttempt)
	browser.Jar.SetCookies(here, kept)
	s.wantRefusal(s.get(browser, callback, acceptJSON), http.StatusBadRequest, reasonReplayed)
	if n := len(s.as.tokenRequests()); n != 1 {
		t.Errorf("%d token requests", n)
	}
}

func TestReq091_LateIsRefused(t *testing.T) {
	for age, reason := range map[time.Duration]string{
		9*time.Minute + 50*time.Second: "", 10*time.Minute + 10*time.Second: reasonLate, -50 * time.Second: "", -70 * time.Second: reasonLate,
	} {
		s := startSystem(t)
		browser := s.browser()
		callback := s.begin(browser)
		s.advance(age)
		got := s.get(browser, callback, acceptJSON)
		if reason != "" {
			s.wantRefusal(got, http.StatusBadRequest, reason)
		} else if got.StatusCode != http.StatusOK {
			t.Errorf("age %s: %d %s", age, got.StatusCode, got.text)
		}
	}
}

func TestReq091_TamperedCookieIsRefused(t *testing.T) {
	s := startSystem(t)
	here, _ := url.Parse(s.URL)
	for i := range 8 {
		browser := s.browser()
		callback := s.begin(browser)
		cookies := browser.Jar.Cookies(here)
		value := []byte(cookies[0].Value)
		at := i * (len(value) - 1) / 7
		value[at] = map[bool]byte{true: 'B', false: 'A'}[value[at] == 'A']
		cookies[0].Value = string(value)
		browser.Jar.SetCookies(here, cookies)
		s.wantRefusal(s.get(browser, callback, acceptJSON), http.StatusBadRequest, reasonNoAttempt)
	}
}

func TestReq091_AnotherReplicaFinishes(t *testing.T) {
	as := startAuthServer(t)
	const public = "http://localhost:7777"
	at := func(key string) *system {
		return startSystemWith(t, as, false, func(c *Config) { c.ServerURL, c.SessionKey = public, secret.New(key) })
	}
	first, same, other, random := at(testKey), at(testKey), at(strings.Repeat("k", 32)), at("")
	for _, tc := range []struct {
		replica *system
		status  int
	}{{same, http.StatusOK}, {other, http.StatusBadRequest}, {random, http.StatusBadRequest}} {
		browser := first.browser()
		callback := strings.Replace(first.begin(browser), public, tc.replica.URL, 1)
		// Cookies know no ports, so the jar sends the first replica's.
		if got := tc.replica.get(browser, callback, acceptJSON); got.StatusCode != tc.status {
			t.Errorf("%d %s, want %d", got.StatusCode, got.text, tc.status)
		}
	}
}

func TestReq091_SeveralTabs(t *testing.T) {
	s := startSystem(t)
	browser := s.browser()
	var callbacks []string
	for range maxAttempts + 1 {
		callbacks = append(callbacks, s.begin(browser))
	}
	s.wantRefusal(s.get(browser, callbacks[0], acceptJSON), http.StatusBadRequest, reasonNoAttempt)
	for _, callback := range slices.Backward(callbacks[1:]) {
		if got := s.get(browser, callback, acceptJSON); got.StatusCode != http.StatusOK {
			t.Errorf("%d %s", got.StatusCode, got.text)
		}
	}
}

func TestReq091_CookieFits(t *testing.T) {
	s := startSystem(t)
	jar := s.flow.cookies
	for length, want := range map[int]int{40: maxAttempts, 1000: 2, 2400: 1, 3000: 0} {
		var attempts []attempt
		for range maxAttempts {
			attempts = append(attempts, newAttempt("https://"+strings.Repeat("i", length), s.now()))
		}
		w := newRecorder()
		err := jar.keep(w, attempts)
		if want == 0 {
			if refusal, ok := errors.AsType[*oauth.Refusal](err); !ok || refusal.Reason != reasonCookieSize {
				t.Errorf("issuer of %d bytes: %v", length, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		line := w.Header().Get("Set-Cookie")
		if len(line) > 4096 {
			t.Errorf("the cookie has %d bytes", len(line))
		}
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		kept, ok := jar.open(cookie.Value)
		if !ok || len(kept) != want || !kept[want-1].state.Equal(attempts[maxAttempts-1].state) {
			t.Errorf("issuer of %d bytes: kept %d attempts, want %d", length, len(kept), want)
		}
	}
}

func TestReq094_NoOpenRedirect(t *testing.T) {
	s := startSystem(t)
	evil := url.Values{}
	for _, name := range []string{"return_to", "next", "redirect_uri", "redirect", "url", "resource", "state", "client_id", "issuer"} {
		evil.Set(name, "https://evil.example/")
	}
	got := s.get(s.browser(), s.URL+"/auth/start?"+evil.Encode(), acceptPage,
		"X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example", "Referer", "https://evil.example/")
	if got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got.Header.Get("Location"), s.as.URL+"/authorize?") ||
		strings.Contains(got.Header.Get("Location"), "evil") || strings.Contains(got.text, "evil") {
		t.Errorf("%d to %s", got.StatusCode, got.Header.Get("Location"))
	}
	browser := s.browser()
	finished := s.get(browser, s.begin(browser)+"&"+url.Values{"return_to": {"https://evil.example/"}}.Encode(), acceptPage)
	if finished.StatusCode != http.StatusOK || finished.Header.Get("Location") != "" || strings.Contains(finished.text, "evil") {
		t.Errorf("%d %s", finished.StatusCode, finished.text)
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := New(Config{ClientID: "c", ServerURL: "http://mcp.example", SessionKey: secret.New("short"), Scopes: oauth.Scopes{`a"b`}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"server URL", "session key", "scope", "resource", "metadata", "verifier", "transport"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in %v", want, err)
		}
	}
	for _, bad := range []string{"https://a.example/", "https://a.example/x?y", "https://u@a.example", "https://a.example/$(x)", "https://a.example/`x`", "/x", ""} {
		if checkServerURL(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for raw, want := range map[string]string{
		"https://MCP.example:443/base": "https://mcp.example", "http://localhost:8000": "http://localhost:8000",
		"http://[::1]:80": "http://[::1]", "https://a.example:8443": "https://a.example:8443",
	} {
		if got := originOf(raw); got != want || checkServerURL(raw) != nil {
			t.Errorf("origin of %s is %s", raw, got)
		}
	}
}
