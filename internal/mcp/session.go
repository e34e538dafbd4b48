package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Bounds of one HTTP+SSE session.
const (
	maxCallsInFlight = 32 // requests of one session that are not answered yet
	maxQueued        = 64 // answers that wait for a slow reader
)

// session is one open HTTP+SSE stream and the calls that will be answered on
// it. It belongs to a party, not to a token: every message brings its own, and
// the newest expiry seen is how long the stream may stay open.
//
//	open ──stop()──► stopping: no new calls; those in flight are finished
//	stopping ──last call answered──► idle is closed; the stream ends
type session struct {
	id    string // 130 bits, unguessable
	owner oauth.Binding
	queue chan []byte   // answers for the stream
	gone  chan struct{} // closed when nobody reads the stream any more

	conversation conversation

	mu       sync.Mutex
	stopping bool
	expiry   time.Time
	calls    map[string]*flight // by JSON-RPC id as written
	idle     chan struct{}      // closed when stopping and no call is left
}

// flight is one call in flight. It runs here, or on another replica.
type flight struct {
	cancel func()      // does not wait
	remote *remoteCall // nil: it runs here
}

func newSession(p oauth.Principal) *session {
	return &session{
		id:     rand.Text(),
		owner:  p.Binding(),
		queue:  make(chan []byte, maxQueued),
		gone:   make(chan struct{}),
		expiry: p.Expiry,
		calls:  map[string]*flight{},
		idle:   make(chan struct{}),
	}
}

// beginning is why a call cannot begin.
type beginning int

const (
	begun beginning = iota
	sessionEnding
	tooManyCalls
	idInUse
)

// begin takes a call in. When it answers begun, the caller must run the call
// under ctx and then call end.
func (s *session) begin(parent context.Context, id json.RawMessage) (context.Context, beginning) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state := s.room(id); state != begun {
		return nil, state
	}
	ctx, cancel := context.WithCancel(parent)
	s.calls[string(id)] = &flight{cancel: cancel}
	return ctx, begun
}

// room reports whether a call with this id can begin. The lock is held.
func (s *session) room(id json.RawMessage) beginning {
	if s.stopping {
		return sessionEnding
	}
	if len(s.calls) >= maxCallsInFlight {
		return tooManyCalls
	}
	if _, taken := s.calls[string(id)]; taken {
		return idInUse
	}
	return begun
}

// end closes the book on a call, after its answer was queued.
func (s *session) end(id json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if call, ok := s.calls[string(id)]; ok {
		call.cancel()
		delete(s.calls, string(id))
	}
	s.closeIfIdle()
}

// cancel stops a call at the client's wish. An id that is not in flight is
// ignored: the answer may just have been sent.
func (s *session) cancel(id json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if call, ok := s.calls[string(id)]; ok {
		call.cancel()
	}
}

// stop takes no more calls. With abandon the calls in flight are cancelled,
// because nobody will read their answers.
func (s *session) stop(abandon bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	if abandon {
		select {
		case <-s.gone:
		default:
			close(s.gone)
		}
		for id, call := range s.calls {
			call.cancel()
			if call.remote != nil { // nothing of it runs here
				s.forget(id)
			}
		}
	}
	s.closeIfIdle()
}

func (s *session) closeIfIdle() {
	if s.stopping && len(s.calls) == 0 {
		select {
		case <-s.idle:
		default:
			close(s.idle)
		}
	}
}

// extend lets the stream live as long as the newest token that was used on it.
func (s *session) extend(expiry time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if expiry.After(s.expiry) {
		s.expiry = expiry
	}
}

// expires returns when the newest token seen ends.
func (s *session) expires() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expiry
}

// send queues one message for the stream. It waits for a slow reader, who is
// cut off within the write deadline, and gives up when nobody reads any more.
func (s *session) send(data []byte) {
	select {
	case s.queue <- data:
	case <-s.gone:
	}
}
