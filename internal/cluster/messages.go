package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Bounds of messages.
const (
	askTimeout = 3 * time.Second // for the reply of another replica
	maxQueued  = 1024            // messages that wait, in each direction
	maxPending = 8192            // replies that are waited for
	workers    = 4               // that hand messages over
)

// envelope is a message as it travels, sealed for its channel.
type envelope struct {
	From  string `json:"from"`
	ID    string `json:"id"`              // of an ask and its reply; empty where no reply is wanted
	Reply bool   `json:"reply,omitempty"` // this is the reply
	Body  []byte `json:"body"`
}

// parcel is a message that nobody waits for.
type parcel struct {
	replica string
	message envelope
}

// Ask sends message to replica and returns its reply. The error wraps
// [ErrUnavailable] when no reply came in time; the message may have arrived all
// the same.
func (b *Bus) Ask(ctx context.Context, replica string, message []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	id, reply := rand.Text(), make(chan []byte, 1)
	b.mu.Lock()
	if len(b.pending) >= maxPending {
		b.mu.Unlock()
		return nil, fmt.Errorf("%w: too many messages wait for a reply", ErrUnavailable)
	}
	b.pending[id] = reply
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.pending, id)
	}()
	if err := b.publish(ctx, replica, envelope{From: b.replica, ID: id, Body: message}); err != nil {
		return nil, err
	}
	select {
	case body := <-reply:
		return body, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: the other replica does not reply", ErrUnavailable)
	}
}

// Tell sends message to replica, if it can. It does not wait.
func (b *Bus) Tell(replica string, message []byte) {
	b.post(parcel{replica, envelope{From: b.replica, Body: message}})
}

func (b *Bus) post(p parcel) {
	select {
	case b.outbox <- p:
	default: // the store is away or slow; who asked asks again
	}
}

// publish sends one envelope. The error wraps [ErrUnavailable].
func (b *Bus) publish(ctx context.Context, replica string, message envelope) error {
	client, err := b.store()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	plain, _ := json.Marshal(message) // cannot fail
	channel := b.channel(replica)
	listeners, err := client.Do(ctx, client.B().Publish().Channel(channel).Message(b.sealer.Seal(plain, channel)).Build()).AsInt64()
	if err != nil {
		return errors.Join(ErrUnavailable, err)
	}
	if listeners == 0 {
		return fmt.Errorf("%w: the other replica is not connected", ErrUnavailable)
	}
	return nil
}

// sendParcels publishes what nobody waits for.
func (b *Bus) sendParcels(ctx context.Context) {
	for {
		select {
		case p := <-b.outbox:
			if err := b.publish(ctx, p.replica, p.message); err != nil {
				b.logger.DebugContext(ctx, "a message for another replica was dropped", slog.String("error", err.Error()))
			}
		case <-ctx.Done():
			return
		}
	}
}

// take queues what came. It must not wait: the connection is read by it.
func (b *Bus) take(ctx context.Context, text string) {
	select {
	case b.inbox <- text:
	default:
		b.logger.WarnContext(ctx, "a message of another replica was dropped: too many wait")
	}
}

// work hands messages to handle and replies to those who wait for them.
func (b *Bus) work(ctx context.Context, handle Handler) {
	for {
		select {
		case text := <-b.inbox:
			b.open(ctx, text, handle)
		case <-ctx.Done():
			return
		}
	}
}

func (b *Bus) open(ctx context.Context, text string, handle Handler) {
	plain, ok := b.sealer.Open(text, b.channel(b.replica))
	var message envelope
	if !ok || json.Unmarshal(plain, &message) != nil {
		b.logger.WarnContext(ctx, "a message in the cluster's store is not ours; do all replicas have the same SESSION_KEY?")
		return
	}
	if message.Reply {
		b.mu.Lock()
		defer b.mu.Unlock()
		if waiting, ok := b.pending[message.ID]; ok {
			delete(b.pending, message.ID)
			waiting <- message.Body // has room for the one reply
		}
		return
	}
	reply := handle(ctx, message.From, message.Body)
	if message.ID != "" {
		b.post(parcel{message.From, envelope{From: b.replica, ID: message.ID, Reply: true, Body: reply}})
	}
}
