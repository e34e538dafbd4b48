// Package generations is a bounded memory that forgets by itself: for limits,
// single use and the like, where forgetting early would be wrong, late is
// harmless, and growing is not allowed.
package generations

import (
	"sync"
	"time"
)

// Map is a bounded map that forgets: entries live in the current
// generation until it is old or full, then one more generation, then they are
// gone. So an entry lives at least lifetime unless more than limit newer ones
// came, at most twice that, and there are never more than two times limit
// entries. No goroutine cleans it. Use [New]. It is safe for concurrent use.
type Map[V any] struct {
	limit    int
	lifetime time.Duration

	mu                sync.Mutex
	current, previous map[string]V
	since             time.Time // when current began
}

// New returns a Map that holds up to twice limit entries, for lifetime at least.
func New[V any](limit int, lifetime time.Duration) *Map[V] {
	return &Map[V]{limit: limit, lifetime: lifetime, current: map[string]V{}}
}

// turn drops what is too old at now. It expects the lock.
func (g *Map[V]) turn(now time.Time) {
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

func (g *Map[V]) find(key string) (V, bool) {
	if value, ok := g.current[key]; ok {
		return value, true
	}
	value, ok := g.previous[key]
	return value, ok
}

// Get returns the entry of key.
func (g *Map[V]) Get(now time.Time, key string) (V, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	return g.find(key)
}

// Put sets the entry of key.
func (g *Map[V]) Put(now time.Time, key string, value V) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	g.current[key] = value
}

// Claim returns the entry of key, making it with fresh when there is none, and
// whether it was made. The entry moves into the current generation, so one that
// is in use is not forgotten.
func (g *Map[V]) Claim(now time.Time, key string, fresh func() V) (value V, made bool) {
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

// Len returns how many entries are remembered.
func (g *Map[V]) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.current)
	for key := range g.previous {
		if _, moved := g.current[key]; !moved {
			n++
		}
	}
	return n
}
