package openapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 64 << 20

// client speaks MCP to a server under test, for one person.
type client struct {
	system *apptest.System
	token  string
}

// serve starts a whole server with a catalogue that imports text, as imports say,
// and calls a. The token of the client has scopes, and the API gets that one.
func serve(t *testing.T, a *api, text []byte, scopes []string, imports ...string) *client {
	t.Helper()
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
		directory := t.TempDir()
		c.ToolsFile = filepath.Join(directory, "tools.yaml")
		c.RateLimitPrincipal = config.Rate{}
		var b strings.Builder
		fmt.Fprintf(&b, "upstreams:\n  api: {url: %s, credential: forward}\nimports:\n", a.url)
		for _, one := range imports {
			fmt.Fprintf(&b, "  - {from: document.yaml, upstream: api, deprecated: true, output: true, %s}\n", one)
		}
		for name, content := range map[string][]byte{"tools.yaml": []byte(b.String()), "document.yaml": text} {
			if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}))
	a.token = system.Mint(devstack.Mint{Scope: strings.Join(append([]string{"openid"}, scopes...), " ")})
	return &client{system, a.token}
}

// reply is what a client is answered.
type reply struct {
	status int
	header http.Header
	Result json.RawMessage
	Error  *struct{ Message string }
}

// ask sends one request to /mcp, as clients of 2025-11-25 do.
func (c *client) ask(t *testing.T, method string, params any) reply {
	t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.system.URL+"/mcp", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	request.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := c.system.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer := reply{status: response.StatusCode, header: response.Header}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil {
		t.Fatalf("%v in %.500s", err, text)
	}
	return answer
}

// listed is a tool as a client gets it.
type listed struct {
	Name         string
	InputSchema  json.RawMessage
	OutputSchema json.RawMessage
}

// tools returns what every page of tools/list has.
func (c *client) tools(t *testing.T) []listed {
	t.Helper()
	var all []listed
	params := map[string]any{}
	for {
		var page struct {
			Tools      []listed
			NextCursor string
		}
		answer := c.ask(t, "tools/list", params)
		if err := json.Unmarshal(answer.Result, &page); err != nil {
			t.Fatalf("%d %v: %v", answer.status, answer.Error, err)
		}
		all = append(all, page.Tools...)
		if page.NextCursor == "" {
			return all
		}
		params["cursor"] = page.NextCursor
	}
}

// result is what a tool answered.
type result struct {
	Content           []struct{ Text string }
	StructuredContent json.RawMessage
	IsError           bool
}

// call calls a tool and wants a good result.
func (c *client) call(t *testing.T, name string, arguments any) (result, error) {
	t.Helper()
	answer := c.ask(t, "tools/call", map[string]any{"name": name, "arguments": arguments})
	var got result
	switch {
	case answer.Error != nil:
		return got, fmt.Errorf("%s", answer.Error.Message)
	case answer.status != http.StatusOK:
		return got, fmt.Errorf("status %d", answer.status)
	}
	if err := json.Unmarshal(answer.Result, &got); err != nil {
		return got, err
	}
	if got.IsError {
		return got, fmt.Errorf("%.500v", got.Content)
	}
	return got, nil
}

// scopesOf returns all OAuth scopes that the operations of a document may want.
func scopesOf(a *api) []string {
	var scopes []string
	for _, item := range a.document.Paths.Map() {
		for _, operation := range item.Operations() {
			requirements := a.document.Security
			if operation.Security != nil {
				requirements = *operation.Security
			}
			for _, alternative := range requirements {
				for _, names := range alternative {
					scopes = append(scopes, names...)
				}
			}
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}
