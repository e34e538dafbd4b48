package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 16 << 20

// callTeams is tools/call before 2026-07-28.
const callTeams = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"otus_teams","arguments":{}}}`

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   string
}

// message returns the JSON-RPC response in an answer.
func (a answer) message(t *testing.T) response {
	t.Helper()
	return parseResponse(t, a.body)
}

// response is a JSON-RPC response.
type response struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

func parseResponse(t *testing.T, raw string) response {
	t.Helper()
	var r response
	if err := json.Unmarshal([]byte(raw), &r); err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	return r
}

// newRequest builds a request the way an MCP client does. headers are pairs.
func newRequest(ctx context.Context, t *testing.T, method, url, token, body string, headers ...string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json, text/event-stream")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return request
}

// send sends a request and reads the whole answer.
func send(t *testing.T, system *apptest.System, request *http.Request) answer {
	t.Helper()
	got, err := system.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := readAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, body}
}

func readAll(r io.Reader) (string, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxAnswer))
	return string(body), err
}

// post sends one message to a path.
func post(t *testing.T, system *apptest.System, path, token, body string, headers ...string) answer {
	t.Helper()
	return send(t, system, newRequest(t.Context(), t, http.MethodPost, system.URL+path, token, body, headers...))
}

// event is one server-sent event.
type event struct{ name, data string }

// stream is an open HTTP+SSE stream.
type stream struct {
	endpoint string // where to POST, path and query
	events   chan event
	close    context.CancelFunc
}

// streamDeadline bounds the wait for one event.
const streamDeadline = 30 * time.Second

// openStream opens a stream and waits for its endpoint event. The end of the
// test closes it.
func openStream(t *testing.T, system *apptest.System, token string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request := newRequest(ctx, t, http.MethodGet, system.URL+"/mcp/sse", token, "")
	got, err := system.Client().Do(request) //nolint:bodyclose // the reader below closes it
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	if got.StatusCode != http.StatusOK {
		cancel()
		_ = got.Body.Close()
		t.Fatalf("GET /mcp/sse = %d", got.StatusCode)
	}
	s := &stream{events: make(chan event, 128), close: cancel}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(s.events)
		defer got.Body.Close()
		readEvents(got.Body, s.events)
	}()
	t.Cleanup(func() { cancel(); <-done })
	first := s.next(t)
	if first.name != "endpoint" {
		t.Fatalf("the first event is %+v, want the endpoint", first)
	}
	s.endpoint = first.data
	return s
}

func readEvents(body io.Reader, events chan<- event) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxAnswer)
	var current event
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "" && current != event{}:
			events <- current
			current = event{}
		case strings.HasPrefix(line, "event: "):
			current.name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			current.data = line[len("data: "):]
		}
	}
}

// next waits for an event and fails the test at the stream's end.
func (s *stream) next(t *testing.T) event {
	t.Helper()
	select {
	case e, open := <-s.events:
		if !open {
			t.Fatal("the stream ended")
		}
		return e
	case <-time.After(streamDeadline):
		t.Fatal("no event came")
	}
	return event{}
}

// ended waits for the stream's end and returns the events before it.
func (s *stream) ended(t *testing.T) []event {
	t.Helper()
	var rest []event
	deadline := time.After(streamDeadline)
	for {
		select {
		case e, open := <-s.events:
			if !open {
				return rest
			}
			rest = append(rest, e)
		case <-deadline:
			t.Fatal("the stream did not end")
		}
	}
}
