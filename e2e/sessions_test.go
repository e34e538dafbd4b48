package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// TestStreamEndsWithItsToken opens a stream with a token that is about to
// expire. The leeway is for clocks that differ, not for streams.
func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	short := system.Mint(devstack.Mint{Lifetime: 2 * time.Second})
	expiry := time.Now().Add(2 * time.Second)
	session := openStream(t, system, short)
	if rest := session.ended(t); len(rest) != 0 {
		t.Errorf("events before the end: %+v, want none", rest)
	}
	if early := time.Until(expiry); early > 1100*time.Millisecond { // exp counts whole seconds
		t.Errorf("the stream ended %s before its token", early)
	}
	if got := post(t, system, session.endpoint, system.Token("ana"), callTeams); got.status != http.StatusNotFound {
		t.Errorf("a message after the end got %d, want 404", got.status)
	}
}

// TestStreamLivesOnWithANewToken refreshes while the stream is open: a message
// with the new token keeps it open past the first one's expiry.
func TestStreamLivesOnWithANewToken(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	session := openStream(t, system, system.Mint(devstack.Mint{Lifetime: 2 * time.Second}))
	fresh := system.Mint(devstack.Mint{Lifetime: 4 * time.Second})
	opened := time.Now()
	if got := post(t, system, session.endpoint, fresh, callTeams); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	rest := session.ended(t)
	if lived := time.Since(opened); lived < 2500*time.Millisecond {
		t.Errorf("the stream lived %s, want until the second token's expiry", lived)
	}
	if len(rest) != 1 {
		t.Fatalf("events %+v, want one answer", rest)
	}
	wantResult(t, parseResponse(t, rest[0].data).Result)
}

// TestMessageRunsWithItsOwnToken is the difference between a session and a
// credential: what Otus sees is the token of the message, not of the stream.
func TestMessageRunsWithItsOwnToken(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	first, second := system.Token("ana"), system.Token("ana")
	if first == second {
		t.Fatal("two tokens are the same")
	}
	session := openStream(t, system, first)
	if got := post(t, system, session.endpoint, second, callTeams); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	wantResult(t, parseResponse(t, session.next(t).data).Result)
	seen := system.Stack.OtusRequests()
	if len(seen) != 1 || seen[0].Header.Get("Authorization") != "Bearer "+second {
		t.Errorf("Otus saw %d requests and not the message's own token", len(seen))
	}
}

// TestSessionIsItsOwners tries a good token of everybody else on Ana's session.
// The answer is the same as for a session that does not exist.
func TestSessionIsItsOwners(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	session := openStream(t, system, system.Token("ana"))
	unknown := post(t, system, "/mcp/sse?session_id=AAAAAAAAAAAAAAAAAAAAAAAAAA", system.Token("ana"), callTeams)
	for name, token := range map[string]string{
		"another person":                   system.Token("bruno"),
		"the same person, another client":  system.Mint(devstack.Mint{User: "ana", ClientID: "another-client"}),
		"another person, the same client":  system.Token("carla"),
		"another person of another client": system.Mint(devstack.Mint{User: "carla", ClientID: "another-client"}),
	} {
		got := post(t, system, session.endpoint, token, callTeams)
		if got.status != http.StatusNotFound || got.body != unknown.body {
			t.Errorf("%s: %d %s, want what an unknown session answers: %s", name, got.status, got.body, unknown.body)
		}
	}
	if n := len(system.Stack.OtusRequests()); n != 0 {
		t.Errorf("Otus saw %d requests, want none", n)
	}
	// And the owner is not disturbed.
	if got := post(t, system, session.endpoint, system.Token("ana"), callTeams); got.status != http.StatusAccepted {
		t.Fatalf("the owner got %d", got.status)
	}
	wantResult(t, parseResponse(t, session.next(t).data).Result)
}

// TestRefusalOfOtusReachesTheStream has no HTTP status left to answer with: the
// message was taken already.
func TestRefusalOfOtusReachesTheStream(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	token := system.Token("bruno")
	session := openStream(t, system, token)
	if got := post(t, system, session.endpoint, token, callTeams); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	got := parseResponse(t, session.next(t).data)
	if got.Error == nil || got.Error.Code != http.StatusForbidden || !strings.Contains(string(got.Error.Data), "403") {
		t.Errorf("the stream answered %+v, want an error of 403", got)
	}
}
