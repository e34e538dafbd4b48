package replicas

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// stream is an open HTTP+SSE stream, read without an SDK.
type stream struct {
	endpoint string // path and query
	events   chan string
}

// eventDeadline bounds the wait for one event.
const eventDeadline = 30 * time.Second

// openStream opens a stream at base and waits for its endpoint event. The end of
// the test closes it.
func openStream(t *testing.T, base, token string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/mcp/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := authorized(func() string { return token }).Do(request) //nolint:bodyclose // the reader below closes it
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{events: make(chan string)}
	go func() {
		defer close(s.events)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			select {
			case s.events <- data:
			case <-ctx.Done():
				return
			}
		}
	}()
	s.endpoint = s.next(t)
	return s
}

// next returns the next event, "" at the end of the stream.
func (s *stream) next(t *testing.T) string {
	t.Helper()
	select {
	case data := <-s.events:
		return data
	case <-time.After(eventDeadline):
		t.Fatal("no event, and no end of the stream")
		return ""
	}
}

// callEchoBody is tools/call with an id and an argument.
func callEchoBody(id int, argument string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"call":%q}}}`, id, argument)
}

// post sends one message and returns the status and the body.
func post(t *testing.T, url, token, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
