package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/pipenet"
	"tecrolabs.dev/oauth-mcp-server/internal/eventstream"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// openStream is an HTTP+SSE stream as a client reads it.
type openStream struct {
	t        *testing.T
	base     string
	client   *http.Client
	response *http.Response
	lines    *bufio.Scanner
	endpoint string
	cancel   context.CancelFunc
}

func connect(t *testing.T, client *http.Client, base, token string) *openStream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/mcp/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "text/event-stream")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	s := &openStream{t: t, base: base, client: client, response: response, lines: bufio.NewScanner(response.Body), cancel: cancel}
	if response.StatusCode == http.StatusOK {
		name, data := s.next()
		if name != "endpoint" {
			t.Fatalf("the first event is %q", name)
		}
		s.endpoint = data
	}
	return s
}

// next returns the next event, "comment" for a comment and "end" at the end.
func (s *openStream) next() (name, data string) {
	s.t.Helper()
	for s.lines.Scan() {
		line := s.lines.Text()
		switch {
		case strings.HasPrefix(line, ":"):
			name = "comment"
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case line == "" && name != "":
			return name, data
		}
	}
	return "end", ""
}

// message returns the next message, passing over comments.
func (s *openStream) message() string {
	s.t.Helper()
	for {
		name, data := s.next()
		switch name {
		case "comment":
			continue
		case "message":
			return data
		}
		s.t.Fatalf("want a message, got %s", name)
	}
}

func (s *openStream) send(token, body string) reply {
	s.t.Helper()
	return postWith(s.t, s.client, s.base+s.endpoint, token, body)
}

func postWith(t *testing.T, client *http.Client, url, token, body string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text strings.Builder
	scanner := bufio.NewScanner(response.Body)
	for scanner.Scan() {
		text.WriteString(scanner.Text())
	}
	return reply{status: response.StatusCode, header: response.Header, body: text.String()}
}

const callBody = `{"jsonrpc":"2.0","id":"c1","method":"tools/call","params":{"name":"teams"}}`

func TestReq083_StreamCarriesAnswers(t *testing.T) {
	h := newHarness(t)
	base := h.serve(t)
	s := connect(t, http.DefaultClient, base, "ana/claude/1")
	if !strings.HasPrefix(s.endpoint, "/mcp/sse?session_id=") || len(s.endpoint) < len("/mcp/sse?session_id=")+26 {
		t.Fatalf("endpoint %q", s.endpoint)
	}
	for header, want := range map[string]string{
		"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Cache-Control": "no-store, no-transform",
	} {
		if got := s.response.Header.Get(header); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
	for _, tc := range []struct{ body, want string }{
		{`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`, `"protocolVersion":"2024-11-05","capabilities":{"tools":{"listChanged":true}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `"id":1,"result":{}`},
		{`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`, `"name":"teams"`},
		{callBody, `"id":"c1","result":{"content":[{"type":"text","text":"{\"teams\":[]}"}],"structuredContent":{"teams":[]}}`},
		{`{"jsonrpc":"2.0","id":3,"method":"server/discover"}`, `"code":-32601`},
		{`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"other"}}`, `"code":-32602`},
	} {
		if got := s.send("ana/claude/1", tc.body); got.status != http.StatusAccepted {
			t.Fatalf("%s: %d %s", tc.body, got.status, got.body)
		}
		if got := s.message(); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", tc.body, got, tc.want)
		}
	}
	for _, tc := range []struct {
		body   string
		status int
	}{
		{`{"jsonrpc":"2.0","method":"notifications/initialized"}`, 202},
		{`{`, 400},
		{`[` + callBody + `]`, 400},
		{`{"jsonrpc":"2.0","id":1}`, 400},
		{strings.Repeat(" ", MaxMessage+1), 413},
	} {
		if got := s.send("ana/claude/1", tc.body); got.status != tc.status {
			t.Errorf("%.40s: %d %s", tc.body, got.status, got.body)
		}
	}
	h.ToolsChanged()
	if got := s.message(); got != `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` {
		t.Errorf("change notice: %s", got)
	}
}

// The hole not to have: a message runs as the token of its own POST, never as
// whoever opened the stream.
func TestReq082_Req083_EveryMessageRunsWithItsOwnToken(t *testing.T) {
	h := newHarness(t)
	seen := make(chan string, 1)
	h.tools.call = func(_ context.Context, caller tool.Caller, _ json.RawMessage) (tool.Result, error) {
		seen <- caller.Token.Reveal()
		return tool.Result{Text: "ok"}, nil
	}
	s := connect(t, http.DefaultClient, h.serve(t), "ana/claude/1")
	if got := s.send("ana/claude/2", callBody); got.status != http.StatusAccepted {
		t.Fatalf("the same person and client with a newer token: %d %s", got.status, got.body)
	}
	if got := <-seen; got != "ana/claude/2" {
		t.Errorf("the call ran with the token %s", got)
	}
	s.message()
	for _, foreign := range []string{"bruno/claude/1", "ana/codex/1", "bruno/codex/1"} {
		if got := s.send(foreign, callBody); got.status != http.StatusNotFound {
			t.Errorf("%s in ana/claude's session: %d", foreign, got.status)
		}
	}
	if got := postWith(t, http.DefaultClient, s.base+"/mcp/sse", "ana/claude/1", callBody); got.status != http.StatusNotFound {
		t.Errorf("without a session: %d", got.status)
	}
	select {
	case token := <-seen:
		t.Errorf("a refused message ran with %s", token)
	default:
	}
}

func TestRefusalsOnTheStreamCarryTheStatus(t *testing.T) {
	h := newHarness(t)
	var refusal *oauth.Refusal
	h.tools.call = func(context.Context, tool.Caller, json.RawMessage) (tool.Result, error) {
		return tool.Result{}, refusal
	}
	s := connect(t, http.DefaultClient, h.serve(t), "ana/claude/1")
	for _, refusal = range []*oauth.Refusal{
		oauth.InvalidToken("upstream_401", "Sign in again.", nil),
		{Status: 403, Code: oauth.CodeAccessDenied, Description: "Not allowed.", Reason: "upstream_403"},
	} {
		s.send("ana/claude/1", callBody)
		want := fmt.Sprintf(`"error":{"code":%d,"message":%q,"data":{"error":%q,"status":%d}}`, refusal.Status, refusal.Description, refusal.Code, refusal.Status)
		if got := s.message(); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	h.tools.call = func(context.Context, tool.Caller, json.RawMessage) (tool.Result, error) { panic("boom") }
	s.send("ana/claude/1", callBody)
	if got := s.message(); !strings.Contains(got, `"code":-32603`) || strings.Contains(got, "boom") {
		t.Errorf("a panic: %s", got)
	}
}

func TestCancelledNotificationEndsTheCall(t *testing.T) {
	h := newHarness(t)
	began, ended := make(chan struct{}), make(chan struct{})
	h.tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return tool.Result{}, ctx.Err()
	}
	s := connect(t, http.DefaultClient, h.serve(t), "ana/claude/1")
	s.send("ana/claude/1", callBody)
	<-began
	if got := s.send("ana/claude/1", callBody); got.status != http.StatusBadRequest {
		t.Errorf("the same id again: %d %s", got.status, got.body)
	}
	s.send("ana/claude/1", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c1"}}`)
	<-ended
	s.send("ana/claude/1", `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	if got := s.message(); !strings.Contains(got, `"id":2`) {
		t.Errorf("a cancelled call was answered: %s", got)
	}
}

func TestClientGoneEndsTheCallsOfItsStream(t *testing.T) {
	h := newHarness(t)
	began, ended := make(chan struct{}), make(chan struct{})
	h.tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return tool.Result{}, ctx.Err()
	}
	s := connect(t, http.DefaultClient, h.serve(t), "ana/claude/1")
	s.send("ana/claude/1", callBody)
	<-began
	s.cancel()
	<-ended
}

func TestReq086_StreamsPerPrincipalAreBounded(t *testing.T) {
	h := newHarness(t)
	base := h.serve(t)
	for range maxStreamsPerPrincipal {
		if s := connect(t, http.DefaultClient, base, "ana/claude/1"); s.response.StatusCode != http.StatusOK {
			t.Fatal(s.response.Status)
		}
	}
	if s := connect(t, http.DefaultClient, base, "ana/codex/1"); s.response.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one more of the same person: %s", s.response.Status)
	}
	if s := connect(t, http.DefaultClient, base, "bruno/claude/1"); s.response.StatusCode != http.StatusOK {
		t.Errorf("another person: %s", s.response.Status)
	}
	body, header := modern(methodListen, `"notifications":{"toolsListChanged":true}`)
	if got := post(t, base+"/mcp", body, header); got.status != http.StatusTooManyRequests {
		t.Errorf("a subscription is a stream too: %d", got.status)
	}
}

func TestReq086_CallsPerSessionAreBounded(t *testing.T) {
	h := newHarness(t)
	release := make(chan struct{})
	h.tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
		<-release
		return tool.Result{Text: "ok"}, nil
	}
	s := connect(t, http.DefaultClient, h.serve(t), "ana/claude/1")
	for i := range maxCallsInFlight {
		if got := s.send("ana/claude/1", strings.Replace(callBody, `"c1"`, fmt.Sprint(i), 1)); got.status != http.StatusAccepted {
			t.Fatalf("call %d: %d", i, got.status)
		}
	}
	if got := s.send("ana/claude/1", callBody); got.status != http.StatusTooManyRequests {
		t.Errorf("one call more: %d", got.status)
	}
	close(release)
	for range maxCallsInFlight {
		s.message()
	}
}

// A drain answers what was accepted, then ends the stream.
func TestReq084_DrainFinishesCalls(t *testing.T) {
	h := newHarness(t)
	began, release := make(chan struct{}), make(chan struct{})
	h.tools.call = func(context.Context, tool.Caller, json.RawMessage) (tool.Result, error) {
		close(began)
		<-release
		return tool.Result{Text: "late"}, nil
	}
	s := connect(t, http.DefaultClient, h.serve(t), "ana/claude/1")
	s.send("ana/claude/1", callBody)
	<-began
	h.Drain()
	go func() {
		for s := s; ; { // the session refuses new work as soon as it knows
			if got := s.send("ana/claude/1", `{"jsonrpc":"2.0","id":9,"method":"ping"}`); got.status == http.StatusServiceUnavailable {
				close(release)
				return
			}
		}
	}()
	for {
		if got := s.message(); strings.Contains(got, "late") {
			break
		}
	}
	for {
		name, _ := s.next()
		if name == "end" {
			break
		}
	}
	if s := connect(t, http.DefaultClient, s.base, "ana/claude/1"); s.response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a new stream while draining: %s", s.response.Status)
	}
}

// bubble runs f with the harness on an in-memory network under fake time.
func bubble(t *testing.T, life time.Duration, f func(t *testing.T, h *harness, client *http.Client)) {
	t.Helper()
	bubbleWith(t, life, new(http.Protocols), f)
}

// bubbleWith is bubble with other protocols than HTTP/1.
func bubbleWith(t *testing.T, life time.Duration, protocols *http.Protocols, f func(t *testing.T, h *harness, client *http.Client)) {
	t.Helper()
	if *protocols == (http.Protocols{}) {
		protocols.SetHTTP1(true)
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.life = life
		listener := pipenet.Listen()
		server := &http.Server{Handler: h, Protocols: protocols}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(h.judge.Listen(listener))
		}()
		client := clientOf(listener, protocols)
		f(t, h, client)
		client.CloseIdleConnections()
		h.Drain()
		if err := h.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		_ = server.Close()
		<-done
	})
}

func TestReq084_CommentsEvery15Seconds(t *testing.T) {
	bubble(t, time.Hour, func(t *testing.T, _ *harness, client *http.Client) {
		t.Helper()
		s := connect(t, client, "http://server", "ana/claude/1")
		began := time.Now()
		for i := 1; i <= 3; i++ {
			if name, _ := s.next(); name != "comment" || time.Since(began) != time.Duration(i)*eventstream.KeepAlive {
				t.Errorf("after %s: %s", time.Since(began), name)
			}
		}
		s.cancel()
		synctest.Wait()
	})
}

// HTTP/2 ends a stream whose write deadline passes while nothing is written.
func TestReq084_CommentsOverHTTP2(t *testing.T) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	bubbleWith(t, time.Hour, protocols, func(t *testing.T, _ *harness, client *http.Client) {
		t.Helper()
		s := connect(t, client, "http://server", "ana/claude/1")
		if s.response.ProtoMajor != 2 {
			t.Fatalf("the stream is %s", s.response.Proto)
		}
		began := time.Now()
		for i := 1; i <= 3; i++ {
			if name, _ := s.next(); name != "comment" || time.Since(began) != time.Duration(i)*eventstream.KeepAlive {
				t.Errorf("after %s: %s", time.Since(began), name)
			}
		}
		if got := s.send("ana/claude/1", `{"jsonrpc":"2.0","id":1,"method":"ping"}`); got.status != http.StatusAccepted {
			t.Errorf("message: %d", got.status)
		}
		s.message()
		s.cancel()
		synctest.Wait()
	})
}

func TestReq084_StreamEndsWithTheNewestToken(t *testing.T) {
	bubble(t, time.Minute, func(t *testing.T, h *harness, client *http.Client) {
		t.Helper()
		s := connect(t, client, "http://server", "ana/claude/1")
		began := time.Now()
		for range 2 { // half a minute
			s.next()
		}
		s.send("ana/claude/2", `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
		for name := ""; name != "end"; name, _ = s.next() {
		}
		if lived := time.Since(began); lived != 90*time.Second {
			t.Errorf("the stream lived %s, want half a minute and one more", lived)
		}
		synctest.Wait()
		if h.OpenStreams() != 0 {
			t.Error("the stream is still counted")
		}
	})
}

func TestReq084_StreamEndsAtItsMaximumAge(t *testing.T) {
	bubble(t, 24*time.Hour, func(t *testing.T, h *harness, client *http.Client) {
		t.Helper()
		s := connect(t, client, "http://server", "ana/claude/1")
		began := time.Now()
		for name := ""; name != "end"; name, _ = s.next() {
		}
		if lived := time.Since(began); lived < h.maxAge*9/10 || lived > h.maxAge {
			t.Errorf("the stream lived %s", lived)
		}
	})
}

// A reader that does not read is cut off, and its calls end.
func TestReq084_SlowReaderIsCut(t *testing.T) {
	bubble(t, time.Hour, func(t *testing.T, h *harness, client *http.Client) {
		t.Helper()
		s := connect(t, client, "http://server", "ana/claude/1")
		_ = s // nobody reads on
		began := time.Now()
		h.ToolsChanged()
		for h.OpenStreams() > 0 {
			<-time.After(time.Second) // fake time
			h.ToolsChanged()
			if time.Since(began) > time.Minute {
				t.Fatal("the stream is still open after a minute")
			}
		}
	})
}

func TestListen(t *testing.T) {
	h := newHarness(t)
	base := h.serve(t)
	body, header := modern(methodListen, `"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["file:///x"]}`)
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/mcp", strings.NewReader(body))
	for name, value := range header {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	request.Header.Set("Authorization", "Bearer ana/claude/1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	s := &openStream{t: t, lines: bufio.NewScanner(response.Body)}
	subscription := `"_meta":{"io.modelcontextprotocol/subscriptionId":7}`
	want := `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{` + subscription + `,"notifications":{"toolsListChanged":true}}}`
	if got := s.message(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	h.ToolsChanged()
	if got := s.message(); got != `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{`+subscription+`}}` {
		t.Error(got)
	}
	h.Drain()
	if got := s.message(); !strings.Contains(got, `"id":7,"result":{`) || !strings.Contains(got, `"io.modelcontextprotocol/subscriptionId":7`) || !strings.Contains(got, `"resultType":"complete"`) {
		t.Error(got)
	}
	if name, _ := s.next(); name != "end" {
		t.Errorf("after the result: %s", name)
	}
}

func TestListenRefusals(t *testing.T) {
	base := newHarness(t).serve(t) + "/mcp"
	body, header := modern(methodListen, "")
	if got := post(t, base, body, header); got.rpc.Error == nil || got.rpc.Error.Code != codeInvalidParams {
		t.Errorf("without a filter: %s", got.body)
	}
	body, header = modern(methodListen, `"notifications":{}`)
	if got := post(t, base, body, with(header, "Accept", "application/json")); got.status != http.StatusNotAcceptable {
		t.Errorf("without an event stream: %d", got.status)
	}
	// A filter of nothing is acknowledged and over.
	if got := post(t, base, body, with(header, "Accept", "text/event-stream, application/json")); strings.Count(got.body, "data: ") != 2 {
		t.Errorf("an empty filter: %s", got.body)
	}
	if got := post(t, base, `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{}}}`, legacy("2025-11-25")); got.rpc.Error == nil || got.rpc.Error.Code != codeMethodNotFound {
		t.Errorf("in 2025-11-25: %s", got.body)
	}
}

func TestStreamsOfOnePartyAreEnded(t *testing.T) {
	h := newHarness(t)
	base := h.serve(t)
	ana, bruno := connect(t, http.DefaultClient, base, "ana/claude/1"), connect(t, http.DefaultClient, base, "bruno/claude/1")
	h.EndStreams(func(owner oauth.Binding, _ string) bool { return owner.Subject == "ana" })
	if name, _ := ana.next(); name != "end" {
		t.Errorf("Ana's stream goes on with %s", name)
	}
	bruno.send("bruno/claude/1", `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if got := bruno.message(); !strings.Contains(got, `"id":1`) {
		t.Errorf("Bruno's stream: %s", got)
	}
}

func TestHeadOpensNoStream(t *testing.T) {
	h := newHarness(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, h.serve(t)+"/mcp/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer ana/claude/1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.Header.Get("Content-Type") != "text/event-stream" || h.OpenStreams() != 0 {
		t.Errorf("%v, %d streams", response.Header, h.OpenStreams())
	}
}
