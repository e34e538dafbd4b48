package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// refusing are the names of functions and methods that turn a request down.
var refusing = []string{"refuse", "badRequest", "forbidden", "unavailable"}

// mutant is a file with one check missing.
type mutant struct {
	path  string
	line  int
	about string // the check, on one line
	text  []byte // the whole file
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d %s", filepath.ToSlash(m.path), m.line, m.about)
}

// find returns a mutant for each check of the package in dir:
//
//   - an element of a list of checks: a package variable whose name ends in
//     "Checks", or a list of functions;
//   - a condition under which a request is turned down: an if, or a case without
//     a tag, that does nothing but return a refusal.
func find(dir string) ([]mutant, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var mutants []mutant
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path) //nolint:gosec // the directory is of who runs this
		if err != nil {
			return nil, err
		}
		found, err := findIn(path, text)
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, found...)
	}
	return mutants, nil
}

func findIn(path string, text []byte) ([]mutant, error) {
	tokens := token.NewFileSet()
	file, err := parser.ParseFile(tokens, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := finder{path: path, text: text, tokens: tokens, listed: map[token.Pos]bool{}}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.ValueSpec:
			f.named(node)
		case *ast.CompositeLit:
			if list, ok := node.Type.(*ast.ArrayType); ok && isFunc(list.Elt) {
				f.list(node, "list of functions")
			}
		case *ast.IfStmt:
			if refuses(node.Body.List) {
				f.never(node.Cond)
			}
		case *ast.SwitchStmt:
			if node.Tag == nil {
				f.cases(node)
			}
		}
		return true
	})
	return f.found, nil
}

// finder gathers the mutants of one file.
type finder struct {
	path   string
	text   []byte
	tokens *token.FileSet
	listed map[token.Pos]bool // lists that are done
	found  []mutant
}

func (f *finder) offset(pos token.Pos) int { return f.tokens.Position(pos).Offset }

// add makes a mutant whose text has replacement instead of what stands between
// two offsets.
func (f *finder) add(from, to int, replacement, about string) {
	line := 1 + bytes.Count(f.text[:from], []byte{'\n'})
	text := slices.Concat(f.text[:from], []byte(replacement), f.text[to:])
	f.found = append(f.found, mutant{f.path, line, strings.Join(strings.Fields(about), " "), text})
}

// named makes mutants of the lists of checks that a declaration has.
func (f *finder) named(declaration *ast.ValueSpec) {
	for i, name := range declaration.Names {
		if strings.HasSuffix(name.Name, "Checks") && i < len(declaration.Values) {
			f.list(declaration.Values[i], name.Name)
		}
	}
}

// list makes a mutant of each element of a list.
func (f *finder) list(value ast.Expr, name string) {
	literal, ok := value.(*ast.CompositeLit)
	if !ok || f.listed[literal.Pos()] {
		return
	}
	f.listed[literal.Pos()] = true // a list of functions may have such a name too
	for i, element := range literal.Elts {
		from, to := f.offset(element.Pos()), f.offset(element.End())
		about := string(f.text[from:to])
		if rest := f.text[to:f.offset(literal.Rbrace)]; len(rest) > 0 && rest[0] == ',' {
			to++
		}
		f.add(from, to, "", fmt.Sprintf("%s[%d]: %s", name, i, about))
	}
}

// never makes a mutant in which a condition never holds. It is still evaluated
// by the compiler, so that nothing in it becomes unused.
func (f *finder) never(condition ast.Expr) {
	from, to := f.offset(condition.Pos()), f.offset(condition.End())
	about := string(f.text[from:to])
	f.add(from, to, "false && ("+about+")", "if "+about)
}

func (f *finder) cases(statement *ast.SwitchStmt) {
	for _, entry := range statement.Body.List {
		if clause, ok := entry.(*ast.CaseClause); ok && len(clause.List) > 0 && refuses(clause.Body) {
			for _, condition := range clause.List {
				f.never(condition)
			}
		}
	}
}

// refuses reports whether statements end with the return of a refusal and do
// nothing else but prepare it.
func refuses(statements []ast.Stmt) bool {
	if len(statements) == 0 || len(statements) > 3 {
		return false
	}
	last, ok := statements[len(statements)-1].(*ast.ReturnStmt)
	return ok && slices.ContainsFunc(last.Results, callsRefusal)
}

func callsRefusal(expression ast.Expr) bool {
	found := false
	ast.Inspect(expression, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch function := call.Fun.(type) {
		case *ast.Ident:
			found = found || slices.Contains(refusing, function.Name)
		case *ast.SelectorExpr:
			found = found || slices.Contains(refusing, function.Sel.Name)
		}
		return true
	})
	return found
}

func isFunc(element ast.Expr) bool {
	_, ok := element.(*ast.FuncType)
	return ok
}
