package wireschema

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// maxReported bounds what a verdict lists; the first line says it all.
const maxReported = 10

// Judge keeps what a server says in a test. Use [New].
type Judge struct {
	tb testing.TB

	mu          sync.Mutex
	connections []*tappedConn
}

// New returns a judge for a test. The test must ask for its verdict once
// everything is over.
func New(tb testing.TB) *Judge {
	tb.Helper()
	return &Judge{tb: tb}
}

// Listen returns l with every connection tapped. One judge may listen to
// several servers: a message that is sent to one and answered by another is
// then judged as what it is.
func (j *Judge) Listen(l net.Listener) net.Listener { return tappedListener{l, j} }

// Verdict fails the test for every message that its revision does not allow,
// and returns how many messages were judged. What is said after it goes
// unjudged, so the servers must have ended.
func (j *Judge) Verdict() int {
	j.tb.Helper()
	messages, problems := j.judge()
	for i, problem := range problems {
		if i == maxReported {
			j.tb.Errorf("and %d more messages", len(problems)-i)
			break
		}
		j.tb.Errorf("the server says what the protocol does not allow: %s", problem)
	}
	return messages
}

// Objections judges one exchange of HTTP that was heard without a connection:
// what the answer to a request with this body says that its revision does not
// allow.
func Objections(request *http.Request, body []byte, status int, header http.Header, answer []byte) []string {
	published, err := schemas()
	if err != nil {
		return []string{err.Error()}
	}
	h := hearing{schemas: published, posted: map[string][]string{}}
	h.exchange(exchange{
		method: request.Method, url: request.URL, header: request.Header, body: body,
		status: status, media: mediaType(header.Get("Content-Type")), answer: answer, complete: true,
	})
	return h.problems
}

// judge reads what the connections carried.
func (j *Judge) judge() (messages int, problems []string) {
	published, err := schemas()
	if err != nil {
		return 0, []string{err.Error()}
	}
	j.mu.Lock()
	connections := slices.Clone(j.connections)
	j.mu.Unlock()
	h := hearing{schemas: published, posted: map[string][]string{}}
	var all []exchange
	for _, connection := range connections {
		if connection.tooMuchToKeep {
			h.object("a connection carried more than %d bytes, which is too much to judge", maxKept)
		}
		for _, e := range connection.exchanges() {
			if e.speaks() {
				all = append(all, e)
				h.note(e)
			}
		}
	}
	for _, e := range all {
		h.exchange(e)
	}
	return h.messages, h.problems
}

// hearing is one verdict in the making.
type hearing struct {
	schemas  map[string]*published
	posted   map[string][]string // methods by session and id, of HTTP+SSE
	messages int
	problems []string
}

func (h *hearing) object(format string, values ...any) {
	h.problems = append(h.problems, fmt.Sprintf(format, values...))
}

// note keeps what was asked on HTTP+SSE, whose answers come elsewhere.
func (h *hearing) note(e exchange) {
	if e.url.Path != ssePath || e.method != http.MethodPost {
		return
	}
	messages, _ := readSaid(e.body)
	for _, m := range messages {
		if m.Method != "" && m.ID != nil {
			key := e.url.Query().Get("session_id") + " " + string(m.ID)
			h.posted[key] = append(h.posted[key], m.Method)
		}
	}
}

// exchange judges one answer of HTTP.
func (h *hearing) exchange(e exchange) {
	switch {
	case e.media == "text/event-stream" && e.method == http.MethodGet:
		h.stream(e)
	case e.media == "text/event-stream":
		for _, event := range Events(string(e.answer)) {
			h.event(e, event)
		}
	case e.media == "application/json" && e.complete:
		h.body(e)
	case e.status == http.StatusOK && e.complete:
		h.object("%s %s answers with %q", e.method, e.url.Path, e.media)
	}
}

// body judges an answer that is one JSON text: a message, a batch, or the
// refusal of HTTP that is none (RFC 6750, section 3.1).
func (h *hearing) body(e exchange) {
	asked, askedBatch := readSaid(e.body)
	values, batch, err := values(e.answer)
	if err != nil {
		h.object("%s: %v", e.answer, err)
		return
	}
	if object, ok := values[0].(map[string]any); ok && e.status >= http.StatusBadRequest && object["jsonrpc"] == nil {
		if _, ok := object["error"].(string); !ok {
			h.object("neither a message nor a refusal: %s", e.answer)
		}
		return
	}
	if batch && (!askedBatch || e.revision(said{}, nil) != rev20250326) {
		h.object("a batch to who sent none, or in a revision without: %s", e.answer)
		return
	}
	for _, value := range values {
		m, revision := h.answered(e, asked, value)
		h.message(revision, []string{m.Method}, value)
	}
}

// answered returns which of the requests in a POST an answer is for, and its
// revision. Who says that there is none to name has to answer an error: then
// the server may not have been able to read the body, so the revision is the
// header's, unless the body names one that is content with the answer.
func (h *hearing) answered(e exchange, asked []said, value any) (said, string) {
	object, _ := value.(map[string]any)
	id := object["id"]
	if id == nil && (e.status >= http.StatusBadRequest || len(asked) > 1 && object["error"] != nil) {
		if revision := e.revision(asked[0], nil); h.schemas[revision].failure(object) == nil {
			return said{}, revision
		}
		return said{}, e.revision(said{}, nil)
	}
	for _, m := range asked {
		if m.ID != nil && sameJSON(m.ID, id) {
			return m, e.revision(m, []byte(text(value)))
		}
	}
	h.object("an answer to nothing that was asked: %s", text(value))
	return said{}, e.revision(said{}, nil)
}

// event judges one event of the stream that answers a POST.
func (h *hearing) event(e exchange, event Event) {
	value, err := one(event.Data)
	if err != nil || event.Name != "message" {
		h.object("the event %q carries %q: %v", event.Name, event.Data, err)
		return
	}
	asked, _ := readSaid(e.body)
	m, revision := asked[0], e.revision(asked[0], nil)
	if object, _ := value.(map[string]any); object["method"] == nil {
		m, revision = h.answered(e, asked, value)
	}
	h.message(revision, []string{m.Method}, value)
}

// stream judges a stream of HTTP+SSE: the endpoint first, then messages.
func (h *hearing) stream(e exchange) {
	session := ""
	for i, event := range Events(string(e.answer)) {
		if i == 0 {
			_, session, _ = strings.Cut(event.Data, "session_id=")
			if event.Name != "endpoint" || session == "" {
				h.object("a stream begins with %q: %s", event.Name, event.Data)
			}
			continue
		}
		value, err := one(event.Data)
		if err != nil || event.Name != "message" {
			h.object("the event %q carries %q: %v", event.Name, event.Data, err)
			continue
		}
		object, _ := value.(map[string]any)
		h.message(rev20241105, h.posted[session+" "+text(object["id"])], value)
	}
}
