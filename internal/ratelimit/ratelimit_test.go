package ratelimit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

func limiter(t *testing.T, cfg Config) *Limiter {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func person(name string) oauth.Principal {
	return oauth.Principal{Issuer: "https://as.example", Subject: name}
}

// reason returns why a request was refused, "" when it was not.
func reason(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	refusal := oauth.AsRefusal(err)
	seconds := int(refusal.RetryAfter.Seconds())
	if refusal.Status != 429 || refusal.Code != oauth.CodeTooManyRequests || refusal.Challenge || seconds < 1 ||
		!strings.HasSuffix(refusal.Description, fmt.Sprintf("; try again in %d seconds.", seconds)) {
		t.Errorf("%+v", refusal)
	}
	return refusal.Reason
}

func TestReq062_RequestsAreLimitedPerPrincipalPerToolAndAltogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Principal: Rate{3, time.Minute}, Tool: Rate{4, time.Minute}, Everybody: Rate{8, time.Minute}})
		want := func(name, tool, want string) {
			t.Helper()
			if got := reason(t, l.AdmitRequest(t.Context(), person(name), tool)); got != want {
				t.Errorf("%s calls %s: %q, want %q", name, tool, got, want)
			}
		}
		for range 3 {
			want("ana", "teams", "")
		}
		want("ana", "teams", "rate_principal")
		want("ana", "", "rate_principal") // whatever ana asks for
		want("bruno", "teams", "")
		want("bruno", "teams", "rate_tool") // four by everybody together
		want("bruno", "other", "")
		want("bruno", "other", "") // the refused call cost bruno nothing
		want("bruno", "other", "rate_principal")
		want("carla", "", "")
		want("carla", "", "") // eight altogether
		want("dora", "", "rate_global")
		time.Sleep(20 * time.Second) // a third of a minute brings one of three
		want("ana", "teams", "")
		want("ana", "other", "rate_principal")
		time.Sleep(time.Hour)
		for range 3 { // full again, and not more than full
			want("ana", "", "")
		}
		want("ana", "", "rate_principal")
	})
}

func TestTheSentenceSaysHowOftenAndHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Principal: Rate{2, time.Minute}})
		for range 2 {
			if err := l.AdmitRequest(t.Context(), person("ana"), ""); err != nil {
				t.Fatal(err)
			}
		}
		refusal := oauth.AsRefusal(l.AdmitRequest(t.Context(), person("ana"), ""))
		if refusal.Description != "You have made more requests than this server allows, 2 in 60 seconds; try again in 30 seconds." || refusal.RetryAfter != 30*time.Second {
			t.Errorf("%+v", refusal)
		}
	})
}

// TestReq062_AddressesThatFailAreRefused: a good request costs its address
// nothing, so an office behind one is not limited as one caller.
func TestReq062_AddressesThatFailAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Address: Rate{5, time.Minute}})
		admit := func(text string) string {
			t.Helper()
			return reason(t, l.AdmitAddress(t.Context(), netip.MustParseAddr(text)))
		}
		for range 100 {
			if got := admit("192.0.2.1"); got != "" {
				t.Fatalf("without a failure: %s", got)
			}
		}
		for range 5 {
			if got := admit("192.0.2.1"); got != "" {
				t.Fatalf("too early: %s", got)
			}
			l.CountFailure(t.Context(), netip.MustParseAddr("192.0.2.1"))
			l.CountFailure(t.Context(), netip.MustParseAddr("2001:db8:1:2::77"))
		}
		for address, want := range map[string]string{
			"192.0.2.1": "rate_address", "::ffff:192.0.2.1": "rate_address", "192.0.2.2": "",
			"2001:db8:1:2::1": "rate_address", "2001:db8:1:3::1": "",
		} {
			if got := admit(address); got != want {
				t.Errorf("%s: %q, want %q", address, got, want)
			}
		}
		time.Sleep(12*time.Second + time.Millisecond)
		if got := admit("192.0.2.1"); got != "" {
			t.Errorf("a fifth of a minute later: %s", got)
		}
	})
}

// fakeStore refuses the bucket whose key begins with refuse.
type fakeStore struct {
	refuse string
	wait   time.Duration
	err    error
	delay  time.Duration
	asked  [][]Demand
}

func (s *fakeStore) Take(ctx context.Context, demands []Demand) (int, time.Duration, error) {
	s.asked = append(s.asked, demands)
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
	}
	for i, d := range demands {
		if s.refuse != "" && strings.HasPrefix(d.Key, s.refuse) {
			return i, s.wait, s.err
		}
	}
	return -1, 0, s.err
}

func TestReq062_TheStoreRefusesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		l := limiter(t, Config{Principal: Rate{2, time.Minute}, Tool: Rate{100, time.Minute}, Address: Rate{100, time.Minute}, Store: store})
		store.refuse, store.wait = "tool:teams", 7*time.Second
		for range 3 { // refused elsewhere, so not counted here
			err := l.AdmitRequest(t.Context(), person("ana"), "teams")
			if got := reason(t, err); got != "rate_tool" || oauth.AsRefusal(err).RetryAfter != 7*time.Second {
				t.Errorf("%v", err)
			}
		}
		store.refuse = ""
		for range 2 {
			if err := l.AdmitRequest(t.Context(), person("ana"), "teams"); err != nil {
				t.Error(err)
			}
		}
		asked := len(store.asked)
		if got := reason(t, l.AdmitRequest(t.Context(), person("ana"), "teams")); got != "rate_principal" || len(store.asked) != asked {
			t.Errorf("%q, and the store was asked about what is refused here", got)
		}
		store.refuse, store.wait = "address:", 10*time.Second
		address := netip.MustParseAddr("192.0.2.1")
		l.CountFailure(t.Context(), address) // failed often enough on other replicas
		if got := reason(t, l.AdmitAddress(t.Context(), address)); got != "rate_address" {
			t.Errorf("%q", got)
		}
		time.Sleep(10*time.Second + time.Millisecond)
		if got := reason(t, l.AdmitAddress(t.Context(), address)); got != "" {
			t.Errorf("%q", got)
		}
	})
}

// TestReq062_WithoutTheStoreEachReplicaLimits: a store that is away or hangs
// neither opens the limits nor holds up every request.
func TestReq062_WithoutTheStoreEachReplicaLimits(t *testing.T) {
	for name, store := range map[string]*fakeStore{
		"away": {err: errors.New("no connection")}, "hanging": {delay: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &bytes.Buffer{}
				l := limiter(t, Config{Principal: Rate{50, time.Hour}, Store: store, Logger: slog.New(slog.NewTextHandler(log, nil))})
				began := time.Now()
				for n := range 50 {
					if err := l.AdmitRequest(t.Context(), person("ana"), ""); err != nil {
						t.Fatal(n, err)
					}
				}
				if got := reason(t, l.AdmitRequest(t.Context(), person("ana"), "")); got != "rate_principal" {
					t.Errorf("without its store nothing limits: %q", got)
				}
				if spent := time.Since(began); spent > storeTimeout || len(store.asked) != 1 {
					t.Errorf("%d questions in %s", len(store.asked), spent)
				}
				time.Sleep(storePause)
				if err := l.AdmitRequest(t.Context(), person("bruno"), ""); err != nil || len(store.asked) != 2 {
					t.Errorf("%v; it was asked %d times, want a second time", err, len(store.asked))
				}
				if n := strings.Count(log.String(), "does not count"); n != 1 {
					t.Errorf("%d warnings, want one: %s", n, log)
				}
			})
		})
	}
}

func TestZeroRatesAreNoLimits(t *testing.T) {
	l := limiter(t, Config{})
	address := netip.MustParseAddr("192.0.2.1")
	for range 1000 {
		l.CountFailure(t.Context(), address)
		if err := errors.Join(l.AdmitRequest(t.Context(), person("ana"), "teams"), l.AdmitAddress(t.Context(), address)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a limiter without a logger")
	}
}

func TestBucketsAreBounded(t *testing.T) {
	l := limiter(t, Config{Principal: Rate{1, time.Hour}})
	for n := range 5 * maxBuckets {
		_ = l.AdmitRequest(t.Context(), person(fmt.Sprint(n)), "")
	}
	if n := l.principal.held.Len(); n > 2*maxBuckets {
		t.Errorf("%d buckets", n)
	}
}

func BenchmarkAdmitRequest(b *testing.B) {
	rate := Rate{1 << 30, time.Second}
	l, err := New(Config{Principal: rate, Tool: rate, Everybody: rate, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.AdmitRequest(b.Context(), person("ana"), "teams"); err != nil {
			b.Fatal(err)
		}
	}
}
