package bearer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

func TestMemoryIsBounded(t *testing.T) {
	var m memory[int]
	for n := range maxRemembered + 500 {
		m.put(fingerprintOf(fmt.Sprint(n)), n, 1, noon, noon.Add(time.Hour), 0)
	}
	if m.len() != maxRemembered || m.bytes != maxRemembered {
		t.Errorf("%d entries of %d bytes, want %d", m.len(), m.bytes, maxRemembered)
	}
	m = memory[int]{}
	const large = maxRememberedBytes / 8
	for n := range 20 {
		m.put(fingerprintOf(fmt.Sprint(n)), n, large, noon, noon.Add(time.Hour), 0)
		if _, ok := m.get(fingerprintOf(fmt.Sprint(n)), noon); !ok {
			t.Errorf("the newest entry %d is gone", n)
		}
	}
	if m.len() != 8 || m.bytes != maxRememberedBytes {
		t.Errorf("%d entries of %d bytes", m.len(), m.bytes)
	}
	m.put(fingerprintOf("huge"), 0, maxRememberedBytes+1, noon, noon.Add(time.Hour), 0)
	if _, ok := m.get(fingerprintOf("huge"), noon); ok || m.len() != 8 {
		t.Error("an entry larger than the memory was taken")
	}
}

func TestMemoryForgetsWhatIsOver(t *testing.T) {
	var m memory[int]
	of := fingerprintOf("x")
	m.put(of, 1, 1, noon, noon, 0)
	if m.len() != 0 {
		t.Error("an entry that is over already was taken")
	}
	m.put(of, 1, 1, noon, noon.Add(time.Second), 0)
	if _, ok := m.get(of, noon.Add(time.Second-1)); !ok {
		t.Error("gone too early")
	}
	if _, ok := m.get(of, noon.Add(time.Second)); ok {
		t.Error("there after its end")
	}
	for n := range 1000 { // what is over makes room without being asked for
		at := noon.Add(time.Duration(n) * time.Second)
		m.put(fingerprintOf(fmt.Sprint(n)), n, 1, at, at.Add(time.Second), 0)
	}
	if m.len() > 10 {
		t.Errorf("%d entries, of which one is not over", m.len())
	}
}

func TestMemoryForgetsOnPurpose(t *testing.T) {
	var m memory[int]
	odd := func(n int) bool { return n%2 == 1 }
	for n := range 10 {
		m.put(fingerprintOf(fmt.Sprint(n)), n, 1, noon, noon.Add(time.Hour), m.begin())
	}
	before := m.begin()
	m.forget(odd)
	if m.len() != 5 || m.bytes != 5 {
		t.Errorf("%d entries of %d bytes, want 5", m.len(), m.bytes)
	}
	m.put(fingerprintOf("late"), 1, 1, noon, noon.Add(time.Hour), before)
	if _, ok := m.get(fingerprintOf("late"), noon); ok {
		t.Error("what was found out before is remembered after")
	}
}

// FuzzMemory holds the bounds and the sum of the bytes through any operations.
func FuzzMemory(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		var m memory[int]
		for range 200 {
			of := fingerprintOf(fmt.Sprint(random.IntN(20)))
			now := noon.Add(time.Duration(random.IntN(100)) * time.Second)
			switch random.IntN(4) {
			case 0:
				m.forget(func(n int) bool { return n == random.IntN(3) })
			case 1:
				m.get(of, now)
			default:
				m.put(of, random.IntN(3), random.IntN(maxRememberedBytes/4), now, now.Add(time.Minute), m.begin())
			}
			sum := 0
			for _, entry := range m.entries {
				sum += entry.size
			}
			if sum != m.bytes || sum > maxRememberedBytes || len(m.entries) > maxRemembered {
				t.Fatalf("%d bytes, counted %d", sum, m.bytes)
			}
		}
	})
}

// lookups counts look-ups of verified tokens in a test.
func lookups(tb testing.TB, m *meter) (hits, misses int64) {
	tb.Helper()
	return m.count(tb, "oauth_mcp_server.token.cache.lookups", "result", "hit"), m.count(tb, "oauth_mcp_server.token.cache.lookups", "result", "miss")
}

func TestVerifiedTokensAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		m := newMeter(t)
		v := provider.verifier(t, func(c *Config) { c.Now, c.Meter = nil, m })
		run(t, v)
		synctest.Wait()
		token := newForge(provider.issuer, rsaKey(), time.Now()).token()
		first, err := v.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(2 * refreshEvery) // the same keys are loaded again meanwhile
			again, err := v.Verify(t.Context(), token)
			if err != nil || again.Subject != first.Subject || string(again.Claims) != string(first.Claims) {
				t.Errorf("%v, %+v", err, again)
			}
		}
		if hits, misses := lookups(t, m); hits != 3 || misses != 1 {
			t.Errorf("%d hits, %d misses", hits, misses)
		}
		// A token that was refused is judged anew each time.
		bad := newForge("https://evil.example", rsaKey(), time.Now()).token()
		for range 2 {
			wantReason(t, v, bad, WrongIssuer)
		}
		if _, misses := lookups(t, m); misses != 3 || m.count(t, "oauth_mcp_server.token.cache.entries", "", "") != 1 {
			t.Errorf("%d misses", misses)
		}
	})
}

// Everything that time changes is checked on a hit as well.
func TestRememberedTokensAreHeldToTheTime(t *testing.T) {
	for name, tc := range map[string]struct {
		policy func(*IssuerConfig)
		later  time.Duration
		want   Reason
	}{
		"until the leeway ends": {func(*IssuerConfig) {}, time.Hour + defaultLeeway - 1, ""},
		"expiry":                {func(*IssuerConfig) {}, time.Hour + defaultLeeway, Expired},
		"age":                   {maxAge, 10*time.Minute + defaultLeeway, TooOld},
		"clock is set back":     {func(*IssuerConfig) {}, -2 * time.Minute, NotYetValid},
	} {
		t.Run(name, func(t *testing.T) {
			provider := startIDP(t, rsaKey())
			now, m := noon, newMeter(t)
			v := provider.verifier(t, func(c *Config) {
				c.Now, c.Meter = func() time.Time { return now }, m
				tc.policy(&c.Issuers[0])
			})
			f := newForge(provider.issuer, rsaKey(), noon)
			f.claims["iat"], f.claims["nbf"] = noon.Unix(), noon.Unix()
			token := f.token()
			wantGood(t, v, token)
			now = noon.Add(tc.later)
			if tc.want == "" {
				wantGood(t, v, token)
			} else {
				wantReason(t, v, token, tc.want)
			}
			if hits, _ := lookups(t, m); tc.want != Expired && hits != 1 {
				t.Errorf("%d hits, want 1: nothing was remembered", hits)
			}
		})
	}
}

func TestRememberedTokensEndWithTheirKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, onFakeTime)
		run(t, v)
		f := newForge(provider.issuer, rsaKey(), time.Now())
		f.claims["exp"] = time.Now().Add(1000 * time.Hour).Unix()
		token := f.token()
		wantGood(t, v, token)

		provider.publish(rsaKey(), otherRSAKey()) // one more
		time.Sleep(2 * refreshEvery)
		wantGood(t, v, token)
		provider.publish(otherRSAKey()) // withdrawn
		time.Sleep(2 * refreshEvery)
		wantReason(t, v, token, UnknownKey)
		provider.publish(rsaKey()) // and back
		time.Sleep(2 * refreshEvery)
		wantGood(t, v, token)

		provider.setDown(true)
		time.Sleep(maxKeyAge + time.Minute)
		wantUnavailable(t, v, token)
	})
}

// Without Run, keys are followed by hits, too.
func TestHitsRefreshTheKeysWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, onFakeTime)
		token := newForge(provider.issuer, rsaKey(), time.Now()).token()
		wantGood(t, v, token)
		provider.publish(otherRSAKey())
		time.Sleep(refreshLazy)
		wantGood(t, v, token)
		synctest.Wait()
		wantReason(t, v, token, UnknownKey)
	})
}

func TestForgottenTokensAreVerifiedAnew(t *testing.T) {
	provider := startIDP(t, rsaKey())
	m := newMeter(t)
	v := provider.verifier(t, func(c *Config) { c.Meter = m })
	alice := newForge(provider.issuer, rsaKey(), noon).token()
	other := newForge(provider.issuer, rsaKey(), noon)
	other.claims["sub"] = "auth0|bob"
	bob := other.token()
	wantGood(t, v, alice)
	wantGood(t, v, bob)
	v.Forget(func(p oauth.Principal) bool { return p.Subject == "auth0|bob" })
	wantGood(t, v, alice)
	wantGood(t, v, bob)
	if hits, misses := lookups(t, m); hits != 1 || misses != 3 {
		t.Errorf("%d hits, %d misses", hits, misses)
	}
}

func TestRememberingIsSafeForConcurrentUse(t *testing.T) {
	provider := startIDP(t, edKey())
	v := provider.verifier(t, func(c *Config) { c.Issuers[0].Algorithms = []string{edDSA} })
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for n := range 200 {
				f := newForge(provider.issuer, edKey(), noon)
				f.claims["jti"], f.claims["sub"] = fmt.Sprint(n%5), fmt.Sprint("user", n%5)
				principal, err := v.Verify(t.Context(), f.token())
				if err != nil || !strings.HasPrefix(principal.Subject, "user") || principal.TokenID != strings.TrimPrefix(principal.Subject, "user") {
					t.Errorf("%v, %+v", err, principal)
				}
				if worker == 0 && n%20 == 0 {
					v.Forget(func(p oauth.Principal) bool { return p.TokenID == "1" })
				}
			}
		})
	}
	group.Wait()
}
