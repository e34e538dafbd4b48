package replicas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// witness sees what crosses the wire of HTTP+SSE: which requests were accepted
// with 202, which answers the streams carried, and which streams are open.
type witness struct {
	mu       sync.Mutex
	requests map[callID]*testimony
	streams  map[string]bool // by session: whether it is open
	statuses map[int]int     // of POSTs to /mcp/sse
	early    []string        // 404 for a session whose stream is open
	rude     int             // 503 that does not say when to come back
}

// callID names a JSON-RPC request: its id is unique in its session only.
type callID struct{ session, id string }

// testimony is what became of one request.
type testimony struct {
	statuses []int // of its POSTs
	answers  int   // on the stream
	lease    bool  // the answer is that the replica that ran it is gone
}

func newWitness() *witness {
	return &witness{requests: map[callID]*testimony{}, streams: map[string]bool{}, statuses: map[int]int{}}
}

// of returns the testimony about a request. The lock is held.
func (w *witness) of(call callID) *testimony {
	if w.requests[call] == nil {
		w.requests[call] = &testimony{}
	}
	return w.requests[call]
}

// posted notes the status of a POST to /mcp/sse.
func (w *witness) posted(to *url.URL, body []byte, status int) {
	session := to.Query().Get("session_id")
	if session == "" {
		return
	}
	var message struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if err := json.Unmarshal(body, &message); err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statuses[status]++
	if status == http.StatusNotFound && w.streams[session] {
		w.early = append(w.early, session)
	}
	if message.ID != nil && message.Method != "" {
		request := w.of(callID{session, string(message.ID)})
		request.statuses = append(request.statuses, status)
	}
}

// watch reads along with the event streams, and looks at refusals.
func (w *witness) watch(response *http.Response) error {
	if response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.rude++
	}
	if response.Request.Method == http.MethodGet && response.StatusCode == http.StatusOK &&
		response.Header.Get("Content-Type") == "text/event-stream" {
		response.Body = &overheard{ReadCloser: response.Body, witness: w}
	}
	return nil
}

// overheard is the body of a stream that a witness reads too. One goroutine uses
// it.
type overheard struct {
	io.ReadCloser

	witness *witness
	session string
	rest    []byte // of a line that is not complete
}

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	o.rest = append(o.rest, p[:n]...)
	for {
		line, rest, complete := bytes.Cut(o.rest, []byte("\n"))
		if !complete {
			return n, err
		}
		o.rest = rest
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			o.heard(data)
		}
	}
}

func (o *overheard) Close() error {
	o.witness.mu.Lock()
	defer o.witness.mu.Unlock()
	o.witness.streams[o.session] = false
	return o.ReadCloser.Close()
}

// heard notes one event: first the endpoint, then messages.
func (o *overheard) heard(data []byte) {
	o.witness.mu.Lock()
	defer o.witness.mu.Unlock()
	if o.session == "" {
		_, o.session, _ = strings.Cut(string(data), "session_id=")
		o.witness.streams[o.session] = true
		return
	}
	var message struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Error  struct{ Code int }
	}
	if json.Unmarshal(data, &message) != nil || message.ID == nil || message.Method != "" {
		return
	}
	request := o.witness.of(callID{o.session, string(message.ID)})
	request.answers++
	request.lease = message.Error.Code == http.StatusServiceUnavailable
}

// refusals returns how many messages were refused with 503.
func (w *witness) refusals() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.statuses[http.StatusServiceUnavailable]
}

// answers returns how many answers the streams have carried.
func (w *witness) answers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	answers := 0
	for _, request := range w.requests {
		answers += request.answers
	}
	return answers
}

// report prints what happened to all requests, and fails the test for what must
// not: an answer that came twice, an accepted request whose open stream has no
// answer, a session called unknown while its stream was open, a 503 without
// Retry-After.
func (w *witness) report(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var accepted, answered, failed, lost, uncertain, twice int
	for call, request := range w.requests {
		taken := 0
		for _, status := range request.statuses {
			if status == http.StatusAccepted {
				taken++
			}
		}
		accepted += taken
		switch {
		case request.answers > 1:
			twice++
			t.Errorf("request %s of session %s was answered %d times", call.id, call.session, request.answers)
		case request.answers == 1 && request.lease:
			failed++
		case request.answers == 1:
			answered++
		}
		switch {
		case taken > 1:
			t.Errorf("request %s of session %s was accepted %d times", call.id, call.session, taken)
		case taken == 0 && request.answers == 1:
			uncertain++ // it was booked, and the client heard of a failure
		case taken == 1 && request.answers == 0:
			lost++
			if w.streams[call.session] {
				t.Errorf("request %s of session %s was accepted, and its open stream has no answer", call.id, call.session)
			}
		}
	}
	if w.rude > 0 {
		t.Errorf("%d answers with 503 have no Retry-After", w.rude)
	}
	for _, session := range w.early {
		t.Errorf("session %s was called unknown while its stream was open", session)
	}
	_, _ = fmt.Fprintf(t.Output(), "HTTP+SSE on the wire: %d requests in %d sessions, POSTs by status (0: no response) %v\n",
		len(w.requests), len(w.streams), w.statuses)
	_, _ = fmt.Fprintf(t.Output(), "  %d accepted: %d answered, %d told that their replica is gone, %d lost their stream; %d answers to POSTs that seemed to fail; %d answered twice\n",
		accepted, answered, failed, lost, uncertain, twice)
}
