package strictyaml

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// read reads a file as a caller would: every kind of value, in a mapping.
func read(text string) error {
	root, err := Parse([]byte(text), "file", "the key a")
	if err != nil {
		return err
	}
	var p Problems
	top := p.Object(root, "", []string{"a", "text", "flag", "time", "size", "list", "map"})
	top.Required("a", "say what it is")
	top.Text("text")
	top.Flag("flag")
	top.Duration("time", 0, time.Minute)
	top.Bytes("size", 0, 100)
	top.Texts("list")
	if node := top.Fields["map"]; node != nil {
		inner := p.Object(node, top.At("map"), nil)
		for _, key := range inner.Keys() {
			inner.Text(key)
		}
	}
	return p.Err()
}

func TestProblemsHaveTheirLine(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"good":            {"a: x\ntext: 'y'\nflag: true\ntime: 30s\nsize: 100\nlist: [b]\nmap: {k: v}", ""},
		"JSON":            {`{"a": "x", "list": []}`, ""},
		"empty":           {"", "line 1: the file is empty; want the key a"},
		"comment only":    {"# nothing", "line 1: the file is empty; want the key a"},
		"two documents":   {"a: x\n---\na: y", "line 2: a second document starts here; a file is one"},
		"a list":          {"- a", "line 1: want a mapping of keys to values\nline 1: a: missing; say what it is"},
		"missing":         {"text: x", "line 1: a: missing; say what it is"},
		"empty text":      {"a: ''", "line 1: a: empty; say what it is"},
		"unknown key":     {"a: x\nb: y", `line 2: unknown key "b"; want one of: a, text, flag, time, size, list, map`},
		"twice":           {"a: x\na: y", `line 2: the key "a" is there twice; remove one`},
		"merge key":       {"a: x\nmap: &m {k: v}\n<<: *m", "line 3: a key must be a plain word; anchors and merge keys are not supported"},
		"number as text":  {"a: 1", "line 1: a: want a text; put it in quotes if it looks like something else"},
		"text as boolean": {"a: x\nflag: 'true'", "line 2: flag: want true or false"},
		"too long":        {"a: x\ntime: 61s", "line 2: time: want a length of time such as 10s, more than 0 and at most 1m0s"},
		"no unit":         {"a: x\ntime: 30", "line 2: time: want a length of time such as 10s, more than 0 and at most 1m0s"},
		"too large":       {"a: x\nsize: 101", "line 2: size: want a number of bytes from 1 to 100"},
		"not a list":      {"a: x\nlist: b", "line 2: list: want a list of texts"},
		"number in list":  {"a: x\nlist:\n  - b\n  - 2", "line 4: list[1]: want a text"},
		"within":          {"a: x\nmap:\n  k: [v]", "line 3: map.k: want a text; put it in quotes if it looks like something else"},
		"several":         {"flag: x\nb: y", "line 1: a: missing; say what it is\nline 1: flag: want true or false\n" + `line 2: unknown key "b"; want one of: a, text, flag, time, size, list, map`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := read(tc.text); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var text strings.Builder
	for n := range MaxProblems + 10 {
		fmt.Fprintf(&text, "k%d: x\n", n)
	}
	lines := strings.Split(read(text.String()).Error(), "\n")
	if len(lines) != MaxProblems+1 || !strings.HasPrefix(lines[MaxProblems], "and 11 more") {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

// FuzzParse holds that no file brings the reader down, and that an error about
// one always has a line.
func FuzzParse(f *testing.F) {
	f.Add("a: x\nlist: [b]")
	f.Add("a: &x [*x]")
	f.Fuzz(func(t *testing.T, text string) {
		if err := read(text); err != nil && !strings.Contains(err.Error(), "line") && !strings.HasPrefix(err.Error(), "yaml: ") {
			t.Errorf("%v", err)
		}
	})
}
