package cluster

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// replica runs a bus that replies with what it was sent, reversed in meaning by
// a prefix.
func replica(t *testing.T, s *teststore.Store, key string) *Bus {
	t.Helper()
	bus, err := New(Config{
		URL: secret.New(s.URL), Namespace: "https://mcp.example", Key: secret.New(key),
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- bus.Run(ctx, func(_ context.Context, _ string, message []byte) []byte {
			return append([]byte("got "), message...)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "connected", func() bool { ok, _ := bus.Reachable(); return ok })
	return bus
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestReplicasFindSessionsAndTalk(t *testing.T) {
	s := teststore.Start(t)
	a, b := replica(t, s, "key"), replica(t, s, "key")
	a.Hold(t.Context(), "s1", []byte("owner"))
	holder, owner, err := b.Locate(t.Context(), "s1")
	if err != nil || holder != a.Replica() || string(owner) != "owner" {
		t.Errorf("s1 is at %q of %q: %v", holder, owner, err)
	}
	reply, err := b.Ask(t.Context(), holder, []byte("hello"))
	if err != nil || string(reply) != "got hello" {
		t.Errorf("reply %q: %v", reply, err)
	}
	if _, err := b.Ask(t.Context(), "nobody", []byte("hello")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a replica that is not there: %v", err)
	}
	stranger := replica(t, s, "another key")
	if holder, _, err := stranger.Locate(t.Context(), "s1"); holder != "" || err != nil {
		t.Errorf("with another key, s1 is at %q: %v", holder, err)
	}
	if _, err := stranger.Ask(t.Context(), a.Replica(), []byte("hello")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a message under another key: %v", err)
	}
	a.Release(t.Context(), "s1")
	if holder, _, err := b.Locate(t.Context(), "s1"); holder != "" || err != nil {
		t.Errorf("after its release, s1 is at %q: %v", holder, err)
	}
}

func TestEverythingHealsAfterTheStoreIsBack(t *testing.T) {
	s := teststore.Start(t)
	a, b := replica(t, s, "key"), replica(t, s, "key")
	a.Hold(t.Context(), "before", []byte("owner"))
	s.Stop()
	eventually(t, "both know", func() bool {
		x, _ := a.Reachable()
		y, _ := b.Reachable()
		return !x && !y
	})
	if _, _, err := b.Locate(t.Context(), "before"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
	a.Hold(t.Context(), "during", []byte("owner"))
	s.Start()
	for _, session := range []string{"before", "during"} {
		eventually(t, session+" is found again", func() bool {
			holder, _, err := b.Locate(t.Context(), session)
			if err == nil && holder == "" {
				t.Fatalf("%s was called unknown", session)
			}
			return err == nil && holder == a.Replica()
		})
	}
	reply, err := b.Ask(t.Context(), a.Replica(), []byte("hello"))
	if err != nil || string(reply) != "got hello" {
		t.Errorf("reply %q: %v", reply, err)
	}
}
