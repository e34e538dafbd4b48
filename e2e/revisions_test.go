package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// TestEveryRevisionOverPlainHTTP walks each revision of Streamable HTTP with
// the exact messages of its specification.
func TestEveryRevisionOverPlainHTTP(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	token := system.Token("ana")
	for _, revision := range []string{"2025-03-26", "2025-06-18", "2025-11-25"} {
		t.Run(revision, func(t *testing.T) {
			var initialized struct {
				ProtocolVersion string `json:"protocolVersion"`
			}
			got := post(t, system, "/mcp", token, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"`+revision+
				`","capabilities":{},"clientInfo":{"name":"walk","version":"1"}}}`)
			if err := json.Unmarshal(got.message(t).Result, &initialized); err != nil || initialized.ProtocolVersion != revision {
				t.Fatalf("initialize: %d %s", got.status, got.body)
			}
			if session := got.header.Get("Mcp-Session-Id"); session != "" {
				t.Errorf("a session id was issued: %q", session)
			}
			var headers []string
			if revision != "2025-03-26" { // which had no such header
				headers = []string{"Mcp-Protocol-Version", revision}
			}
			if got := post(t, system, "/mcp", token, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, headers...); got.status != http.StatusAccepted || got.body != "" {
				t.Errorf("notifications/initialized: %d %q, want 202 and nothing", got.status, got.body)
			}
			list := post(t, system, "/mcp", token, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, headers...)
			call := post(t, system, "/mcp", token, callTeams, headers...)
			wantTeams(t, toolsOf(t, list), call.message(t).Result)
		})
	}
}

func toolsOf(t *testing.T, got answer) []json.RawMessage {
	t.Helper()
	var listed struct {
		Tools []json.RawMessage `json:"tools"`
	}
	if err := json.Unmarshal(got.message(t).Result, &listed); err != nil {
		t.Fatalf("%v in %d %s", err, got.status, got.body)
	}
	return listed.Tools
}

// modern is a message of 2026-07-28 with its headers.
func modern(method, params string) (body string, headers []string) {
	meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	headers = []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method}
	if method == "tools/call" {
		headers = append(headers, "Mcp-Name", "otus_teams")
	}
	if params != "" {
		params += ","
	}
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + meta + `}}`, headers
}

// TestStatelessRevisionOverPlainHTTP is 2026-07-28, which has neither
// initialize nor sessions.
func TestStatelessRevisionOverPlainHTTP(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	token := system.Token("ana")
	body, headers := modern("server/discover", "")
	if got := post(t, system, "/mcp", token, body, headers...); got.status != http.StatusOK || !strings.Contains(got.body, `"2026-07-28"`) {
		t.Errorf("server/discover: %d %s", got.status, got.body)
	}
	body, headers = modern("tools/list", "")
	list := post(t, system, "/mcp", token, body, headers...)
	body, headers = modern("tools/call", `"name":"otus_teams","arguments":{}`)
	call := post(t, system, "/mcp", token, body, headers...)
	wantTeams(t, toolsOf(t, list), call.message(t).Result)

	headers[len(headers)-1] = "another_tool"
	got := post(t, system, "/mcp", token, body, headers...)
	if got.status != http.StatusBadRequest || got.message(t).Error == nil || got.message(t).Error.Code != -32020 {
		t.Errorf("Mcp-Name differs from the body: %d %s, want 400 with -32020", got.status, got.body)
	}
}

// TestBatch is what only 2025-03-26 has.
func TestBatch(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	batch := `[{"jsonrpc":"2.0","id":"list","method":"tools/list"},` +
		`{"jsonrpc":"2.0","method":"notifications/initialized"},` +
		`{"jsonrpc":"2.0","id":"call","method":"tools/call","params":{"name":"otus_teams"}}]`
	got := post(t, system, "/mcp", system.Token("ana"), batch)
	var answers []response
	if err := json.Unmarshal([]byte(got.body), &answers); err != nil || got.status != http.StatusOK || len(answers) != 2 {
		t.Fatalf("%d %s, want two answers (%v)", got.status, got.body, err)
	}
	byID := map[string]response{}
	for _, one := range answers {
		byID[string(one.ID)] = one
	}
	wantResult(t, byID[`"call"`].Result)
	if !strings.Contains(string(byID[`"list"`].Result), "otus_teams") {
		t.Errorf("tools/list answered %s", byID[`"list"`].Result)
	}
	for _, revision := range []string{"2025-06-18", "2025-11-25", "2026-07-28"} {
		if got := post(t, system, "/mcp", system.Token("ana"), batch, "Mcp-Protocol-Version", revision); got.status != http.StatusBadRequest {
			t.Errorf("%s: a batch got %d, want 400", revision, got.status)
		}
	}
}

// TestPreRegisteredSignIn is the way of people whose client cannot do OAuth:
// /auth/start, a browser, and tokens to paste.
func TestPreRegisteredSignIn(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	browser := newBrowser(t, system)
	got := browser.get(t, system.URL+"/auth/start")
	var tokens struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(got.body), &tokens); err != nil || got.status != http.StatusOK || tokens.AccessToken == "" {
		t.Fatalf("the sign-in ended with %d %s", got.status, got.body)
	}
	wantResult(t, post(t, system, "/mcp", tokens.AccessToken, callTeams).message(t).Result)
	refreshed := post(t, system, "/auth/refresh", "", `{"refresh_token":"`+tokens.RefreshToken+`"}`)
	if err := json.Unmarshal([]byte(refreshed.body), &tokens); err != nil || refreshed.status != http.StatusOK {
		t.Fatalf("refresh: %d %s", refreshed.status, refreshed.body)
	}
	wantResult(t, post(t, system, "/mcp", tokens.AccessToken, callTeams).message(t).Result)
}

// TestSeveralPostsAtOnce is what the suite's server-sse-multiple-streams looks at
// where a server issues session ids: several POSTs of one client are answered at
// the same time, each for itself, whether it takes an event stream or not.
func TestSeveralPostsAtOnce(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	token := system.Token("ana")
	const clients = 3
	answers := make([]answer, clients)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			body := strings.Replace(listTools, `"id":1`, fmt.Sprintf(`"id":%d`, 1000+i), 1)
			answers[i] = post(t, system, "/mcp", token, body, "Mcp-Protocol-Version", "2025-11-25", "Accept", "text/event-stream, application/json")
		})
	}
	group.Wait()
	for i, got := range answers {
		if message := got.message(t); got.status != http.StatusOK || string(message.ID) != fmt.Sprint(1000+i) || len(toolsOf(t, got)) != 1 {
			t.Errorf("%d: %d %s", i, got.status, got.body)
		}
	}
}
