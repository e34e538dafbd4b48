package authcode

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

const (
	asForm = "application/x-www-form-urlencoded"
	asJSON = "application/json"
)

func (s *system) post(contentType, body string, headers ...string) reply {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL+"/auth/refresh", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(s.Client(), request, append([]string{"Content-Type", contentType}, headers...)...)
}

func (s *system) refresh(token string, headers ...string) reply {
	s.t.Helper()
	return s.post(asForm, url.Values{"refresh_token": {token}}.Encode(), headers...)
}

// refreshToken signs somebody in.
func (s *system) refreshToken() string {
	s.t.Helper()
	got := s.signIn(s.browser())
	if got.StatusCode != http.StatusOK {
		s.t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	text, ok := got.json(s.t)["refresh_token"].(string)
	if !ok {
		s.t.Fatal("no refresh token")
	}
	return text
}

func TestReq097_RefreshRotates(t *testing.T) {
	for _, confidential := range []string{"", "s3cret"} {
		as := startAuthServer(t)
		as.knobs.clientSecret = confidential
		s := startSystemWith(t, as, false, func(c *Config) { c.ClientSecret, c.Audience = secret.New(confidential), "aud" })
		token := s.refreshToken()
		for i, send := range []func(string) reply{
			func(token string) reply { return s.refresh(token) },
			func(token string) reply {
				body, _ := json.Marshal(map[string]any{"refresh_token": token, "grant_type": "refresh_token", "other": 1})
				return s.post(asJSON+"; charset=utf-8", string(body))
			},
		} {
			got := send(token)
			if got.StatusCode != http.StatusOK || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Content-Type") != asJSON {
				t.Fatalf("%d: %d %v %s", i, got.StatusCode, got.Header, got.text)
			}
			body := got.json(t)
			if body["token_type"] != "Bearer" || body["expires_in"] != 300.0 || body["scope"] != "openid" || body["refresh_token"] == token || body["id_token"] != nil {
				t.Errorf("%v", body)
			}
			if len(got.Cookies()) != 0 {
				t.Error("sets a cookie")
			}
			token = got.member(t, "refresh_token")
		}
		sent := s.as.tokenRequests()
		last := sent[len(sent)-1]
		if last.Get("grant_type") != "refresh_token" || last.Get("resource") != testResource || last.Get("audience") != "aud" {
			t.Errorf("token request: %v", last)
		}
		if !strings.Contains(s.logs.String(), `"event":"token_refresh","decision":"allow"`) {
			t.Error("no audit record")
		}
	}
}

func TestReq097_WithoutRotation(t *testing.T) {
	s := startSystem(t)
	token := s.refreshToken()
	s.as.set(func(k *knobs) { k.noRefreshToken = true })
	if got := s.refresh(token); got.StatusCode != http.StatusOK || got.json(t)["refresh_token"] != nil {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

func TestReq097_RequestMatrix(t *testing.T) {
	s := startSystem(t)
	for name, tc := range map[string]struct {
		contentType, body string
		status            int
		code              string
	}{
		"unknown token":   {asForm, "refresh_token=unknown", 400, "invalid_grant"},
		"empty form":      {asForm, "", 400, "invalid_request"},
		"empty token":     {asForm, "refresh_token=", 400, "invalid_request"},
		"two tokens":      {asForm, "refresh_token=a&refresh_token=b", 400, "invalid_request"},
		"two grant types": {asForm, "refresh_token=a&grant_type=refresh_token&grant_type=x", 400, "invalid_request"},
		"grant type":      {asForm, "refresh_token=a&grant_type=password", 400, "unsupported_grant_type"},
		"bad escape":      {asForm, "refresh_token=%zz", 400, "invalid_request"},
		"control chars":   {asForm, "refresh_token=a%0d%0ab", 400, "invalid_request"},
		"empty JSON":      {asJSON, ``, 400, "invalid_request"},
		"JSON array":      {asJSON, `["a"]`, 400, "invalid_request"},
		"JSON number":     {asJSON, `{"refresh_token":1}`, 400, "invalid_request"},
		"JSON null":       {asJSON, `{"refresh_token":null}`, 400, "invalid_request"},
		"other name":      {asJSON, `{"Refresh_Token":"a"}`, 400, "invalid_request"},
		"JSON grant type": {asJSON, `{"refresh_token":"a","grant_type":"password"}`, 400, "unsupported_grant_type"},
		"grant not text":  {asJSON, `{"refresh_token":"a","grant_type":1}`, 400, "invalid_request"},
		"twice":           {asJSON, `{"refresh_token":"a","refresh_token":"b"}`, 400, "invalid_request"},
		"trailing data":   {asJSON, `{"refresh_token":"a"}{}`, 400, "invalid_request"},
		"text":            {"text/plain", `{"refresh_token":"a"}`, 400, "invalid_request"},
		"multipart":       {"multipart/form-data; boundary=x", "x", 400, "invalid_request"},
		"no type":         {"", `{"refresh_token":"a"}`, 400, "invalid_request"},
		"too large":       {asForm, "refresh_token=" + strings.Repeat("a", maxRefreshBody), 413, "request_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.post(tc.contentType, tc.body)
			if got.StatusCode != tc.status || got.json(t)["error"] != tc.code {
				t.Errorf("%d %s", got.StatusCode, got.text)
			}
			if strings.Contains(got.text, "alert") || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v %s", got.Header, got.text)
			}
		})
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/auth/refresh?refresh_token=a", nil)
	if got := s.do(s.Client(), request, "Content-Type", asForm); got.StatusCode != 400 {
		t.Errorf("token in the URL: %d", got.StatusCode)
	}
	if n := len(s.as.tokenRequests()); n != 1 {
		t.Errorf("%d token requests, want that of the unknown token only", n)
	}
}

func TestReq097_ServerErrorsAreMapped(t *testing.T) {
	for name, tc := range map[string]struct {
		httpStatus int
		body       string
		status     int
		code       string
	}{
		"invalid_grant":  {400, `{"error":"invalid_grant","error_description":"<script>alert(1)</script>"}`, 400, "invalid_grant"},
		"invalid_scope":  {400, `{"error":"invalid_scope"}`, 400, "invalid_scope"},
		"invalid_target": {400, `{"error":"invalid_target"}`, 400, "invalid_target"},
		"access_denied":  {403, `{"error":"access_denied"}`, 403, "access_denied"},
		"our own fault":  {401, `{"error":"invalid_client"}`, 502, "server_error"},
		"unknown code":   {400, `{"error":"alert"}`, 502, "server_error"},
		"outage":         {503, `{"error":"invalid_grant"}`, 503, "temporarily_unavailable"},
		"not JSON":       {200, `<html>`, 502, "server_error"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSystem(t)
			s.as.set(func(k *knobs) { k.tokenStatus, k.tokenBody = tc.httpStatus, tc.body })
			got := s.refresh("token")
			if got.StatusCode != tc.status || got.json(t)["error"] != tc.code || strings.Contains(got.text, "alert") {
				t.Errorf("%d %s", got.StatusCode, got.text)
			}
			if (got.Header.Get("Retry-After") != "") != (tc.status == 503) {
				t.Errorf("Retry-After: %q", got.Header.Get("Retry-After"))
			}
		})
	}
	s := startSystem(t)
	s.as.CloseClientConnections()
	s.as.Close()
	if got := s.refresh("token"); got.StatusCode != 503 || got.json(t)["error"] != "temporarily_unavailable" {
		t.Errorf("server down: %d %s", got.StatusCode, got.text)
	}
}

func TestReq097_CrossSiteIsRefused(t *testing.T) {
	s := startSystem(t)
	token := s.refreshToken()
	before := len(s.as.tokenRequests())
	for _, headers := range [][]string{
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
		{"Origin", s.URL + ".evil.example"},
		{"Origin", "https" + strings.TrimPrefix(s.URL, "http")},
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", s.URL, "Sec-Fetch-Site", "cross-site"},
	} {
		if got := s.refresh(token, headers...); got.StatusCode != http.StatusForbidden || got.json(t)["error"] != "forbidden" {
			t.Errorf("%v: %d %s", headers, got.StatusCode, got.text)
		}
	}
	if len(s.as.tokenRequests()) != before {
		t.Error("the token was redeemed")
	}
	if got := s.refresh(token, "Origin", s.URL, "Sec-Fetch-Site", "same-origin"); got.StatusCode != http.StatusOK {
		t.Errorf("own origin: %d %s", got.StatusCode, got.text)
	}
}

func TestReq097_ParallelRefreshesBothSucceed(t *testing.T) {
	s := startSystem(t)
	token := s.refreshToken()
	before := len(s.as.tokenRequests())
	hold := make(chan struct{})
	s.as.set(func(k *knobs) { k.tokenHold = hold })
	const callers = 5
	replies := make([]reply, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() { replies[i] = s.refresh(token) })
	}
	close(hold)
	wait.Wait()
	for _, got := range replies {
		if got.StatusCode != http.StatusOK || got.json(t)["access_token"] != replies[0].json(t)["access_token"] {
			t.Errorf("%d %s", got.StatusCode, got.text)
		}
	}
	if n := len(s.as.tokenRequests()) - before; n != 1 {
		t.Errorf("%d token requests", n)
	}
	// A retry inside the window too; after it the server's reuse detection speaks.
	s.advance(idempotentWindow - time.Second)
	if got := s.refresh(token); got.StatusCode != http.StatusOK {
		t.Errorf("retry: %d %s", got.StatusCode, got.text)
	}
	s.advance(2 * time.Second)
	if got := s.refresh(token); got.StatusCode != http.StatusBadRequest || got.json(t)["error"] != "invalid_grant" {
		t.Errorf("after the window: %d %s", got.StatusCode, got.text)
	}
}

func TestReq097_RefreshedTokensSurviveAnOutageOfTheVerifier(t *testing.T) {
	s := startSystem(t)
	token := s.refreshToken()
	s.failVerify(oauth.Unavailable("no keys", 0, nil))
	if got := s.refresh(token); got.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	before := len(s.as.tokenRequests())
	s.advance(time.Minute)
	s.failVerify(nil)
	got := s.refresh(token)
	if got.StatusCode != http.StatusOK || len(s.as.tokenRequests()) != before {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	if next := s.refresh(got.member(t, "refresh_token")); next.StatusCode != http.StatusOK {
		t.Errorf("%d %s", next.StatusCode, next.text)
	}
}

func TestReq097_CallerThatWentAwayFindsTheTokens(t *testing.T) {
	s := startSystem(t)
	token := s.refreshToken()
	before := len(s.as.tokenRequests())
	gone, leave := context.WithCancel(t.Context())
	leave()
	request := httptest.NewRequestWithContext(gone, http.MethodPost, "/auth/refresh", strings.NewReader("refresh_token="+token))
	request.Header.Set("Content-Type", asForm)
	if err := s.flow.Refresh(newRecorder(), request); err != nil {
		t.Fatal(err)
	}
	if got := s.refresh(token); got.StatusCode != http.StatusOK || len(s.as.tokenRequests()) != before+1 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

func TestReq097_RefusedTokenIsNotReturned(t *testing.T) {
	s := startSystem(t)
	token := s.refreshToken()
	s.failVerify(oauth.InvalidToken("wrong_audience", "no", nil))
	s.wantRefusal(s.refresh(token), http.StatusBadGateway, reasonTokenRefused)
}

func TestReq097_NothingReadableStaysInMemory(t *testing.T) {
	s := startSystem(t)
	token := s.refreshToken()
	if got := s.refresh(token); got.StatusCode != http.StatusOK {
		t.Fatal(got.text)
	}
	if s.flow.recent.results.Len() != 1 {
		t.Error("the result was not kept")
	}
	s.noSecretIn("the memory", fmt.Sprintf("%+v", s.flow.recent.results))
	if _, found := s.flow.recent.find(s.now(), secret.New(token+"x")); found {
		t.Error("another token finds it")
	}
}

func TestReq097_RateLimits(t *testing.T) {
	frozen := time.Now()
	s := startSystem(t, func(c *Config) { c.Now = func() time.Time { return frozen } })
	count := func(token func(int) string) int {
		for i := range 1000 {
			got := s.refresh(token(i))
			if got.StatusCode == http.StatusTooManyRequests {
				if got.json(t)["error"] != "too_many_requests" || got.Header.Get("Retry-After") == "" || got.Header.Get("Retry-After") == "0" {
					t.Errorf("%v %s", got.Header, got.text)
				}
				return i
			}
		}
		return -1
	}
	if n := count(func(int) string { return "same" }); n != tokenBurst {
		t.Errorf("one token: limited after %d", n)
	}
	if n := count(func(i int) string { return fmt.Sprint("other", i) }); n != addressBurst-tokenBurst-1 {
		t.Errorf("one address: limited after %d", n)
	}
	limits := newRefreshLimits()
	for i := range refreshBurst {
		if err := limits.admit(frozen, fmt.Sprintf("192.0.2.%d:1", i)); err != nil {
			t.Fatalf("address %d: %v", i, err)
		}
	}
	if limits.admit(frozen, "198.51.100.1:1") == nil {
		t.Error("nothing limits everybody together")
	}
	if err := limits.admit(frozen.Add(time.Second), "198.51.100.1:1"); err != nil {
		t.Errorf("a second later: %v", err)
	}
}
