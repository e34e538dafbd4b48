package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// TestReq078_ConfirmationThroughTheWholeServer calls a tool that the person has
// to agree to. It is done for a yes to the question on the stream, and otherwise
// the API hears of nothing.
func TestReq078_ConfirmationThroughTheWholeServer(t *testing.T) {
	t.Parallel()
	var deleted atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method+" "+r.URL.Path != "DELETE /teams/7" {
			t.Errorf("the API got %s %s", r.Method, r.URL.Path)
		}
		deleted.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(api.Close)
	file := filepath.Join(t.TempDir(), "tools.yaml")
	writeFile(t, file, `
upstreams: {api: {url: "`+api.URL+`", credential: none}}
tools:
  - name: delete_team
    description: Deletes a team.
    upstream: api
    method: DELETE
    path: /teams/{id}
    confirm: Delete the team?
    input: {type: object, required: [id], properties: {id: {type: integer}}, additionalProperties: false}
`)
	system := apptest.Start(t, withTools(file))
	token := system.Token("ana")
	const call = `{"jsonrpc":"2.0","id":"call","method":"tools/call","params":{"name":"delete_team","arguments":{"id":7}}}`
	stream := func(capabilities string) (s *openedStream, send func(body string)) {
		t.Helper()
		s = openStream(t, system, system.URL)
		send = func(body string) {
			t.Helper()
			if status, answer := request(t, http.MethodPost, system.URL+s.endpoint, token, body); status != http.StatusAccepted {
				t.Fatalf("%d %s", status, answer)
			}
		}
		send(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":` + capabilities + `}}`)
		if got := s.data(t); !strings.Contains(got, `"id":"init"`) {
			t.Fatalf("initialize: %s", got)
		}
		return s, send
	}
	s, send := stream(`{"elicitation":{}}`)
	for _, tc := range []struct {
		answer, want string
		deleted      int32
	}{
		{`{"action":"decline"}`, "The person did not confirm this", 0},
		{`{"action":"cancel"}`, "The person did not confirm this", 0},
		{`{"action":"accept","content":{"confirm":false}}`, "The person did not confirm this", 0},
		{`{"action":"accept","content":{"confirm":true}}`, "did it and answered without content", 1},
		{`{"action":"decline"}`, "The person did not confirm this", 1}, // each call is a question of its own
	} {
		send(call)
		var question struct {
			ID, Method string
			Params     struct{ Message string }
		}
		if err := json.Unmarshal([]byte(s.data(t)), &question); err != nil || question.Method != "elicitation/create" ||
			question.Params.Message != "Delete the team?\n\nTool: delete_team\nArguments: {\"id\":7}" {
			t.Fatalf("the person is asked %+v, %v", question, err)
		}
		send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":%s}`, question.ID, tc.answer))
		if got := s.data(t); !strings.Contains(got, `"id":"call"`) || !strings.Contains(got, tc.want) || deleted.Load() != tc.deleted {
			t.Errorf("%s: %s, and %d were deleted, want %q and %d", tc.answer, got, deleted.Load(), tc.want, tc.deleted)
		}
	}
	s, send = stream(`{}`)
	send(call)
	if got := s.data(t); !strings.Contains(got, `"code":-32600,"message":"This request has to ask you something (elicitation/create), which your client does not support"`) {
		t.Errorf("a client that asks nobody: %s", got)
	}
	// Without a stream a client of 2025 cannot be asked (docs/architecture.md).
	status, answer := request(t, http.MethodPost, system.URL+"/mcp", token, call)
	if status != http.StatusOK || !strings.Contains(answer, `"code":-32600,"message":"This request has to ask you something, which needs revision 2026-07-28"`) {
		t.Errorf("over Streamable HTTP: %d %s", status, answer)
	}
	if deleted.Load() != 1 {
		t.Errorf("%d were deleted, want the one that was agreed to", deleted.Load())
	}
}
