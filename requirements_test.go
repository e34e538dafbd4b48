package main_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write docs/requirements.yaml again, from the names of the tests")

// requirement is one entry of docs/requirements.yaml: what is asked, and the
// tests that prove it or the reason why none does yet.
type requirement struct {
	ID     int      `yaml:"id"`
	Text   string   `yaml:"text"`
	Tests  []string `yaml:"tests,omitempty,flow"`
	NotYet string   `yaml:"not_yet,omitempty"`
	Note   string   `yaml:"note,omitempty"`
}

const (
	requirementsFile  = "docs/requirements.yaml"
	requirementsCount = 98
)

// TestRequirements holds the map against the tests in the tree. A test names
// the requirements it proves: TestReq043_..., or TestReq028_Req029_... for
// several. That the named tests pass is what running them says.
func TestRequirements(t *testing.T) {
	data, err := os.ReadFile(requirementsFile)
	if err != nil {
		t.Fatal(err)
	}
	var requirements []requirement
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&requirements); err != nil {
		t.Fatal(err)
	}
	inTree := requirementTests(t)
	if *update {
		writeRequirements(t, data, requirements, inTree)
		return
	}
	if len(requirements) != requirementsCount {
		t.Fatalf("%d requirements, want %d", len(requirements), requirementsCount)
	}
	for i, r := range requirements {
		switch {
		case r.ID != i+1:
			t.Fatalf("entry %d is requirement %d; they go from 1 to %d in order", i+1, r.ID, requirementsCount)
		case len(r.Tests) == 0 && r.NotYet == "":
			t.Errorf("requirement %d has neither a test nor a reason why not yet", r.ID)
		case len(r.Tests) > 0 && r.NotYet != "":
			t.Errorf("requirement %d has tests; not_yet is stale (use note for what is still to come)", r.ID)
		}
		if !slices.Equal(r.Tests, inTree[r.ID]) {
			t.Errorf("requirement %d lists %v, the tree has %v; run: go test . -run TestRequirements -update", r.ID, r.Tests, inTree[r.ID])
		}
	}
}

var requirementNumber = regexp.MustCompile(`Req(\d{3})_`)

// requirementTests returns the tests and fuzz targets of each requirement,
// sorted.
func requirementTests(t *testing.T) map[int][]string {
	t.Helper()
	tests := map[int][]string{}
	for file := range goFiles(t) {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Recv != nil || !strings.HasPrefix(function.Name.Name, "Test") && !strings.HasPrefix(function.Name.Name, "Fuzz") {
				continue
			}
			for _, match := range requirementNumber.FindAllStringSubmatch(function.Name.Name, -1) {
				number, _ := strconv.Atoi(match[1])
				if number < 1 || number > requirementsCount {
					t.Errorf("%s: %s names requirement %d, which there is not", file, function.Name.Name, number)
				}
				tests[number] = append(tests[number], function.Name.Name)
			}
		}
	}
	for number := range tests {
		slices.Sort(tests[number])
	}
	return tests
}

// writeRequirements keeps everything but the lists of tests, and the comments
// at the top.
func writeRequirements(t *testing.T, before []byte, requirements []requirement, inTree map[int][]string) {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(string(before)) {
		if !strings.HasPrefix(line, "#") {
			break
		}
		b.WriteString(line)
	}
	for _, r := range requirements {
		fmt.Fprintf(&b, "\n- id: %d\n  text: %s\n", r.ID, yamlText(t, r.Text))
		if tests := inTree[r.ID]; len(tests) > 0 {
			b.WriteString("  tests:\n")
			for _, test := range tests {
				b.WriteString("    - " + test + "\n")
			}
		} else if r.NotYet != "" {
			b.WriteString("  not_yet: " + yamlText(t, r.NotYet) + "\n")
		}
		if r.Note != "" {
			b.WriteString("  note: " + yamlText(t, r.Note) + "\n")
		}
	}
	if err := os.WriteFile(requirementsFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func yamlText(t *testing.T, text string) string {
	t.Helper()
	encoded, err := yaml.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(encoded), "\n    ", " "))
}
