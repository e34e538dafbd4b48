package mcp

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/pipenet"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/wireschema"
	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// fakeTools has one tool, "teams", whose behaviour each test sets.
type fakeTools struct {
	call func(ctx context.Context, caller tool.Caller, arguments json.RawMessage) (tool.Result, error)
}

func (f fakeTools) Definition(name string) (tool.Definition, bool) {
	return tool.Find(f.Definitions(), name)
}

func (fakeTools) Definitions() []tool.Definition {
	return []tool.Definition{{
		Name: "teams", Title: "Teams", Description: "Lists teams.",
		InputSchema: json.RawMessage(`{"type":"object","additionalProperties":false}`),
		Annotations: &tool.Annotations{ReadOnlyHint: new(true)},
	}}
}

func (f fakeTools) Listed(context.Context, oauth.Principal) []tool.Definition {
	return f.Definitions()
}

func (f *fakeTools) Call(ctx context.Context, caller tool.Caller, name string, arguments json.RawMessage) (tool.Result, error) {
	if name != "teams" {
		return tool.Result{}, &tool.UnknownToolError{Name: name}
	}
	if f.call == nil {
		return tool.Result{Text: `{"teams":[]}`, Structured: json.RawMessage(`{"teams":[]}`)}, nil
	}
	return f.call(ctx, caller, arguments)
}

// harness is a Server behind a stand-in for the gate: "Authorization: Bearer
// PERSON/CLIENT/SERIAL" is PERSON with CLIENT, authenticated. What it says is
// judged when the test ends.
type harness struct {
	*Server
	judge *wireschema.Judge
	tools *fakeTools
	life  time.Duration // of tokens
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	judge := wireschema.New(t)
	t.Cleanup(func() { judge.Verdict() })
	h := &harness{judge: judge, tools: &fakeTools{}, life: time.Hour}
	server, err := New(Config{
		Tools: h.tools, Info: Info{Name: "test", Version: "1"},
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), MessagePath: "/mcp/sse",
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Server = server
	return h
}

// principalOf is who the gate calls PERSON with CLIENT.
func principalOf(person, client string) oauth.Principal {
	return oauth.Principal{Issuer: "https://issuer.example", Subject: person, ClientID: client, Expiry: time.Now().Add(time.Hour)}
}

func (h *harness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := append(strings.Split(token, "/"), "", "")
	access := bearer.Access{Token: secret.New(token), Principal: principalOf(parts[0], parts[1])}
	access.Principal.Expiry = time.Now().Add(h.life)
	if token != "" {
		r = r.WithContext(bearer.WithAccess(r.Context(), access))
	}
	handler := h.Post
	switch r.Method + " " + r.URL.Path {
	case "GET /mcp/sse", "HEAD /mcp/sse":
		handler = h.OpenStream
	case "POST /mcp/sse":
		handler = h.PostMessage
	}
	if err := handler(w, r); err != nil {
		refusal := oauth.AsRefusal(err)
		w.WriteHeader(refusal.Status)
		_, _ = io.WriteString(w, refusal.Code+": "+refusal.Description)
	}
}

// serve answers on a real socket.
func (h *harness) serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Listener = h.judge.Listen(server.Listener)
	server.Start()
	t.Cleanup(func() {
		h.Drain()
		if err := h.Wait(context.Background()); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return server.URL
}

// reply is an answer as a client reads it.
type reply struct {
	status int
	header http.Header
	body   string
	rpc    struct {
		ID     json.RawMessage
		Result map[string]any
		Error  *struct {
			Code    int
			Message string
			Data    map[string]any
		}
	}
}

func post(t *testing.T, url, body string, header map[string]string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	request.Header.Set("Authorization", "Bearer ana/claude/1")
	for name, value := range header {
		if value == "" {
			request.Header.Del(name)
			continue
		}
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := reply{status: response.StatusCode, header: response.Header, body: string(text)}
	_ = json.Unmarshal(text, &got.rpc)
	return got
}

// clientOf speaks to the one server of a network in memory.
func clientOf(network *pipenet.Listener, protocols *http.Protocols) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: !protocols.UnencryptedHTTP2(),
		Protocols:         protocols,
		DialContext:       network.DialContext,
	}}
}
