package login_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
	"tecrolabs.dev/oauth-mcp-server/internal/login"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// visit is a browser: it gets a URL and follows redirects.
func visit(ctx context.Context, target string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return errors.Join(err, response.Body.Close())
}

func TestSignInAtOurOwnServer(t *testing.T) {
	system := apptest.Start(t)
	for name, cfg := range map[string]login.Config{
		"registered":  {Resource: system.URL + "/mcp"},
		"given":       {Resource: system.URL + "/mcp", ClientID: devstack.DevClientID, RedirectURI: "http://localhost:0/cb"},
		"HTTP+SSE":    {Resource: system.URL + "/mcp/sse"},
		"less scopes": {Resource: system.URL + "/mcp", Scopes: oauth.Scopes{"openid"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Open, cfg.Transport = visit, &http.Transport{DisableKeepAlives: true}
			tokens, err := login.SignIn(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			system.Secret(tokens.AccessToken.Reveal(), tokens.RefreshToken.Reveal())
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, system.URL+"/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+tokens.AccessToken.Reveal())
			request.Header.Set("Content-Type", "application/json")
			response, err := system.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK || tokens.Lifetime != time.Hour || tokens.ClientID == "" {
				t.Errorf("status %d, %+v", response.StatusCode, tokens)
			}
		})
	}
}

// world is a resource and its authorization server, to be spoiled.
type world struct {
	url      string
	header   string
	resource map[string]any
	server   map[string]any
	token    string
	answer   url.Values // what the browser brings, besides state
	seen     url.Values // the token request
}

func startWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.url = server.URL
	write := func(out http.ResponseWriter, v any) {
		out.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(out).Encode(v)
	}
	mux.HandleFunc("POST /mcp", func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("WWW-Authenticate", w.header)
		out.WriteHeader(http.StatusUnauthorized)
	})
	mux.HandleFunc("GET /.well-known/oauth-protected-resource/mcp", func(out http.ResponseWriter, _ *http.Request) { write(out, w.resource) })
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(out http.ResponseWriter, _ *http.Request) { write(out, w.server) })
	mux.HandleFunc("POST /token", func(out http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		w.seen = r.PostForm
		out.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(out, w.token)
	})
	w.header = `Bearer resource_metadata="` + w.url + `/.well-known/oauth-protected-resource/mcp", scope="a b"`
	w.resource = map[string]any{"resource": w.url + "/mcp", "authorization_servers": []string{w.url}}
	w.server = map[string]any{
		"issuer": w.url, "authorization_endpoint": w.url + "/authorize?tenant=1", "token_endpoint": w.url + "/token",
		"code_challenge_methods_supported": []string{"S256"}, "authorization_response_iss_parameter_supported": true,
	}
	w.token = `{"access_token":"the-access-token","token_type":"bearer","expires_in":60}`
	w.answer = url.Values{"code": {"the-code"}, "iss": {w.url}}
	return w
}

// signIn signs in with a browser that brings the answer, after a forged one.
func (w *world) signIn(t *testing.T, clientID string) (login.Tokens, url.Values, error) {
	t.Helper()
	var asked url.Values
	tokens, err := login.SignIn(t.Context(), login.Config{
		Resource: w.url + "/mcp", ClientID: clientID, Transport: &http.Transport{DisableKeepAlives: true},
		Open: func(ctx context.Context, target string) error {
			u, err := url.Parse(target)
			if err != nil {
				return err
			}
			asked = u.Query()
			forged := asked.Get("redirect_uri") + "?" + url.Values{"code": {"forged"}, "iss": {w.url}, "state": {"other"}}.Encode()
			w.answer.Set("state", asked.Get("state"))
			return errors.Join(visit(ctx, forged), visit(ctx, asked.Get("redirect_uri")+"?"+w.answer.Encode()))
		},
	})
	return tokens, asked, err
}

func TestSignInSendsWhatTheSpecificationsWant(t *testing.T) {
	w := startWorld(t)
	tokens, asked, err := w.signIn(t, "client-1")
	if err != nil {
		t.Fatal(err)
	}
	if tokens.AccessToken.Reveal() != "the-access-token" || tokens.Lifetime != time.Minute {
		t.Errorf("%+v", tokens)
	}
	if w.seen.Get("code") != "the-code" || w.seen.Get("resource") != w.url+"/mcp" || oauth.S256(w.seen.Get("code_verifier")) != asked.Get("code_challenge") ||
		w.seen.Get("redirect_uri") != asked.Get("redirect_uri") || w.seen.Get("client_id") != "client-1" {
		t.Errorf("token request %v", w.seen)
	}
	if asked.Get("tenant") != "1" || asked.Get("resource") != w.url+"/mcp" || asked.Get("code_challenge_method") != "S256" || asked.Get("scope") != "a b" {
		t.Errorf("authorization request %v", asked)
	}
}

func TestSignInRefuses(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(*world)
		says  string
	}{
		{"metadata elsewhere", func(w *world) { w.header = `Bearer resource_metadata="https://evil.example/x"` }, "elsewhere"},
		{"metadata of another resource", func(w *world) { w.resource["resource"] = "https://other.example/mcp" }, "describes"},
		{"hostile scopes", func(w *world) { w.header, w.resource["scopes_supported"] = "Bearer", []string{"a\u001b"} }, "no scope"},
		{"no authorization server", func(w *world) { delete(w.resource, "authorization_servers") }, "no authorization server"},
		{"another issuer", func(w *world) { w.server["issuer"] = "https://evil.example" }, "evil.example"},
		{"issuer slash", func(w *world) { w.server["issuer"] = w.url + "/" }, "calls itself"},
		{"no PKCE", func(w *world) { delete(w.server, "code_challenge_methods_supported") }, "S256"},
		{"mixed up", func(w *world) { w.answer.Set("iss", "https://evil.example") }, "another authorization server"},
		{"mixed up error", func(w *world) { w.answer = url.Values{"iss": {"https://evil.example"}, "error": {"x"}} }, "another authorization server"},
		{"no iss", func(w *world) { w.answer.Del("iss") }, "who sent it"},
		{"refused", func(w *world) { w.answer = url.Values{"iss": {w.url}, "error": {"access_denied"}} }, "access_denied"},
		{"no code", func(w *world) { w.answer.Del("code") }, "no code"},
		{"repeated code", func(w *world) { w.answer.Add("code", "again") }, "repeats"},
		{"no token", func(w *world) { w.token = `{"token_type":"Bearer"}` }, "no access_token"},
		{"bound token", func(w *world) { w.token = `{"access_token":"x","token_type":"DPoP"}` }, "not a bearer token"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := startWorld(t)
			row.spoil(w)
			if _, _, err := w.signIn(t, "client-1"); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want %q in it", err, row.says)
			}
		})
	}
	t.Run("no registration", func(t *testing.T) {
		if _, _, err := startWorld(t).signIn(t, ""); err == nil || !strings.Contains(err.Error(), "--client-id") {
			t.Error(err)
		}
	})
}

func TestSignInEnds(t *testing.T) {
	w := startWorld(t)
	cfg := login.Config{Resource: w.url + "/mcp", ClientID: "c", Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Nanosecond}
	cfg.Open = func(context.Context, string) error { return nil }
	if _, err := login.SignIn(t.Context(), cfg); err == nil {
		t.Error("it did not end with its time")
	}
	ctx, stop := context.WithCancel(t.Context())
	cfg.Timeout = 0
	cfg.Open = func(context.Context, string) error { stop(); return nil }
	if _, err := login.SignIn(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for _, redirect := range []string{"http://evil.example/cb", "https://localhost/cb", "http://localhost/cb?x=1", "http://0.0.0.0/cb"} {
		cfg.RedirectURI = redirect
		if _, err := login.SignIn(t.Context(), cfg); err == nil {
			t.Errorf("%s was taken", redirect)
		}
	}
	if _, err := login.SignIn(t.Context(), login.Config{Resource: "http://mcp.example.com/mcp"}); err == nil {
		t.Error("a token would have crossed the network in the clear")
	}
}
