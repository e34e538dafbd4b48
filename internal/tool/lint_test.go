package tool

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLintWarnsOnce spoils one thing of a tool that has no warnings.
func TestLintWarnsOnce(t *testing.T) {
	t.Parallel()
	const clean = `
upstreams:
  otus: {url: "https://otus.example", credential: forward}
tools:
  - name: delete_team
    description: Delete a team and everything that belongs to it, for good.
    upstream: otus
    method: DELETE
    path: /teams
    query: {team: id}
    scopes: [teams:admin]
    input:
      type: object
      properties:
        team: {type: string, maxLength: 40, description: Its id}
      additionalProperties: false
    annotations: {destructive: true}
`
	for _, test := range []struct{ name, old, new, want string }{
		{"clean", "", "", ""},
		{"name", "delete_team", "delete_a_team_and_everything_that_belongs_to_it", "line 5: tools[0].name: has 47 characters; clients put their own in front and take 64 in all, so stay within 40"},
		{"short", "Delete a team and everything that belongs to it, for good.", "Delete a team.", "line 6: tools[0].description: too short for a model to choose by; say what the tool does, with what, and when to use it"},
		{"article", "Delete a team", "The team", `line 6: tools[0].description: begin with what the tool does, such as List, Find or Create, rather than with "The"`},
		{"contradiction", "{destructive: true}", "{read_only: true}", "line 17: tools[0].annotations: read_only: true cannot be right for DELETE, and clients call what is read only without asking"},
		{"a search is no contradiction", "{destructive: true}\n", "{read_only: true}\n#", ""},
		{"read without hint", "DELETE", "GET", "line 17: tools[0].annotations: a GET changes nothing; write read_only: true, or clients ask the person before each call"},
		{"answers that do something", "{destructive: true}", "{read_only: false}\n    ttl: 1m", "line 18: tools[0].ttl: with read_only: false a call does something, and one that is answered again would not; remove one of the two"},
		{"everybody", "    scopes: [teams:admin]\n", "", "line 5: tools[0].scopes: everybody with a valid token may call this DELETE; declare scopes or a rule, or default: deny"},
		{"nobody", "    scopes: [teams:admin]\n", "", ""},
		{"argument without description", ", description: Its id", "", "line 15: tools[0].input.properties.team: has no description; say what to fill in, with an example"},
		{"any text", ", maxLength: 40", "", "line 15: tools[0].input.properties.team: any text of any length; say what it may be with maxLength, enum, pattern or format"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(clean, test.old, test.new, 1)
			switch test.name {
			case "answers that do something":
				text = strings.NewReplacer("DELETE", "GET", "credential: forward", "credential: forward, cache: true").Replace(text)
			case "a search is no contradiction":
				text = strings.Replace(text, "DELETE", "POST", 1)
			case "nobody":
				text = "default: deny" + text
			}
			warnings, err := Lint([]byte(text), testVariables)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, strings.Join(warnings, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLintCountsTools(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("upstreams: {api: {url: 'https://api.example', credential: none}}\ntools:\n")
	for i := range manyTools + 1 {
		fmt.Fprintf(&b, "  - {name: t%d, description: List what there is., upstream: api, method: GET, path: /, input: {type: object, additionalProperties: false}, annotations: {read_only: true}}\n", i)
		warnings, err := Lint([]byte(b.String()), nil)
		if err != nil {
			t.Fatal(err)
		}
		if warned := len(warnings) > 0; warned != (i == manyTools) {
			t.Fatalf("%d tools: %q", i+1, warnings)
		}
	}
}

// The catalogue that everybody starts from is an example.
func TestBuiltInCatalogueHasNoWarnings(t *testing.T) {
	t.Parallel()
	if warnings, err := Lint(BuiltIn(), testVariables); err != nil || len(warnings) > 0 {
		t.Errorf("%v, %q", err, warnings)
	}
}

func TestLintReportsProblemsInsteadOfWarnings(t *testing.T) {
	t.Parallel()
	warnings, err := Lint([]byte("tools: nonsense"), nil)
	if err == nil || warnings != nil {
		t.Errorf("%v, %q", err, warnings)
	}
}
