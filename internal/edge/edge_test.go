package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

const goodToken = "good.token.value"

// logBuffer is a log that tests can read while the server writes.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type edgeTest struct {
	t   *testing.T
	log *logBuffer
	url string
}

func start(t *testing.T, change func(*Config)) *edgeTest {
	t.Helper()
	log := &logBuffer{}
	ok := func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "ok")
		return nil
	}
	protected := func(w http.ResponseWriter, r *http.Request) error {
		access, there := bearer.FromContext(r.Context())
		if !there || access.Token.Reveal() != goodToken {
			t.Error("a protected handler ran without its caller")
		}
		return ok(w, r)
	}
	cfg := Config{
		ServerURL: "http://localhost:8000",
		Routes: Routes(Handlers{
			Index: ok, Health: HealthHandler(), Ready: ReadyHandler(func() []string { return []string{"no keys yet"} }, func() []bearer.KeyStatus {
				return []bearer.KeyStatus{{Issuer: "https://i"}, {Issuer: "https://j", Loaded: true, Age: 90*time.Second + 1}}
			}),
			Metadata: MetadataHandler("http://localhost:8000", func() oauth.ProtectedResourceMetadata {
				return oauth.ProtectedResourceMetadata{
					AuthorizationServers:   []string{"https://tecro-api.tecrolabs.dev/ares"},
					ScopesSupported:        []string{"openid", "profile", "email", "offline_access"},
					BearerMethodsSupported: []string{"header"},
				}
			}),
			AuthStart: ok, AuthCallback: ok, AuthRefresh: ok,
			Post: protected, OpenStream: protected, PostMessage: protected,
		}),
		ChallengeScopes: oauth.ParseScopes("openid profile email offline_access"),
		AnyLoopbackHost: true, AnyLoopbackOrigin: true,
		Authenticate: func(_ context.Context, presented bearer.Presented) (oauth.Principal, error) {
			switch presented.Token.Reveal() {
			case goodToken:
				return oauth.Principal{Issuer: "https://i", Subject: "ana", ClientID: "claude", Expiry: time.Now().Add(time.Hour)}, nil
			case "narrow":
				return oauth.Principal{}, oauth.InsufficientScope(oauth.Scopes{"teams"}, oauth.Scopes{"openid"})
			case "weak":
				return oauth.Principal{}, oauth.InsufficientAuthentication([]string{"mfa"}, 10*time.Minute)
			case "outage":
				return oauth.Principal{}, oauth.Unavailable("The signing keys cannot be fetched; try again.", 1500*time.Millisecond, nil)
			}
			return oauth.Principal{}, oauth.InvalidToken("expired", "The token expired; sign in again.", nil)
		},
		Logger: slog.New(slog.NewJSONHandler(io.MultiWriter(log, t.Output()), nil)),
	}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return &edgeTest{t: t, log: log, url: server.URL}
}

type answered struct {
	status int
	header http.Header
	body   string
}

// do sends a request; header is pairs of name and value. "Host" sets the host.
func (e *edgeTest) do(method, path string, header ...string) answered {
	e.t.Helper()
	request, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			request.Host = header[i+1]
			continue
		}
		request.Header.Add(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		e.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return answered{response.StatusCode, response.Header, string(body)}
}

const authorized = "Authorization"

func TestReq015_Req018_Req019_Req024_ChallengeWithoutCredentials(t *testing.T) {
	e := start(t, nil)
	for path, document := range map[string]string{
		"/mcp/sse": "http://localhost:8000/.well-known/oauth-protected-resource",
		"/mcp":     "http://localhost:8000/.well-known/oauth-protected-resource/mcp",
		"/mcp/":    "http://localhost:8000/.well-known/oauth-protected-resource/mcp",
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "PUT"} {
			got := e.do(method, path)
			want := `Bearer resource_metadata="` + document + `", scope="openid profile email offline_access"`
			if got.status != 401 || got.header.Get("WWW-Authenticate") != want {
				t.Errorf("%s %s: %d %s", method, path, got.status, got.header.Get("WWW-Authenticate"))
			}
			if got.header.Get("Content-Type") != "application/json" || got.body != `{"error":"unauthorized","error_description":"No valid bearer token provided"}` {
				t.Errorf("%s %s: %s %s", method, path, got.header.Get("Content-Type"), got.body)
			}
		}
	}
}

func TestReq016_Req018_Req021_Req022_Req054_Req056_ChallengesWithAToken(t *testing.T) {
	e := start(t, nil)
	document := `Bearer resource_metadata="http://localhost:8000/.well-known/oauth-protected-resource/mcp", `
	for _, tc := range []struct {
		token, challenge, code string
		status                 int
		retry                  string
	}{
		{"expired", document + `scope="openid profile email offline_access", error="invalid_token", error_description="The token expired; sign in again."`, "invalid_token", 401, ""},
		{"narrow", document + `scope="openid teams", error="insufficient_scope", error_description="This operation needs the scopes: teams"`, "insufficient_scope", 403, ""},
		{"weak", document + `scope="openid profile email offline_access", error="insufficient_user_authentication", error_description="This operation needs a sign-in of the class mfa, not longer than 600 seconds ago; sign in again", acr_values="mfa", max_age="600"`, "insufficient_user_authentication", 401, ""},
		{"outage", "", "temporarily_unavailable", 503, "2"},
	} {
		got := e.do("POST", "/mcp", authorized, "Bearer "+tc.token)
		if got.status != tc.status || got.header.Get("WWW-Authenticate") != tc.challenge || got.header.Get("Retry-After") != tc.retry {
			t.Errorf("%s: %d %q retry %q", tc.token, got.status, got.header.Get("WWW-Authenticate"), got.header.Get("Retry-After"))
		}
		var body map[string]string
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || body["error"] != tc.code || body["error_description"] == "" {
			t.Errorf("%s: %s", tc.token, got.body)
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: cacheable", tc.token)
		}
		if again := e.do("POST", "/mcp", authorized, "Bearer "+tc.token); again.header.Get("WWW-Authenticate") != tc.challenge {
			t.Errorf("%s: another challenge the second time", tc.token)
		}
	}
}

func TestReq017_MalformedCredentials(t *testing.T) {
	e := start(t, nil)
	for name, got := range map[string]answered{
		"two headers": e.do("POST", "/mcp", authorized, "Bearer "+goodToken, authorized, "Bearer "+goodToken),
		"two tokens":  e.do("POST", "/mcp", authorized, "Bearer a b"),
		"in query":    e.do("POST", "/mcp?access_token="+goodToken, authorized, "Bearer "+goodToken),
		"query only":  e.do("GET", "/mcp/sse?access_token="+goodToken),
	} {
		if got.status != 400 || !strings.Contains(got.body, `"error":"invalid_request"`) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if strings.Contains(e.log.String(), goodToken) {
		t.Error("a token is in the log")
	}
}

func TestReq023_ProtectedRoutesNeedTheToken(t *testing.T) {
	e := start(t, nil)
	good := []string{authorized, "bearer " + goodToken}
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/mcp", 200},
		{"POST", "/mcp/", 200},
		{"GET", "/mcp", 405},
		{"DELETE", "/mcp", 405},
		{"GET", "/mcp/sse", 200},
		{"POST", "/mcp/sse", 200},
		{"DELETE", "/mcp/sse", 405},
		{"POST", "/mcpx", 404},
		{"POST", "/MCP", 404},
		{"POST", "//mcp", 404},
	} {
		if got := e.do(tc.method, tc.path, good...); got.status != tc.status {
			t.Errorf("%s %s with a token: %d %s", tc.method, tc.path, got.status, got.body)
		}
		if got := e.do(tc.method, tc.path, "Cookie", "session=x", "Mcp-Session-Id", "x"); tc.status != 404 && got.status != 401 {
			t.Errorf("%s %s without: %d", tc.method, tc.path, got.status)
		}
	}
	if got := e.do("GET", "/mcp", good...); got.header.Get("Allow") != "POST" {
		t.Errorf("Allow: %q", got.header.Get("Allow"))
	}
	if !strings.Contains(e.log.String(), `"audit":true,"event":"authentication","decision":"allow"`) || !strings.Contains(e.log.String(), `"decision":"deny","reason":"no_token"`) {
		t.Error("decisions are not audited")
	}
}

func TestReq001_Req002_Req004_Req007_Req009_Metadata(t *testing.T) {
	e := start(t, nil)
	for path, resource := range map[string]string{"": "http://localhost:8000", "/mcp": "http://localhost:8000/mcp", "/mcp/sse": "http://localhost:8000/mcp/sse"} {
		got := e.do("GET", "/.well-known/oauth-protected-resource"+path, "Host", "localhost:8000", "X-Forwarded-Host", "evil.example")
		want := `{"resource":"` + resource + `","authorization_servers":["https://tecro-api.tecrolabs.dev/ares"],"scopes_supported":["openid","profile","email","offline_access"],"bearer_methods_supported":["header"]}`
		if got.status != 200 || got.body != want || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		if got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("%s: %v", path, got.header)
		}
	}
}

func TestReq005_MetadataMethods(t *testing.T) {
	e := start(t, nil)
	path := "/.well-known/oauth-protected-resource/mcp"
	if got := e.do("HEAD", path); got.status != 200 || got.body != "" {
		t.Errorf("HEAD: %d", got.status)
	}
	if got := e.do("GET", path, authorized, "Bearer garbage"); got.status != 200 {
		t.Errorf("with a bad token: %d", got.status)
	}
	if got := e.do("POST", path); got.status != 405 || got.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %q", got.status, got.header.Get("Allow"))
	}
}

func TestReq010_UnknownWellKnownIsJSON404(t *testing.T) {
	e := start(t, nil)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/oauth-protected-resource/other", "/.well-known/", "/nothing"} {
		got := e.do("GET", path, "Accept", "text/html")
		if got.status != 404 || got.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(got.body, `{"error":"not_found"`) {
			t.Errorf("%s: %d %s %s", path, got.status, got.header.Get("Content-Type"), got.body)
		}
	}
}

func TestReq011_NothingDerivesFromRequestHeaders(t *testing.T) {
	e := start(t, nil)
	hostile := []string{"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "gopher", "Forwarded", "host=evil.example", "X-Forwarded-For", "6.6.6.6"}
	for _, path := range []string{"/", "/mcp", "/mcp/sse", "/.well-known/oauth-protected-resource", "/nothing"} {
		got := e.do("GET", path, hostile...)
		if strings.Contains(fmt.Sprint(got.header, got.body), "evil.example") {
			t.Errorf("%s repeats a forwarding header: %v %s", path, got.header, got.body)
		}
	}
	if strings.Contains(e.log.String(), "6.6.6.6") {
		t.Error("an untrusted X-Forwarded-For is believed")
	}
}

func TestReq080_Hosts(t *testing.T) {
	e := start(t, func(c *Config) {
		c.AnyLoopbackHost = false
		c.Hosts = []string{"mcp.example.com", "localhost:8000"}
	})
	good := []string{authorized, "Bearer " + goodToken}
	for host, status := range map[string]int{
		"mcp.example.com": 200, "MCP.example.com": 200, "mcp.example.com:443": 200, "localhost:8000": 200,
		"evil.example.com": 403, "localhost:9": 403, "127.0.0.1": 403, "mcp.example.com.evil": 403, "": 403,
	} {
		if host == "" {
			host = "."
		}
		if got := e.do("POST", "/mcp", append(good, "Host", host)...); got.status != status {
			t.Errorf("host %q: %d", host, got.status)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := e.do("GET", path, "Host", "10.2.3.4:8000"); got.status == 403 {
			t.Errorf("a probe of %s is refused", path)
		}
	}
	if got := e.do("GET", "/.well-known/oauth-protected-resource", "Host", "evil.example.com"); got.status != 403 {
		t.Errorf("metadata for another host: %d", got.status)
	}
}

func TestReq080_Origins(t *testing.T) {
	e := start(t, func(c *Config) {
		c.AnyLoopbackOrigin = false
		c.Origins = []string{"https://claude.ai"}
	})
	for origin, status := range map[string]int{
		"": 200, "https://claude.ai": 200, "http://localhost:8000": 200,
		"https://evil.example": 403, "http://claude.ai": 403, "null": 403, "http://localhost:1": 403, "https://claude.ai.evil": 403,
	} {
		header := []string{authorized, "Bearer " + goodToken}
		if origin != "" {
			header = append(header, "Origin", origin)
		}
		for _, path := range []string{"/mcp", "/mcp/sse"} {
			got := e.do("POST", path, header...)
			if got.status != status {
				t.Errorf("%s from %q: %d", path, origin, got.status)
			}
			if status == 403 && got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%q is told it may", origin)
			}
			if got.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are allowed")
			}
		}
		if got := e.do("GET", "/mcp/sse", header...); got.status != status {
			t.Errorf("GET from %q: %d", origin, got.status)
		}
	}
	if got := start(t, nil).do("POST", "/mcp", authorized, "Bearer "+goodToken, "Origin", "http://127.0.0.1:3000"); got.status != 200 {
		t.Errorf("loopback in development: %d", got.status)
	}
}

func TestReq085_Preflight(t *testing.T) {
	e := start(t, nil)
	got := e.do("OPTIONS", "/mcp", "Origin", "http://localhost:3000", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization,mcp-method,mcp-param-region,x-evil")
	if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != "http://localhost:3000" {
		t.Fatalf("%d %v", got.status, got.header)
	}
	allow := strings.ToLower(got.header.Get("Access-Control-Allow-Headers"))
	for _, name := range []string{"authorization", "content-type", "accept", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id", "last-event-id", "mcp-param-region"} {
		if !strings.Contains(allow, name) {
			t.Errorf("%s is not allowed: %s", name, allow)
		}
	}
	if strings.Contains(allow, "x-evil") {
		t.Error("any header is allowed")
	}
	if got := e.do("OPTIONS", "/mcp", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST"); got.status != 403 {
		t.Errorf("preflight of a foreign origin: %d", got.status)
	}
	if got := e.do("OPTIONS", "/mcp"); got.status != 401 {
		t.Errorf("OPTIONS that is no preflight: %d", got.status)
	}
	got = e.do("POST", "/mcp", "Origin", "http://localhost:3000")
	if got.status != 401 || !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("the challenge is hidden from the page: %d %v", got.status, got.header)
	}
	if got := e.do("OPTIONS", "/.well-known/oauth-protected-resource", "Origin", "https://any.example", "Access-Control-Request-Method", "GET"); got.status != 204 {
		t.Errorf("preflight of the metadata: %d", got.status)
	}
}

func TestReq087_Req088_PlainHTTPIsRefusedInProduction(t *testing.T) {
	e := start(t, func(c *Config) {
		c.RequireTLS = true
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	for _, header := range [][]string{nil, {"X-Forwarded-Proto", "https"}} { // 127.0.0.1 is no trusted proxy here
		got := e.do("POST", "/mcp", append(header, authorized, "Bearer "+goodToken)...)
		if got.status != 403 || got.header.Get("Location") != "" || !strings.Contains(got.body, "https only") {
			t.Errorf("%v: %d %s", header, got.status, got.body)
		}
	}
	if got := e.do("GET", "/healthz"); got.status != 200 {
		t.Errorf("probe: %d", got.status)
	}
	proxied := start(t, func(c *Config) {
		c.RequireTLS = true
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	for proto, status := range map[string]int{"https": 200, "http": 403, "http, https": 200, "https, http": 403, "": 403} {
		got := proxied.do("POST", "/mcp", authorized, "Bearer "+goodToken, "X-Forwarded-Proto", proto, "X-Forwarded-For", "6.6.6.6, 198.51.100.7, 10.0.0.9")
		if got.status != status {
			t.Errorf("proto %q: %d", proto, got.status)
		}
	}
	if log := proxied.log.String(); !strings.Contains(log, `"client_address":"198.51.100.7"`) || strings.Contains(log, "6.6.6.6") {
		t.Error("the address behind the trusted proxies is not the one logged")
	}
	if got := proxied.do("GET", "/", "X-Forwarded-Proto", "https"); got.header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS")
	}
}

func TestAccessLine(t *testing.T) {
	e := start(t, nil)
	got := e.do("POST", "/mcp/sse?session_id=hidden", authorized, "Bearer "+goodToken, "X-Request-Id", "abc-123")
	if got.header.Get("X-Request-Id") != "abc-123" {
		t.Error("a plain request id is not kept")
	}
	for _, bad := range []string{"a b", strings.Repeat("x", 65), `"`, "é"} {
		if got := e.do("GET", "/healthz", "X-Request-Id", bad); got.header.Get("X-Request-Id") == bad || got.header.Get("X-Request-Id") == "" {
			t.Errorf("request id %q", bad)
		}
	}
	e.do("BREW", "/nothing-to-see")
	var lines []map[string]any
	for line := range strings.Lines(e.log.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record["msg"] == "request" {
			lines = append(lines, record)
		}
	}
	if len(lines) != 6 {
		t.Fatalf("%d access lines for 6 requests", len(lines))
	}
	first, last := lines[0], lines[5]
	if first["route"] != "/mcp/sse" || first["status"] != 200.0 || first["client_id"] != "claude" || first["bytes"] != 2.0 {
		t.Errorf("%v", first)
	}
	if last["route"] != "unmatched" || last["method"] != "other" || last["reason"] != "not_found" {
		t.Errorf("%v", last)
	}
	for _, hidden := range []string{"hidden", goodToken, "nothing-to-see", "BREW"} {
		if strings.Contains(e.log.String(), hidden) {
			t.Errorf("the log repeats %q", hidden)
		}
	}
}

func TestPanicIsAnOpaque500(t *testing.T) {
	e := start(t, func(c *Config) {
		c.Routes = []Route{{Method: "GET", Path: "/", Policy: Page, Handler: func(http.ResponseWriter, *http.Request) error { panic("canary-in-the-panic") }}}
	})
	got := e.do("GET", "/")
	if got.status != 500 || strings.Contains(got.body+e.log.String(), "canary-in-the-panic") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestNewRefusesOpenRoutes(t *testing.T) {
	authenticate := func(context.Context, bearer.Presented) (oauth.Principal, error) { return oauth.Principal{}, nil }
	handler := HealthHandler()
	for name, routes := range map[string][]Route{
		"no policy":              {{Method: "GET", Path: "/x", Handler: handler}},
		"no handler":             {{Method: "GET", Path: "/x", Policy: Page}},
		"protected, no resource": {{Method: "GET", Path: "/x", Policy: Protected, Handler: handler}},
		"twice":                  {{Method: "GET", Path: "/x", Policy: Page, Handler: handler}, {Method: "GET", Path: "/x", Policy: Page, Handler: handler}},
	} {
		if _, err := New(Config{Routes: routes, Authenticate: authenticate, Logger: slog.New(slog.DiscardHandler), ServerURL: "http://localhost"}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestIndex(t *testing.T) {
	index, err := IndexHandler(func() Index {
		return Index{Name: "x", Version: "1", ProtocolVersions: []string{"2026-07-28"}, Endpoints: Endpoints{MCP: "http://localhost:8000/mcp"}, ToolsCount: 1}
	}, func() []IndexTool { return []IndexTool{{"otus_teams", "Teams", "<script>alert(1)</script>"}} })
	if err != nil {
		t.Fatal(err)
	}
	e := start(t, func(c *Config) { c.Routes = []Route{{Method: "GET", Path: "/", Policy: Page, Handler: index}} })
	for accept, html := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/html": true, "application/json, text/html": false,
		"text/html,application/xhtml+xml,*/*;q=0.8": true, "text/html;q=0.5, application/json": false, "text/html;q=0": false,
	} {
		got := e.do("GET", "/", "Accept", accept)
		if isHTML := strings.HasPrefix(got.header.Get("Content-Type"), "text/html"); isHTML != html {
			t.Errorf("Accept %q: %s", accept, got.header.Get("Content-Type"))
		}
	}
	var described map[string]any
	if err := json.Unmarshal([]byte(e.do("GET", "/").body), &described); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, key := range []string{"name", "version", "protocol_versions", "endpoints", "tools_count"} {
		if _, there := described[key]; there {
			keys = append(keys, key)
		}
	}
	if diff := cmp.Diff([]string{"name", "version", "protocol_versions", "endpoints", "tools_count"}, keys); diff != "" {
		t.Error(diff)
	}
	page := e.do("GET", "/", "Accept", "text/html", "Accept-Language", "es-ES,es;q=0.9,en;q=0.8")
	if !strings.Contains(page.body, `<html lang="es">`) || strings.Contains(page.body, "<script>") || !strings.Contains(page.body, "claude mcp add --transport http otus http://localhost:8000/mcp") {
		t.Error(page.body)
	}
	if !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("policy %q", page.header.Get("Content-Security-Policy"))
	}
}

func TestReady(t *testing.T) {
	got := start(t, nil).do("GET", "/readyz")
	if got.status != 503 || got.body != `{"status":"unready","reasons":["no keys yet"],"keys":[{"issuer":"https://i","age_seconds":null},{"issuer":"https://j","age_seconds":90}]}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := start(t, nil).do("GET", "/healthz"); got.status != 200 || got.body != `{"status":"ok"}` {
		t.Errorf("%d %s", got.status, got.body)
	}
}
