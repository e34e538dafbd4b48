package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/valkey-io/valkey-go"
)

// The life of a record.
const (
	recordLife = 45 * time.Second
	renewEvery = 15 * time.Second
	renewBatch = 500 // records in one round trip
	// settleTime is how long after a connection is made a missing record proves
	// nothing: the store may have started again, empty. The other replicas are back
	// within maxBackoff and a dial, and write theirs at once.
	settleTime = 10 * time.Second
)

// maxSessionID bounds what is looked up, in bytes.
const maxSessionID = 128

// record says where a session is. Its owner is a digest: no names.
type record struct {
	Replica string `json:"replica"`
	Owner   []byte `json:"owner"`
}

// Hold records that session is on this replica and belongs to owner, a digest,
// until [Bus.Release]. While the store cannot be reached the record waits; it
// is written when the store is back. ctx bounds the wait, which is short.
func (b *Bus) Hold(ctx context.Context, session string, owner []byte) {
	b.mu.Lock()
	b.held[session] = owner
	b.mu.Unlock()
	client, err := b.store()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if err := client.Do(ctx, b.write(client, session, owner)).Error(); err != nil {
		b.logger.WarnContext(ctx, "a session was not recorded in the cluster's store; trying again", slog.String("error", err.Error()))
		b.renewSoon()
	}
}

// Release forgets a session. A record that cannot be deleted now expires.
func (b *Bus) Release(ctx context.Context, session string) {
	b.mu.Lock()
	delete(b.held, session)
	b.mu.Unlock()
	client, err := b.store()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandTimeout)
	defer cancel()
	_ = client.Do(ctx, client.B().Del().Key(b.key(session)).Build()).Error()
}

// Locate returns the replica that holds session and the digest of its owner; no
// replica means there is no such session. The error wraps [ErrUnavailable].
func (b *Bus) Locate(ctx context.Context, session string) (replica string, owner []byte, err error) {
	if session == "" || len(session) > maxSessionID {
		return "", nil, nil
	}
	client, err := b.store()
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	key := b.key(session)
	text, err := client.Do(ctx, client.B().Get().Key(key).Build()).ToString()
	switch {
	case valkey.IsValkeyNil(err):
		b.mu.Lock()
		defer b.mu.Unlock()
		if time.Now().Before(b.settled) {
			return "", nil, fmt.Errorf("%w: the records are being written again", ErrUnavailable)
		}
		return "", nil, nil
	case err != nil:
		return "", nil, errors.Join(ErrUnavailable, err)
	}
	plain, ok := b.sealer.Open(text, key)
	var r record
	if !ok || json.Unmarshal(plain, &r) != nil {
		b.logger.WarnContext(ctx, "a record in the cluster's store is not ours; do all replicas have the same SESSION_KEY?")
		return "", nil, nil
	}
	return r.Replica, r.Owner, nil
}

// write is the command that records a session.
func (b *Bus) write(client valkey.Client, session string, owner []byte) valkey.Completed {
	plain, _ := json.Marshal(record{b.replica, owner}) // cannot fail
	key := b.key(session)
	return client.B().Set().Key(key).Value(b.sealer.Seal(plain, key)).Px(recordLife).Build()
}

func (b *Bus) renewSoon() {
	select {
	case b.renew <- struct{}{}:
	default:
	}
}

// renewRecords writes every record again, in time and after each new
// connection.
func (b *Bus) renewRecords(ctx context.Context) {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-b.renew:
		case <-ctx.Done():
			return
		}
		b.mu.Lock()
		held := maps.Clone(b.held)
		b.mu.Unlock()
		for batch := range slices.Chunk(slices.Collect(maps.Keys(held)), renewBatch) {
			b.renewSome(ctx, batch, held)
		}
	}
}

func (b *Bus) renewSome(ctx context.Context, sessions []string, held map[string][]byte) {
	client, err := b.store()
	if err != nil {
		return // the next connection renews
	}
	var commands []valkey.Completed
	for _, session := range sessions {
		commands = append(commands, b.write(client, session, held[session]))
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	for _, result := range client.DoMulti(ctx, commands...) {
		if err := result.Error(); err != nil {
			b.logger.WarnContext(ctx, "sessions were not recorded in the cluster's store", slog.String("error", err.Error()))
			return
		}
	}
}
