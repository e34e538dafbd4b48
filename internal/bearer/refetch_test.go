package bearer

import (
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
)

// Ten thousand tokens that somebody signed with a key of his own, under a key id
// that is published, cost the identity provider one fetch, and so do unknown key
// ids after them: the budget is one.
func TestReq043_ForgedSignaturesCostOneFetch(t *testing.T) {
	provider := startIDP(t, rsaKey())
	server := httptest.NewServer(provider)
	defer server.Close()
	var clock atomic.Int64
	v := provider.verifier(t, func(c *Config) {
		c.Issuers[0].JWKSURL = server.URL + "/jwks"
		c.Fetcher = discovery.NewFetcher(server.Client().Transport)
		c.Now = func() time.Time { return noon.Add(time.Duration(clock.Load())) }
	})
	good := newForge(provider.issuer, rsaKey(), noon)
	wantGood(t, v, good.token())
	good.key = otherRSAKey()
	forged := good.token()
	good.key = rsaKey()
	for round, count := range []int{10_000, 1_000} {
		clock.Store(int64(round) * int64(refetchPause))
		before := provider.fetches.Load()
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range count / 4 {
					wantReason(t, v, forged, BadSignature)
				}
			})
		}
		group.Wait()
		for range 100 {
			wantReason(t, v, unknown(provider.issuer), UnknownKey)
		}
		if got := provider.fetches.Load() - before; got != 1 {
			t.Errorf("round %d: %d fetches, want 1", round, got)
		}
	}
	wantGood(t, v, good.token())
}

// An issuer that publishes a new key under the old key id, be it of another
// kind: the first token signed with it is good at once, and the old key is gone.
func TestReq043_Req044_NewKeyUnderTheOldKeyID(t *testing.T) {
	for _, next := range []signingKey{otherRSAKey().named("rsa-1"), ecKey().named("rsa-1")} {
		synctest.Test(t, func(t *testing.T) {
			provider := startIDP(t, rsaKey())
			v := provider.verifier(t, func(c *Config) {
				c.Now = nil
				c.Issuers[0].Algorithms = []string{rs256, es256}
			})
			old := newForge(provider.issuer, rsaKey(), time.Now()).token()
			wantGood(t, v, old)
			provider.publish(next)
			wantGood(t, v, newForge(provider.issuer, next, time.Now()).token())
			if _, err := v.Verify(t.Context(), old); err == nil {
				t.Error("the old key is still good")
			}
			if got := provider.fetches.Load(); got != 2 {
				t.Errorf("%d fetches, want 2", got)
			}
		})
	}
}

// Nobody can tell a forged signature from one of a new key while the issuer is
// away.
func TestReq022_WrongSignatureDuringAnOutageIsNotBlamedOnTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, onFakeTime)
		wantGood(t, v, newForge(provider.issuer, rsaKey(), time.Now()).token())
		provider.setDown(true)
		next := otherRSAKey().named("rsa-1")
		rotated := newForge(provider.issuer, next, time.Now()).token()
		wantUnavailable(t, v, rotated)
		provider.publish(next)
		provider.setDown(false)
		time.Sleep(refetchPause)
		wantGood(t, v, rotated)
	})
}
