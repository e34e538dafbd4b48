package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// counted is an API that counts what was done.
type counted struct{ done atomic.Int32 }

func (c *counted) Send(context.Context, outbound.Request, oauth.Principal, secret.Value) (*http.Response, string, error) {
	c.done.Add(1)
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody}, "", nil
}

// A tool that wants a confirmation is done when the person who called it ticked
// the box for this very call, and in no other case.
func TestReq078_ConfirmationOverTheWire(t *testing.T) {
	h, url := featured(t, 0)
	catalogue, err := tool.Load([]byte(`
upstreams: {api: {url: "https://api.example", credential: none}}
tools:
  - name: teams
    description: Deletes a team.
    upstream: api
    method: DELETE
    path: /teams/{id}
    confirm: Delete the team?
    input: {type: object, required: [id], properties: {id: {type: integer}}, additionalProperties: false}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	api := &counted{}
	runner, err := tool.NewRunner(tool.RunnerConfig{Catalogue: catalogue, Senders: map[string]tool.Sender{"api": api}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h.tools.call = func(ctx context.Context, caller tool.Caller, arguments json.RawMessage) (tool.Result, error) {
		return runner.Call(ctx, caller, "teams", arguments)
	}
	call := func(arguments, extra, person, capabilities string) reply {
		body, header := modern("tools/call", `"name":"teams","arguments":`+arguments+extra)
		body = strings.Replace(body, `clientCapabilities":{}`, `clientCapabilities":`+capabilities, 1)
		return post(t, url, body, with(header, "Authorization", "Bearer "+person))
	}
	const able, ana = `{"elicitation":{}}`, "ana/claude/1"
	first := call(`{"id":7}`, "", ana, able)
	state, _ := first.rpc.Result["requestState"].(string)
	if first.rpc.Result["resultType"] != "input_required" || !strings.Contains(first.body, `Delete the team?\n\nTool: teams\nArguments: {\"id\":7}`) {
		t.Fatalf("%s", first.body)
	}
	answered := func(answer string) string {
		return fmt.Sprintf(`,"inputResponses":{"confirm":%s},"requestState":%q`, answer, state)
	}
	const yes = `{"action":"accept","content":{"confirm":true}}`
	for name, tc := range map[string]struct{ arguments, extra, person, capabilities, want string }{
		"declined":           {`{"id":7}`, answered(`{"action":"decline"}`), ana, able, "The person did not confirm this"},
		"cancelled":          {`{"id":7}`, answered(`{"action":"cancel"}`), ana, able, "The person did not confirm this"},
		"not ticked":         {`{"id":7}`, answered(`{"action":"accept","content":{"confirm":false}}`), ana, able, "The person did not confirm this"},
		"ticked as a text":   {`{"id":7}`, answered(`{"action":"accept","content":{"confirm":"true"}}`), ana, able, "The person did not confirm this"},
		"nothing to tick":    {`{"id":7}`, answered(`{"action":"accept"}`), ana, able, "The person did not confirm this"},
		"both":               {`{"id":7}`, answered(`{"action":"decline","action":"accept","content":{"confirm":true}}`), ana, able, "The person did not confirm this"},
		"other arguments":    {`{"id":8}`, answered(yes), ana, able, "input_required"},
		"another person":     {`{"id":7}`, answered(yes), "bruno/claude/1", able, "this requestState is not one of yours"},
		"without the state":  {`{"id":7}`, `,"inputResponses":{"confirm":` + yes + `}`, ana, able, "input_required"},
		"without the answer": {`{"id":7}`, fmt.Sprintf(`,"requestState":%q`, state), ana, able, "input_required"},
		"cannot ask":         {`{"id":7}`, "", ana, "{}", "Missing required client capability"},
	} {
		if got := call(tc.arguments, tc.extra, tc.person, tc.capabilities); !strings.Contains(got.body, tc.want) || api.done.Load() != 0 {
			t.Errorf("%s: %s, done %d times", name, got.body, api.done.Load())
		}
	}
	legacy := post(t, url, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"teams","arguments":{"id":7}}}`,
		map[string]string{"Authorization": "Bearer " + ana, "MCP-Protocol-Version": string(Rev20251125)})
	if !strings.Contains(legacy.body, "has to ask you something, which needs revision 2026-07-28") || api.done.Load() != 0 {
		t.Errorf("a client that cannot be asked: %s", legacy.body)
	}
	if got := call(`{"id":7}`, answered(yes), ana, able); !strings.Contains(got.body, "did it and answered without content") || api.done.Load() != 1 {
		t.Errorf("confirmed: %s, done %d times", got.body, api.done.Load())
	}
}
