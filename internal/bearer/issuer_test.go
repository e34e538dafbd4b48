package bearer

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// onFakeTime makes a Verifier follow the bubble's clock.
func onFakeTime(c *Config) { c.Now = nil }

// run starts v.Run and waits for its end when the test ends.
func run(t *testing.T, v *Verifier) {
	t.Helper()
	var group sync.WaitGroup
	group.Go(func() {
		if err := v.Run(t.Context()); err != nil { // ends just before the cleanup
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(group.Wait)
}

func wantGood(tb testing.TB, v *Verifier, token secret.Value) {
	tb.Helper()
	if _, err := v.Verify(tb.Context(), token); err != nil {
		tb.Errorf("a good token was refused: %v", err)
	}
}

func wantUnavailable(tb testing.TB, v *Verifier, token secret.Value) {
	tb.Helper()
	_, err := v.Verify(tb.Context(), token)
	refusal := refusalOf(tb, err, KeysUnavailable, token)
	if refusal.Status != http.StatusServiceUnavailable || refusal.RetryAfter < time.Second || refusal.RetryAfter > refetchPause || refusal.Challenge {
		tb.Errorf("%d, retry after %s, challenge %v", refusal.Status, refusal.RetryAfter, refusal.Challenge)
	}
	if refusal.RetryAfter%time.Second != 0 {
		tb.Errorf("retry after %s, which is not whole seconds", refusal.RetryAfter)
	}
}

func wantReason(tb testing.TB, v *Verifier, token secret.Value, want Reason) {
	tb.Helper()
	_, err := v.Verify(tb.Context(), token)
	wantRefusal(tb, err, want, token)
}

// unknown is a token with a random key id. Nobody gets as far as its signature.
func unknown(issuer string) secret.Value {
	return secret.New(b64(`{"alg":"RS256","kid":"`+rand.Text()+`"}`) + "." + b64(`{"iss":"`+issuer+`"}`) + ".c2lnbmF0dXJl")
}

func TestReq043_RandomKeyIDsCostOneFetch(t *testing.T) {
	provider := startIDP(t, rsaKey())
	server := httptest.NewServer(provider)
	defer server.Close()
	var clock atomic.Int64
	v := provider.verifier(t, func(c *Config) {
		c.Issuers[0].JWKSURL = server.URL + "/jwks"
		c.Fetcher = discovery.NewFetcher(server.Client().Transport)
		c.Now = func() time.Time { return noon.Add(time.Duration(clock.Load())) }
	})
	wantGood(t, v, newForge(provider.issuer, rsaKey(), noon).token())
	for round := range int64(2) {
		clock.Store(round * int64(refetchPause))
		before := provider.fetches.Load()
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 10_000 / 8 {
					wantReason(t, v, unknown(provider.issuer), UnknownKey)
				}
			})
		}
		group.Wait()
		if got := provider.fetches.Load() - before; got != 1 {
			t.Errorf("round %d: %d fetches, want 1", round, got)
		}
	}
	wantGood(t, v, newForge(provider.issuer, rsaKey(), noon).token())
}

func TestReq044_RotationLosesNoRequest(t *testing.T) {
	provider := startIDP(t, rsaKey())
	var clock atomic.Int64
	v := provider.verifier(t, func(c *Config) {
		c.Now = func() time.Time { return noon.Add(time.Duration(clock.Load())) }
	})
	var current atomic.Pointer[signingKey]
	use := func(key signingKey) { current.Store(&key) }
	use(rsaKey())

	verified, stop := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				wantGood(t, v, newForge(provider.issuer, *current.Load(), noon).token())
				select {
				case verified <- struct{}{}:
				case <-stop:
					return
				}
			}
		})
	}
	settle := func() { // until every goroutine has verified with the present key
		for range 20 {
			<-verified
		}
	}
	settle()
	previous := rsaKey()
	for n := range 3 {
		next := otherRSAKey().named(rand.Text())
		if n == 1 {
			next = rsaKey().named(rand.Text())
		}
		provider.publish(previous, next) // both, then sign with the new one at once
		use(next)
		settle()
		provider.publish(next)
		settle()
		clock.Add(int64(refetchPause))
		previous = next
	}
	close(stop)
	group.Wait()
}

func TestReq022_Req044_IdentityProviderDownAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		provider.setDown(true)
		v := provider.verifier(t, onFakeTime)
		run(t, v)
		token := newForge(provider.issuer, rsaKey(), time.Now()).token()
		for range 5 {
			time.Sleep(10 * time.Second)
			wantUnavailable(t, v, token)
			if reasons := v.Unready(); len(reasons) != 1 || !strings.Contains(reasons[0], "have not been loaded") {
				t.Errorf("Unready() = %q", reasons)
			}
		}
		// A token of a foreign issuer is wrong whoever is down.
		wantReason(t, v, newForge("https://evil.example", rsaKey(), time.Now()).token(), WrongIssuer)

		before := provider.fetches.Load()
		time.Sleep(time.Hour)
		if got := provider.fetches.Load() - before; got < 100 || got > 160 {
			t.Errorf("%d loads in an hour of outage, want about 120", got)
		}
		provider.setDown(false)
		time.Sleep(2 * lastRetry)
		if reasons := v.Unready(); len(reasons) != 0 {
			t.Errorf("Unready() = %q", reasons)
		}
		wantGood(t, v, newForge(provider.issuer, rsaKey(), time.Now()).token())
	})
}

// Without Run, one request loads the keys for all, and failures are not
// repeated by every request.
func TestReq022_LazyLoadIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		provider.setDown(true)
		v := provider.verifier(t, onFakeTime)
		token := newForge(provider.issuer, rsaKey(), time.Now()).token()
		for range 100 {
			wantUnavailable(t, v, token)
		}
		if got := provider.fetches.Load(); got != 1 {
			t.Errorf("%d fetches, want 1", got)
		}
		provider.setDown(false)
		time.Sleep(demandPause)
		wantGood(t, v, token)
	})
}

func TestReq022_UnknownKeyDuringAnOutageIsNotBlamedOnTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, onFakeTime)
		old := newForge(provider.issuer, rsaKey(), time.Now()).token()
		wantGood(t, v, old)

		provider.setDown(true)
		rotated := newForge(provider.issuer, otherRSAKey(), time.Now()).token()
		for range 100 {
			wantUnavailable(t, v, rotated)
			wantGood(t, v, old)
		}
		if got := provider.fetches.Load(); got != 2 {
			t.Errorf("%d fetches, want 2", got)
		}
		provider.publish(rsaKey(), otherRSAKey())
		provider.setDown(false)
		time.Sleep(refetchPause)
		wantGood(t, v, rotated)
	})
}

func TestReq044_LastGoodKeysAreKeptForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, onFakeTime)
		run(t, v)
		synctest.Wait()
		for n, spoil := range []func(){
			func() { provider.publishRaw(`{"keys":[]}`) },
			func() { provider.publishRaw(`<html>`) },
			func() { provider.setDown(true) },
		} {
			spoil()
			time.Sleep(7 * time.Hour)
			wantGood(t, v, newForge(provider.issuer, rsaKey(), time.Now()).token())
			if reasons := v.Unready(); len(reasons) != 0 {
				t.Errorf("spoil %d: Unready() = %q", n, reasons)
			}
		}
		time.Sleep(4 * time.Hour)
		wantUnavailable(t, v, newForge(provider.issuer, rsaKey(), time.Now()).token())
		if reasons := v.Unready(); len(reasons) != 1 || !strings.Contains(reasons[0], "older than 24h") {
			t.Errorf("Unready() = %q", reasons)
		}
	})
}

func TestReq043_AllConcurrentRequestsWaitForOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, onFakeTime)
		wantGood(t, v, newForge(provider.issuer, rsaKey(), time.Now()).token())
		provider.publish(rsaKey(), otherRSAKey())
		hold := make(chan struct{})
		provider.set(func(p *idp) { p.hold = hold })

		rotated := newForge(provider.issuer, otherRSAKey(), time.Now()).token()
		var group sync.WaitGroup
		first, cancel := context.WithCancel(t.Context())
		group.Go(func() { // it starts the fetch and goes away: 503 for it, keys for the others
			_, err := v.Verify(first, rotated)
			wantRefusal(t, err, KeysUnavailable, rotated)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
		synctest.Wait()
		for range 50 {
			group.Go(func() { wantGood(t, v, rotated) })
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(hold)
		group.Wait()
		if got := provider.fetches.Load(); got != 2 {
			t.Errorf("%d fetches, want 2", got)
		}
	})
}

// A key that appears within the pause is fetched when the pause ends, without a
// request asking again.
func TestReq043_RunRefetchesWhenThePauseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, onFakeTime)
		run(t, v)
		synctest.Wait()
		rotated := newForge(provider.issuer, otherRSAKey(), time.Now()).token()
		wantReason(t, v, rotated, UnknownKey)
		provider.publish(rsaKey(), otherRSAKey())
		wantReason(t, v, rotated, UnknownKey)
		before := provider.fetches.Load()
		time.Sleep(refetchPause + time.Second)
		if got := provider.fetches.Load() - before; got != 1 {
			t.Errorf("%d fetches after the pause, want 1", got)
		}
		wantGood(t, v, rotated)
		// That fetch counts: the next unknown key id has to wait again.
		before = provider.fetches.Load()
		wantReason(t, v, unknown(provider.issuer), UnknownKey)
		if got := provider.fetches.Load() - before; got != 0 {
			t.Errorf("%d fetches within the pause, want 0", got)
		}
	})
}

func TestRunRefreshesEveryFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, onFakeTime)
		run(t, v)
		time.Sleep(time.Hour)
		if got := provider.fetches.Load(); got < 11 || got > 14 {
			t.Errorf("%d fetches in an hour, want about 12", got)
		}
		// A withdrawn key is forgotten.
		provider.publish(otherRSAKey())
		time.Sleep(2 * refreshEvery)
		wantReason(t, v, newForge(provider.issuer, rsaKey(), time.Now()).token(), UnknownKey)
	})
}

func TestWithoutRunVerifyFollowsRotations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, onFakeTime)
		token := func() secret.Value { return newForge(provider.issuer, rsaKey(), time.Now()).token() }
		wantGood(t, v, token())
		provider.publish(otherRSAKey())
		time.Sleep(refreshLazy)
		wantGood(t, v, token()) // answers at once and refreshes behind
		synctest.Wait()
		wantReason(t, v, token(), UnknownKey)

		provider.setDown(true)
		time.Sleep(refreshLazy)
		before := provider.fetches.Load()
		for range 100 {
			wantGood(t, v, newForge(provider.issuer, otherRSAKey(), time.Now()).token())
			synctest.Wait()
		}
		if got := provider.fetches.Load() - before; got != 1 {
			t.Errorf("%d fetches behind 100 requests in an outage, want 1", got)
		}
	})
}

// Who looks for a key in a set that was replaced meanwhile looks again before
// anybody is asked.
func TestReq043_NewerKeysAtHandCostNoFetch(t *testing.T) {
	provider := startIDP(t, rsaKey())
	v := provider.verifier(t, nil)
	wantGood(t, v, newForge(provider.issuer, rsaKey(), noon).token())
	before := provider.fetches.Load()
	keys, err := v.issuers[0].newer(t.Context(), &keySet{})
	if err != nil || keys != v.issuers[0].current.Load() || provider.fetches.Load() != before {
		t.Errorf("%v, %d fetches", err, provider.fetches.Load()-before)
	}
}

func TestRunEndsWhileTheProviderHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		hold := make(chan struct{})
		provider.set(func(p *idp) { p.hold = hold })
		v := provider.verifier(t, onFakeTime)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- v.Run(ctx) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("Run goes on")
		}
		if i := v.issuers[0]; i.loading != nil {
			t.Error("a load goes on after Run")
		}
		close(hold)
	})
}

func TestReq041_DiscoveryFollowsTheMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		var log strings.Builder
		v := provider.verifier(t, func(c *Config) {
			c.Now = nil
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			// The operator left out the slash that the issuer has.
			c.Issuers = []IssuerConfig{{Source: discovery.NewSource(c.Fetcher, "http://localhost/tenant", nil)}}
		})
		run(t, v)
		synctest.Wait()
		wantGood(t, v, newForge("http://localhost/tenant/", rsaKey(), time.Now()).token())
		wantReason(t, v, newForge("http://localhost/tenant", rsaKey(), time.Now()).token(), WrongIssuer)

		// The keys move; the old place is gone.
		provider.set(func(p *idp) { p.jwksPath = "/moved" })
		provider.publish(otherRSAKey())
		time.Sleep(20 * time.Minute)
		wantGood(t, v, newForge("http://localhost/tenant/", otherRSAKey(), time.Now()).token())
		synctest.Wait()
		if got := strings.Count(log.String(), "trailing slash"); got != 1 {
			t.Errorf("warned %d times of the slash:\n%s", got, log.String())
		}
	})
}

func TestReq041_MetadataOfAnotherIssuerGivesNoKeys(t *testing.T) {
	provider := startIDP(t, rsaKey())
	fetcher := provider.fetcher(t)
	source := discovery.NewSource(fetcher, "http://localhost/tenant/", nil)
	_, err := New(Config{
		Issuers:   []IssuerConfig{{Issuer: "https://elsewhere.example/", Source: source}},
		Audiences: []string{testAudience}, Fetcher: fetcher,
	})
	if err == nil || !strings.Contains(err.Error(), "set JWKSURL") {
		t.Errorf("New: %v", err)
	}
	provider.issuer = "https://impostor.example/"
	v := provider.verifier(t, func(c *Config) { c.Issuers = []IssuerConfig{{Source: source}} })
	wantUnavailable(t, v, newForge("http://localhost/tenant/", rsaKey(), noon).token())
	wantReason(t, v, newForge("https://impostor.example/", rsaKey(), noon).token(), WrongIssuer)
}
