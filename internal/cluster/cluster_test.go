package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

func newBus(t *testing.T, url, key string, roots *x509.CertPool) *Bus {
	t.Helper()
	bus, err := New(Config{
		URL: secret.New(url), Namespace: "https://mcp.example", Key: secret.New(key), Roots: roots,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return bus
}

// rootsOf returns who signed the store's certificate; nil without TLS.
func rootsOf(t *testing.T, s *teststore.Store) *x509.CertPool {
	t.Helper()
	if s.CAFile == "" {
		return nil
	}
	text, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	return roots
}

// replica runs a bus that replies with what it was sent, reversed in meaning by
// a prefix.
func replica(t *testing.T, s *teststore.Store, key string) *Bus {
	t.Helper()
	return running(t, newBus(t, s.URL, key, rootsOf(t, s)))
}

// running runs bus until the test ends, and waits until it is connected.
func running(t *testing.T, bus *Bus) *Bus {
	t.Helper()
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

// settle lets a bus believe what is in the store, as it does a while after it
// has connected.
func settle(buses ...*Bus) {
	for _, b := range buses {
		b.mu.Lock()
		b.settled = time.Now()
		b.mu.Unlock()
	}
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
	stranger := replica(t, s, "another key")
	settle(a, b, stranger)
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

// A store that starts again is empty until the replicas have written their
// records again. One that comes to know the store only then must not call
// their sessions unknown.
func TestAFreshReplicaCallsNoSessionUnknown(t *testing.T) {
	s := teststore.Start(t)
	fresh := replica(t, s, "key")
	if holder, _, err := fresh.Locate(t.Context(), "s1"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("s1 is at %q: %v, want ErrUnavailable", holder, err)
	}
	settle(fresh)
	if holder, _, err := fresh.Locate(t.Context(), "s1"); holder != "" || err != nil {
		t.Errorf("later, s1 is at %q: %v, want nowhere", holder, err)
	}
}

// The store's certificate is checked, whoever signed it, and its name too.
func TestReplicasTalkOverTLS(t *testing.T) {
	s := teststore.StartTLS(t)
	a, b := replica(t, s, "key"), replica(t, s, "key")
	reply, err := a.Ask(t.Context(), b.Replica(), []byte("hello"))
	if err != nil || string(reply) != "got hello" {
		t.Errorf("reply %q: %v", reply, err)
	}
	_, err = newBus(t, s.URL, "key", nil).connection(t.Context())
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("a certificate that the system does not trust: %v", err)
	}
	byAddress := strings.Replace(s.URL, "localhost", "127.0.0.1", 1)
	_, err = newBus(t, byAddress, "key", rootsOf(t, s)).connection(t.Context())
	if _, ok := errors.AsType[x509.HostnameError](err); !ok {
		t.Errorf("a certificate of another name: %v", err)
	}
}

func TestURLs(t *testing.T) {
	for url, good := range map[string]bool{
		"redis://x": true, "redis://x/": true, "rediss://user:password@x:6380/1": true, "redis://x/one": false, "http://x": false,
	} {
		_, err := New(Config{URL: secret.New(url), Namespace: "n", Key: secret.New("k"), Logger: slog.New(slog.DiscardHandler)})
		if (err == nil) != good {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), url) {
			t.Errorf("%s is repeated: %v", url, err)
		}
	}
}
