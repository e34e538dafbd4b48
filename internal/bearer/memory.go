package bearer

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Bounds of what is remembered of tokens, for each kind of memory.
const (
	maxRemembered      = 10_000
	maxRememberedBytes = 32 << 20
)

// sweep is how many memories are looked at for being over when one is added.
const sweep = 4

// fingerprint stands for a token: its SHA-256. Nothing keeps the token itself.
type fingerprint [sha256.Size]byte

func fingerprintOf(raw string) fingerprint { return sha256.Sum256([]byte(raw)) }

// memory keeps a value for each of many tokens, each until its own end. At its
// bounds it forgets any: which one, nobody can aim at, and a hit has no order to
// keep. Its zero value is ready.
type memory[V any] struct {
	mu      sync.RWMutex
	entries map[fingerprint]remembered[V]
	bytes   int
	epoch   uint64 // grows when something is forgotten on purpose
}

type remembered[V any] struct {
	value V
	until time.Time
	size  int // bytes
}

// get returns what is remembered of a token at the time now.
func (m *memory[V]) get(of fingerprint, now time.Time) (V, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found, ok := m.entries[of]
	if !ok || !now.Before(found.until) {
		var none V
		return none, false
	}
	return found.value, true
}

// begin returns the epoch, which a value that is being found out belongs to.
func (m *memory[V]) begin() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.epoch
}

// put remembers value of size bytes until its end, unless something was
// forgotten on purpose since epoch: value may have been found out before.
func (m *memory[V]) put(of fingerprint, value V, size int, now, until time.Time, epoch uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if epoch != m.epoch || size > maxRememberedBytes || !now.Before(until) {
		return
	}
	m.drop(of)
	looked := 0
	for other, entry := range m.entries {
		if looked == sweep {
			break
		}
		looked++
		if !now.Before(entry.until) {
			m.drop(other)
		}
	}
	for other := range m.entries {
		if len(m.entries) < maxRemembered && m.bytes+size <= maxRememberedBytes {
			break
		}
		m.drop(other)
	}
	if m.entries == nil {
		m.entries = map[fingerprint]remembered[V]{}
	}
	m.entries[of] = remembered[V]{value, until, size}
	m.bytes += size
}

// forget drops what matches, also what is being found out right now.
func (m *memory[V]) forget(matches func(V) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	for of, entry := range m.entries {
		if matches(entry.value) {
			m.drop(of)
		}
	}
}

// drop removes one value. m.mu must be held.
func (m *memory[V]) drop(of fingerprint) {
	if entry, ok := m.entries[of]; ok {
		m.bytes -= entry.size
		delete(m.entries, of)
	}
}

// len returns how many values there are, those that are over included.
func (m *memory[V]) len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.entries)
}
