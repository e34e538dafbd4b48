package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// TestOtusGetsTheTokenByteForByte compares what Otus received with what was
// sent, on both transports.
func TestOtusGetsTheTokenByteForByte(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	first, second := system.Token("ana"), system.Token("carla")
	if got := post(t, system, "/mcp", first, callTeams); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	session := openStream(t, system, second)
	if got := post(t, system, session.endpoint, second, callTeams); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	wantResult(t, parseResponse(t, session.next(t).data).Result)
	seen := system.Stack.OtusRequests()
	if len(seen) != 2 {
		t.Fatalf("Otus saw %d requests, want 2", len(seen))
	}
	for i, token := range []string{first, second} {
		if got := seen[i].Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer "+token {
			t.Errorf("request %d: Authorization differs from what was sent (%d values)", i, len(got))
		}
		if seen[i].Method != http.MethodGet || seen[i].Path != "/teams" || seen[i].Query != "" {
			t.Errorf("request %d: %s %s?%s, want GET /teams", i, seen[i].Method, seen[i].Path, seen[i].Query)
		}
	}
}

// TestRedirectNeverCarriesTheToken has Otus redirect elsewhere, and to itself.
func TestRedirectNeverCarriesTheToken(t *testing.T) {
	t.Parallel()
	var visits atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visits.Add(1)
	}))
	t.Cleanup(elsewhere.Close)
	system := apptest.Start(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, target := range []string{elsewhere.URL + "/teams", system.Stack.URLs().Otus + "/other"} {
			before := len(system.Stack.OtusRequests())
			system.Stack.SetOtusFault(devstack.OtusFault{Status: status, Redirect: target})
			got := post(t, system, "/mcp", system.Token("ana"), callTeams)
			if got.status != http.StatusOK || !strings.Contains(got.body, `"isError":true`) {
				t.Errorf("%d: %d %s, want a tool error", status, got.status, got.body)
			}
			if strings.Contains(got.body, target) {
				t.Errorf("%d: the answer repeats the redirect's target: %s", status, got.body)
			}
			if n := len(system.Stack.OtusRequests()) - before; n != 1 {
				t.Errorf("%d: Otus saw %d requests, want 1: the redirect is not followed", status, n)
			}
		}
	}
	if n := visits.Load(); n != 0 {
		t.Errorf("the redirect's target had %d visits, want none", n)
	}
}

// TestOtusDecidesForEachPerson is the caller's own permission at the API.
func TestOtusDecidesForEachPerson(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	if got := post(t, system, "/mcp", system.Token("bruno"), callTeams); got.status != http.StatusForbidden {
		t.Errorf("Bruno got %d %s, want 403", got.status, got.body)
	}
	if got := post(t, system, "/mcp", system.Token("ana"), callTeams); got.status != http.StatusOK {
		t.Errorf("Ana got %d %s, want 200", got.status, got.body)
	}
	system.Stack.SetOtusFault(devstack.OtusFault{Status: http.StatusUnauthorized})
	got := post(t, system, "/mcp", system.Token("ana"), callTeams)
	if got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("Otus said 401, Ana got %d %q", got.status, got.header.Get("WWW-Authenticate"))
	}
}
