package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// fakeStore joins replicas in memory; down is a store that is away.
type fakeStore struct {
	mu       sync.Mutex
	down     bool
	replicas map[string]*Server
	records  map[string][2]string
}

var errDown = errors.New("the store is away")

// fakeBus is the end of one replica.
type fakeBus struct {
	*fakeStore

	name string
}

func (b fakeBus) Hold(_ context.Context, session string, owner []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records[session] = [2]string{b.name, string(owner)}
}

func (b fakeBus) Release(_ context.Context, session string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.records, session)
}

func (b fakeBus) Locate(_ context.Context, session string) (replica string, owner []byte, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return "", nil, errDown
	}
	r := b.records[session]
	return r[0], []byte(r[1]), nil
}

func (b fakeBus) Ask(ctx context.Context, replica string, message []byte) ([]byte, error) {
	b.mu.Lock()
	server, down := b.replicas[replica], b.down
	b.mu.Unlock()
	if down || server == nil {
		return nil, errDown
	}
	return server.HandlePeer(ctx, b.name, message), nil
}

func (b fakeBus) Tell(replica string, message []byte) {
	go func() { _, _ = b.Ask(context.Background(), replica, message) }()
}

// pair is two replicas: a holds the streams, messages go to b.
func pair(t *testing.T) (store *fakeStore, a, b *harness) {
	t.Helper()
	store = &fakeStore{replicas: map[string]*Server{}, records: map[string][2]string{}}
	a, b = newHarness(t), newHarness(t)
	b.judge = a.judge // a call to b is answered by a
	for name, h := range map[string]*harness{"a": a, "b": b} {
		h.bus = fakeBus{store, name}
		store.replicas[name] = h.Server
	}
	t.Cleanup(func() { b.Finish(t.Context()) })
	return store, a, b
}

func TestReq083_AnyReplicaTakesMessages(t *testing.T) {
	store, a, b := pair(t)
	s := connect(t, http.DefaultClient, a.serve(t), "ana/claude/1")
	seen := make(chan string, 1)
	b.tools.call = func(_ context.Context, caller tool.Caller, _ json.RawMessage) (tool.Result, error) {
		seen <- caller.Token.Reveal()
		return tool.Result{Text: "<from b>"}, nil
	}
	s.base = b.serve(t)
	if got := s.send("ana/claude/2", callBody); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := s.message(); !strings.Contains(got, "<from b>") {
		t.Error(got)
	}
	if got := <-seen; got != "ana/claude/2" {
		t.Errorf("the call ran with the token %s", got)
	}
	for _, foreign := range []string{"bruno/claude/1", "ana/codex/1"} {
		if got := s.send(foreign, callBody); got.status != http.StatusNotFound {
			t.Errorf("%s in ana/claude's session: %d", foreign, got.status)
		}
	}
	store.mu.Lock()
	store.down = true
	store.mu.Unlock()
	if got := s.send("ana/claude/1", callBody); got.status != http.StatusServiceUnavailable {
		t.Errorf("without a store: %d", got.status)
	}
	store.mu.Lock()
	store.down = false
	store.mu.Unlock()
	// Every call is answered once, wherever it ran.
	answers := map[string]int{}
	b.tools.call = nil
	for i := range maxCallsInFlight {
		body := strings.Replace(callBody, `"c1"`, fmt.Sprint(i), 1)
		if got := s.send("ana/claude/1", body); got.status != http.StatusAccepted {
			t.Fatalf("call %d: %d %s", i, got.status, got.body)
		}
		var answer struct{ ID json.RawMessage }
		if err := json.Unmarshal([]byte(s.message()), &answer); err != nil {
			t.Fatal(err)
		}
		answers[string(answer.ID)]++
	}
	for i := range maxCallsInFlight {
		if answers[fmt.Sprint(i)] != 1 {
			t.Errorf("call %d was answered %d times", i, answers[fmt.Sprint(i)])
		}
	}
}

func TestCancelReachesTheReplicaThatRunsTheCall(t *testing.T) {
	_, a, b := pair(t)
	began, ended := make(chan struct{}), make(chan struct{})
	b.tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return tool.Result{}, ctx.Err()
	}
	s := connect(t, http.DefaultClient, a.serve(t), "ana/claude/1")
	onA, onB := s.base, b.serve(t)
	s.base = onB
	s.send("ana/claude/1", callBody)
	<-began
	s.base = onA
	if got := s.send("ana/claude/1", callBody); got.status != http.StatusBadRequest {
		t.Errorf("the same id on another replica: %d %s", got.status, got.body)
	}
	s.send("ana/claude/1", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c1"}}`)
	<-ended
	s.send("ana/claude/1", `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	if got := s.message(); !strings.Contains(got, `"id":2`) {
		t.Errorf("a cancelled call was answered: %s", got)
	}
}

func TestARemoteAnswerIsQueuedOnce(t *testing.T) {
	_, a, _ := pair(t)
	s := connect(t, http.DefaultClient, a.serve(t), "ana/claude/1")
	id := s.endpoint[strings.Index(s.endpoint, "=")+1:]
	a.streams.mu.Lock()
	session := a.streams.sessions[id]
	a.streams.mu.Unlock()
	a.beginRemote("b", session, peerMessage{Call: "x", ID: json.RawMessage(`1`)})
	part := peerMessage{Call: "x", Data: json.RawMessage(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0}}`)}
	answer := peerMessage{Call: "x", Number: 1, Data: json.RawMessage(`{"jsonrpc":"2.0","id":1,"result":{}}`), Final: true}
	for _, step := range []struct {
		message peerMessage
		want    outcome
	}{{part, outcomeDone}, {part, outcomeDone}, {answer, outcomeDone}, {answer, outcomeUnknown}} {
		if got := session.emit(step.message); got != step.want {
			t.Errorf("%s: %s, want %s", step.message.Data, got, step.want)
		}
	}
	a.beginRemote("b", session, peerMessage{Call: "y", ID: json.RawMessage(`2`)})
	session.giveUp("y")
	for _, want := range []string{`"progress":0`, `"id":1,"result"`, `"id":2,"error":{"code":503`} {
		if got := s.message(); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
