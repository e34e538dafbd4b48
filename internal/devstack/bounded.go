package devstack

import (
	"slices"
	"sync"
)

// Bounds of everything that grows while the stack runs. At its bound each
// collection forgets its oldest element: a stack that runs for weeks goes on
// working.
const (
	maxClients       = 500
	maxDocuments     = 100 // client id metadata documents in the cache
	maxPending       = 256 // authorization requests waiting for a person
	maxSessions      = 256
	maxConsents      = 1000
	maxCodes         = 1000
	maxIssued        = 20000
	maxOtusRequests  = 2000
	maxPublishedKeys = 4
	maxOpaque        = 1000 // tokens that only introspection can read
	maxRevoked       = 1000
)

// bounded is a map that forgets its oldest element when it is full. It has no
// lock: its owner has one.
type bounded[K comparable, V any] struct {
	max   int
	items map[K]V
	order []K
}

func newBounded[K comparable, V any](limit int) *bounded[K, V] {
	return &bounded[K, V]{max: limit, items: make(map[K]V)}
}

func (b *bounded[K, V]) get(key K) (V, bool) {
	value, ok := b.items[key]
	return value, ok
}

func (b *bounded[K, V]) put(key K, value V) {
	if _, exists := b.items[key]; !exists {
		if len(b.order) >= b.max {
			delete(b.items, b.order[0])
			b.order = slices.Delete(b.order, 0, 1)
		}
		b.order = append(b.order, key)
	}
	b.items[key] = value
}

func (b *bounded[K, V]) remove(key K) {
	if _, exists := b.items[key]; !exists {
		return
	}
	delete(b.items, key)
	b.order = slices.DeleteFunc(b.order, func(other K) bool { return other == key })
}

// journal keeps the last entries of something that happens again and again.
type journal[T any] struct {
	max int

	mu      sync.Mutex
	entries []T
}

func (j *journal[T]) add(entry T) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.entries) >= j.max {
		j.entries = slices.Delete(j.entries, 0, 1)
	}
	j.entries = append(j.entries, entry)
}

func (j *journal[T]) list() []T {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}
