package main_test

import (
	"bytes"
	"context"
	"go/ast"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/page"
)

// maxADRLines is how long a decision may be: one page.
const maxADRLines = 80

// TestReadmeRuns starts what the README starts and does what it says, in one
// shell, and holds every output against the README's. "sh run" is run and its
// output compared with the next block, "sh set" is run and prints nothing, "text
// dev" is what the dev command prints.
func TestReadmeRuns(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err == nil {
		_, err = exec.LookPath("curl")
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI must have bash and curl: %v", err)
		}
		t.Skip(err)
	}
	port, printed := runDev(t)
	here := page.MapPorts(port)
	fenced, _ := page.Split(page.Read(t, "README.md"))
	const separator = "=== README step ===\n"
	var script strings.Builder
	var want []page.Block // outputs, in the order of the steps
	for i, b := range fenced {
		switch b.Info {
		case "text dev":
			wantOutput(t, b, here.Back(printed))
		case "sh run", "sh set":
			expected := page.Block{Line: b.Line}
			if b.Info == "sh run" {
				if i+1 == len(fenced) || strings.HasPrefix(fenced[i+1].Info, "sh") {
					t.Fatalf("README.md:%d: the block is run but no output follows", b.Line)
				}
				expected = fenced[i+1]
			}
			want = append(want, expected)
			script.WriteString(here.Forth(b.Text) + "printf '%s' '\n" + separator + "'\n")
		}
	}
	if len(want) < 12 {
		t.Fatalf("README.md has only %d steps that are run: the parser is broken", len(want))
	}
	command := exec.CommandContext(t.Context(), shell, "-s")
	command.Stdin = strings.NewReader(script.String())
	command.Env = append(os.Environ(), "no_proxy=*", "CURL_HOME="+t.TempDir())
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	got := strings.Split(here.Back(strings.ReplaceAll(string(output), "\r\n", "\n")), separator)
	if len(got) != len(want)+1 {
		t.Fatalf("%d outputs for %d steps:\n%s", len(got)-1, len(want), output)
	}
	for i, b := range want {
		wantOutput(t, b, got[i])
	}
}

func wantOutput(t *testing.T, b page.Block, got string) {
	t.Helper()
	if problem := b.Compare(got); problem != "" {
		t.Error("README.md: " + problem)
	}
}

// runDev runs the README's first command until the test ends. It returns its
// first port, which has four digits as 8000 has, so that lengths are the same,
// and what it printed.
func runDev(t *testing.T) (port int, printed string) {
	t.Helper()
	port = apptest.FreePorts(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	output, done := &readyWriter{ready: make(chan struct{})}, make(chan error, 1)
	go func() {
		done <- app.Dev(ctx, app.DevOptions{
			Port: port, SignIn: "ana", LogLevel: "warn", LogFormat: "text", Version: "0.0.0-docs",
			Stdout: output, Stderr: t.Output(),
		})
	}()
	select {
	case <-output.ready:
	case err := <-done:
		t.Fatalf("dev ended: %v", err)
	case <-time.After(time.Minute):
		cancel()
		t.Fatalf("dev did not get ready: %v", <-done)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("dev ended with %v", err)
		}
	})
	return port, output.String()
}

// readyWriter is written to once, when the dev command is ready.
type readyWriter struct {
	mu    sync.Mutex
	text  bytes.Buffer
	once  sync.Once
	ready chan struct{}
}

func (w *readyWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.once.Do(func() { close(w.ready) })
	return w.text.Write(p)
}

func (w *readyWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

var (
	heading  = regexp.MustCompile(`(?m)^#+ .*$`)
	tableRow = regexp.MustCompile(`(?m)^\|\s*(.*?)\s*\|`)
	link     = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
)

// TestReadmesAreEqual compares what does not depend on the language.
func TestReadmesAreEqual(t *testing.T) {
	english, englishProse := page.Split(page.Read(t, "README.md"))
	spanish, spanishProse := page.Split(page.Read(t, "README.es.md"))
	texts := func(list []page.Block) []string {
		var all []string
		for _, b := range list {
			all = append(all, b.Info+"\n"+b.Text)
		}
		return all
	}
	if diff := cmp.Diff(texts(english), texts(spanish)); diff != "" {
		t.Errorf("the blocks differ (-en +es):\n%s", diff)
	}
	levels := func(prose string) []int {
		var all []int
		for _, h := range heading.FindAllString(prose, -1) {
			all = append(all, len(h)-len(strings.TrimLeft(h, "#")))
		}
		return all
	}
	if diff := cmp.Diff(levels(englishProse), levels(spanishProse)); diff != "" {
		t.Errorf("the levels of the headings differ (-en +es):\n%s", diff)
	}
	firstCells := func(prose string) []string {
		var cells []string
		for _, match := range tableRow.FindAllStringSubmatch(prose, -1) {
			if strings.HasPrefix(match[1], "`") { // headers are translated
				cells = append(cells, match[1])
			}
		}
		return cells
	}
	if diff := cmp.Diff(firstCells(englishProse), firstCells(spanishProse)); diff != "" {
		t.Errorf("the tables differ (-en +es):\n%s", diff)
	}
	lists := func(prose string) int { return strings.Count(prose, "\n- ") }
	if lists(englishProse) != lists(spanishProse) {
		t.Errorf("%d list items in English, %d in Spanish", lists(englishProse), lists(spanishProse))
	}
	targets := func(prose string) []string {
		var all []string
		for _, match := range link.FindAllStringSubmatch(prose, -1) {
			if !strings.HasPrefix(match[1], "README") {
				all = append(all, match[1])
			}
		}
		return all
	}
	if diff := cmp.Diff(targets(englishProse), targets(spanishProse)); diff != "" {
		t.Errorf("the links differ (-en +es):\n%s", diff)
	}
}

// documents returns every Markdown file of the root and of docs.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 15 {
		t.Fatalf("found only %d documents", len(all))
	}
	return all
}

var namedFile = regexp.MustCompile("`((?:cmd|internal|docs|e2e)/[^`\\s:*]*|[A-Za-z0-9_./-]+\\.(?:go|yaml|yml|md|html))`")

// TestDocumentsNameWhatExists follows relative links and looks for every path
// between backticks: from the root, from the document, or somewhere below
// internal, where documents name files by their package ("mcp/sse.go").
func TestDocumentsNameWhatExists(t *testing.T) {
	for _, name := range documents(t) {
		text := page.Read(t, name)
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(match[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if !exists(path.Join(path.Dir(filepath.ToSlash(name)), target)) {
				t.Errorf("%s: the link %s leads nowhere", name, match[1])
			}
		}
		for _, match := range namedFile.FindAllStringSubmatch(text, -1) {
			target := match[1]
			found := exists(target) || exists(path.Join(path.Dir(filepath.ToSlash(name)), target)) || exists(path.Join("internal", target))
			if !found && !strings.HasPrefix(path.Base(target), ".") && target != "mcp.json" {
				t.Errorf("%s: `%s` does not exist", name, target)
			}
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(filepath.FromSlash(name))
	return err == nil
}

// TestDecisionsHaveOneForm wants every decision on one page, with a number of its
// own, with the same sections, and listed in the architecture.
func TestDecisionsHaveOneForm(t *testing.T) {
	files, err := filepath.Glob("docs/adr/*.md")
	if err != nil {
		t.Fatal(err)
	}
	architecture := page.Read(t, "docs/architecture.md")
	title := regexp.MustCompile(`\A# (\d{4})\. \S`)
	last := 0
	for _, name := range files {
		text := page.Read(t, name)
		if lines := strings.Count(text, "\n"); lines > maxADRLines {
			t.Errorf("%s has %d lines; a decision fits %d", name, lines, maxADRLines)
		}
		match := title.FindStringSubmatch(text)
		number, _, _ := strings.Cut(filepath.Base(name), "-")
		if n, _ := strconv.Atoi(number); n <= last || match == nil || match[1] != number {
			t.Errorf("%s: its name and title must begin with its number, one of its own", name)
		} else {
			last = n
		}
		var sections []string
		for _, h := range heading.FindAllString(text, -1)[1:] {
			sections = append(sections, strings.TrimPrefix(h, "## "))
		}
		if diff := cmp.Diff([]string{"Context", "Decision", "Consequences", "Rejected"}, sections); diff != "" {
			t.Errorf("%s: sections (-want +got):\n%s", name, diff)
		}
		if !strings.Contains(architecture, "(adr/"+filepath.Base(name)+")") {
			t.Errorf("docs/architecture.md does not list %s", name)
		}
	}
}

var (
	threatRow = regexp.MustCompile(`(?m)^\| (.+) \| ([A-G, \x{2013}]+) \| .+ \| (.+) \|$`)
	testName  = regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
)

// TestThreatsAreProven wants a test in every row of docs/threats.md, and every
// test that it names in the tree.
func TestThreatsAreProven(t *testing.T) {
	inTree := map[string]bool{}
	for _, files := range sources(t) {
		for _, s := range files {
			for _, declaration := range s.file.Decls {
				if function, ok := declaration.(*ast.FuncDecl); ok && s.isTest() {
					inTree[function.Name.Name] = true
				}
			}
		}
	}
	rows := threatRow.FindAllStringSubmatch(page.Read(t, "docs/threats.md"), -1)
	if len(rows) < 40 {
		t.Fatalf("found only %d threats", len(rows))
	}
	for _, row := range rows {
		proofs := testName.FindAllStringSubmatch(row[3], -1)
		if len(proofs) == 0 {
			t.Errorf("docs/threats.md: nothing proves that this is refused: %s", row[1])
		}
		for _, proof := range proofs {
			if !inTree[proof[1]] {
				t.Errorf("docs/threats.md: there is no %s (%s)", proof[1], row[1])
			}
		}
	}
}

var boundRow = regexp.MustCompile("(?m)^\\| `([a-z/]+\\.go)` \\| `(\\w+)` \\| `([^`]+)` \\|$")

// TestBoundsAreDocumented holds the table of bounds against the constants.
func TestBoundsAreDocumented(t *testing.T) {
	rows := boundRow.FindAllStringSubmatch(page.Read(t, "docs/architecture.md"), -1)
	if len(rows) < 25 {
		t.Fatalf("found only %d bounds", len(rows))
	}
	for _, row := range rows {
		file, name, value := row[1], row[2], row[3]
		constant := regexp.MustCompile(`(?m)^\s*(?:const )?` + name + `\s*=\s*` + regexp.QuoteMeta(value) + `(?:\s|$)`)
		if !constant.MatchString(page.Read(t, filepath.Join("internal", filepath.FromSlash(file)))) {
			t.Errorf("docs/architecture.md says that %s in %s is %s", name, file, value)
		}
	}
}
