package credential

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Bounds of the tokens that one source keeps.
const (
	maxTokens = 10_000
	skew      = 30 * time.Second // a token that ends sooner is not used any more
)

// digest stands for whoever a token was given for. Nothing keeps their own
// token.
type digest [sha256.Size]byte

func digestOf(parts ...string) digest { return sha256.Sum256([]byte(strings.Join(parts, "\x00"))) }

// store keeps tokens until they end and has each of them obtained once, however
// many calls want it at the same time. At its bound it forgets any token. It has
// no goroutine: the first call that wants a token obtains it, the others wait.
// Use [newStore].
type store struct {
	now func() time.Time

	mu      sync.Mutex
	tokens  map[digest]*keptToken
	flights map[digest]*flight
}

type keptToken struct {
	issued
	until  time.Time
	reused bool // it has served another call than the one that obtained it
}

// flight is a token that is being obtained. The fields are set before done is
// closed.
type flight struct {
	done      chan struct{}
	abandoned bool // its call ended first, which says nothing for others
	got       issued
	err       error
}

func newStore() *store {
	return &store{now: time.Now, tokens: map[digest]*keptToken{}, flights: map[digest]*flight{}}
}

// get returns the token of key, obtaining it if need be. It is kept until
// shortly before it ends, or before limit if that is earlier; a zero limit is
// none. A token whose end is not known is not kept.
func (s *store) get(ctx context.Context, key digest, limit time.Time, obtain func(context.Context) (issued, error)) (issued, error) {
	for {
		kept, running, mine := s.join(key)
		switch {
		case kept != nil:
			return *kept, nil
		case mine:
			s.fly(ctx, key, limit, running, obtain)
			return running.got, running.err
		}
		select {
		case <-running.done:
			if !running.abandoned {
				return running.got, running.err
			}
		case <-ctx.Done():
			return issued{}, ctx.Err()
		}
	}
}

// join returns a kept token, or the flight that brings one; mine says that the
// caller has to fly it.
func (s *store) join(key digest) (kept *issued, running *flight, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.tokens[key]; ok {
		if s.now().Before(found.until) {
			found.reused = true
			return &found.issued, nil, false
		}
		delete(s.tokens, key)
	}
	if running, ok := s.flights[key]; ok {
		return nil, running, false
	}
	running = &flight{done: make(chan struct{}), abandoned: true, err: context.Canceled}
	s.flights[key] = running
	return nil, running, true
}

func (s *store) fly(ctx context.Context, key digest, limit time.Time, mine *flight, obtain func(context.Context) (issued, error)) {
	defer func() { // also when obtain panics
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.flights, key)
		if mine.err == nil {
			s.keep(key, limit, mine.got)
		}
		close(mine.done)
	}()
	mine.got, mine.err = obtain(ctx)
	mine.abandoned = mine.err != nil && ctx.Err() != nil
}

// keep remembers a token. s.mu must be held.
func (s *store) keep(key digest, limit time.Time, got issued) {
	until := got.expires
	if !limit.IsZero() && limit.Before(until) {
		until = limit
	}
	if until = until.Add(-skew); got.expires.IsZero() || !s.now().Before(until) {
		return
	}
	for other, entry := range s.tokens {
		if len(s.tokens) < maxTokens && s.now().Before(entry.until) {
			break
		}
		delete(s.tokens, other)
	}
	s.tokens[key] = &keptToken{issued: got, until: until}
}

// rejected drops the token of key that stood in header. It reports whether a new
// one may fare better: not when the one that was turned down was new itself.
func (s *store) rejected(key digest, header http.Header) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.tokens[key]
	if !ok {
		return false
	}
	if header.Get("Authorization") != "Bearer "+found.token.Reveal() {
		return true // somebody has replaced it since
	}
	delete(s.tokens, key)
	return found.reused
}
