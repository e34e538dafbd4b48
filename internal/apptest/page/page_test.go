package page_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/page"
)

func TestSplit(t *testing.T) {
	fenced, prose := page.Split("# A\n\n```sh run\nls\n```\n\nText.\n```text\n\n```\n")
	want := []page.Block{{Info: "sh run", Text: "ls\n", Line: 3}, {Info: "text", Text: "\n", Line: 8}}
	if diff := cmp.Diff(want, fenced); diff != "" || prose != "# A\n\n\nText.\n" {
		t.Errorf("prose %q, blocks (-want +got):\n%s", prose, diff)
	}
}

func TestCompare(t *testing.T) {
	for _, test := range []struct {
		shown, got string
		same       bool
	}{
		{"a b\n", "a b", true},
		{"a ... b\n", "a x\ny b\n", true},
		{"a ...\n", "a \n", false},
		{"a.b\n", "axb\n", false},
		{"a\n", "a\nb\n", false},
	} {
		problem := page.Block{Text: test.shown, Line: 7}.Compare(test.got)
		if (problem == "") != test.same || !test.same && !strings.HasPrefix(problem, "line 7 shows") {
			t.Errorf("%q against %q: %q", test.shown, test.got, problem)
		}
	}
}

func TestPorts(t *testing.T) {
	ports := page.MapPorts(9120)
	const documented = "http://localhost:8000/mcp, localhost:8002, localhost:8003"
	got := ports.Forth(documented)
	if want := "http://localhost:9120/mcp, localhost:9122, localhost:8003"; got != want || ports.Back(got) != documented {
		t.Errorf("%q and back %q", got, ports.Back(got))
	}
}
