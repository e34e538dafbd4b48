package mcp

import (
	"bytes"
	"sync"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Bounds of open streams on one replica, both transports together.
const (
	maxStreams             = 20_000
	maxStreamsPerPrincipal = 32
)

// party is who the per-principal bound counts: a person, whatever the client.
type party struct{ issuer, subject string }

// streams is the book of what is open on this replica: how many streams in all
// and per person, the HTTP+SSE sessions by id, and who wants to hear of
// changes.
type streams struct {
	draining chan struct{} // closed when the server shuts down

	mu       sync.Mutex
	ended    bool
	open     int
	byParty  map[party]int
	sessions map[string]*session
	changes  map[chan struct{}]struct{} // one slot each: a notice is enough
}

func newStreams() *streams {
	return &streams{
		draining: make(chan struct{}),
		byParty:  map[party]int{},
		sessions: map[string]*session{},
		changes:  map[chan struct{}]struct{}{},
	}
}

// enter counts one stream of p in. The caller must call leave when the stream
// is over. The error is an *oauth.Refusal.
func (s *streams) enter(p oauth.Principal) (leave func(), err error) {
	who := party{p.Issuer, p.Subject}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return nil, draining()
	case s.open >= maxStreams:
		return nil, tooManyStreams("This server has as many open streams as it can hold; try again soon.")
	case s.byParty[who] >= maxStreamsPerPrincipal:
		return nil, tooManyStreams("You have 32 open streams on this server; close one and try again.")
	}
	s.open++
	s.byParty[who]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if s.byParty[who]--; s.byParty[who] == 0 {
			delete(s.byParty, who)
		}
	}, nil
}

// count returns how many streams are open.
func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// drain tells every stream to end and takes no new one.
func (s *streams) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		close(s.draining)
	}
}

// add makes a session findable; remove ends that.
func (s *streams) add(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[session.id] = session
}

func (s *streams) remove(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session.id)
}

// find returns the session id of owner. Somebody else's session is as unknown
// as one that does not exist.
func (s *streams) find(id string, owner oauth.Binding) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session, ok := s.sessions[id]; ok && session.owner == owner {
		return session
	}
	return nil
}

// held returns the session id, if the digest is that of its owner.
func (s *streams) held(id string, owner []byte) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session, ok := s.sessions[id]; ok && bytes.Equal(ownerDigest(id, session.owner), owner) {
		return session
	}
	return nil
}

// watch returns a channel that holds a notice after each change of the list of
// tools. The caller must call stop.
func (s *streams) watch() (notices <-chan struct{}, stop func()) {
	slot := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes[slot] = struct{}{}
	return slot, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.changes, slot)
	}
}

// changed leaves a notice with every watcher that has none yet.
func (s *streams) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for slot := range s.changes {
		select {
		case slot <- struct{}{}:
		default:
		}
	}
}
