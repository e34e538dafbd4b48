package wireschema

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scripted is an answer that a test server gives.
type scripted struct {
	status int
	media  string
	body   string
}

func (s scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", s.media)
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

// judged serves handler, sends requests to it and returns the verdict.
func judged(t *testing.T, protocols *http.Protocols, handler http.Handler, requests ...*http.Request) (int, []string) {
	t.Helper()
	judge := New(t)
	server := httptest.NewUnstartedServer(handler)
	server.Listener = judge.Listen(server.Listener)
	server.Config.Protocols = protocols
	server.Start()
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	for _, request := range requests {
		request.URL.Scheme, request.URL.Host = "http", server.Listener.Addr().String()
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	client.CloseIdleConnections()
	server.Close()
	return judge.judge()
}

func ask(t *testing.T, method, target, version, body string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if version != "" {
		request.Header.Set(headerVersion, version)
	}
	return request
}

const (
	list       = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	modernList = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`
	callTool   = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`
	teams      = `"tools":[{"name":"teams","inputSchema":{"type":"object"}}]`
	audio      = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"audio","data":"AA==","mimeType":"audio/wav"}]}}`
)

// A judge that cannot fail is none: every row is one way to break a revision,
// or the same thing where it is allowed.
func TestJudgeFindsWhatARevisionDoesNotAllow(t *testing.T) {
	const jsonMedia, sse = "application/json", "text/event-stream"
	progress := `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}`
	answer := func(members string) string { return `{"jsonrpc":"2.0","id":1,"result":{` + members + `}}` }
	event := func(data string) string { return "event: message\ndata: " + data + "\n\n" }
	for _, tc := range []struct {
		name, version, asked string
		answer               scripted
		want                 string // "": nothing to object to
	}{
		{"list", rev20250618, list, scripted{200, jsonMedia, answer(teams)}, ""},
		{"tool without a schema", rev20250618, list, scripted{200, jsonMedia, answer(`"tools":[{"name":"x"}]`)}, "inputSchema"},
		{"result of another method", rev20250618, list, scripted{200, jsonMedia, answer(`"content":[]`)}, "ListToolsResult"},
		{"method of another revision", rev20251125, `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`, scripted{200, jsonMedia, answer("")}, "server/discover"},
		{"other id", rev20250618, list, scripted{200, jsonMedia, strings.Replace(answer(teams), `"id":1`, `"id":2`, 1)}, "nothing that was asked"},
		{"id as text", rev20250618, list, scripted{200, jsonMedia, strings.Replace(answer(teams), `"id":1`, `"id":"1"`, 1)}, "nothing that was asked"},
		{"no jsonrpc", rev20250618, list, scripted{200, jsonMedia, `{"id":1,"result":{` + teams + `}}`}, "jsonrpc"},
		{"no message", rev20250618, list, scripted{200, jsonMedia, `{`}, "unexpected end"},
		{"no JSON", rev20250618, list, scripted{200, "text/plain", "ok"}, `answers with "text/plain"`},
		{"null id", rev20250618, "{", scripted{400, jsonMedia, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`}, ""},
		{"null id since 2025-11-25", rev20251125, "{", scripted{400, jsonMedia, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`}, "null"},
		{"no id since 2025-11-25", rev20251125, "{", scripted{400, jsonMedia, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}`}, ""},
		{"fractional code", rev20250618, list, scripted{200, jsonMedia, `{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"x"}}`}, "code"},
		{"refusal of HTTP", rev20250618, list, scripted{401, jsonMedia, `{"error":"unauthorized"}`}, ""},
		{"no refusal of HTTP", rev20250618, list, scripted{401, jsonMedia, `{"reason":"unauthorized"}`}, "neither"},
		{"audio", rev20250326, callTool, scripted{200, jsonMedia, audio}, ""},
		{"batch", rev20250326, "[" + list + "]", scripted{200, jsonMedia, "[" + answer(teams) + "]"}, ""},
		{"batch in a revision without", rev20250618, "[" + list + "]", scripted{200, jsonMedia, "[" + answer(teams) + "]"}, "batch"},
		{"broken in a batch", rev20250326, "[" + list + "]", scripted{200, jsonMedia, "[" + answer("") + "]"}, "tools"},
		{"negotiated", "", `{"jsonrpc":"2.0","id":1,"method":"initialize"}`, scripted{200, jsonMedia, answer(`"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"x"}`)}, "InitializeResult of 2025-11-25"},
		{"newer header, no metadata", rev20260728, list, scripted{200, jsonMedia, answer(teams)}, ""},
		{"modern", rev20260728, modernList, scripted{200, jsonMedia, answer(`"resultType":"complete","ttlMs":1,"cacheScope":"private",` + teams)}, ""},
		{"modern without its metadata", rev20260728, modernList, scripted{200, jsonMedia, answer(teams)}, "resultType"},
		{"questions to a list", rev20260728, modernList, scripted{200, jsonMedia, answer(`"resultType":"input_required","requestState":"x"`)}, "ListToolsResult"},
		{"unsupported version", rev20260728, modernList, scripted{400, jsonMedia, `{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"x"}}`}, "UnsupportedProtocolVersionError"},
		{"notification and answer", rev20251125, list, scripted{200, sse, event(progress) + ": comment\n\n" + event(answer(teams))}, ""},
		{"broken notification", rev20251125, list, scripted{200, sse, event(strings.Replace(progress, `"progress":1`, `"progress":"1"`, 1))}, "ProgressNotification"},
		{"request of a client", rev20251125, list, scripted{200, sse, event(list)}, "do not send tools/list"},
		{"notification as a request", rev20251125, list, scripted{200, sse, event(strings.Replace(progress, `"method"`, `"id":3,"method"`, 1))}, "do not send notifications/progress"},
		{"question in a revision without", rev20250326, list, scripted{200, sse, event(`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}`)}, "do not send elicitation/create"},
		{"other event", rev20251125, list, scripted{200, sse, strings.Replace(event(progress), "message", "notice", 1)}, `the event "notice"`},
		{"event without JSON", rev20251125, list, scripted{200, sse, event("hello")}, "hello"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, problems := judged(t, nil, tc.answer, ask(t, http.MethodPost, "/mcp", tc.version, tc.asked))
			got := strings.Join(problems, "\n")
			if (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// An answer on HTTP+SSE is judged by the method of the POST it answers.
func TestJudgeFollowsSessions(t *testing.T) {
	question := `{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}`
	for name, tc := range map[string]struct{ message, want string }{
		"answer":               {`{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`, ""},
		"of another method":    {`{"jsonrpc":"2.0","id":1,"result":{` + teams + `}}`, "CallToolResult of 2024-11-05"},
		"audio":                {audio, "CallToolResult of 2024-11-05"},
		"asked elsewhere":      {`{"jsonrpc":"2.0","id":9,"result":{}}`, ""},
		"question":             {question, ""},
		"question, no message": {strings.Replace(question, `"message":"?",`, "", 1), "ElicitRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					w.WriteHeader(http.StatusAccepted)
					return
				}
				scripted{200, "text/event-stream", "event: endpoint\ndata: /mcp/sse?session_id=s\n\nevent: message\ndata: " + tc.message + "\n\n"}.ServeHTTP(w, r)
			})
			messages, problems := judged(t, nil, server,
				ask(t, http.MethodGet, "/mcp/sse", "", ""), ask(t, http.MethodPost, "/mcp/sse?session_id=s", "", callTool))
			got := strings.Join(problems, "\n")
			if messages != 1 || (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
				t.Errorf("%d messages, %q, want %q", messages, got, tc.want)
			}
		})
	}
	_, problems := judged(t, nil, scripted{200, "text/event-stream", "event: message\ndata: {}\n\n"}, ask(t, http.MethodGet, "/mcp/sse", "", ""))
	if len(problems) != 1 || !strings.Contains(problems[0], "begins with") {
		t.Errorf("a stream without its endpoint: %q", problems)
	}
}

// What is written past net/http is heard too, and what HTTP/2 carries.
func TestJudgeHearsEveryWriter(t *testing.T) {
	broken := `{"jsonrpc":"2.0","id":1,"result":{}}`
	takeover := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffer, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = buffer.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: " + broken + "\n\n")
		_ = buffer.Flush()
		_ = conn.Close()
	})
	http2 := new(http.Protocols)
	http2.SetUnencryptedHTTP2(true)
	for name, tc := range map[string]struct {
		protocols *http.Protocols
		handler   http.Handler
	}{
		"taken over":        {nil, takeover},
		"HTTP/2":            {http2, scripted{200, "application/json", broken}},
		"stream on HTTP/2":  {http2, scripted{200, "text/event-stream", "data: " + broken + "\n\n"}},
		"several requests":  {nil, scripted{200, "application/json", broken}},
		"several on HTTP/2": {http2, scripted{200, "application/json", broken}},
	} {
		t.Run(name, func(t *testing.T) {
			requests := []*http.Request{ask(t, http.MethodPost, "/mcp", rev20250618, list)}
			if strings.HasPrefix(name, "several") {
				requests = append(requests, ask(t, http.MethodPost, "/mcp", rev20250618, list), ask(t, http.MethodPost, "/other", "", list))
			}
			want := min(len(requests), 2)
			messages, problems := judged(t, tc.protocols, tc.handler, requests...)
			if messages != want || len(problems) != want || !strings.Contains(problems[0], "ListToolsResult") {
				t.Errorf("%d messages, %q", messages, problems)
			}
		})
	}
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB

	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, values ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, values...))
}

func TestVerdictFailsTheTest(t *testing.T) {
	failing := &recorder{TB: t}
	judge := New(failing)
	server := httptest.NewUnstartedServer(scripted{200, "application/json", "{}"})
	server.Listener = judge.Listen(server.Listener)
	server.Start()
	for range maxReported + 2 {
		request := ask(t, http.MethodPost, server.URL+"/mcp", "", list)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	server.Close() // what is still being written is not heard yet
	judge.Verdict()
	if len(failing.failures) != maxReported+1 || !strings.Contains(failing.failures[maxReported], "14 more") {
		t.Errorf("%d failures: %q", len(failing.failures), failing.failures)
	}
}

func TestEvents(t *testing.T) {
	for stream, want := range map[string][]Event{
		"data: a\n\n":                            {{"message", "a"}},
		"event: x\r\ndata: a\r\ndata:b\r\n\r\n":  {{"x", "a\nb"}},
		"\uFEFFdata:  a\r\r":                     {{"message", " a"}},
		": comment\n\ndata\n\n":                  {{"message", ""}},
		"event: x\n\ndata: a\n\n":                {{"message", "a"}},
		"id: 1\nretry: 2\nother: 3\ndata: a\n\n": {{"message", "a"}},
		"data: a\n\ndata: unfinished\n":          {{"message", "a"}},
		"data: a":                                nil,
	} {
		if diff := cmp.Diff(want, Events(stream)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", stream, diff)
		}
	}
}
