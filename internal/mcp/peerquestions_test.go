package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// deadReplica books a call on a's open session that a replica runs which is not
// there any more; its lease is not over yet.
func deadReplica(t *testing.T, a *harness, s *openStream) {
	t.Helper()
	id := s.endpoint[strings.Index(s.endpoint, "=")+1:]
	a.streams.mu.Lock()
	session := a.streams.sessions[id]
	a.streams.mu.Unlock()
	if got := a.beginRemote("gone", session, peerMessage{Call: "lost", ID: json.RawMessage(`"lost"`)}); got.Outcome != outcomeDone {
		t.Fatalf("the call was not booked: %s", got.Outcome)
	}
}

// A response is for one call. That another call's replica is dead must not keep
// it from arriving, wherever it is POSTed and wherever the call runs.
func TestADeadReplicaKeepsNoAnswerFromTheOthers(t *testing.T) {
	for name, where := range map[string]struct{ callOnB, answerOnB bool }{
		"asked on the holder, answered there":     {false, false},
		"asked on the holder, answered elsewhere": {false, true},
		"asked elsewhere, answered on the holder": {true, false},
		"asked elsewhere, answered where it runs": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, a, b := pair(t)
			a.tools.call, b.tools.call = asking, asking
			s := connect(t, http.DefaultClient, a.serve(t), "ana/claude/1")
			onA, onB := s.base, b.serve(t)
			base := map[bool]string{false: onA, true: onB}
			s.send("ana/claude/1", initializeWith(`{"elicitation":{},"roots":{}}`))
			s.message()
			deadReplica(t, a, s)
			s.base = base[where.callOnB]
			if got := s.send("ana/claude/1", callBody); got.status != http.StatusAccepted {
				t.Fatalf("the call: %d %s", got.status, got.body)
			}
			s.base = base[where.answerOnB]
			for _, method := range []string{"elicitation/create", "roots/list"} {
				question := questionID(t, s.message(), method)
				if got := s.send("ana/claude/1", fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{}}`, question)); got.status != http.StatusAccepted {
					t.Fatalf("the answer to %s: %d %s", method, got.status, got.body)
				}
			}
			if got := s.message(); !strings.Contains(got, `two {}`) {
				t.Errorf("the call's answer: %s", got)
			}
		})
	}
}

// An answer nobody waits for may belong to the call whose replica cannot be
// reached; the client is told to send it again.
func TestAnAnswerForADeadReplicaIsNotAccepted(t *testing.T) {
	_, a, _ := pair(t)
	s := connect(t, http.DefaultClient, a.serve(t), "ana/claude/1")
	deadReplica(t, a, s)
	if got := s.send("ana/claude/1", `{"jsonrpc":"2.0","id":"ask-x","result":{}}`); got.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s, want 503", got.status, got.body)
	}
}

// A holder that is gone for longer than its lease has given the call up, and
// the stream is gone with it: the call ends too.
func TestACallEndsWhenTheHolderIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, a, b := pair(t)
		b.logger = slog.New(slog.DiscardHandler)
		began, ended := make(chan struct{}), make(chan struct{})
		b.tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
			close(began)
			<-ctx.Done()
			close(ended)
			return tool.Result{}, ctx.Err()
		}
		tenant, err := a.streams.enter(principalOf("ana", "claude"))
		if err != nil {
			t.Fatal(err)
		}
		defer a.streams.leave(tenant)
		held := newSession(tenant.owner, awayQueue{})
		held.tenant = tenant
		a.streams.add(held)
		a.bus.Hold(t.Context(), held.id, ownerDigest(held.id, held.owner))
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/mcp/sse?session_id="+held.id, strings.NewReader(callBody))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer ana/claude/1")
		answer := httptest.NewRecorder()
		b.ServeHTTP(answer, request)
		if answer.Code != http.StatusAccepted {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		<-began
		store.mu.Lock()
		store.down = true // what a dead holder says arrives nowhere
		store.mu.Unlock()
		select {
		case <-ended:
		case <-time.After(2 * remoteLease):
			t.Error("the call goes on")
		}
		held.stop(true)
	})
}
