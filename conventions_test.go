// Package main_test enforces the conventions of the house, by parsing files:
// where packages belong (layers_test.go), and what every file, test and
// dependency has to keep to. It is no linter; what golangci-lint can say is in
// .golangci.yml.
package main_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxFileLines is where a file has to be split. Tests may be longer.
const maxFileLines = 500

// source is one parsed Go file.
type source struct {
	path   string // from the root, with slashes
	file   *ast.File
	tokens *token.FileSet
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) position(node ast.Node) token.Position { return s.tokens.Position(node.Pos()) }

// sources returns the Go files of the module by package directory.
func sources(t *testing.T) map[string][]source {
	t.Helper()
	packages := map[string][]source{}
	tokens := token.NewFileSet()
	for _, name := range slices.Sorted(maps.Keys(goFiles(t))) {
		file, err := parser.ParseFile(tokens, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		name = filepath.ToSlash(name)
		packages[path.Dir(name)] = append(packages[path.Dir(name)], source{name, file, tokens})
	}
	return packages
}

func TestEveryPackageHasOneComment(t *testing.T) {
	for dir, files := range sources(t) {
		judged := slices.DeleteFunc(slices.Clone(files), source.isTest)
		if len(judged) == 0 {
			judged = files // nothing but tests
		}
		var documented []string
		for _, s := range judged {
			if s.file.Doc == nil {
				continue
			}
			documented = append(documented, s.path)
			text, name := s.file.Doc.Text(), s.file.Name.Name
			if !strings.HasPrefix(text, "Package "+name+" ") && (name != "main" || !strings.HasPrefix(text, "Command "+path.Base(dir)+" ")) {
				t.Errorf("%s: the package comment begins %q", s.path, strings.SplitN(text, "\n", 2)[0])
			}
		}
		if len(documented) != 1 {
			t.Errorf("%s has its package comment in %q; want exactly one file", dir, documented)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, files := range sources(t) {
		for _, s := range files {
			if lines := s.tokens.File(s.file.Pos()).LineCount(); lines > maxFileLines && !s.isTest() {
				t.Errorf("%s has %d lines; split it by meaning before %d", s.path, lines, maxFileLines)
			}
		}
	}
}

// TestTestsDoNotSleep lets time.Sleep pass where time is fake: in a function
// given to synctest.Test, or to a helper of the package that calls it.
func TestTestsDoNotSleep(t *testing.T) {
	for _, files := range sources(t) {
		bubbles := map[string]bool{"synctest.Test": true}
		for _, s := range files {
			for _, decl := range s.file.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && callsAny(f, bubbles) {
					bubbles[f.Name.Name] = true
				}
			}
		}
		for _, s := range files {
			if !s.isTest() {
				continue
			}
			for _, sleep := range realSleeps(s.file, bubbles) {
				t.Errorf("%s: time.Sleep outside a synctest bubble; wait for a condition", s.position(sleep))
			}
		}
	}
}

// realSleeps returns the calls of time.Sleep under node that are not in a
// function literal given to one of bubbles.
func realSleeps(node ast.Node, bubbles map[string]bool) []ast.Node {
	var found []ast.Node
	ast.Inspect(node, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if callee(call) == "time.Sleep" {
			found = append(found, call)
		}
		return !bubbles[callee(call)]
	})
	return found
}

func callsAny(node ast.Node, names map[string]bool) bool {
	found := false
	ast.Inspect(node, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		found = found || ok && names[callee(call)]
		return !found
	})
	return found
}

// callee returns "f" or "pkg.F", or "" for what is neither.
func callee(call *ast.CallExpr) string {
	switch function := call.Fun.(type) {
	case *ast.Ident:
		return function.Name
	case *ast.SelectorExpr:
		if x, ok := function.X.(*ast.Ident); ok {
			return x.Name + "." + function.Sel.Name
		}
	}
	return ""
}

// TestTestsSkipOnlyOutsideCI wants a function that skips to look at CI, so that
// what cannot run on somebody's machine cannot silently not run in CI either.
func TestTestsSkipOnlyOutsideCI(t *testing.T) {
	for _, files := range sources(t) {
		for _, s := range files {
			for _, decl := range s.file.Decls {
				if skip := firstSkip(decl); skip != nil && !mentionsCI(decl) {
					t.Errorf("%s: skips without looking at the CI environment variable in the same function", s.position(skip))
				}
			}
		}
	}
}

func firstSkip(node ast.Node) ast.Node {
	var found ast.Node
	ast.Inspect(node, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && found == nil {
			switch callee(call) {
			case "t.Skip", "t.Skipf", "t.SkipNow", "b.Skip", "b.Skipf", "tb.Skip", "tb.Skipf", "f.Skip", "f.Skipf":
				found = call
			}
		}
		return found == nil
	})
	return found
}

func mentionsCI(node ast.Node) bool {
	found := false
	ast.Inspect(node, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		found = found || ok && literal.Value == `"CI"`
		return !found
	})
	return found
}

var privateKey = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)

// TestNoPrivateKeys reads every file but those of testdata directories and
// what .gitignore leaves out.
func TestNoPrivateKeys(t *testing.T) {
	skipped := []string{".git", "bin", "dist", "node_modules", "results", "testdata"}
	read := 0
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(skipped, entry.Name()):
			return filepath.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		read++
		if found := privateKey.FindIndex(text); found != nil {
			t.Errorf("%s:%d: a private key; make keys when the test runs", name, 1+bytes.Count(text[:found[0]], []byte("\n")))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 50 {
		t.Fatalf("read only %d files: the walk is broken", read)
	}
}
