package replicas

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
)

const (
	callsEach = 1000            // on each transport
	loadTime  = 3 * time.Minute // for all of them, on a busy machine
)

// What an SDK client is promised while a replica is killed and the store is
// gone: a call is answered once, or fails with an error that allows another
// attempt, which then succeeds. Nothing that was accepted is silently dropped.
func TestReq082_Req083_CallsOutliveReplicasAndTheStore(t *testing.T) {
	for name, test := range map[string]struct {
		replicas int
		store    func(testing.TB) *teststore.Store
	}{
		"two replicas":                         {2, teststore.Start},
		"three replicas, a store that has TLS": {3, teststore.StartTLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, test.replicas, test.store(t), 40*time.Millisecond)
			loads := f.startLoads(t)
			f.disturb(t, loads)
			loads.wait()
			failed := 0
			for _, l := range loads.all() {
				l.report(t, callsEach)
				for _, times := range l.failures {
					failed += times
				}
			}
			f.proxy.witness.report(t)
			if failed == 0 {
				t.Error("no call failed, so the kills hit nothing")
			}
			if twice := f.api.twice(); len(twice) > 0 {
				t.Errorf("attempts that reached the API more than once: %v", twice)
			}
			loads.close()
		})
	}
}

// loads is both transports at work.
type loads struct {
	sse, streamable *load

	running sync.WaitGroup
	mu      sync.Mutex
	shares  []*share
}

// startLoads begins all calls, of one person with a good token.
func (f *fleet) startLoads(t *testing.T) *loads {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), loadTime)
	t.Cleanup(cancel)
	token := f.system.Token("ana")
	always := func() string { return token }
	l := &loads{
		sse:        newLoad("HTTP+SSE", callsEach, f.sseClient(always)),
		streamable: newLoad("Streamable HTTP", callsEach, f.streamableClient(always, "2026-07-28")),
	}
	for _, one := range l.all() {
		l.running.Go(func() {
			shares := one.run(ctx, 6)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.shares = append(l.shares, shares...)
		})
	}
	return l
}

func (l *loads) all() []*load { return []*load{l.sse, l.streamable} }

func (l *loads) wait() { l.running.Wait() }

// close ends the sessions that are still open.
func (l *loads) close() {
	for _, share := range l.shares {
		share.drop(share.session)
	}
}

// goesOn waits until so many more calls are answered on each transport, or all
// of them.
func (l *loads) goesOn(t *testing.T, what string, calls int) {
	t.Helper()
	wanted := map[*load]int{}
	for _, one := range l.all() {
		wanted[one] = min(one.done()+calls, callsEach)
	}
	for one, want := range wanted {
		apptest.Eventually(t, fmt.Sprintf("%s: %d calls of %s are answered", what, want, one.name), func() bool { return one.done() >= want })
	}
}

// disturb kills, stops and starts again, while calls go on.
func (f *fleet) disturb(t *testing.T, loads *loads) {
	t.Helper()
	const some = 60
	loads.goesOn(t, "with all replicas", some)
	f.replicas[0].Kill()
	loads.goesOn(t, "without one replica", some)
	f.replace(0)
	loads.goesOn(t, "with a new replica", some)
	f.store.Stop()
	refused, answered, streamable := f.proxy.witness.refusals(), f.proxy.witness.answers(), loads.streamable.done()
	apptest.Eventually(t, "messages for other replicas' streams are refused", func() bool { return f.proxy.witness.refusals() >= refused+some/3 })
	apptest.Eventually(t, "messages for a replica's own streams are answered", func() bool { return f.proxy.witness.answers() >= answered+some/3 })
	apptest.Eventually(t, "the other transport goes on", func() bool { return loads.streamable.done() >= streamable+some })
	f.store.Start()
	loads.goesOn(t, "with the store again", some)
	// Both at once: the new replica comes to know an empty store.
	f.replicas[1].Kill()
	f.store.Stop()
	f.store.Start()
	f.replace(1)
	for _, one := range loads.all() {
		if one.done() == callsEach {
			t.Errorf("%s was over before everything was disturbed", one.name)
		}
	}
	loads.goesOn(t, "after both", some)
}
