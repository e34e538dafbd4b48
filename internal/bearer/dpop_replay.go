package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Bounds of the memory for used proofs.
const (
	maxUsedProofs = 250_000         // in one proofLife, on one replica: 2,000 a second
	proofLife     = 2 * proofWindow // from the first use to when its time alone refuses it
)

// Who remembers that a proof was used.
const (
	localMemory  = "local"  // this replica
	sharedMemory = "shared" // all replicas
)

// unused takes a proof that is good otherwise, once (RFC 9449 section 11.1). This
// replica remembers it, and so do the others if they share a memory. One that
// cannot be reached costs nobody the request: the proof is still bound to method,
// URL, token, key and minute (docs/adr/0019-bound-tokens.md).
func (b *binding) unused(ctx context.Context, p *proof) (memory string, err error) {
	replayed := func() error {
		return ProofReplayed.refuseProof("The DPoP proof was used before; make a new one, with its own jti, for each request.", nil)
	}
	id := sha256.Sum256([]byte(p.jkt + "\x00" + p.claims.id))
	switch b.used.take(id) {
	case proofAgain:
		return localMemory, replayed()
	case proofNoRoom:
		refusal := oauth.Unavailable("Too many DPoP proofs were used in the last minutes to remember another one; the token was not refused; try again shortly.", proofWindow, nil)
		refusal.Reason = string(ProofsFull)
		return localMemory, refusal
	case proofFresh:
	}
	if b.cfg.Shared == nil {
		return localMemory, nil
	}
	first, err := b.cfg.Shared.Claim(ctx, "dpop:"+hex.EncodeToString(id[:]), proofLife)
	switch {
	case err != nil:
		return localMemory, nil //nolint:nilerr // the store says itself that it is away
	case !first:
		return sharedMemory, replayed()
	}
	return sharedMemory, nil
}

// taking is what became of a proof.
type taking int

const (
	proofFresh taking = iota
	proofAgain
	proofNoRoom
)

// usedProofs remembers proofs for at least proofLife, in two generations of at
// most maxUsedProofs. It never forgets one early to make room: then a flood would
// open the door for a replay. It is safe for concurrent use.
type usedProofs struct {
	now   func() time.Time
	limit int

	mu                sync.Mutex
	current, previous map[[sha256.Size]byte]struct{}
	since             time.Time // when current began
}

func newUsedProofs(now func() time.Time) *usedProofs {
	return &usedProofs{now: now, limit: maxUsedProofs, current: map[[sha256.Size]byte]struct{}{}}
}

func (u *usedProofs) take(id [sha256.Size]byte) taking {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	if age := now.Sub(u.since); age >= proofLife {
		u.previous = u.current
		if age >= 2*proofLife {
			u.previous = nil
		}
		u.current, u.since = map[[sha256.Size]byte]struct{}{}, now
	}
	if _, again := u.current[id]; again {
		return proofAgain
	}
	if _, again := u.previous[id]; again {
		return proofAgain
	}
	if len(u.current) >= u.limit {
		return proofNoRoom
	}
	u.current[id] = struct{}{}
	return proofFresh
}

// proofCounter counts proofs by what became of them.
func proofCounter(meter metric.Meter) (metric.Int64Counter, error) {
	if meter == nil {
		meter = noop.Meter{}
	}
	return meter.Int64Counter("oauth_mcp_server.dpop.proofs",
		metric.WithDescription("DPoP proofs by result, and by who remembers that they were used."), metric.WithUnit("1"))
}

func (b *binding) counted(ctx context.Context, memory string, err error) {
	result := "ok"
	if err != nil {
		result = oauth.AsRefusal(err).Reason
	}
	attributes := []attribute.KeyValue{attribute.String("result", result)}
	if memory != "" {
		attributes = append(attributes, attribute.String("replay.memory", memory))
	}
	b.count.Add(ctx, 1, metric.WithAttributes(attributes...))
}
