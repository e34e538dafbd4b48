package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// asking is a tool that asks twice, says how far it is, and tells the answers.
func asking(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
	x := ExchangeFrom(ctx)
	switch string(x.State()) {
	case "":
		x.Progress(1, 3, "")
		return tool.Result{}, &InputRequired{State: []byte("one"), Requests: map[string]InputRequest{
			"name": {Method: "elicitation/create", Params: json.RawMessage(`{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}`)},
		}}
	case "one":
		return tool.Result{}, &InputRequired{State: append([]byte("two "), x.Responses()["name"]...), Requests: map[string]InputRequest{
			"roots": {Method: "roots/list"},
		}}
	}
	return tool.Result{Text: fmt.Sprintf("%s %s", x.State(), x.Responses()["roots"])}, nil
}

func initializeWith(capabilities string) string {
	return `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":` + capabilities + `}}`
}

func questionID(t *testing.T, message, method string) string {
	t.Helper()
	var question struct{ ID, Method string }
	if err := json.Unmarshal([]byte(message), &question); err != nil || question.Method != method {
		t.Fatalf("want %s: %s", method, message)
	}
	return question.ID
}

func TestElicitationOnAStream(t *testing.T) {
	h := newHarness(t)
	h.tools.call = asking
	s := connect(t, http.DefaultClient, h.serve(t), "ana/claude/1")
	s.send("ana/claude/1", initializeWith(`{"elicitation":{},"roots":{}}`))
	s.message()
	s.send("ana/claude/1", strings.Replace(callBody, `"name":"teams"`, `"name":"teams","_meta":{"progressToken":5}`, 1))
	if got := s.message(); !strings.Contains(got, `"progressToken":5,"progress":1,"total":3`) {
		t.Errorf("progress: %s", got)
	}
	first := questionID(t, s.message(), "elicitation/create")
	for _, stray := range []string{`{"jsonrpc":"2.0","id":"ask-other","result":{}}`, `{"jsonrpc":"2.0","id":1,"result":{}}`} {
		if got := s.send("ana/claude/1", stray); got.status != http.StatusAccepted {
			t.Errorf("stray response: %d", got.status)
		}
	}
	if got := s.send("bruno/claude/1", fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{"action":"decline"}}`, first)); got.status != http.StatusNotFound {
		t.Errorf("somebody else answers: %d", got.status)
	}
	s.send("ana/claude/2", fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{"action":"accept"}}`, first))
	second := questionID(t, s.message(), "roots/list")
	s.send("ana/claude/2", fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{"roots":[]}}`, second))
	if got := s.message(); !strings.Contains(got, `two {\"action\":\"accept\"} {\"roots\":[]}`) {
		t.Errorf("answer: %s", got)
	}
}

func TestQuestionsThatAreNotAnswered(t *testing.T) {
	h := newHarness(t)
	h.tools.call = asking
	base := h.serve(t)
	s := connect(t, http.DefaultClient, base, "ana/claude/1")
	s.send("ana/claude/1", callBody)
	if got := s.message(); !strings.Contains(got, "does not support") {
		t.Errorf("without the capability: %s", got)
	}
	s.send("ana/claude/1", initializeWith(`{"elicitation":{},"roots":{}}`))
	s.message()
	s.send("ana/claude/1", callBody)
	id := questionID(t, s.message(), "elicitation/create")
	s.send("ana/claude/1", fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"error":{"code":-1,"message":"no"}}`, id))
	if got := s.message(); !strings.Contains(got, "with an error") {
		t.Errorf("refused: %s", got)
	}
	// A stream that ends takes its questions along.
	s.send("ana/claude/1", callBody)
	questionID(t, s.message(), "elicitation/create")
	h.Drain()
	s.cancel()
}

// What initialize declared counts for every call on the stream.
func TestHandlersKnowWhatTheStreamsClientCan(t *testing.T) {
	h := newHarness(t)
	h.tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
		x := ExchangeFrom(ctx)
		return tool.Result{Text: fmt.Sprintf("elicitation %v, sampling %v", x.Capable("elicitation"), x.Capable("sampling"))}, nil
	}
	s := connect(t, http.DefaultClient, h.serve(t), "ana/claude/1")
	s.send("ana/claude/1", initializeWith(`{"elicitation":{}}`))
	s.message()
	s.send("ana/claude/1", callBody)
	if got := s.message(); !strings.Contains(got, "elicitation true, sampling false") {
		t.Error(got)
	}
}
