package tool

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const compared = `
upstreams:
  otus: {url: "https://otus.example", credential: forward}
  other: {url: "https://other.example", credential: none}
tools:
  - name: one
    title: One
    description: Lists what there is.
    upstream: otus
    method: GET
    path: /one
    query: {size: size}
    scopes: [read]
    input:
      type: object
      properties: {size: {type: integer, maximum: 9007199254740993}}
      additionalProperties: false
    annotations: {read_only: true}
  - {name: two, description: Lists others., upstream: other, method: GET, path: /two, input: {type: object, additionalProperties: false}}
`

// TestReq079_ChangedDefinitionsHaveAnotherHash changes one thing at a time. What
// clients see has another hash then; what they do not see has the same hash and
// is named all the same.
func TestReq079_ChangedDefinitionsHaveAnotherHash(t *testing.T) {
	t.Parallel()
	before := mustLoad(t, compared)
	for _, test := range []struct {
		name     string
		old, new string
		keys     []string // that differ; nil: nothing has changed
		hash     bool     // another one
		listed   bool
	}{
		{"nothing", "", "", nil, false, false},
		{"layout", `query: {size: size}`, "query:\n      size: 'size' # a comment", nil, false, false},
		{"order of keys", `{type: integer, maximum: 9007199254740993}`, `{maximum: 9007199254740993, type: integer}`, nil, false, false},
		{"title", "title: One", "title: Uno", []string{"title"}, true, true},
		{"description", "what there is.", "what there is, and sends it to https://evil.example first.", []string{"description"}, true, true},
		{"a number beyond float64", "9007199254740993", "9007199254740992", []string{"input"}, true, true},
		{"annotations", "read_only: true", "read_only: false", []string{"annotations"}, true, true},
		{"output", "query: {size: size}", "query: {size: size}\n    output: {type: object}", []string{"output"}, true, true},
		{"scopes", "[read]", "[read, write]", []string{"scopes"}, false, true},
		{"rule", "scopes: [read]", "scopes: [read]\n    rule: 'true'", []string{"rule"}, false, true},
		{"path", "path: /one", "path: /uno", []string{"path"}, false, false},
		{"upstream", "upstream: otus", "upstream: other", []string{"upstream", "upstreams.other", "upstreams.otus"}, false, false},
		{"URL of the upstream", "https://otus.example", "https://otus2.example", []string{"upstreams.otus"}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			after := mustLoad(t, strings.Replace(compared, test.old, test.new, 1))
			changes := Compare(before, after)
			var keys []string
			for _, change := range changes.All {
				if change.Name != "one" || (change.Before != change.After) != test.hash {
					t.Errorf("%+v", change)
				}
				keys = change.Keys
			}
			if diff := cmp.Diff(test.keys, keys); diff != "" || len(changes.All) > 1 {
				t.Errorf("%d tools, keys (-want +got):\n%s", len(changes.All), diff)
			}
			if changes.Tools != test.listed {
				t.Errorf("the lists of clients changed: %t", changes.Tools)
			}
			if same := after.Hash() == before.Hash(); same != (test.old == test.new) {
				t.Errorf("the hash of the text is the same: %t", same)
			}
		})
	}
}

func TestReq079_AddedAndRemovedTools(t *testing.T) {
	t.Parallel()
	before := mustLoad(t, compared)
	after := mustLoad(t, strings.Replace(compared, "name: two", "name: zwei", 1))
	two, zwei := before.Definitions()[1].Hash(), after.Definitions()[1].Hash()
	want := Changes{All: []Change{{Kind: KindTool, Name: "two", Before: two}, {Kind: KindTool, Name: "zwei", After: zwei}}, Tools: true}
	if diff := cmp.Diff(want, Compare(before, after)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(two) != 64 || two == zwei {
		t.Errorf("hashes %q and %q", two, zwei)
	}
}

// A catalogue that closes its unmentioned tools changes who sees them.
func TestCompareSeesTheDefault(t *testing.T) {
	t.Parallel()
	changes := Compare(mustLoad(t, compared), mustLoad(t, "default: deny"+compared))
	if len(changes.All) != 1 || changes.All[0].Name != "two" || !changes.Tools ||
		cmp.Diff([]string{"default"}, changes.All[0].Keys) != "" {
		t.Errorf("%+v", changes)
	}
}

// A tool's rules say who is shown the resource that it answers as well; nothing else
// of the tool is seen there.
func TestCompareSeesWhoMayReadAResource(t *testing.T) {
	t.Parallel()
	text := compared + `
resources:
  - {uri: "list://one", name: one, tool: one}
`
	for _, test := range []struct {
		name, old, new string
		resources      bool
	}{
		{"scopes", "scopes: [read]", "scopes: [write]", true},
		{"title", "title: One", "title: Uno", false},
		{"default, of a tool that no resource is of", "\nupstreams:", "\ndefault: deny\nupstreams:", false},
	} {
		changes := Compare(mustLoad(t, text), mustLoad(t, strings.Replace(text, test.old, test.new, 1)))
		if !changes.Tools || changes.Resources != test.resources || changes.Prompts {
			t.Errorf("%s: %+v", test.name, changes)
		}
	}
}

// TestHashIsOfCanonicalJSON holds the hash against one that was made elsewhere:
// printf '%s' '...' | sha256sum.
func TestHashIsOfCanonicalJSON(t *testing.T) {
	t.Parallel()
	// {"description":"<a> & ü","inputSchema":{"additionalProperties":false,"type":"object"},"name":"t"}
	d := Definition{Name: "t", Description: "<a> & ü", InputSchema: []byte(`{"type":"object","additionalProperties":false}`)}
	if got, want := d.Hash(), "a16cc7b2a9756d93e0ee95141875de078e912076323453256341ad1aaacee947"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDeclaredIsCanonical(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, strings.Replace(compared, "read_only: true}", "read_only: true, title: \"<1>\"}", 1))
	for key, want := range map[string]string{
		"annotations":    `{"read_only":true,"title":"<1>"}`,
		"scopes":         `["read"]`,
		"method":         `"GET"`,
		"upstreams.otus": `{"credential":"forward","url":"https://otus.example"}`,
		"rule":           "",
	} {
		if got := c.Declared(KindTool, "one", key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if got := c.Declared(KindTool, "none", "scopes"); got != "" {
		t.Errorf("a tool that is not there declares %s", got)
	}
}
