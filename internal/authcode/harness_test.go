package authcode

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

const (
	testClient   = "client one:é"
	testKey      = "0123456789abcdef0123456789abcdef"
	testResource = "https://mcp.example/mcp"
)

// authServer is a small real authorization server. It approves everything at
// once and is strict about what the client sends. Knobs misbehave.
type authServer struct {
	*httptest.Server

	mu       sync.Mutex
	knobs    knobs
	grants   map[string]url.Values // authorization requests by code
	refresh  map[string]bool       // refresh tokens: true while usable
	access   map[string]string     // access tokens to scopes
	secrets  []string              // everything that must not be logged
	requests []url.Values          // token requests that came
	asked    []url.Values          // authorization requests that came
}

type knobs struct {
	metadataDown   bool
	noS256         bool
	issAdvertised  bool
	iss            string // "": not sent; "right": the issuer; else this text
	authMethods    []string
	clientSecret   string // "": public client
	answerError    string
	answerText     string // error_description
	tokenStatus    int    // 0: work
	tokenBody      string
	tokenHold      chan struct{} // token requests wait until it is closed
	nonce          string        // "": the right one
	plainIDToken   string        // sent as it is instead of an ID token
	noRefreshToken bool
}

func startAuthServer(t *testing.T) *authServer {
	t.Helper()
	as := &authServer{grants: map[string]url.Values{}, refresh: map[string]bool{}, access: map[string]string{}}
	as.knobs.issAdvertised, as.knobs.iss = true, "right"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", as.metadata)
	mux.HandleFunc("GET /authorize", as.authorize)
	mux.HandleFunc("POST /token", as.token)
	as.Server = httptest.NewServer(mux)
	t.Cleanup(as.Close)
	return as
}

func (as *authServer) set(change func(*knobs)) {
	as.mu.Lock()
	defer as.mu.Unlock()
	change(&as.knobs)
}

func (as *authServer) tokenRequests() []url.Values {
	as.mu.Lock()
	defer as.mu.Unlock()
	return slices.Clone(as.requests)
}

func (as *authServer) secret() string {
	text := rand.Text()
	as.secrets = append(as.secrets, text)
	return text
}

func (as *authServer) metadata(w http.ResponseWriter, _ *http.Request) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.knobs.metadataDown {
		http.Error(w, "down", http.StatusInternalServerError)
		return
	}
	document := map[string]any{
		"issuer": as.URL, "authorization_endpoint": as.URL + "/authorize?tenant=a%20b", "token_endpoint": as.URL + "/token",
		"code_challenge_methods_supported":               []string{"plain", "S256"},
		"authorization_response_iss_parameter_supported": as.knobs.issAdvertised,
	}
	if as.knobs.noS256 {
		document["code_challenge_methods_supported"] = []string{"plain"}
	}
	if as.knobs.authMethods != nil {
		document["token_endpoint_auth_methods_supported"] = as.knobs.authMethods
	}
	writeTestJSON(w, http.StatusOK, document)
}

func (as *authServer) authorize(w http.ResponseWriter, r *http.Request) {
	as.mu.Lock()
	defer as.mu.Unlock()
	query := r.URL.Query()
	as.asked = append(as.asked, query)
	as.secrets = append(as.secrets, query.Get("state"), query.Get("nonce"))
	answer := url.Values{"state": {query.Get("state")}}
	if as.knobs.answerError != "" {
		answer.Set("error", as.knobs.answerError)
		answer.Set("error_description", as.knobs.answerText)
		answer.Set("error_uri", as.knobs.answerText)
	} else {
		code := as.secret()
		as.grants[code] = query
		answer.Set("code", code)
	}
	switch as.knobs.iss {
	case "":
	case "right":
		answer.Set("iss", as.URL)
	default:
		answer.Set("iss", as.knobs.iss)
	}
	http.Redirect(w, r, query.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound)
}

func (as *authServer) token(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	form, _ := url.ParseQuery(string(body))
	as.mu.Lock()
	as.requests = append(as.requests, form)
	if verifier := form.Get("code_verifier"); verifier != "" {
		as.secrets = append(as.secrets, verifier)
	}
	hold := as.knobs.tokenHold
	as.mu.Unlock()
	if hold != nil {
		<-hold
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	switch {
	case as.knobs.tokenStatus != 0:
		w.Header().Set("Location", as.URL+"/token")
		w.WriteHeader(as.knobs.tokenStatus)
		_, _ = io.WriteString(w, as.knobs.tokenBody)
	case !as.authenticated(r, form):
		writeTestJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
	case form.Get("resource") != testResource:
		writeTestJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_target"})
	case form.Get("grant_type") == "refresh_token":
		usable := as.refresh[form.Get("refresh_token")]
		delete(as.refresh, form.Get("refresh_token"))
		as.issue(w, usable, "openid", "")
	default:
		asked, found := as.grants[form.Get("code")]
		delete(as.grants, form.Get("code"))
		good := found && form.Get("grant_type") == "authorization_code" &&
			form.Get("redirect_uri") == asked.Get("redirect_uri") &&
			oauth.S256(form.Get("code_verifier")) == asked.Get("code_challenge") && asked.Get("code_challenge_method") == "S256"
		as.issue(w, good, asked.Get("scope"), asked.Get("nonce"))
	}
}

func (as *authServer) authenticated(r *http.Request, form url.Values) bool {
	id, password, isBasic := r.BasicAuth()
	wantBasic := as.knobs.clientSecret != "" && (len(as.knobs.authMethods) == 0 || slices.Contains(as.knobs.authMethods, "client_secret_basic"))
	if wantBasic {
		id, _ = url.QueryUnescape(id)
		password, _ = url.QueryUnescape(password)
		return isBasic && id == testClient && password == as.knobs.clientSecret && !form.Has("client_secret")
	}
	return !isBasic && form.Get("client_id") == testClient && form.Get("client_secret") == as.knobs.clientSecret
}

func (as *authServer) issue(w http.ResponseWriter, good bool, scope, nonce string) {
	if !good {
		writeTestJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "<script>alert(1)</script>"})
		return
	}
	access := as.secret()
	as.access[access] = scope
	answer := map[string]any{"access_token": access, "token_type": "bearer", "expires_in": 600, "scope": scope}
	if !as.knobs.noRefreshToken {
		refresh := as.secret()
		as.refresh[refresh] = true
		answer["refresh_token"] = refresh
	}
	if nonce != "" {
		if as.knobs.nonce != "" {
			nonce = as.knobs.nonce
		}
		claims, _ := json.Marshal(map[string]string{"Nonce": "decoy", "nonce": nonce, "sub": "user-1"})
		answer["id_token"] = "e30." + base64.RawURLEncoding.EncodeToString(claims) + "." + as.secret()
	}
	if as.knobs.plainIDToken != "" {
		answer["id_token"] = as.knobs.plainIDToken
	}
	writeTestJSON(w, http.StatusOK, answer)
}

func writeTestJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// member returns the text of one member, "" when there is none.
func (r reply) member(t *testing.T, name string) string {
	t.Helper()
	text, _ := r.json(t)[name].(string)
	return text
}

// system is a Flow behind a real server, and its authorization server.
type system struct {
	*httptest.Server
	t      *testing.T
	as     *authServer
	flow   *Flow
	config Config
	logs   *logBuffer

	mu        sync.Mutex
	clock     time.Duration // ahead of the real one
	verifyErr error
	subject   string
	verified  int
}

type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func startSystem(t *testing.T, changes ...func(*Config)) *system {
	t.Helper()
	return startSystemWith(t, startAuthServer(t), false, changes...)
}

func startSystemWith(t *testing.T, as *authServer, withTLS bool, changes ...func(*Config)) *system {
	t.Helper()
	s := &system{t: t, as: as, logs: &logBuffer{}, subject: "user-1"}
	mux := http.NewServeMux()
	s.Server = httptest.NewUnstartedServer(mux)
	scheme := "http://"
	if withTLS {
		scheme = "https://"
	}
	s.config = Config{
		ServerURL: scheme + s.Listener.Addr().String(), ClientID: testClient,
		Scopes: oauth.Scopes{"openid", "offline_access", "teams:read"}, Resource: testResource,
		SessionKey: secret.New(testKey), Verify: s.verify, Transport: as.Client().Transport,
		Logger: slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: s.now,
	}
	s.config.Metadata = discovery.NewSource(discovery.NewFetcher(as.Client().Transport), as.URL, s.now)
	for _, change := range changes {
		change(&s.config)
	}
	flow, err := New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.flow = flow
	mux.Handle("GET /auth/start", asEdge(flow.Start))
	mux.Handle("GET /auth/callback", asEdge(flow.Callback))
	mux.Handle("POST /auth/refresh", asEdge(flow.Refresh))
	if withTLS {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.Close()
		s.noSecretIn("the log", s.logs.String())
	})
	return s
}

// asEdge stands in for the edge's error writer.
func asEdge(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := handle(w, r)
		if err == nil {
			return
		}
		refusal := oauth.AsRefusal(err)
		if refusal.RetryAfter > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(int(refusal.RetryAfter/time.Second)))
		}
		writeTestJSON(w, refusal.Status, map[string]any{"error": refusal.Code, "error_description": refusal.Description, "reason": refusal.Reason})
	})
}

func (s *system) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.clock)
}

func (s *system) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock += d
}

func (s *system) failVerify(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verifyErr = err
}

// verify accepts what the authorization server issued.
func (s *system) verify(_ context.Context, token secret.Value) (oauth.Principal, error) {
	s.mu.Lock()
	err, subject := s.verifyErr, s.subject
	s.verified++
	s.mu.Unlock()
	if err != nil {
		return oauth.Principal{}, err
	}
	s.as.mu.Lock()
	scope, known := s.as.access[token.Reveal()]
	s.as.mu.Unlock()
	if !known {
		return oauth.Principal{}, errors.New("the test's verifier does not know this token")
	}
	return oauth.Principal{Issuer: s.as.URL, Subject: subject, Scopes: oauth.ParseScopes(scope), Expiry: s.now().Add(5 * time.Minute), TokenID: "id"}, nil
}

// noSecretIn fails when text holds 12 characters in a row of any secret.
func (s *system) noSecretIn(where, text string) {
	s.t.Helper()
	s.as.mu.Lock()
	defer s.as.mu.Unlock()
	for _, value := range s.as.secrets {
		for i := 0; i+12 <= len(value); i++ {
			if strings.Contains(text, value[i:i+12]) {
				s.t.Errorf("%s holds a part of a secret: %s", where, text)
				return
			}
		}
	}
}

// browser returns a client that keeps cookies and follows redirects by hand.
func (s *system) browser() *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	client := *s.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// reply is a response with its body read.
type reply struct {
	*http.Response
	text string
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(r.text), &body); err != nil {
		t.Fatalf("status %d, not JSON: %v\n%s", r.StatusCode, err, r.text)
	}
	return body
}

const (
	acceptPage = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	acceptJSON = "application/json"
)

func (s *system) get(browser *http.Client, target, accept string, headers ...string) reply {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(browser, request, append([]string{"Accept", accept}, headers...)...)
}

func (s *system) do(client *http.Client, request *http.Request, headers ...string) reply {
	s.t.Helper()
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] != "" {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{response, string(body)}
}

// begin goes through /auth/start and the authorization server and returns the
// callback's URL, not yet visited.
func (s *system) begin(browser *http.Client) string {
	s.t.Helper()
	started := s.get(browser, s.URL+"/auth/start", acceptPage)
	if started.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("start: %d %s", started.StatusCode, started.text)
	}
	approved := s.get(browser, started.Header.Get("Location"), acceptPage)
	if approved.StatusCode != http.StatusFound {
		s.t.Fatalf("authorize: %d %s", approved.StatusCode, approved.text)
	}
	return approved.Header.Get("Location")
}

// signIn does all of it, as a program.
func (s *system) signIn(browser *http.Client) reply {
	s.t.Helper()
	return s.get(browser, s.begin(browser), acceptJSON)
}

// wantRefusal checks an answer's status and reason, and that it shows no token.
func (s *system) wantRefusal(got reply, status int, reason string) {
	s.t.Helper()
	if got.StatusCode != status || !strings.Contains(got.text, reason) {
		s.t.Errorf("got %d %s, want %d %s", got.StatusCode, got.text, status, reason)
	}
	s.noSecretIn("a refusal", got.text)
	if strings.Contains(strings.Join(slices.Collect(maps.Keys(got.Header)), " "), "Www-Authenticate") {
		s.t.Error("a refusal of the sign-in carries a challenge")
	}
}

// edit returns rawURL with parameters changed; "" takes one away.
func edit(t *testing.T, rawURL string, parameters ...string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	for i := 0; i+1 < len(parameters); i += 2 {
		if parameters[i+1] == "" {
			query.Del(parameters[i])
			continue
		}
		query.Set(parameters[i], parameters[i+1])
	}
	u.RawQuery = query.Encode()
	return u.String()
}
