package credential

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

func digestN(i int) digest { return digestOf(fmt.Sprint(i)) }

// A token is kept until the earlier of its own end and the caller's token's end,
// less what a request may take.
func TestReq068_KeptUntilTheEarlierEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		lifetime, subject time.Duration // 0: not known
		kept              time.Duration // 0: not at all
	}{
		"the issued one ends first": {lifetime: 10 * time.Minute, subject: time.Hour, kept: 10*time.Minute - skew},
		"the caller's ends first":   {lifetime: time.Hour, subject: 10 * time.Minute, kept: 10*time.Minute - skew},
		"no caller's end":           {lifetime: time.Hour, kept: time.Hour - skew},
		"no end of its own":         {subject: time.Hour},
		"too short":                 {lifetime: skew, subject: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, asked := newStore(), 0
				began := time.Now()
				get := func() {
					_, err := s.get(t.Context(), digestN(1), endOf(began, tc.subject), func(context.Context) (issued, error) {
						asked++
						return issued{token: secret.New("t"), expires: endOf(time.Now(), tc.lifetime)}, nil
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				get()
				if tc.kept == 0 {
					if get(); asked != 2 {
						t.Errorf("asked %d times, want 2: nothing is kept", asked)
					}
					return
				}
				time.Sleep(tc.kept - time.Second)
				if get(); asked != 1 {
					t.Fatalf("asked %d times before the end", asked)
				}
				time.Sleep(time.Second)
				if get(); asked != 2 {
					t.Errorf("asked %d times at the end, want 2", asked)
				}
			})
		})
	}
}

func endOf(from time.Time, after time.Duration) time.Time {
	if after == 0 {
		return time.Time{}
	}
	return from.Add(after)
}

// Many calls of many people at once: each token is obtained once and nobody gets
// another one's.
func TestReq068_ObtainedOnceAndNeverShared(t *testing.T) {
	const people, calls = 50, 20
	server := startServer(t, good)
	e := server.exchange(t, nil)
	var group sync.WaitGroup
	for person := range people {
		for range calls {
			group.Go(func() {
				token, header := fmt.Sprintf("token-of-%d", person), http.Header{}
				as := oauth.Principal{Issuer: "https://idp.example", Subject: fmt.Sprint(person), Expiry: time.Now().Add(time.Hour)}
				if _, err := e.Apply(t.Context(), header, as, secret.New(token)); err != nil || header.Get("Authorization") != "Bearer issued-for-"+token {
					t.Errorf("%s got %v, %v", token, header, err)
				}
			})
		}
	}
	group.Wait()
	if server.count() != people {
		t.Errorf("%d exchanges, want one for each of %d people", server.count(), people)
	}
}

// The same token text of two principals, and two tokens of one, are four
// different things.
func TestReq068_KeyHasEverything(t *testing.T) {
	server := startServer(t, good)
	base := server.exchange(t, nil)
	keys := map[digest]string{}
	add := func(name string, key digest) {
		if before, taken := keys[key]; taken {
			t.Errorf("%s has the key of %s", name, before)
		}
		keys[key] = name
	}
	add("base", base.key(ana(), secret.New("a")))
	add("token", base.key(ana(), secret.New("b")))
	add("subject", base.key(oauth.Principal{Issuer: ana().Issuer, Subject: "bruno"}, secret.New("a")))
	add("issuer", base.key(oauth.Principal{Issuer: "https://other.example", Subject: "ana"}, secret.New("a")))
	for name, change := range map[string]func(*ExchangeConfig){
		"upstream": func(c *ExchangeConfig) { c.Upstream = "other" },
		"audience": func(c *ExchangeConfig) { c.Target.Audience = "https://other.example" },
		"resource": func(c *ExchangeConfig) { c.Target.Resource = "https://billing.example" },
		"scopes":   func(c *ExchangeConfig) { c.Target.Scopes = oauth.Scopes{"read", "write"} },
	} {
		add(name, server.exchange(t, change).key(ana(), secret.New("a")))
	}
}

func TestReq068_Bounded(t *testing.T) {
	s := newStore()
	for i := range maxTokens + 500 {
		_, err := s.get(t.Context(), digestN(i), time.Time{}, func(context.Context) (issued, error) {
			return issued{token: secret.New("t"), expires: time.Now().Add(time.Hour)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(s.tokens) > maxTokens || len(s.flights) != 0 {
		t.Errorf("%d tokens, %d flights", len(s.tokens), len(s.flights))
	}
}

// A rejected token is dropped; another one is worth a try only when the rejected
// one was not new.
func TestRejectedTokenIsObtainedAgainOnce(t *testing.T) {
	server := startServer(t, good)
	e := server.exchange(t, nil)
	first, _ := apply(t, e)
	if e.Rejected(first, ana(), secret.New(subjectToken)) {
		t.Error("a token that was obtained for this very call is worth a second try")
	}
	apply(t, e)
	again, _ := apply(t, e)
	if server.count() != 2 {
		t.Fatalf("%d exchanges, want 2", server.count())
	}
	if !e.Rejected(again, ana(), secret.New(subjectToken)) {
		t.Error("a kept token that was rejected is not worth a second try")
	}
	if apply(t, e); server.count() != 3 {
		t.Errorf("%d exchanges, want 3: the rejected token was kept", server.count())
	}
	if !e.Rejected(http.Header{"Authorization": {"Bearer an-older-one"}}, ana(), secret.New(subjectToken)) {
		t.Error("a token that was replaced meanwhile is not worth a second try")
	}
	if apply(t, e); server.count() != 3 {
		t.Error("an older token's rejection dropped the newer one")
	}
}

// Whoever goes away while a token is being obtained takes nothing from others;
// an error of the endpoint is everybody's.
func TestThoseWhoWaitOutliveTheOneWhoAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var asked atomic.Int32
		obtain := func(ctx context.Context) (issued, error) {
			if asked.Add(1) == 1 {
				<-ctx.Done()
				return issued{}, ctx.Err()
			}
			return issued{token: secret.New("t"), expires: time.Now().Add(time.Hour)}, nil
		}
		ctx, goAway := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := s.get(ctx, digestN(1), time.Time{}, obtain); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who went away got %v", err)
			}
		})
		synctest.Wait()
		for range 10 {
			group.Go(func() {
				if got, err := s.get(t.Context(), digestN(1), time.Time{}, obtain); err != nil || got.token.Reveal() != "t" {
					t.Errorf("got %v", err)
				}
			})
		}
		late, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if _, err := s.get(late, digestN(1), time.Time{}, obtain); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the one who waited too long got %v", err)
		}
		goAway()
		group.Wait()
		if asked.Load() != 2 {
			t.Errorf("asked %d times, want 2", asked.Load())
		}
	})
}

func TestFailureIsSharedAndNotKept(t *testing.T) {
	server := startServer(t, func(url.Values) (int, any) { return 503, "" })
	e := server.exchange(t, nil)
	_, err := e.Apply(t.Context(), http.Header{}, ana(), secret.New(subjectToken))
	wantFailure(t, err, Outage)
	server.say(good)
	apply(t, e)
}

func TestSelfIsTheSameForEverybody(t *testing.T) {
	server := startServer(t, good)
	self, err := NewSelf(SelfConfig{Upstream: "billing", Endpoint: server.endpoint(t, ClientConfig{}), Target: Target{Audience: "https://billing.example"}})
	if err != nil {
		t.Fatal(err)
	}
	header, actor := apply(t, self)
	if _, err := self.Apply(t.Context(), http.Header{}, oauth.Principal{Subject: "bruno"}, secret.New("b")); err != nil {
		t.Fatal(err)
	}
	_, form := server.last(t)
	if server.count() != 1 || actor != "" || header.Get("Authorization") != "Bearer issued-for-" || form.Get("grant_type") != grantClient ||
		form.Get("audience") != "https://billing.example" || form.Has("subject_token") {
		t.Errorf("%d requests, %v, %v, actor %q", server.count(), header, form, actor)
	}
	if _, err := NewSelf(SelfConfig{}); err == nil {
		t.Error("nothing is accepted")
	}
}
