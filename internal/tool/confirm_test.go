package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const archiveTool = `method: DELETE
path: /teams/{id}
confirm: "Delete this team?"
query: {note: note}
input: {type: object, required: [id], properties: {id: {type: number}, note: {type: string}}, additionalProperties: false}`

func TestReq078_ThePersonConfirmsThisCall(t *testing.T) {
	var log bytes.Buffer
	sender := &stubSender{status: 204}
	r := runner(t, toolThat(archiveTool), sender, &log)
	ask := func(arguments string, given *Confirmation) (Result, error) {
		who := caller()
		who.Confirmation = given
		return r.Call(t.Context(), who, "t", json.RawMessage(arguments))
	}
	needed := func(arguments string, given *Confirmation) *ConfirmationNeededError {
		t.Helper()
		_, err := ask(arguments, given)
		question, ok := errors.AsType[*ConfirmationNeededError](err)
		if !ok || sender.calls != 0 {
			t.Fatalf("got %v after %d requests, want a question", err, sender.calls)
		}
		return question
	}
	question := needed(`{"note":"a\u202eb<c>","id":9007199254740993}`, nil)
	if want := "Delete this team?\n\nTool: t\nArguments: {\"id\":9007199254740993,\"note\":\"a\ufffdb<c>\"}"; question.Question != want {
		t.Errorf("asked %q, want %q", question.Question, want)
	}
	yes := &Confirmation{State: question.State, Accepted: true}
	for _, other := range []string{`{"id":9007199254740992,"note":"a\u202eb<c>"}`, `{"id":9007199254740993}`, `{"id":9007199254740993,"note":"a"}`} {
		_ = needed(other, yes) // it was another call that was confirmed
	}
	_ = needed(`{"id":1}`, &Confirmation{Accepted: true})
	if long := needed(`{"id":1,"note":"`+strings.Repeat("x", 10_000)+`"}`, nil); len(long.Question) > maxShown+200 {
		t.Errorf("the question has %d bytes", len(long.Question))
	}
	_, err := ask(`{"id":9007199254740993,"note":"a\u202eb<c>"}`, &Confirmation{State: question.State})
	if declined, ok := errors.AsType[*DeclinedError](err); !ok || sender.calls != 0 || !strings.HasPrefix(declined.Error(), "t: The person did not confirm") {
		t.Fatalf("got %v after %d requests", err, sender.calls)
	}
	// The same arguments, written in another way.
	result, err := ask(` {"id": 9007199254740993, "note": "a`+"\u202e"+`b\u003cc>"}`, yes)
	if err != nil || result.IsError || sender.calls != 1 || sender.request.Method != "DELETE" {
		t.Errorf("got %+v, %v after %d requests", result, err, sender.calls)
	}
	var reasons []string
	for _, record := range auditRecords(t, log.Bytes()) {
		reasons = append(reasons, fmt.Sprint(record["decision"], " ", record["reason"]))
	}
	if got := strings.Join(reasons[len(reasons)-2:], ", "); got != "deny confirmation_declined, allow ok" || reasons[0] != "deny confirmation_needed" {
		t.Errorf("audit records: %v", reasons)
	}
}

// Who may not call is refused, and what makes no sense too, before a person is
// asked.
func TestReq078_NobodyIsAskedInVain(t *testing.T) {
	sender := &stubSender{status: 204}
	r := runner(t, toolThat(archiveTool+"\nscopes: [admin]"), sender, &bytes.Buffer{})
	_, err := r.Call(t.Context(), caller(), "t", json.RawMessage(`{"id":1}`))
	if got := refusalOf(t, err); got.Code != "insufficient_scope" {
		t.Errorf("got %+v", got)
	}
	r = runner(t, toolThat(archiveTool), sender, &bytes.Buffer{})
	_, err = r.Call(t.Context(), caller(), "t", json.RawMessage(`{"id":"x"}`))
	wantInvalid(t, err, "not as declared")
}

func TestReq078_ToolsThatWriteSaySo(t *testing.T) {
	for annotations, want := range map[string]string{
		"method: GET\npath: /":  "{}",
		"method: POST\npath: /": `{"readOnlyHint":false,"destructiveHint":true}`,
		"method: DELETE\npath: /\nannotations: {idempotent: true}":  `{"readOnlyHint":false,"destructiveHint":true,"idempotentHint":true}`,
		"method: POST\npath: /\nannotations: {read_only: true}":     `{"readOnlyHint":true,"destructiveHint":false}`,
		"method: PATCH\npath: /\nannotations: {destructive: false}": `{"readOnlyHint":false,"destructiveHint":false}`,
	} {
		hints := mustLoad(t, toolThat(annotations+"\ninput: {type: object, additionalProperties: false}")).Definitions()[0].Annotations
		if hints == nil {
			hints = &Annotations{}
		}
		if got, err := json.Marshal(hints); err != nil || string(got) != want {
			t.Errorf("%q: %s, %v, want %s", annotations, got, err, want)
		}
	}
}

func TestConfirmIsTrueOrAQuestion(t *testing.T) {
	for text, want := range map[string]string{
		"true": "", "false": "", "'Sure?'": "", `""`: "tools[0].confirm: empty", "[a]": "want true, or the question",
		`"a\nb"`: "in one line", strings.Repeat("x", maxConfirm+1): "at most 512 bytes",
	} {
		_, err := Load([]byte(toolThat(strings.Replace(archiveTool, `"Delete this team?"`, text, 1))), nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %q", text, err, want)
		}
	}
}
