package main_test

import (
	"bytes"
	"context"
	"go/ast"
	"net"
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
)

// maxADRLines is how long a decision may be: one page.
const maxADRLines = 80

// block is a fenced block of a Markdown file. info is what stands behind the
// fence: "sh run" is run and its output compared with the next block, "sh set"
// is run and prints nothing, "text dev" is what the dev command prints.
type block struct {
	info string
	text string
	line int
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the fenced blocks of a document and the document without them.
func blocks(text string) (fenced []block, prose string) {
	var rest strings.Builder
	var open *block
	number := 0
	for line := range strings.Lines(text) {
		number++
		info, fence := strings.CutPrefix(strings.TrimRight(line, "\n"), "```")
		switch {
		case fence && open == nil:
			open = &block{info: info, line: number}
		case fence:
			fenced = append(fenced, *open)
			open = nil
		case open != nil:
			open.text += line
		default:
			rest.WriteString(line)
		}
	}
	return fenced, rest.String()
}

// TestReadmeRuns starts what the README starts and does what it says, in one
// shell, and holds every output against the README's. In an expected output
// "..." stands for any text.
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
	here := portMapping("800", port)
	fenced, _ := blocks(readDocument(t, "README.md"))
	const separator = "=== README step ===\n"
	var script strings.Builder
	var want []block // outputs, in the order of the steps
	for i, b := range fenced {
		switch b.info {
		case "text dev":
			matchOutput(t, b, here.back(printed))
		case "sh run", "sh set":
			expected := block{line: b.line}
			if b.info == "sh run" {
				if i+1 == len(fenced) || strings.HasPrefix(fenced[i+1].info, "sh") {
					t.Fatalf("README.md:%d: the block is run but no output follows", b.line)
				}
				expected = fenced[i+1]
			}
			want = append(want, expected)
			script.WriteString(here.forth(b.text) + "printf '%s' '\n" + separator + "'\n")
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
	got := strings.Split(here.back(strings.ReplaceAll(string(output), "\r\n", "\n")), separator)
	if len(got) != len(want)+1 {
		t.Fatalf("%d outputs for %d steps:\n%s", len(got)-1, len(want), output)
	}
	for i, b := range want {
		matchOutput(t, b, got[i])
	}
}

// runDev runs the README's first command until the test ends. It returns its
// first port, which has four digits as 8000 has, so that lengths are the same,
// and what it printed.
func runDev(t *testing.T) (port int, printed string) {
	t.Helper()
	port = freePorts(t)
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

// freePorts returns the first of three free ports in a row, of four digits and
// ending in 0, that nothing common uses.
func freePorts(t *testing.T) int {
	t.Helper()
	for port := 8410; port < 9990; port += 10 {
		free := true
		for i := range 3 {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)))
			if err != nil {
				free = false
				break
			}
			_ = listener.Close()
		}
		if free {
			return port
		}
	}
	t.Fatal("no three free ports in a row")
	return 0
}

// ports translates between the README's ports 8000 to 8002 and those of a test.
type ports struct{ to, from *strings.Replacer }

func portMapping(prefix string, port int) ports {
	var to, from []string
	for i := range 3 {
		documented, actual := "localhost:"+prefix+strconv.Itoa(i), "localhost:"+strconv.Itoa(port+i)
		to, from = append(to, documented, actual), append(from, actual, documented)
	}
	return ports{strings.NewReplacer(to...), strings.NewReplacer(from...)}
}

func (p ports) forth(text string) string { return p.to.Replace(text) }
func (p ports) back(text string) string  { return p.from.Replace(text) }

// matchOutput wants got to be what b shows, but for space at the end.
func matchOutput(t *testing.T, b block, got string) {
	t.Helper()
	want, got := strings.TrimSpace(b.text), strings.TrimSpace(got)
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), `\.\.\.`, `(?s:.+?)`)
	if !regexp.MustCompile(`\A` + pattern + `\z`).MatchString(got) {
		t.Errorf("README.md:%d shows\n%s\nbut it is\n%s", b.line, want, got)
	}
}

var (
	heading  = regexp.MustCompile(`(?m)^#+ .*$`)
	tableRow = regexp.MustCompile(`(?m)^\|\s*(.*?)\s*\|`)
	link     = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
)

// TestReadmesAreEqual compares what does not depend on the language.
func TestReadmesAreEqual(t *testing.T) {
	english, englishProse := blocks(readDocument(t, "README.md"))
	spanish, spanishProse := blocks(readDocument(t, "README.es.md"))
	texts := func(list []block) []string {
		var all []string
		for _, b := range list {
			all = append(all, b.info+"\n"+b.text)
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
		text := readDocument(t, name)
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
	architecture := readDocument(t, "docs/architecture.md")
	title := regexp.MustCompile(`\A# (\d{4})\. \S`)
	last := 0
	for _, name := range files {
		text := readDocument(t, name)
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
	rows := threatRow.FindAllStringSubmatch(readDocument(t, "docs/threats.md"), -1)
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
	rows := boundRow.FindAllStringSubmatch(readDocument(t, "docs/architecture.md"), -1)
	if len(rows) < 25 {
		t.Fatalf("found only %d bounds", len(rows))
	}
	for _, row := range rows {
		file, name, value := row[1], row[2], row[3]
		constant := regexp.MustCompile(`(?m)^\s*(?:const )?` + name + `\s*=\s*` + regexp.QuoteMeta(value) + `(?:\s|$)`)
		if !constant.MatchString(readDocument(t, filepath.Join("internal", filepath.FromSlash(file)))) {
			t.Errorf("docs/architecture.md says that %s in %s is %s", name, file, value)
		}
	}
}
