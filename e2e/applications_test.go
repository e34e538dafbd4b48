//go:build heavy

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// application is a whole program that is an MCP client, with a home of its own.
type application struct {
	path string
	env  []string
	home string
}

// newApplication finds a program under heavy/node_modules.
func newApplication(t *testing.T, pattern string, env ...string) application {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("heavy", "node_modules", filepath.FromSlash(pattern)))
	if err != nil || len(found) != 1 {
		t.Fatalf("the applications are not installed: run \"npm ci\" in e2e/heavy/ (%v, %v)", found, err)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	browser := writeBrowser(t, home, "browser")
	writeBrowser(t, home, "xdg-open") // for those who do not look at BROWSER
	return application{path: path, home: home, env: append([]string{
		"HOME=" + home, "PATH=" + home + ":/usr/local/bin:/usr/bin:/bin", "BROWSER=" + browser,
		"DISPLAY=:9", "TERM=xterm", // a browser is only opened where there is a screen
	}, env...)}
}

// run runs the program and returns what it wrote. With a terminal it goes
// through script(1), because some commands want one.
func (a application) run(t *testing.T, terminal bool, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, a.path, args...)
	if terminal {
		command = exec.CommandContext(ctx, "script", "-qec", a.path+" "+strings.Join(args, " "), os.DevNull)
	}
	command.Dir, command.Env, command.WaitDelay = a.home, a.env, 5*time.Second
	output, err := command.CombinedOutput()
	return string(output), err
}

// TestClaudeCode signs in with the client that is registered from the start,
// because its own is described by a document on the internet.
func TestClaudeCode(t *testing.T) {
	for _, transport := range []string{"http", "sse"} {
		t.Run(transport, func(t *testing.T) {
			system := apptest.Start(t)
			claude := newApplication(t, "@anthropic-ai/claude-code-linux-x64/claude",
				"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_AUTOUPDATER=1")
			if output, err := claude.run(t, false, "mcp", "add", "--transport", transport,
				"--client-id", system.Stack.URLs().ClientID, "--callback-port", freePort(t), "otus", endpoint(system, transport)); err != nil {
				t.Fatalf("mcp add: %v\n%s", err, output)
			}
			if output, _ := claude.run(t, false, "mcp", "list"); !strings.Contains(output, "Needs authentication") {
				t.Errorf("mcp list before the sign-in: %s", output)
			}
			if output, err := claude.run(t, true, "mcp", "login", "otus"); err != nil || !strings.Contains(output, "Authenticated") {
				t.Fatalf("mcp login: %v\n%s", err, output)
			}
			if output, err := claude.run(t, false, "mcp", "list"); err != nil || !strings.Contains(output, "Connected") {
				t.Errorf("mcp list: %v\n%s", err, output)
			}
		})
	}
}

// TestCodex registers itself dynamically and signs in while it is added. It has
// no HTTP+SSE.
func TestCodex(t *testing.T) {
	system := apptest.Start(t)
	codex := newApplication(t, "@openai/codex-linux-x64/vendor/*/bin/codex")
	codex.env = append(codex.env, "CODEX_HOME="+codex.home)
	if err := os.WriteFile(filepath.Join(codex.home, "config.toml"), []byte("mcp_oauth_credentials_store = \"file\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := codex.run(t, false, "mcp", "add", "otus", "--url", system.URL+"/mcp", "--oauth-client-registration", "dcr"); err != nil ||
		!strings.Contains(output, "Successfully logged in") {
		t.Fatalf("mcp add: %v\n%s", err, output)
	}
	if output, err := codex.run(t, false, "mcp", "list", "--json"); err != nil || !strings.Contains(output, `"auth_status": "o_auth"`) {
		t.Errorf("mcp list: %v\n%s", err, output)
	}
}
