package tool_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/credential"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
	"tecrolabs.dev/oauth-mcp-server/internal/upstream"
)

// wired returns a runner of the built-in catalogue that speaks HTTP to url.
func wired(t *testing.T, url string) *tool.Runner {
	t.Helper()
	catalogue, err := tool.Load(tool.BuiltIn(), map[string]string{"OTUS_URL": url})
	if err != nil {
		t.Fatal(err)
	}
	transport := egress.NewTransport(egress.Policy{AllowLoopback: true}, nil)
	t.Cleanup(transport.CloseIdleConnections)
	declared := catalogue.Upstreams()[0]
	client, err := upstream.New(upstream.Config{
		Name: declared.Name, URL: declared.URL, Credentials: credential.Forward{Upstream: declared.Name},
		Timeout: 5 * time.Second, MaxResponse: declared.MaxResponse, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	runner, err := tool.NewRunner(tool.RunnerConfig{
		Catalogue: catalogue, Senders: map[string]tool.Sender{declared.Name: client}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return runner
}

func TestReq065_BuiltInToolOverTheWire(t *testing.T) {
	const token, body = "eyJ.odd-but_legal~+/==", `[{"id":1}]`
	type seen struct{ Method, Path, Authorization string }
	var got atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(seen{r.Method, r.RequestURI, r.Header.Get("Authorization")})
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	result, err := wired(t, server.URL+"/otus/").Call(t.Context(), tool.Caller{Token: secret.New(token)}, "otus_teams", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tool.Result{Text: body, Structured: []byte(body)}, result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(seen{"GET", "/otus/teams", "Bearer " + token}, got.Load()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestReq065_RedirectToAnotherHostIsAToolErrorAndGetsNoRequest(t *testing.T) {
	var hits atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer evil.Close()
	server := httptest.NewServer(http.RedirectHandler(evil.URL+"/teams", http.StatusTemporaryRedirect))
	defer server.Close()
	result, err := wired(t, server.URL).Call(t.Context(), tool.Caller{Token: secret.New("a.b.c")}, "otus_teams", nil)
	if err != nil || !result.IsError || !strings.Contains(result.Text, "redirect") || strings.Contains(result.Text, "127.0.0.1") {
		t.Errorf("got %+v, %v", result, err)
	}
	if hits.Load() != 0 {
		t.Errorf("the other host got %d requests, want none", hits.Load())
	}
}

// An answer that its tool allows to be given again is given to the same person
// with the same token and arguments, and to nobody else.
func TestTTLOverTheWire(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"n":%d,"page":%q}`, requests.Add(1), r.URL.Query().Get("page"))
	}))
	defer server.Close()
	const tools = `
upstreams: {api: {url: "${OTUS_URL}", credential: none, cache: true}}
tools:
  - {name: kept, description: d, upstream: api, method: GET, path: /teams, ttl: 1m, query: {page: page}, input: {type: object, properties: {page: {type: integer}}, additionalProperties: false}}
  - {name: asked, description: d, upstream: api, method: GET, path: /teams, query: {page: page}, input: {type: object, properties: {page: {type: integer}}, additionalProperties: false}}
  - {name: write, description: d, upstream: api, method: PUT, path: /teams, input: {type: object, additionalProperties: false}}
`
	catalogue, err := tool.Load([]byte(tools), map[string]string{"OTUS_URL": server.URL})
	if err != nil {
		t.Fatal(err)
	}
	transport := egress.NewTransport(egress.Policy{AllowLoopback: true}, nil)
	t.Cleanup(transport.CloseIdleConnections)
	client, err := upstream.New(upstream.Config{Name: "api", URL: server.URL, Credentials: credential.None{}, Transport: transport, Cache: catalogue.Upstreams()[0].Cache})
	if err != nil {
		t.Fatal(err)
	}
	runner, err := tool.NewRunner(tool.RunnerConfig{Catalogue: catalogue, Senders: map[string]tool.Sender{"api": client}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct{ person, token, tool, arguments, want string }{
		{"ana", "a", "kept", `{"page":1}`, `{"n":1,"page":"1"}`},
		{"ana", "a", "kept", ` {"page": 1}`, `{"n":1,"page":"1"}`},
		{"ana", "a", "kept", `{"page":2}`, `{"n":2,"page":"2"}`},
		{"ana", "a", "asked", `{"page":1}`, `{"n":3,"page":"1"}`},
		{"ana", "a2", "kept", `{"page":1}`, `{"n":4,"page":"1"}`},
		{"bruno", "a", "kept", `{"page":1}`, `{"n":5,"page":"1"}`},
		{"ana", "a", "kept", `{"page":1}`, `{"n":1,"page":"1"}`},
		{"ana", "a", "write", `{}`, `{"n":6,"page":""}`},
		{"ana", "a", "kept", `{"page":1}`, `{"n":7,"page":"1"}`},
		{"bruno", "a", "kept", `{"page":1}`, `{"n":5,"page":"1"}`},
	} {
		who := tool.Caller{Principal: oauth.Principal{Issuer: "https://as.example", Subject: step.person}, Token: secret.New(step.token)}
		result, err := runner.Call(t.Context(), who, step.tool, []byte(step.arguments))
		if err != nil || result.Text != step.want {
			t.Errorf("step %d: %+v, %v, want %s", i, result, err, step.want)
		}
	}
}

func TestFailuresOverTheWireAreSentences(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for chunk := strings.Repeat("x", 1<<16); ; {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	for url, want := range map[string]string{
		"http://" + listener.Addr().String(): `otus_teams: The API "otus" could not be reached; try again later.`,
		endless.URL:                          `otus_teams: The API "otus" sent more than the 1048576 bytes allowed for an answer.`,
	} {
		result, err := wired(t, url).Call(t.Context(), tool.Caller{Token: secret.New("a.b.c")}, "otus_teams", nil)
		if diff := cmp.Diff(tool.Result{Text: want, IsError: true}, result); diff != "" || err != nil {
			t.Errorf("%v, result (-want +got):\n%s", err, diff)
		}
	}
}
