package devstack

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

const testServer = "http://localhost:8000"

// start runs a stack until the test ends.
func start(t *testing.T, change ...func(*Config)) *Stack {
	t.Helper()
	cfg := Config{
		AuthListener: listen(t), OtusListener: listen(t), ServerURL: testServer,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, apply := range change {
		apply(&cfg)
	}
	stack, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- stack.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return stack
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// visitor is a browser: it keeps cookies and follows redirects inside the
// stack, but not the one back to the client.
type visitor struct {
	t      *testing.T
	stack  *Stack
	client *http.Client
}

func newVisitor(t *testing.T, s *Stack) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, stack: s, client: &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), s.urls.AuthorizationServer) {
			return nil
		}
		return http.ErrUseLastResponse
	}}}
}

// answer is what came back: a page of the stack or a redirect to the client.
type answer struct {
	status   int
	header   http.Header
	body     string
	callback url.Values // query of the redirect to the client; nil if there was none
	location string
}

func (v *visitor) do(method, target string, form url.Values, header ...string) answer {
	v.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(v.t.Context(), method, target, body)
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	got := answer{status: response.StatusCode, header: response.Header, body: string(text), location: response.Header.Get("Location")}
	if got.location != "" {
		u, err := url.Parse(got.location)
		if err != nil {
			v.t.Fatal(err)
		}
		got.callback = u.Query()
	}
	return got
}

const (
	testVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	testRedirect = "http://127.0.0.1:54321/callback"
)

// request is a good authorization request; changes replace parameters, "" takes
// one away.
func request(changes ...string) url.Values {
	values := url.Values{
		"response_type": {"code"}, "client_id": {DevClientID}, "redirect_uri": {testRedirect}, "state": {"st"},
		"scope": {"openid profile email offline_access"}, "nonce": {"no"},
		"code_challenge": {oauth.S256(testVerifier)}, "code_challenge_method": {"S256"},
		"resource": {testServer + "/mcp"},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			values.Del(changes[i])
		} else {
			values.Set(changes[i], changes[i+1])
		}
	}
	return values
}

func (v *visitor) authorize(values url.Values, header ...string) answer {
	v.t.Helper()
	return v.do(http.MethodGet, v.stack.broker.origin+authorizePath+"?"+values.Encode(), nil, header...)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`)

// choose fills in the sign-in page.
func (v *visitor) choose(page answer, who, decision string) answer {
	v.t.Helper()
	form := url.Values{"person": {who}, "decision": {decision}}
	for _, match := range hidden.FindAllStringSubmatch(page.body, -1) {
		form.Set(match[1], html.UnescapeString(match[2]))
	}
	if !form.Has("csrf") {
		v.t.Fatalf("no sign-in page: %d %s", page.status, page.body)
	}
	return v.do(http.MethodPost, v.stack.broker.origin+signInPath, form)
}

// signIn walks a person through the page and returns the code.
func (v *visitor) signIn(who string, values url.Values) string {
	v.t.Helper()
	got := v.choose(v.authorize(values), who, "allow")
	if got.callback.Get("code") == "" {
		v.t.Fatalf("no code: %d %s %s", got.status, got.location, got.body)
	}
	return got.callback.Get("code")
}

// tokens posts to the token endpoint.
func (v *visitor) tokens(form url.Values, header ...string) (TokenResponse, answer) {
	v.t.Helper()
	got := v.do(http.MethodPost, v.stack.broker.origin+tokenPath, form, header...)
	var tokens TokenResponse
	if got.status == http.StatusOK {
		decode(v.t, got.body, &tokens)
	}
	return tokens, got
}

func redeeming(code string, changes ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testRedirect},
		"client_id": {DevClientID}, "code_verifier": {testVerifier},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return form
}

func refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {DevClientID}}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

// wantError checks a JSON error.
func (a answer) wantError(t *testing.T, status int, code string) {
	t.Helper()
	var body struct {
		Error string `json:"error"`
	}
	if a.status == http.StatusOK {
		t.Fatalf("accepted, want %d %s", status, code)
	}
	decode(t, a.body, &body)
	if a.status != status || body.Error != code {
		t.Errorf("got %d %s, want %d %s (%s)", a.status, body.Error, status, code, a.body)
	}
}
