package devstack

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
)

func registerClient(t *testing.T, v *visitor, metadata string) registration {
	t.Helper()
	got := postJSON(t, v, metadata)
	if got.status != http.StatusCreated {
		t.Fatalf("register: %d %s", got.status, got.body)
	}
	var answer registration
	decode(t, got.body, &answer)
	return answer
}

func postJSON(t *testing.T, v *visitor, body string) answer {
	t.Helper()
	recorder := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, v.stack.broker.origin+registerPath, strings.NewReader(body))
	v.stack.authHandler().ServeHTTP(recorder, r)
	return answer{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
}

func TestRegistrationOfEachKindOfClient(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	for _, method := range []string{"none", "client_secret_basic", "client_secret_post", ""} {
		t.Run(method, func(t *testing.T) {
			metadata := `{"client_name":"T","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"` + method + `"}`
			if method == "" {
				metadata = `{"redirect_uris":["http://127.0.0.1/callback"]}`
			}
			c := registerClient(t, v, metadata)
			if (c.ClientSecret == "") != (method == "none") || (c.SecretExpires == nil) != (method == "none") {
				t.Fatalf("secret: %+v", c)
			}
			// The port of a loopback redirect URI is free, see testRedirect.
			fresh := func() url.Values {
				return redeeming(v.authorize(request("client_id", c.ClientID)).callback.Get("code"), "client_id", c.ClientID)
			}
			if method == "none" {
				if _, got := v.tokens(fresh()); got.status != http.StatusOK {
					t.Errorf("%d %s", got.status, got.body)
				}
				return
			}
			_, got := v.tokens(fresh())
			got.wantError(t, http.StatusUnauthorized, "invalid_client")
			form := fresh()
			form.Set("client_secret", c.ClientSecret)
			if _, got := v.tokens(form); got.status != http.StatusOK {
				t.Errorf("post: %d %s", got.status, got.body)
			}
			form.Set("client_secret", "wrong")
			_, got = v.tokens(form)
			got.wantError(t, http.StatusUnauthorized, "invalid_client")
			form = fresh()
			form.Del("client_id")
			if _, got := v.tokens(form, "Authorization", basic(c.ClientID, c.ClientSecret)); got.status != http.StatusOK || got.header.Get("WWW-Authenticate") != "" {
				t.Errorf("basic: %d %s", got.status, got.body)
			}
			_, got = v.tokens(form, "Authorization", basic(c.ClientID, "wrong"))
			got.wantError(t, http.StatusUnauthorized, "invalid_client")
			if !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Basic") {
				t.Error("a wrong Basic secret has no Basic challenge")
			}
		})
	}
}

func TestPublicClientHasNoSecret(t *testing.T) {
	stack := start(t)
	for _, guess := range []string{"", "secret"} {
		if err := stack.broker.storage.AuthorizeClientIDSecret(t.Context(), DevClientID, guess); err == nil {
			t.Errorf("%q was the secret of a public client", guess)
		}
	}
}

func basic(id, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(password))
	return r.Header.Get("Authorization")
}

func TestRegisteredRedirectURIs(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	c := registerClient(t, v, `{"redirect_uris":["http://localhost:1234/cb?x=1","https://app.example/cb"],"token_endpoint_auth_method":"none"}`)
	tests := map[string]bool{
		"http://localhost:1234/cb?x=1":  true,
		"http://localhost:9/cb?x=1":     true,
		"http://localhost/cb?x=1":       true,
		"http://127.0.0.1:1234/cb?x=1":  false,
		"http://localhost:1234/cb":      false,
		"http://localhost:1234/cb/?x=1": false,
		"https://app.example/cb":        true,
		"https://app.example:444/cb":    false,
		"https://app.example/cb/":       false,
		"https://app.example/cb?x=1":    false,
		"https://app.example/CB":        false,
	}
	for uri, allowed := range tests {
		got := v.authorize(request("client_id", c.ClientID, "redirect_uri", uri))
		if (got.callback.Get("code") != "") != allowed || !allowed && got.location != "" {
			t.Errorf("%s: %d %s", uri, got.status, got.location)
		}
	}
}

func TestRegistrationRefused(t *testing.T) {
	v := newVisitor(t, start(t))
	tests := map[string]struct{ body, code string }{
		"no redirect":    {`{}`, "invalid_redirect_uri"},
		"http":           {`{"redirect_uris":["http://app.example/cb"]}`, "invalid_redirect_uri"},
		"scheme":         {`{"redirect_uris":["javascript:alert(1)"]}`, "invalid_redirect_uri"},
		"fragment":       {`{"redirect_uris":["https://app.example/cb#"]}`, "invalid_redirect_uri"},
		"user":           {`{"redirect_uris":["https://a@app.example/cb"]}`, "invalid_redirect_uri"},
		"too many":       {`{"redirect_uris":["https://a.example/"` + strings.Repeat(`,"https://a.example/"`, 20) + `]}`, "invalid_redirect_uri"},
		"auth method":    {`{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"private_key_jwt"}`, "invalid_client_metadata"},
		"grant types":    {`{"redirect_uris":["https://a.example/"],"grant_types":["client_credentials"]}`, "invalid_client_metadata"},
		"response types": {`{"redirect_uris":["https://a.example/"],"response_types":["token"]}`, "invalid_client_metadata"},
		"not JSON":       {`redirect_uris=x`, "invalid_client_metadata"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { postJSON(t, v, tt.body).wantError(t, http.StatusBadRequest, tt.code) })
	}
	postJSON(t, v, `{"client_name":"`+strings.Repeat("x", maxBody)+`"}`).wantError(t, http.StatusRequestEntityTooLarge, "request_too_large")
}

func TestRegistrationsAreBounded(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	first := registerClient(t, v, `{"redirect_uris":["https://a.example/"]}`)
	for range maxClients {
		registerClient(t, v, `{"redirect_uris":["https://a.example/"]}`)
	}
	if n := len(stack.broker.clients.dynamic.items); n != maxClients {
		t.Errorf("%d clients are kept", n)
	}
	if _, err := stack.broker.clients.find(t.Context(), first.ClientID); err == nil {
		t.Error("the oldest client was kept")
	}
	if _, err := stack.broker.clients.find(t.Context(), DevClientID); err != nil {
		t.Error("the pre-registered client was forgotten")
	}
}

func TestClientIDMetadataDocument(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	var body, contentType string
	mux := http.NewServeMux()
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	mux.HandleFunc("/client.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(body))
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/client.json", http.StatusFound) })
	id := site.URL + "/client.json"
	good := `{"client_id":"` + id + `","client_name":"Doc","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}`
	tests := []struct {
		name, id, body, contentType string
		ok                          bool
	}{
		{"another's id", id, strings.Replace(good, id, "https://other.example/c", 1), "application/json", false},
		{"not JSON", id, good, "text/html", false},
		{"garbage", id, "{", "application/json", false},
		{"secret", id, strings.Replace(good, `"none"`, `"client_secret_post"`, 1), "application/json", false},
		{"too large", id, good[:len(good)-1] + `,"x":"` + strings.Repeat("x", maxDocument) + `"}`, "application/json", false},
		{"redirect", site.URL + "/moved", strings.Replace(good, id, site.URL+"/moved", 1), "application/json", false},
		{"missing", site.URL + "/none", good, "application/json", false},
		{"good", id, good, "application/json", true},
		{"good, from the cache", id, "", "application/json", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, contentType = tt.body, tt.contentType
			got := v.authorize(request("client_id", tt.id))
			if (got.callback.Get("code") != "") != tt.ok {
				t.Fatalf("%d %s %s", got.status, got.location, got.body)
			}
			if !tt.ok {
				return
			}
			if _, got := v.tokens(redeeming(got.callback.Get("code"), "client_id", tt.id)); got.status != http.StatusOK {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

func TestClientDocumentIsFetchedAgainAfterItsLifetime(t *testing.T) {
	fetches := 0
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetches++
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"client_id":"http://` + r.Host + `/c","redirect_uris":["https://a.example/"]}`))
	}))
	t.Cleanup(site.Close)
	now := time.Now()
	store := newDocuments(site.Client().Transport, func() time.Time { return now })
	for _, want := range []int{1, 1, 2} {
		if _, err := store.client(t.Context(), site.URL+"/c"); err != nil {
			t.Fatal(err)
		}
		if fetches != want {
			t.Errorf("%d fetches, want %d", fetches, want)
		}
		if want == fetches && fetches == 1 {
			now = now.Add(documentLifetime/2 + time.Second)
		}
	}
}

// failing is a network that answers every dial with err.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// Claude Code and Codex name themselves by a URL; development works offline all
// the same, with clients that may only return to this machine.
func TestClientDocumentsOffline(t *testing.T) {
	const id = "https://client.example/metadata"
	noSuchHost := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "client.example"}}
	now := time.Now()
	store := newDocuments(failing{noSuchHost}, func() time.Time { return now })
	found, err := store.client(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(found.name, "unverified") {
		t.Errorf("the client is called %q", found.name)
	}
	for redirect, allowed := range map[string]bool{
		"http://localhost:8765/callback": true, "http://127.0.0.1:1/x": true, "https://client.example/callback": false, "http://client.example/": false,
	} {
		if found.redirectAllowed(redirect) != allowed {
			t.Errorf("redirect to %s: %v", redirect, !allowed)
		}
	}
	if _, err := newDocuments(failing{noSuchHost}, time.Now).client(t.Context(), "http://localhost:1/c"); err == nil {
		t.Error("a loopback document that is not there is made up")
	}
	forbidden := &net.OpError{Op: "dial", Err: egress.ErrForbiddenAddress}
	if _, err := newDocuments(failing{forbidden}, time.Now).client(t.Context(), id); err == nil {
		t.Error("a document at a forbidden address is taken for unreachable")
	}
}

func TestClientDocumentURLs(t *testing.T) {
	for id, ok := range map[string]bool{
		"https://client.example/c.json":    true,
		"https://client.example/c?v=1":     true,
		"http://localhost:1/c":             true,
		"http://client.example/c":          false,
		"https://client.example":           false,
		"https://client.example/":          false,
		"https://client.example/a/../c":    false,
		"https://client.example/a/%2e%2e/": false,
		"https://u@client.example/c":       false,
		"https://client.example/c#f":       false,
		"ftp://client.example/c":           false,
		"https:///c":                       false,
	} {
		if err := checkDocumentURL(id); (err == nil) != ok {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// TestOfficialSDKWalks is the Go SDK's own client code: discovery, dynamic
// registration, the code flow and its issuer check.
func TestOfficialSDKWalks(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	issuer := stack.URLs().AuthorizationServer
	metadata, err := auth.GetAuthServerMetadata(t.Context(), issuer, v.client)
	if err != nil || metadata == nil {
		t.Fatalf("metadata: %v", err)
	}
	if metadata.Issuer != issuer {
		t.Errorf("issuer %q", metadata.Issuer)
	}
	registered, err := oauthex.RegisterClient(t.Context(), metadata.RegistrationEndpoint, &oauthex.ClientRegistrationMetadata{
		ClientName: "SDK", RedirectURIs: []string{testRedirect}, TokenEndpointAuthMethod: "none",
	}, v.client)
	if err != nil || registered.ClientID == "" {
		t.Fatalf("register: %v", err)
	}

	resource := httptest.NewServer(nil)
	t.Cleanup(resource.Close)
	prm := `{"resource":"` + testServer + `/mcp","authorization_servers":["` + issuer + `"],"scopes_supported":["openid"]}`
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		RedirectURL: testRedirect,
		Client: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.String(), testServer) {
				recorder := httptest.NewRecorder()
				recorder.Header().Set("Content-Type", "application/json")
				_, _ = recorder.WriteString(prm)
				return recorder.Result(), nil
			}
			return v.client.Transport.RoundTrip(r)
		})},
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "SDK", RedirectURIs: []string{testRedirect},
		}},
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			got := v.do(http.MethodGet, args.URL, nil) //nolint:contextcheck // the visitor has the test's context
			return &auth.AuthorizationResult{Code: got.callback.Get("code"), State: got.callback.Get("state"), Iss: got.callback.Get("iss")}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	call, err := http.NewRequestWithContext(t.Context(), http.MethodPost, testServer+"/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	challenged := &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody, Header: http.Header{
		"Www-Authenticate": {`Bearer resource_metadata="` + testServer + `/.well-known/oauth-protected-resource/mcp", scope="openid"`},
	}}
	if err := handler.Authorize(t.Context(), call, challenged); err != nil {
		t.Fatalf("authorize: %v", err)
	}
	source, err := handler.TokenSource(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	if _, claims := open(t, stack, token.AccessToken); claims["sub"] != "auth0|ana" {
		t.Errorf("claims %v", claims)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
