package authcode

import (
	"sync"
	"time"
)

// generations is a bounded map that forgets: entries live in the current
// generation until it is old or full, then one more generation, then they are
// gone. So an entry lives at least lifetime unless more than limit newer ones
// came, at most twice that, and there are never more than two times limit
// entries. No goroutine cleans it. It is safe for concurrent use.
type generations[V any] struct {
	limit    int
	lifetime time.Duration

	mu                sync.Mutex
	current, previous map[string]V
	since             time.Time // when current began
}

func newGenerations[V any](limit int, lifetime time.Duration) *generations[V] {
	return &generations[V]{limit: limit, lifetime: lifetime, current: map[string]V{}}
}

// turn drops what is too old at now. It expects the lock.
func (g *generations[V]) turn(now time.Time) {
	age := now.Sub(g.since)
	if age < g.lifetime && len(g.current) < g.limit {
		return
	}
	g.previous = g.current
	if age >= 2*g.lifetime {
		g.previous = nil
	}
	g.current, g.since = map[string]V{}, now
}

func (g *generations[V]) find(key string) (V, bool) {
	if value, ok := g.current[key]; ok {
		return value, true
	}
	value, ok := g.previous[key]
	return value, ok
}

// get returns the entry of key.
func (g *generations[V]) get(now time.Time, key string) (V, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	return g.find(key)
}

// put sets the entry of key.
func (g *generations[V]) put(now time.Time, key string, value V) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	g.current[key] = value
}

// claim returns the entry of key, making it with fresh when there is none, and
// whether it was made. The entry moves into the current generation, so one that
// is in use is not forgotten.
func (g *generations[V]) claim(now time.Time, key string, fresh func() V) (value V, made bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	value, found := g.find(key)
	if !found {
		value = fresh()
	}
	g.current[key] = value
	return value, !found
}
