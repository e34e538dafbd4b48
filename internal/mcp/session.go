package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// maxCallsInFlight bounds the requests of one session that are not answered yet.
const maxCallsInFlight = 32

// outlet is where the messages of a session go: to its stream, or to the replica
// that holds the stream.
type outlet interface {
	send(message []byte)       // waits for a slow reader, and gives up when nobody reads any more
	offer(message []byte) bool // does not wait; false means there is no room
}

// session is one open HTTP+SSE stream and the calls that will be answered on
// it. It belongs to a party, not to a token: every message brings its own.
//
//	open ──stop()──► stopping: no new calls; those in flight are finished
//	stopping ──last call answered──► idle is closed; the stream ends
type session struct {
	outlet

	id     string // 130 bits, unguessable
	owner  oauth.Binding
	tenant *tenant // nil where the stream is on another replica

	conversation conversation

	mu       sync.Mutex
	stopping bool
	calls    map[string]*flight // by JSON-RPC id as written
	idle     chan struct{}      // closed when stopping and no call is left
}

// flight is one call in flight. It runs here, or on another replica.
type flight struct {
	cancel func()      // does not wait
	remote *remoteCall // nil: it runs here
}

func newSession(owner oauth.Binding, out outlet) *session {
	return &session{id: rand.Text(), owner: owner, outlet: out, idle: make(chan struct{})}
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
	s.note(id, &flight{cancel: cancel})
	return ctx, begun
}

// note puts a call on the book, which an idle session does not have. The lock is
// held.
func (s *session) note(id json.RawMessage, f *flight) {
	if s.calls == nil {
		s.calls = map[string]*flight{}
	}
	s.calls[string(id)] = f
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
		s.forget(string(id))
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
