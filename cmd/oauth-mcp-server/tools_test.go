package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/page"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// teamsCatalogue has a tool that needs a scope, and one of an API that repeats
// what it was sent.
const teamsCatalogue = `
upstreams:
  otus: {url: "${OTUS_URL}", credential: forward}
  echo: {url: "%s/base", credential: forward}
  keyed: {url: "https://keyed.example", credential: static, headers: {X-Tenant: a}, static: {header: X-Api-Key, secret_env: NOT_THERE}}
tools:
  - name: list_teams
    description: List the teams that the person may see.
    upstream: otus
    method: GET
    path: /teams
    scopes: [profile]
    input: {type: object, additionalProperties: false}
    annotations: {read_only: true}
  - name: repeat
    description: Repeat what was sent, for a test.
    upstream: echo
    method: POST
    path: /repeat
    query: {size: page-size, text: text}
    input:
      type: object
      properties:
        size: {type: integer, description: How many}
        text: {type: string, maxLength: 20, description: Which}
      additionalProperties: false
    rule: "!has(arguments.size) || arguments.size < 10"
    annotations: {destructive: false}
  - name: keyed
    description: Lists what an API with a key has.
    upstream: keyed
    method: GET
    path: /all
    input: {type: object, additionalProperties: false}
`

func writeCatalogue(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestToolsList(t *testing.T) {
	if got := invoke(t, nil, "tools"); got.code != exitOK || !strings.Contains(got.stdout, "otus_teams  otus      GET /teams  forward     -") {
		t.Errorf("%+v", got)
	}
	var list struct {
		Hash  string `json:"catalogue_hash"`
		Tools []struct {
			InputSchema json.RawMessage
			Hash        string
		}
	}
	if err := json.Unmarshal([]byte(invoke(t, nil, "tools", "list", "--json").stdout), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Tools) != 1 || list.Tools[0].InputSchema == nil || len(list.Tools[0].Hash) != 64 || len(list.Hash) != 64 {
		t.Errorf("%+v", list)
	}
}

func TestToolsLint(t *testing.T) {
	t.Chdir(t.TempDir())
	const catalogue = "upstreams: {a: {url: https://a.example, credential: %s}}\ntools:\n" +
		"- {name: b, description: %s, upstream: a, method: GET, path: /d, input: {type: object, additionalProperties: false}, annotations: {read_only: true}}\n"
	const good, short = "List all there is.", "List."
	for _, test := range []struct {
		credential, description string
		args                    []string
		code                    int
		want                    string
	}{
		{"none", good, nil, exitOK, "tools.yaml: no problems, warnings: 0, tools: 1\n"},
		{"none", good, []string{"--strict"}, exitOK, "tools.yaml: no problems, warnings: 0, tools: 1\n"},
		{"none", short, nil, exitOK, "warning: line 3: tools[0].description: too short"},
		{"none", short, []string{"--strict"}, exitFailed, "tools.yaml: no problems, warnings: 1, tools: 1\n"},
		{"none", short, []string{"--strict", "--json"}, exitFailed, `"warnings": [` + "\n    \"line 3: tools[0].description: too short"},
		{"maybe", good, nil, exitFailed, "problem: line 1: upstreams.a.credential: unknown credential"},
		{"maybe", good, []string{"--json"}, exitFailed, `"problems": [` + "\n    \"line 1: upstreams.a.credential"},
	} {
		writeCatalogue(t, "tools.yaml", fmt.Sprintf(catalogue, test.credential, test.description))
		got := invokeHere(t.Context(), nil, append([]string{"tools", "lint", "tools.yaml"}, test.args...)...)
		if got.code != test.code || !strings.Contains(got.stdout, test.want) || got.stderr != "" {
			t.Errorf("%+v: %+v", test, got)
		}
	}
	if got := invokeHere(t.Context(), nil, "tools", "lint", "missing.yaml"); got.code != exitFailed || !strings.Contains(got.stderr, "missing.yaml") {
		t.Errorf("%+v", got)
	}
}

func TestReq079_ToolsDiffShowsWhatChanges(t *testing.T) {
	t.Chdir(t.TempDir())
	before := fmt.Sprintf(teamsCatalogue, "https://echo.example")
	after := strings.NewReplacer(
		"name: repeat", "name: say_again",
		"that the person may see", "that there are",
		"scopes: [profile]", "rule: 'true'",
	).Replace(before)
	writeCatalogue(t, "before.yaml", before)
	writeCatalogue(t, "after.yaml", after)
	writeCatalogue(t, "path.yaml", strings.Replace(before, "/teams", "/crews", 1))
	if got := invokeHere(t.Context(), nil, "tools", "diff", "before.yaml", "before.yaml"); got.code != exitOK || got.stdout != "nothing differs\n" {
		t.Errorf("%+v", got)
	}
	got := invokeHere(t.Context(), nil, "tools", "diff", "--json", "before.yaml", "after.yaml")
	var diff app.ToolDiff
	if err := json.Unmarshal([]byte(got.stdout), &diff); err != nil || got.code != exitFailed {
		t.Fatalf("%+v, %v", got, err)
	}
	var changes []string
	for _, one := range diff.Changes {
		changes = append(changes, fmt.Sprintf("%s %s %d %d", one.Change, one.Name, len(one.Before), len(one.After)))
	}
	want := []string{"changed list_teams 64 64", "removed repeat 64 0", "added say_again 0 64"}
	if problem := cmp.Diff(want, changes); problem != "" || diff.Before.Hash == diff.After.Hash {
		t.Errorf("%+v (-want +got):\n%s", diff, problem)
	}
	differs := []app.DiffedKey{
		{Key: "description", Before: `"List the teams that the person may see."`, After: `"List the teams that there are."`},
		{Key: "rule", After: `"true"`},
		{Key: "scopes", Before: `["profile"]`},
	}
	if problem := cmp.Diff(differs, diff.Changes[0].Differs); problem != "" {
		t.Errorf("(-want +got):\n%s", problem)
	}
	got = invokeHere(t.Context(), nil, "tools", "diff", "before.yaml", "path.yaml")
	if got.code != exitFailed || !strings.Contains(got.stdout, "(clients see no difference)\n  path\n    - \"/teams\"\n    + \"/crews\"\n") {
		t.Errorf("%+v", got)
	}
	if got := invokeHere(t.Context(), nil, "tools", "diff", "before.yaml", "missing.yaml"); got.code != exitFailed || !strings.Contains(got.stderr, "missing.yaml") {
		t.Errorf("%+v", got)
	}
}

// TestToolsCall goes through what the server checks of a call, in order. No run
// prints the token, not even when the API does.
func TestToolsCall(t *testing.T) {
	var sent atomic.Int64
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"said": r.Header.Get("Authorization"), "asked": r.URL.String()})
	}))
	defer echo.Close()
	system := apptest.Start(t)
	good := system.Token("ana")
	unscoped := system.Mint(devstack.Mint{User: "ana", Scope: "openid"})
	expired := system.Mint(devstack.Mint{User: "ana", Defect: "expired"})
	t.Chdir(t.TempDir())
	writeCatalogue(t, "tools.yaml", fmt.Sprintf(teamsCatalogue, echo.URL))
	env := settingsOf(system)
	env["TOOLS_FILE"] = "tools.yaml"
	for _, test := range []struct {
		name  string
		token string
		args  []string
		code  int
		want  []string
		sends int64
	}{
		{"dry", "", []string{"list_teams"}, exitOK, []string{"GET " + env["OTUS_URL"] + "/teams\nAccept: application/json\n", "(credential: forward)", "skipped  caller", "Nothing was sent."}, 0},
		{"arguments", "", []string{"repeat", "--args", `{"size":12345678901234567890,"text":"a&b=c /?"}`}, exitOK, []string{"POST " + echo.URL + "/base/repeat?page-size=12345678901234567890&text=a%26b%3Dc%20%2F%3F\n"}, 0},
		{"key that is not here", "", []string{"keyed"}, exitOK, []string{"GET https://keyed.example/all\n", "X-Tenant: a\n(credential: static)"}, 0},
		{"unknown tool", "", []string{"nope"}, exitFailed, []string{"FAIL     tool       there is no such tool"}, 0},
		{"wrong arguments", "", []string{"repeat", "--args", `{"size":"many"}`}, exitFailed, []string{"FAIL     arguments"}, 0},
		{"no JSON", "", []string{"repeat", "--args", `{`}, exitFailed, []string{"FAIL     arguments"}, 0},
		{"caller", good, []string{"list_teams"}, exitOK, []string{"ok       token", "ok       caller     may make this call", "Nothing was sent."}, 0},
		{"expired", expired, []string{"list_teams", "--send"}, exitFailed, []string{"FAIL     token      401 invalid_token"}, 0},
		{"no scope", unscoped, []string{"list_teams", "--send"}, exitFailed, []string{"FAIL     caller     403 insufficient_scope", "(asks for: "}, 0},
		{"a rule denies", good, []string{"repeat", "--args", `{"size":10}`, "--send"}, exitFailed, []string{"FAIL     caller     403 forbidden"}, 0},
		{"sent", good, []string{"list_teams", "--send"}, exitOK, []string{"ok       caller", "Albatros"}, 0},
		{"sent to an API that repeats tokens", good, []string{"repeat", "--args", `{"size":9}`, "--send"}, exitOK, []string{`"said": "Bearer (the token)"`, `"asked": "/base/repeat?page-size=9"`}, 1},
		{"for programs", good, []string{"repeat", "--send", "--json"}, exitOK, []string{`"sent": true`, `"is_error": false`, `"said": "Bearer (the token)"`}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := sent.Load()
			args := append([]string{"tools", "call"}, test.args...)
			if test.token != "" {
				writeCatalogue(t, "token", test.token)
				args = append(args, "--token-file", "token")
			}
			got := invokeHere(t.Context(), env, args...)
			if got.code != test.code || got.stderr != "" || sent.Load()-before != test.sends {
				t.Errorf("exit code %d, sent %d: %s%s", got.code, sent.Load()-before, got.stdout, got.stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(got.stdout, want) {
					t.Errorf("want %q in\n%s", want, got.stdout)
				}
			}
			if leaks := apptest.Leaks(got.stdout, []string{good, unscoped, expired}); len(leaks) > 0 {
				t.Errorf("a token was printed: %v", leaks)
			}
		})
	}
	if got := invokeHere(t.Context(), env, "tools", "call", "keyed", "--send", "--token-file", "token"); got.code != exitFailed || !strings.Contains(got.stderr, "upstreams.keyed") {
		t.Errorf("%+v", got)
	}
	if got := invokeHere(t.Context(), env, "tools", "call", "repeat", "--send"); got.code != exitFailed || !strings.Contains(got.stderr, "--send needs --token-file") {
		t.Errorf("%+v", got)
	}
}

// The API's failure is the command's.
func TestToolsCallFails(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer broken.Close()
	system := apptest.Start(t)
	t.Chdir(t.TempDir())
	writeCatalogue(t, "tools.yaml", fmt.Sprintf(teamsCatalogue, broken.URL))
	writeCatalogue(t, "token", system.Token("ana"))
	env := settingsOf(system)
	env["TOOLS_FILE"] = "tools.yaml"
	got := invokeHere(t.Context(), env, "tools", "call", "repeat", "--send", "--token-file", "token")
	if got.code != exitFailed || !strings.Contains(got.stdout, "502 Bad Gateway") {
		t.Errorf("%+v", got)
	}
}

// TestDocumentsRun does what documents do: it writes the files ("yaml NAME"), runs
// the commands ("sh run") and wants the output that follows ("text"), or the file
// that the command has written ("yaml written NAME").
func TestDocumentsRun(t *testing.T) {
	for name, least := range map[string]int{"tools.md": 11, "tutorial.md": 5} {
		t.Run(name, func(t *testing.T) {
			fenced, _ := page.Split(page.Read(t, "../../docs/"+name))
			t.Chdir(t.TempDir())
			ran, output := 0, ""
			for _, block := range fenced {
				problem := ""
				switch kind, file, _ := strings.Cut(block.Info, " "); {
				case block.Info == "sh run":
					if output != "" {
						t.Errorf("%s:%d: nothing shows what the command before has printed:\n%s", name, block.Line, output)
					}
					got := invokeHere(t.Context(), nil, arguments(t, block.Text)...)
					if ran, output = ran+1, got.stdout; got.stderr != "" {
						problem = block.Text + got.stderr
					}
				case block.Info == "text":
					problem, output = block.Compare(output), ""
				case kind == "yaml" && strings.HasPrefix(file, "written "):
					problem = block.Compare(page.Read(t, strings.TrimPrefix(file, "written ")))
				case kind == "yaml" && file != "":
					writeCatalogue(t, file, block.Text)
				}
				if problem != "" {
					t.Errorf("%s: %s", name, problem)
				}
			}
			if ran < least || output != "" {
				t.Errorf("%d commands were run, and %q was printed last: a block is missing, or the parser is broken", ran, output)
			}
		})
	}
}

// arguments splits a command line of the document, of which a part may be in
// single quotes.
func arguments(t *testing.T, line string) []string {
	t.Helper()
	var words []string
	for i, part := range strings.Split(strings.TrimSpace(line), "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	if len(words) == 0 || words[0] != programName {
		t.Fatalf("%q does not begin with %s", line, programName)
	}
	return words[1:]
}
