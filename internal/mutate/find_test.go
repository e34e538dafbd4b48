package main

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const source = `package p

var headChecks = []check{
	{1, a},
	{2, b}, // the second
}

var others = []int{1, 2}

func f(v *V) error {
	for _, step := range []func() error{v.x, v.y} {
		_ = step
	}
	if err := g(); err != nil && v.on {
		return Reason.refuse("no", err)
	}
	if v.on {
		return nil
	}
	switch {
	case v.one, v.two:
		refusal := unavailable("later")
		refusal.x = 1
		return refusal.refuse()
	case v.three:
		return nil
	}
	switch v.n {
	case 3:
		return Reason.refuse("three", nil)
	}
	return nil
}
`

func TestFind(t *testing.T) {
	mutants, err := findIn("p.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	type change struct{ Mutant, Line string }
	var got []change
	for _, m := range mutants {
		if _, err := parser.ParseFile(token.NewFileSet(), "p.go", m.text, 0); err != nil {
			t.Errorf("%s: %v", m, err)
		}
		before, after := strings.Split(source, "\n"), strings.Split(string(m.text), "\n")
		if len(before) != len(after) {
			t.Fatalf("%s: other lines moved", m)
		}
		for i := range before {
			if before[i] != after[i] {
				got = append(got, change{m.String(), strings.TrimSpace(after[i])})
			}
		}
	}
	want := []change{
		{"p.go:4 headChecks[0]: {1, a}", ""},
		{"p.go:5 headChecks[1]: {2, b}", "// the second"},
		{"p.go:11 list of functions[0]: v.x", "for _, step := range []func() error{ v.y} {"},
		{"p.go:11 list of functions[1]: v.y", "for _, step := range []func() error{v.x, } {"},
		{"p.go:14 if err != nil && v.on", "if err := g(); false && (err != nil && v.on) {"},
		{"p.go:21 if v.one", "case false && (v.one), v.two:"},
		{"p.go:21 if v.two", "case v.one, false && (v.two):"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mutants (-want +got):\n%s", diff)
	}
}

// TestSurvivorsFail runs the whole program on a package that nothing tests, and
// on what is no package.
func TestSurvivorsFail(t *testing.T) {
	for dir, want := range map[string]string{"testdata/untested": "no test misses 5 of 5 checks", "testdata": "found only 0 checks"} {
		var b strings.Builder
		err := run(t.Context(), &b, "./"+dir)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q\n%s", dir, err, want, b.String())
		}
	}
}
