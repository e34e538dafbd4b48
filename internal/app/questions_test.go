package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
	"tecrolabs.dev/oauth-mcp-server/internal/mcp"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// curious has one tool, which asks for a name and says how far it is.
type curious struct{}

func (c curious) Definition(name string) (tool.Definition, bool) {
	return tool.Find(c.Definitions(), name)
}

// Definitions implements [mcp.Tools].
func (curious) Definitions() []tool.Definition {
	return []tool.Definition{{Name: "greet", Description: "Greets.", InputSchema: json.RawMessage(`{"type":"object"}`)}}
}

// Listed implements [mcp.Tools].
func (c curious) Listed(context.Context, oauth.Principal) []tool.Definition { return c.Definitions() }

// Call implements [mcp.Tools].
func (curious) Call(ctx context.Context, _ tool.Caller, _ string, _ json.RawMessage) (tool.Result, error) {
	x := mcp.ExchangeFrom(ctx)
	if answer := x.Responses()["name"]; answer != nil {
		return tool.Result{Text: "Hello: " + string(answer)}, nil
	}
	x.Progress(1, 2, "")
	return tool.Result{}, &mcp.InputRequired{Requests: map[string]mcp.InputRequest{
		"name": {Method: "elicitation/create", Params: json.RawMessage(`{"message":"Who are you?","requestedSchema":{"type":"object","properties":{}}}`)},
	}}
}

// A question travels from the replica that runs the call to the one that holds
// the stream, and its answer back from wherever it is POSTed.
func TestReq083_QuestionsAcrossReplicas(t *testing.T) {
	t.Parallel()
	features := app.Features{Tools: curious{}}
	first := apptest.Start(t, withStore(teststore.Start(t)), apptest.WithFeatures(features))
	replicas := []string{first.URL, anotherReplica(t, first, features), anotherReplica(t, first, features)}
	s := openStream(t, first, first.URL)
	send := func(replica int, body string) {
		t.Helper()
		url, token := replicas[replica]+s.endpoint, first.Token("ana")
		apptest.Eventually(t, "the replica takes the message", func() bool {
			status, body := request(t, http.MethodPost, url, token, body)
			if status != http.StatusAccepted && status != http.StatusServiceUnavailable {
				t.Fatalf("%d %s", status, body)
			}
			return status == http.StatusAccepted
		})
	}
	send(2, `{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{"elicitation":{}}}}`)
	if got := s.data(t); !strings.Contains(got, `"id":"i"`) {
		t.Fatalf("initialize: %s", got)
	}
	for call := range replicas {
		for answer := range replicas {
			send(call, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"greet","_meta":{"progressToken":"p"}}}`, call))
			if got := s.data(t); !strings.Contains(got, `"progressToken":"p","progress":1,"total":2`) {
				t.Errorf("progress of a call on replica %d: %s", call, got)
			}
			var question struct{ ID, Method string }
			if err := json.Unmarshal([]byte(s.data(t)), &question); err != nil || question.Method != "elicitation/create" {
				t.Fatalf("question of a call on replica %d: %+v %v", call, question, err)
			}
			send(answer, fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{"action":"accept","content":{"from":%d}}}`, question.ID, answer))
			if got := s.data(t); !strings.Contains(got, fmt.Sprintf(`"id":%d`, call)) || !strings.Contains(got, fmt.Sprintf(`\"from\":%d`, answer)) {
				t.Errorf("a call on replica %d, answered on %d: %s", call, answer, got)
			}
		}
	}
}

// openedStream is an HTTP+SSE stream of Ana's.
type openedStream struct {
	endpoint string
	lines    *bufio.Scanner
}

func openStream(t *testing.T, system *apptest.System, base string) *openedStream {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/mcp/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+system.Token("ana"))
	response, err := system.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	s := &openedStream{lines: bufio.NewScanner(response.Body)}
	s.endpoint = s.data(t)
	return s
}

// data returns the data of the next event.
func (s *openedStream) data(t *testing.T) string {
	t.Helper()
	for s.lines.Scan() {
		if text, ok := strings.CutPrefix(s.lines.Text(), "data: "); ok {
			return text
		}
	}
	t.Fatal("the stream ended")
	return ""
}
