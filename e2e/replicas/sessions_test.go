package replicas

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// Two processes behind a round-robin proxy, and nothing goes wrong: nothing may
// fail.
func TestReq082_RoundRobinLosesNoCall(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 2, teststore.Start(t), 0)
	loads := f.startLoads(t)
	loads.wait()
	for _, l := range loads.all() {
		l.report(t, callsEach)
		if len(l.failures) > 0 {
			t.Errorf("%s: attempts failed: %v", l.name, l.failures)
		}
	}
	f.proxy.witness.report(t)
	loads.close()
}

// A session belongs to one party on every replica, also on one that does not
// hold it.
func TestReq082_Req083_ASessionIsItsOwnersOnEveryReplica(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 2, teststore.Start(t), 0)
	ana := f.system.Token("ana")
	s := openStream(t, f.replicas[0].URL, ana)
	id := strings.TrimPrefix(s.endpoint, "/mcp/sse?session_id=")
	if len(id) < 26 || id == s.endpoint { // 26 characters of base 32 are 130 bits
		t.Fatalf("endpoint %q: want a path of this origin and 128 bits", s.endpoint)
	}
	for _, replica := range f.replicas {
		base := replica.URL
		// At first a replica cannot know whether all sessions are recorded.
		var unknown string
		apptest.Eventually(t, "a session that does not exist is unknown", func() bool {
			status, body := post(t, base+"/mcp/sse?session_id=AAAAAAAAAAAAAAAAAAAAAAAAAA", ana, callEchoBody(1, "unknown"))
			unknown = body
			return status == http.StatusNotFound
		})
		for name, token := range map[string]string{
			"another person":                  f.system.Token("bruno"),
			"the same person, another client": f.system.Mint(devstack.Mint{User: "ana", ClientID: "another-client"}),
		} {
			if status, body := post(t, base+s.endpoint, token, callEchoBody(2, "foreign")); status != http.StatusNotFound || body != unknown {
				t.Errorf("%s at %s: %d %s, want what an unknown session answers: %s", name, base, status, body, unknown)
			}
		}
		if status, _ := post(t, base+s.endpoint, "", callEchoBody(3, "nobody")); status != http.StatusUnauthorized {
			t.Errorf("nobody at %s: %d, want 401", base, status)
		}
		if status, body := post(t, base+s.endpoint, ana, callEchoBody(4, base)); status != http.StatusAccepted {
			t.Errorf("the owner at %s: %d %s", base, status, body)
		}
		if answer := s.next(t); !strings.Contains(answer, base) {
			t.Errorf("answer: %s", answer)
		}
	}
	if f.api.tokenOf("foreign") != "" || f.api.tokenOf("unknown") != "" || f.api.tokenOf("nobody") != "" {
		t.Error("the API was called for somebody who has no such session")
	}
}

// A message with a newer token keeps its stream open, wherever the message
// arrives.
func TestReq084_ATokenRefreshedElsewhereKeepsTheStream(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 2, teststore.Start(t), 0)
	fresh := func(lifetime time.Duration) (token string, expiry time.Time) {
		return f.system.Mint(devstack.Mint{Lifetime: lifetime}), time.Now().Add(lifetime).Truncate(time.Second)
	}
	old, first := fresh(5 * time.Second)
	s := openStream(t, f.replicas[0].URL, old)
	newer, second := fresh(9 * time.Second)
	if status, body := post(t, f.replicas[1].URL+s.endpoint, newer, callEchoBody(1, "newer")); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	if answer := s.next(t); !strings.Contains(answer, "newer") {
		t.Errorf("answer: %s", answer)
	}
	if rest := s.next(t); rest != "" {
		t.Errorf("another event: %s", rest)
	}
	if now := time.Now(); now.Before(second.Add(-time.Second)) || !now.After(first) {
		t.Errorf("the stream ended at %s, want at the newer token's expiry, %s", now, second)
	}
}

// A replica that shuts down finishes what it runs for streams of others, and its
// streams get what others still run for them.
func TestReq084_DrainWaitsForCallsAcrossReplicas(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]int{"the replica of the stream": 0, "the replica of the call": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, 2, teststore.Start(t), 7*time.Second) // an API may take 10 s
			token := f.system.Token("ana")
			s := openStream(t, f.replicas[0].URL, token)
			if status, body := post(t, f.replicas[1].URL+s.endpoint, token, callEchoBody(1, "slow")); status != http.StatusAccepted {
				t.Fatalf("%d %s", status, body)
			}
			apptest.Eventually(t, "the API has the request", func() bool { return f.api.tokenOf("slow") != "" })
			f.replicas[ends].Signal(syscall.SIGTERM)
			if answer := s.next(t); !strings.Contains(answer, `{"call":"slow"}`) {
				t.Errorf("answer: %q", answer)
			}
			if err := f.replicas[ends].Wait(); err != nil {
				t.Errorf("the replica ended with %v", err)
			}
			if ends == 0 {
				if rest := s.next(t); rest != "" {
					t.Errorf("another event: %s", rest)
				}
			}
		})
	}
}

// A call can be cancelled at any replica.
func TestReq083_CancelReachesACallOnAnotherReplica(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 3, teststore.Start(t), time.Minute)
	token := f.system.Token("ana")
	s := openStream(t, f.replicas[0].URL, token)
	for i, at := range f.replicas {
		argument := fmt.Sprintf("cancelled at replica %d", i)
		if status, body := post(t, f.replicas[1].URL+s.endpoint, token, callEchoBody(i, argument)); status != http.StatusAccepted {
			t.Fatalf("%d %s", status, body)
		}
		apptest.Eventually(t, "the API has the request", func() bool { return f.api.tokenOf(argument) != "" })
		cancel := fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, i)
		if status, body := post(t, at.URL+s.endpoint, token, cancel); status != http.StatusAccepted {
			t.Fatalf("%d %s", status, body)
		}
		apptest.Eventually(t, "the request to the API is given up", func() bool { return f.api.gaveUp(argument) })
	}
	if status, body := post(t, f.replicas[2].URL+s.endpoint, token, `{"jsonrpc":"2.0","id":"last","method":"ping"}`); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	if answer := s.next(t); answer != `{"jsonrpc":"2.0","id":"last","result":{}}` {
		t.Errorf("a call that was cancelled was answered: %s", answer)
	}
}
