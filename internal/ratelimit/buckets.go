package ratelimit

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tecrolabs.dev/oauth-mcp-server/internal/generations"
)

// buckets are the buckets of one limit on this replica, one for each key. A
// bucket that is forgotten after its period is full again: that is what it would
// have been.
type buckets struct {
	kind string // a word for keys, reasons and metrics
	rate Rate

	mu   sync.Mutex // guards what is in the buckets
	held *generations.Map[*bucket]
}

type bucket struct {
	tokens *rate.Limiter
	until  time.Time // what the store said; no token before
}

func newBuckets(kind string, r Rate) *buckets {
	return &buckets{kind: kind, rate: r, held: generations.New[*bucket](maxBuckets, max(r.Per, time.Second))}
}

// String says how often is allowed.
func (b *buckets) String() string {
	return fmt.Sprintf("%d in %d seconds", b.rate.Count, int64(b.rate.Per.Seconds()))
}

func (b *buckets) claim(now time.Time, key string) *bucket {
	found, _ := b.held.Claim(now, key, func() *bucket {
		return &bucket{tokens: rate.NewLimiter(rate.Limit(float64(b.rate.Count)/b.rate.Per.Seconds()), b.rate.Count)}
	})
	return found
}

// take takes a token of key and returns how to give it back, or how long until
// there is one.
func (b *buckets) take(now time.Time, key string) (back func(), wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	reservation := b.claim(now, key).tokens.ReserveN(now, 1)
	if wait := reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return nil, wait
	}
	return func() { reservation.CancelAt(now) }, 0
}

// blocked returns how long key has to wait for its next token, 0 when there is
// one, and takes none.
func (b *buckets) blocked(now time.Time, key string) time.Duration {
	if !b.rate.limits() {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	found, known := b.held.Get(now, key)
	if !known {
		return 0
	}
	wait := max(found.until.Sub(now), 0)
	if missing := 1 - found.tokens.TokensAt(now); missing > 0 {
		wait = max(wait, time.Duration(missing/float64(found.tokens.Limit())*float64(time.Second)))
	}
	return wait
}

// block notes that key has to wait, whatever this replica counted.
func (b *buckets) block(now time.Time, key string, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := b.claim(now, key)
	if until := now.Add(wait); until.After(found.until) {
		found.until = until
	}
}
