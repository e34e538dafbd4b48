package main_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dependencyColumns are those of the table in docs/dependencies.md: module, what
// for, why not our own code, who maintains it, how many modules come with it.
const dependencyColumns = 5

// directive is one line of a go.mod, with the block it stands in as its first
// word.
type directive struct {
	verb     string
	words    []string
	indirect bool
}

// directives reads the line-based format of https://go.dev/ref/mod#go-mod-file
// as far as the go command writes it.
func directives(t *testing.T, path string) []directive {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []directive
	block := ""
	for line := range strings.Lines(string(text)) {
		code, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(code)
		switch {
		case len(words) == 0:
			continue
		case block != "" && words[0] == ")":
			block = ""
			continue
		case block == "" && words[len(words)-1] == "(":
			block = words[0]
			continue
		case block != "":
			words = append([]string{block}, words...)
		}
		found = append(found, directive{words[0], words[1:], strings.TrimSpace(comment) == "indirect"})
	}
	return found
}

func TestModulesAreNotReplaced(t *testing.T) {
	for _, path := range []string{"go.mod", "tools/go.mod"} {
		found := directives(t, path)
		if len(found) < 5 {
			t.Fatalf("%s: read only %d directives", path, len(found))
		}
		for _, d := range found {
			if d.verb == "replace" {
				t.Errorf("%s: replace %s: go install refuses a module that has one", path, strings.Join(d.words, " "))
			}
		}
	}
}

// TestDirectDependenciesHaveAReason compares go.mod with docs/dependencies.md.
func TestDirectDependenciesHaveAReason(t *testing.T) {
	explained := explainedDependencies(t)
	direct := map[string]bool{}
	for _, d := range directives(t, "go.mod") {
		if d.verb == "require" && !d.indirect {
			direct[d.words[0]] = true
		}
	}
	for _, module := range slices.Sorted(maps.Keys(direct)) {
		if !explained[module] {
			t.Errorf("%s is a direct dependency without a row in docs/dependencies.md", module)
		}
	}
	for _, module := range slices.Sorted(maps.Keys(explained)) {
		if !direct[module] {
			t.Errorf("docs/dependencies.md explains %s, which is not a direct dependency", module)
		}
	}
}

// explainedDependencies returns the modules of the table's rows, which begin
// with the module between backticks, and complains about cells left empty.
func explainedDependencies(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("^\\| `([^`]+)` \\|(.*)\\|$")
	explained := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		match := row.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		if explained[match[1]] {
			t.Errorf("docs/dependencies.md has two rows for %s", match[1])
		}
		explained[match[1]] = true
		cells := strings.Split(match[2], "|")
		if len(cells) != dependencyColumns-1 {
			t.Errorf("docs/dependencies.md: %s has %d columns, want %d", match[1], len(cells)+1, dependencyColumns)
		}
		for _, cell := range cells {
			if strings.TrimSpace(cell) == "" {
				t.Errorf("docs/dependencies.md: %s has an empty cell", match[1])
			}
		}
	}
	return explained
}
