package tool

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

var testVariables = map[string]string{"OTUS_URL": "http://localhost:8002"}

// mustLoad loads a catalogue that has to be fine.
func mustLoad(tb testing.TB, text string) *Catalogue {
	tb.Helper()
	catalogue, err := Load([]byte(text), testVariables)
	if err != nil {
		tb.Fatal(err)
	}
	return catalogue
}

// The file is the tool as clients see it; a change of it is a change for every
// client and is meant to be read in review.
func TestBuiltInToolAsClientsSeeIt(t *testing.T) {
	catalogue := mustLoad(t, string(BuiltIn()))
	definitions := catalogue.Definitions()
	if len(definitions) != 1 {
		t.Fatalf("the built-in catalogue has %d tools, want 1", len(definitions))
	}
	got, err := json.MarshalIndent(definitions[0], "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", definitions[0].Name+".json")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run the test with -update if this is meant (-want +got):\n%s", diff)
	}
}

// usual fills in what a catalogue need not say.
func usual(u Upstream) Upstream {
	u.Timeout, u.ConnectTimeout, u.MaxResponse = 10*time.Second, 5*time.Second, 1<<20
	u.MaxConcurrent, u.MaxQueue, u.Retries = 64, 128, 2
	return u
}

func TestBuiltInUpstream(t *testing.T) {
	want := []Upstream{usual(Upstream{Name: "otus", URL: "http://localhost:8002", Credential: CredentialForward})}
	if diff := cmp.Diff(want, mustLoad(t, string(BuiltIn())).Upstreams()); diff != "" {
		t.Errorf("upstreams (-want +got):\n%s", diff)
	}
}

const fullCatalogue = `
upstreams:
  zeta: {url: "https://z.example.com", credential: none}
  api:
    url: ${OTUS_URL}/v1
    credential: forward
    audience: https://api.example.com
    timeout: 1m30s
    max_response: 2048
tools:
  - name: z_last
    description: The last one
    upstream: zeta
    method: POST
    path: /
    input: {type: object, additionalProperties: false}
  - name: a_first
    title: First
    description: The first one
    upstream: api
    method: GET
    path: /teams/~me
    scopes: [teams:read, teams]
    query: {page: page, kind: "filter[kind]", deep: deep, ratio: ratio}
    input:
      type: object
      required: [page]
      properties:
        page: {type: integer, minimum: 1, maximum: 100}
        kind: {type: string, enum: [a, b]}
        deep: {type: boolean}
        ratio: {type: number}
      additionalProperties: false
    output: {type: object, required: [teams], properties: {teams: {type: array, items: {type: object}}}}
    annotations: {title: First, read_only: true, destructive: false}
`

func TestLoadReadsEverything(t *testing.T) {
	catalogue := mustLoad(t, fullCatalogue)
	yes, no := true, false
	want := []Definition{
		{
			Name: "a_first", Title: "First", Description: "The first one", Access: Access{Scopes: []string{"teams:read", "teams"}},
			InputSchema: json.RawMessage(`{"type":"object","required":["page"],"properties":{"page":{"type":"integer","minimum":1,"maximum":100},` +
				`"kind":{"type":"string","enum":["a","b"]},"deep":{"type":"boolean"},"ratio":{"type":"number"}},"additionalProperties":false}`),
			OutputSchema: json.RawMessage(`{"type":"object","required":["teams"],"properties":{"teams":{"type":"array","items":{"type":"object"}}}}`),
			Annotations:  &Annotations{Title: "First", ReadOnlyHint: &yes, DestructiveHint: &no},
		},
		{
			Name: "z_last", Description: "The last one",
			InputSchema: json.RawMessage(`{"type":"object","additionalProperties":false}`),
			Annotations: &Annotations{ReadOnlyHint: &no, DestructiveHint: &yes}, // a POST that says nothing
		},
	}
	if diff := cmp.Diff(want, catalogue.Definitions()); diff != "" {
		t.Errorf("definitions (-want +got):\n%s", diff)
	}
	api := usual(Upstream{Name: "api", URL: "http://localhost:8002/v1", Credential: CredentialForward, Audience: "https://api.example.com"})
	api.Timeout, api.MaxResponse = 90*time.Second, 2048
	wantUpstreams := []Upstream{api, usual(Upstream{Name: "zeta", URL: "https://z.example.com", Credential: CredentialNone})}
	if diff := cmp.Diff(wantUpstreams, catalogue.Upstreams()); diff != "" {
		t.Errorf("upstreams (-want +got):\n%s", diff)
	}
}

func TestLoadReadsJSON(t *testing.T) {
	text := `{"upstreams": {"otus": {"url": "${OTUS_URL}", "credential": "forward"}},
	"tools": [{"name": "t", "description": "d", "upstream": "otus", "method": "GET", "path": "/teams",
		"input": {"type": "object", "additionalProperties": false}}]}`
	if got := mustLoad(t, text).tools[0].binding.path; got != "/teams" {
		t.Errorf("path = %q", got)
	}
}

// Each row spoils one detail of a good catalogue.
func TestLoadErrorsHaveLineAndFix(t *testing.T) {
	const good = `upstreams:
  otus:
    url: ${OTUS_URL}
    credential: forward
tools:
  - name: otus_teams
    description: d
    upstream: otus
    method: GET
    path: /teams
    input:
      type: object
      additionalProperties: false
`
	mustLoad(t, good)
	for name, tc := range map[string]struct{ old, new, want string }{
		"unknown root key":        {"tools:", "tool: 1\ntools:", `line 5: unknown key "tool"; want one of: default, upstreams, tools`},
		"unknown upstream key":    {"    credential:", "    retry: 3\n    credential:", `line 4: upstreams.otus: unknown key "retry"`},
		"unknown tool key":        {"method: GET", "method: GET\n    metod: GET", `line 10: tools[0]: unknown key "metod"`},
		"duplicate key":           {"method: GET", "method: GET\n    method: POST", `line 10: tools[0]: the key "method" is there twice`},
		"duplicate upstream":      {"tools:", "  otus: {url: 'https://x.example', credential: none}\ntools:", `line 5: upstreams: the key "otus" is there twice`},
		"merge key":               {"method: GET", "<<: {method: GET}", `line 9: tools[0]: a key must be a plain word`},
		"alias":                   {"path: /teams", "path: &p /teams\n    title: *p", `line 11: tools[0].title: want a text`},
		"second document":         {"tools:", "---\ntools:", "line 5: a second document"},
		"syntax":                  {"tools:", "\ttools:", "line 4"},
		"no upstreams":            {"upstreams:", "tools2:", "line 1: upstreams: missing"},
		"no tools":                {"tools:\n  - name", "tools: []\nx:\n  - name", "line 5: tools: want a list of at least one tool"},
		"bad upstream name":       {"  otus:\n", "  Otus-1:\n", "line 3: upstreams.Otus-1: a name has"},
		"no credential":           {"    credential: forward\n", "", "line 3: upstreams.otus.credential: missing; write forward"},
		"unknown credential":      {"credential: forward", "credential: oauth", `line 4: upstreams.otus.credential: unknown credential "oauth"; write one of: forward, exchange`},
		"unknown variable":        {"${OTUS_URL}", "${HOME}", "line 3: upstreams.otus.url: unknown variable ${HOME}; known are: OTUS_URL"},
		"open reference":          {"${OTUS_URL}", "https://x.example/${OTUS_URL", "line 3: upstreams.otus.url: a reference is written ${NAME}"},
		"relative URL":            {"${OTUS_URL}", "/otus", "line 3: upstreams.otus.url: want an absolute"},
		"http to elsewhere":       {"${OTUS_URL}", "http://otus.example", "line 3: upstreams.otus.url: want https"},
		"URL with password":       {"${OTUS_URL}", "https://u:hunter2@x.example", "line 3: upstreams.otus.url: a URL must not hold"},
		"URL with query":          {"${OTUS_URL}", "https://x.example/?a=b", "line 3: upstreams.otus.url: a base URL must not have a query"},
		"timeout without unit":    {"    credential:", "    timeout: 10\n    credential:", "line 4: upstreams.otus.timeout: want a length of time such as 10s"},
		"timeout of zero":         {"    credential:", "    timeout: 0s\n    credential:", "line 4: upstreams.otus.timeout: want"},
		"timeout too long":        {"    credential:", "    timeout: 1h\n    credential:", "at most 2m0s"},
		"response limit":          {"    credential:", "    max_response: 0\n    credential:", "line 4: upstreams.otus.max_response: want a number of bytes"},
		"response limit as text":  {"    credential:", "    max_response: 1MB\n    credential:", "line 4: upstreams.otus.max_response: want a number of bytes"},
		"bad tool name":           {"otus_teams", "otus-teams", `line 6: tools[0].name: "otus-teams" is not a name`},
		"long tool name":          {"otus_teams", strings.Repeat("a", 65), "line 6: tools[0].name"},
		"no description":          {"    description: d\n", "", "line 6: tools[0].description: missing; say what it does"},
		"empty description":       {"description: d", `description: ""`, "line 7: tools[0].description: empty"},
		"description not text":    {"description: d", "description: [d]", "line 7: tools[0].description: want a text"},
		"control in title":        {"description: d", "description: d\n    title: \"a\\u0007\"", "line 8: tools[0].title: want at most"},
		"unknown upstream":        {"upstream: otus", "upstream: ares", `line 8: tools[0].upstream: there is no upstream "ares"`},
		"unknown method":          {"method: GET", "method: get", `line 9: tools[0].method: unknown method "get"; write one of`},
		"path without slash":      {"path: /teams", "path: teams", `line 10: tools[0].path: "teams" must begin with a slash`},
		"path with dots":          {"path: /teams", "path: /a/../b", "line 10: tools[0].path"},
		"path with host":          {"path: /teams", "path: //evil.example", "line 10: tools[0].path"},
		"path with query":         {"path: /teams", "path: /teams?a=b", "line 10: tools[0].path"},
		"path with escape":        {"path: /teams", "path: /%2e%2e", "line 10: tools[0].path"},
		"path with parameter":     {"path: /teams", "path: /..;/x", "line 10: tools[0].path"},
		"path with placeholder":   {"path: /teams", "path: '/teams/{id}'", `line 10: tools[0].path: nothing fills {id}; declare the property "id" in input`},
		"no input":                {"    input:\n      type: object\n      additionalProperties: false\n", "", "line 6: tools[0].input: missing"},
		"input not a mapping":     {"input:\n      type: object\n      additionalProperties: false", "input: true", "line 11: tools[0].input: want a mapping"},
		"input not an object":     {"type: object", "type: array", "line 12: tools[0].input: the schema must have type: object"},
		"open input":              {"      additionalProperties: false\n", "", "line 12: tools[0].input: write additionalProperties: false"},
		"unknown schema keyword":  {"type: object", "type: object\n      propertys: {}", `line 13: tools[0].input.propertys: unknown keyword "propertys"`},
		"reference to itself":     {"type: object", "type: object\n      $ref: '#'", `line 12: tools[0].input: it refers to itself`},
		"reference elsewhere":     {"type: object", "type: object\n      $ref: https://example.com/x.json", "references lead into the schema itself"},
		"other dialect":           {"type: object", "type: object\n      $schema: http://json-schema.org/draft-07/schema#", "line 13: tools[0].input.$schema: want https"},
		"unknown type":            {"type: object", "type: object\n      properties: {a: {type: int}}", "line 13: tools[0].input.properties.a.type: want one or a list of"},
		"unbound argument":        {"type: object", "type: object\n      properties: {a: {type: string}}", `the argument "a" goes nowhere`},
		"unknown argument bound":  {"method: GET", "method: GET\n    query: {a: a}", `line 10: tools[0].query.a: there is no property "a" in input`},
		"object bound":            {"    input:\n      type: object", "    query: {a: a}\n    input:\n      type: object\n      properties: {a: {type: object}}", "tools[0].query.a: only a string, integer, number or boolean"},
		"bad parameter":           {"    input:\n      type: object", "    query: {a: 'a&b'}\n    input:\n      type: object\n      properties: {a: {type: string}}", "tools[0].query.a: want the parameter's name"},
		"parameter filled twice":  {"    input:\n      type: object", "    query: {a: x, b: x}\n    input:\n      type: object\n      properties: {a: {type: string}, b: {type: string}}", `another argument fills the parameter "x"`},
		"required and unknown":    {"type: object", "type: object\n      required: [a]", `line 13: tools[0].input.required: "a" is not among the properties`},
		"bad pattern":             {"    input:\n      type: object", "    query: {a: a}\n    input:\n      type: object\n      properties: {a: {type: string, pattern: '('}}", "line 14: tools[0].input.properties.a: not a valid JSON Schema"},
		"bad default":             {"    input:\n      type: object", "    query: {a: a}\n    input:\n      type: object\n      properties: {a: {type: string, default: 1}}", "line 14: tools[0].input.properties.a: not a valid JSON Schema"},
		"minimum is a text":       {"    input:\n      type: object", "    query: {a: a}\n    input:\n      type: object\n      properties: {a: {type: integer, minimum: one}}", "line 14: tools[0].input.properties.a: not a JSON Schema"},
		"date in a schema":        {"type: object", "type: object\n      title: 2026-01-01", "line 13"},
		"infinity in a schema":    {"    input:\n      type: object", "    query: {a: a}\n    input:\n      type: object\n      properties: {a: {type: number, maximum: .inf}}", `write ".inf" as JSON does`},
		"output not an object":    {"    input:", "    output: {type: array}\n    input:", "line 11: tools[0].output: the schema must have type: object"},
		"bad scope":               {"method: GET", `method: GET` + "\n    scopes: ['a b']", "line 10: tools[0].scopes: scope"},
		"scopes as text":          {"method: GET", "method: GET\n    scopes: a b", "line 10: tools[0].scopes: want a list"},
		"unknown annotation":      {"method: GET", "method: GET\n    annotations: {readonly: true}", `line 10: tools[0].annotations: unknown key "readonly"`},
		"annotation not a flag":   {"method: GET", "method: GET\n    annotations: {read_only: 'yes'}", "line 10: tools[0].annotations.read_only: want true or false"},
		"tool not a mapping":      {"  - name:", "  - just text\n  - name:", "line 6: tools[0]: want a mapping"},
		"the same name twice":     {"  - name: otus_teams", "  - {name: otus_teams, description: d, upstream: otus, method: GET, path: /, input: {type: object, additionalProperties: false}}\n  - name: otus_teams", `line 7: tools[1].name: the name "otus_teams" is taken by the tool at line 6`},
		"schema nests too deep":   {"type: object", "type: object\n      properties: {a: " + strings.Repeat("{items: ", 70) + "{}" + strings.Repeat("}", 70) + "}", "nests deeper than 64"},
		"default nests too deep":  {"type: object", "type: object\n      properties: {a: {default: " + strings.Repeat("[", 150) + strings.Repeat("]", 150) + "}}", "nests deeper than 128"},
		"a key twice in defaults": {"type: object", "type: object\n      properties: {a: {default: {b: 1, b: 2}}}", "there once"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, tc.old) {
				t.Fatalf("the good catalogue has no %q", tc.old)
			}
			_, err := Load([]byte(strings.Replace(good, tc.old, tc.new, 1)), testVariables)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v\nwant %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats a password: %v", err)
			}
		})
	}
}

func TestLoadReportsAllProblemsInTheFilesOrder(t *testing.T) {
	_, err := Load([]byte(`upstreams:
  otus: {url: "${NOWHERE}"}
tools:
  - name: Bad
    upstream: ares
    method: FETCH
    path: teams
    input: {type: string}
`), testVariables)
	if err == nil {
		t.Fatal("no error")
	}
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		place, _, _ := strings.Cut(line[strings.Index(line, ": ")+2:], ": ")
		lines = append(lines, place)
	}
	want := []string{
		"upstreams.otus.credential", "upstreams.otus.url", "tools[0].description", "tools[0].name", "tools[0].upstream",
		"tools[0].method", "tools[0].path", "tools[0].input", "tools[0].input",
	}
	less := cmp.Transformer("set", func(list []string) map[string]int {
		counts := map[string]int{}
		for _, one := range list {
			counts[one]++
		}
		return counts
	})
	if diff := cmp.Diff(want, lines, less); diff != "" {
		t.Errorf("places (-want +got):\n%s\n%v", diff, err)
	}
}

func TestLoadIsBounded(t *testing.T) {
	tools := func(n int) string {
		return "upstreams: {o: {url: '${OTUS_URL}', credential: none}}\ntools:\n" + strings.Repeat("  - x\n", n)
	}
	for name, text := range map[string]string{
		"empty":            "",
		"only a comment":   "# nothing",
		"null":             "null",
		"a list":           "[]",
		"too large":        strings.Repeat("#", MaxCatalogue+1),
		"too many tools":   tools(maxTools + 1),
		"many problems":    tools(maxTools),
		"billion laughs":   "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
		"deep nesting":     strings.Repeat("[", 20_000),
		"empty variable":   strings.ReplaceAll(tools(1), "OTUS_URL", "EMPTY"),
		"many upstreams":   "tools: []\nupstreams:\n" + strings.Repeat("  x: {}\n", 100),
		"not UTF-8":        "upstreams: \xff",
		"a NUL":            "upstreams: \x00",
		"upstreams a list": "upstreams: []\ntools: []",
	} {
		_, err := Load([]byte(text), map[string]string{"OTUS_URL": "https://x.example", "EMPTY": ""})
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if lines := strings.Count(err.Error(), "\n"); lines > strictyaml.MaxProblems {
			t.Errorf("%s: %d lines of problems", name, lines)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(string(BuiltIn()))
	f.Add(fullCatalogue)
	f.Fuzz(func(t *testing.T, text string) {
		catalogue, err := Load([]byte(text), testVariables)
		if err != nil {
			return
		}
		for _, definition := range catalogue.Definitions() {
			if !json.Valid(definition.InputSchema) || !namePattern.MatchString(definition.Name) {
				t.Errorf("accepted %+v", definition)
			}
		}
	})
}
