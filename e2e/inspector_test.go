package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

const inspectorScript = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"

// inspector is one installation of the Inspector with a person at a browser.
type inspector struct {
	system *apptest.System
	env    []string
	args   []string
}

func newInspector(t *testing.T, system *apptest.System) inspector {
	t.Helper()
	folder := t.TempDir()
	browser := writeBrowser(t, folder, "browser")
	callback := "http://127.0.0.1:" + freePort(t) + "/oauth/callback"
	return inspector{
		system: system,
		env:    []string{"MCP_AUTO_OPEN_ENABLED=true", "BROWSER=" + browser, "MCP_STORAGE_DIR=" + folder},
		args:   []string{"--cli", "--callback-url", callback, "--format", "json"},
	}
}

// run calls one method.
func (i inspector) run(t *testing.T, args ...string) (stdout, stderr []byte, err error) {
	t.Helper()
	return tryNode(t, i.env, slices.Concat([]string{inspectorScript}, i.args, args)...)
}

// result calls one method and returns its result.
func (i inspector) result(t *testing.T, args ...string) json.RawMessage {
	t.Helper()
	stdout, stderr, err := i.run(t, args...)
	if err != nil {
		t.Fatalf("inspector %v: %v\n%s\n%s", args, err, stdout, stderr)
	}
	var envelope struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(stdout, &envelope); err != nil {
		t.Fatalf("inspector %v answered no JSON (%v): %s", args, err, stdout)
	}
	return envelope.Result
}

// TestInspector walks with the Inspector's command line: it signs in by itself,
// or is given a token.
func TestInspector(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	for name, test := range map[string]struct {
		transport string
		bearer    bool
		era       string
	}{
		"http":              {"http", false, "legacy"},
		"http modern":       {"http", false, "modern"},
		"sse":               {"sse", false, ""},
		"http with a token": {"http", true, "auto"},
		"sse with a token":  {"sse", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			url := endpoint(system, test.transport)
			args := []string{"--server-url", url, "--transport", test.transport}
			if test.era != "" {
				args = append(args, "--protocol-era", test.era)
			}
			if test.bearer {
				token := system.Mint(devstack.Mint{Resource: []string{url}})
				args = append(args, "--header", "Authorization: Bearer "+token, "--stored-auth-only")
			}
			i := newInspector(t, system)
			var listed struct {
				Tools []json.RawMessage `json:"tools"`
			}
			raw := i.result(t, append(args, "--method", "tools/list")...)
			if err := json.Unmarshal(raw, &listed); err != nil {
				t.Fatalf("%v in %s", err, raw)
			}
			wantTeams(t, listed.Tools, i.result(t, append(args, "--method", "tools/call", "--tool-name", "otus_teams")...))
		})
	}
}

// TestInspectorShowsWhyATokenIsRefused may not sign in, so it has to say why
// the token it was given is no good.
func TestInspectorShowsWhyATokenIsRefused(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	stdout, stderr, err := newInspector(t, system).run(t, "--server-url", system.URL+"/mcp", "--transport", "http",
		"--header", "Authorization: Bearer "+system.Mint(devstack.Mint{Defect: "wrong-audience"}),
		"--stored-auth-only", "--method", "tools/list")
	if err == nil {
		t.Fatalf("it worked: %s", stdout)
	}
	if said := string(stdout) + string(stderr); !strings.Contains(said, "auth_required") {
		t.Errorf("it said %s", said)
	}
}
