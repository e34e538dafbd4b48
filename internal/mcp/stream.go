package mcp

import (
	"math/rand/v2"
	"net/http"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// The life of a stream.
const (
	keepAlive    = 15 * time.Second // a comment this often defeats idle proxies
	writeTimeout = 10 * time.Second // a reader that takes longer is cut off
	drainTimeout = 15 * time.Second // for calls in flight when a stream has to end
)

// eventStream writes server-sent events, each under its own deadline and
// flushed at once.
type eventStream struct {
	w          http.ResponseWriter
	controller *http.ResponseController
}

// openEventStream starts the response. The write deadline of the server does
// not apply to streams; every write sets its own.
func openEventStream(w http.ResponseWriter) *eventStream {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return &eventStream{w: w, controller: http.NewResponseController(w)}
}

// event writes one event. data must be one line.
func (e *eventStream) event(name string, data []byte) error {
	frame := make([]byte, 0, len(name)+len(data)+len("event: \ndata: \n\n"))
	frame = append(frame, "event: "...)
	frame = append(frame, name...)
	frame = append(frame, "\ndata: "...)
	frame = append(frame, data...)
	frame = append(frame, "\n\n"...)
	return e.write(frame)
}

// message writes one JSON-RPC message.
func (e *eventStream) message(data []byte) error { return e.event("message", data) }

// comment writes a line that clients ignore and proxies count as traffic.
func (e *eventStream) comment() error { return e.write([]byte(": keep-alive\n\n")) }

func (e *eventStream) write(frame []byte) error {
	if err := e.controller.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := e.w.Write(frame); err != nil {
		return err
	}
	if err := e.controller.Flush(); err != nil {
		return err
	}
	// HTTP/2 ends an idle stream whose deadline passes.
	return e.controller.SetWriteDeadline(time.Time{})
}

// streamAge returns maxAge less a random tenth, so that streams opened together
// do not end together.
func streamAge(maxAge time.Duration) time.Duration {
	return maxAge - time.Duration(rand.Int64N(int64(maxAge)/10+1)) //nolint:gosec // jitter, not security
}

// tooManyStreams refuses one stream more.
func tooManyStreams(detail string) *oauth.Refusal {
	return &oauth.Refusal{
		Status: http.StatusTooManyRequests, Code: oauth.CodeTooManyRequests,
		Description: detail, Reason: "too_many_streams", RetryAfter: keepAlive,
	}
}

// draining refuses work while the server shuts down.
func draining() *oauth.Refusal {
	return oauth.Unavailable("The server is shutting down; connect again, another replica will answer.", time.Second, nil)
}
