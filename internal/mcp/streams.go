package mcp

import (
	"bytes"
	"context"
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

// streams is the book of what is open on this replica: every stream, how many
// each person has, and the HTTP+SSE sessions by id.
type streams struct {
	running sync.WaitGroup // one for each stream

	mu       sync.Mutex
	ended    bool
	open     map[*tenant]struct{}
	byParty  map[party]int
	sessions map[string]*session
}

func newStreams() *streams {
	return &streams{
		open:     map[*tenant]struct{}{},
		byParty:  map[party]int{},
		sessions: map[string]*session{},
	}
}

// enter counts one stream of p in. [tenant.leave] counts it out. The error is an
// *oauth.Refusal.
func (s *streams) enter(p oauth.Principal) (*tenant, error) {
	who := party{p.Issuer, p.Subject}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return nil, draining()
	case len(s.open) >= maxStreams:
		return nil, tooManyStreams("This server has as many open streams as it can hold; try again soon.")
	case s.byParty[who] >= maxStreamsPerPrincipal:
		return nil, tooManyStreams("You have 32 open streams on this server; close one and try again.")
	}
	t := newTenant(s, p)
	s.open[t] = struct{}{}
	s.byParty[who]++
	s.running.Add(1)
	return t, nil
}

// leave counts a stream out.
func (s *streams) leave(t *tenant) {
	who := party{t.owner.Issuer, t.owner.Subject}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, t)
	if s.byParty[who]--; s.byParty[who] == 0 {
		delete(s.byParty, who)
	}
	s.running.Done()
}

// count returns how many streams are open.
func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// tenants returns what is open now.
func (s *streams) tenants() []*tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	tenants := make([]*tenant, 0, len(s.open))
	for t := range s.open {
		tenants = append(tenants, t)
	}
	return tenants
}

// drain tells every stream to end and takes no new one.
func (s *streams) drain() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.end(endShutdown, func(oauth.Binding, string) bool { return true })
}

// end ends every stream that match wants ended, by whose it is and the id of the
// newest token used on it.
func (s *streams) end(why string, match func(owner oauth.Binding, tokenID string) bool) {
	for _, t := range s.tenants() {
		if t.matches(match) {
			t.end(why)
		}
	}
}

// wait waits until no stream is open. When ctx ends before, it cuts the
// connections and returns the reason; the calls of the streams may then still be
// on their way out.
func (s *streams) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { // ends with the last stream
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, t := range s.tenants() {
		t.cut()
	}
	return context.Cause(ctx)
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

// announce leaves a message with every HTTP+SSE stream that has not written an
// earlier one of its kind.
func (s *streams) announce(kind string, message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		session.announce(kind, message)
	}
}
