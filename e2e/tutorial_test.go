package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/page"
)

// TestTutorial does the second half of docs/tutorial.md: it starts the server as the
// page does, with the page's files, and then does what Claude Code does. It discovers,
// registers, signs in, lists and calls, in the revision that Claude Code asks for
// first. The first half, the commands, is run by TestDocumentsRun of the command.
func TestTutorial(t *testing.T) {
	t.Parallel()
	fenced, _ := page.Split(page.Read(t, "../docs/tutorial.md"))
	port := apptest.FreePorts(t)
	here := page.MapPorts(port)
	folder := t.TempDir()
	var command, called page.Block
	for _, block := range fenced {
		switch words := strings.Fields(block.Info); {
		case block.Info == "sh dev":
			command = block
		case block.Info == "json called":
			called = block
		case len(words) > 1 && words[0] == "yaml":
			name := filepath.Join(folder, words[len(words)-1])
			if err := os.WriteFile(name, []byte(here.Forth(block.Text)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !strings.Contains(command.Text, "--tools-file") {
		t.Fatalf("the page does not start the server with its catalogue: %q", command.Text)
	}
	// Nobody is there to choose Ana on the sign-in page.
	args := append(strings.Fields(command.Text)[1:], "--port", strconv.Itoa(port), "--sign-in", "ana")
	logs := startDev(t, folder, args)

	got := runWalk(t, "sdk-v2.mjs", walkInput{URL: here.Forth("http://localhost:8000/mcp"), Transport: "http", Mode: "walk", Version: "auto", Tool: "list_teams"})
	if got.Error != nil {
		t.Fatalf("the walk failed: %s: %s\n%+v", got.Error.Name, got.Error.Message, got.Requests)
	}
	var tool struct {
		Name, Title string
	}
	if len(got.Tools) != 1 || json.Unmarshal(got.Tools[0], &tool) != nil || tool.Name != "list_teams" || tool.Title != "List the teams" {
		t.Errorf("tools = %s, want the operation of the document", got.Tools)
	}
	wantResult(t, got.Result)
	var result toolResult
	if err := json.Unmarshal(got.Result, &result); err != nil {
		t.Fatal(err)
	}
	if problem := called.Compare(result.Content[0].Text); problem != "" {
		t.Error("docs/tutorial.md: " + problem)
	}
	// The scope was asked for from the start: there was one sign-in, and one 401.
	if !slices.Contains(strings.Fields(got.Granted.Scope), "teams:read") || got.ProtocolVersion != "2026-07-28" {
		t.Errorf("granted %q in %s", got.Granted.Scope, got.ProtocolVersion)
	}
	if n := got.count(func(r sent) bool { return r.Status >= 400 }); n != 1 {
		t.Errorf("%d requests were refused, want the first only: %+v", n, got.Requests)
	}
	if leaks := apptest.Leaks(logs.String(), got.Tokens); len(leaks) > 0 || len(got.Tokens) == 0 {
		t.Errorf("of %d tokens these are in the log: %v", len(got.Tokens), leaks)
	}
}

// startDev runs the dev command in a folder until the test ends, and returns what
// it logs, once it is ready.
func startDev(t *testing.T, folder string, args []string) *printed {
	t.Helper()
	stdout, stderr := &printed{}, &printed{}
	command := exec.Command(apptest.Build(t), args...)
	command.Dir, command.Stdout, command.Stderr = folder, stdout, stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- command.Wait() }()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := <-exited; err != nil {
			t.Errorf("dev ended with %v:\n%s", err, stderr)
		}
	})
	apptest.Eventually(t, "dev is ready", func() bool {
		return strings.Contains(stdout.String(), "is ready") || len(exited) > 0
	})
	return stderr
}

// printed is what a command has printed so far.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}
