package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const petsDocument = `openapi: 3.1.0
info: {title: Pets, version: "1"}
servers: [{url: /v1}, {url: "https://pets.example.com/v1/"}]
paths:
  /pets:
    get: {operationId: listPets, tags: [read], summary: List pets, responses: {}, parameters: [{name: TE, in: header, schema: {type: string}}]}
    post: {operationId: addPet, tags: [write], summary: Add a pet, responses: {}}
`

// TestReq072_ToolsImport writes catalogues and gives them to the other commands,
// which read them as a server does.
func TestReq072_ToolsImport(t *testing.T) {
	directory := t.TempDir()
	t.Chdir(directory)
	writeCatalogue(t, "pets.yaml", petsDocument)
	written := invokeHere(t.Context(), nil, "tools", "import", "pets.yaml")
	if want := `# Tools of pets.yaml.
# 2 of them: add_pet, list_pets
upstreams:
  api:
    url: https://pets.example.com/v1
    credential: none # or forward (the caller's own token), exchange, client_credentials, static
imports:
  - from: pets.yaml
    upstream: api
`; written.code != exitOK || written.stdout != want {
		t.Errorf("got %d\n%s", written.code, written.stdout)
	}
	if !strings.Contains(written.stderr, "note: listPets: line 6: the header TE") {
		t.Errorf("notes: %s", written.stderr)
	}
	if err := os.Mkdir("conf", 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("conf", "tools.yaml")
	chosen := invokeHere(t.Context(), nil, "tools", "import", "pets.yaml", "-o", file, "--upstream", "pets", "--url", "https://other.example.com/v1",
		"--credential", "forward", "--prefix", "p_", "--tag", "read", "--tag", "write", "--not-method", "post", "--max", "3", "--deprecated")
	if chosen.code != exitOK || chosen.stdout != "" {
		t.Fatalf("%+v", chosen)
	}
	text, err := os.ReadFile(file)
	for _, want := range []string{"from: ../pets.yaml", "credential: forward # the caller's own token; or exchange", "prefix: p_", "tags: [read, write]", "methods: [post]", "max: 3", "deprecated: true"} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%v, no %q in\n%s", err, want, text)
		}
	}
	if listed := invokeHere(t.Context(), nil, "tools", "--tools-file", file); !strings.Contains(listed.stdout, "p_list_pets  pets      GET /pets  forward     -") {
		t.Errorf("list: %+v", listed)
	}
	if linted := invokeHere(t.Context(), nil, "tools", "lint", file); linted.code != exitOK || !strings.Contains(linted.stdout, "note: line 8: imports[0] (../pets.yaml): listPets") ||
		!strings.Contains(linted.stdout, "no problems, warnings: 0, tools: 1") {
		t.Errorf("lint: %+v", linted)
	}
	if called := invokeHere(t.Context(), nil, "tools", "call", "p_list_pets", "--tools-file", file); !strings.Contains(called.stdout, "GET https://other.example.com/v1/pets\n") {
		t.Errorf("call: %+v", called)
	}
	if own := invokeHere(t.Context(), nil, "tools", "import", "pets.yaml", "--url", "${OTUS_URL}"); !strings.Contains(own.stdout, "url: ${OTUS_URL}\n") {
		t.Errorf("with a setting: %+v", own)
	}
	if again := invokeHere(t.Context(), nil, "tools", "import", "pets.yaml", "-o", file); again.code == exitOK || !strings.Contains(again.stderr, "is there already") {
		t.Errorf("a file was written over: %+v", again)
	}
}

func TestReq072_ToolsImportOfManyOperations(t *testing.T) {
	t.Chdir(t.TempDir())
	writeCatalogue(t, "pets.yaml", petsDocument)
	if many := invokeHere(t.Context(), nil, "tools", "import", "pets.yaml", "--max", "1"); many.code == exitOK || many.stdout != "" ||
		!strings.Contains(many.stderr, `at most 1 may be; choose with include and exclude`) || !strings.Contains(many.stderr, "offer: search") {
		t.Errorf("%+v", many)
	}
	searched := invokeHere(t.Context(), nil, "tools", "import", "pets.yaml", "--offer", "search", "-o", "tools.yaml")
	if searched.code != exitOK {
		t.Fatalf("%+v", searched)
	}
	for command, want := range map[string]string{
		"tools list": "search_operations  -         -        -           -",
		`tools call call_operation --args {"operation":"add_pet"}`: "POST https://pets.example.com/v1/pets\n",
		`tools call search_operations --args {"query":"pets"}`:     "skipped  request    this tool answers without calling an API",
		`tools call call_operation --args {"operation":"no_pet"}`:  `There is no operation "no_pet"; search_operations finds those there are.`,
	} {
		if got := invokeHere(t.Context(), nil, append(strings.Fields(command), "--tools-file", "tools.yaml")...); !strings.Contains(got.stdout, want) {
			t.Errorf("%s: %+v", command, got)
		}
	}
}

// Clients give all definitions to the model with every question.
func TestToolsLintWarnsOfLargeDefinitions(t *testing.T) {
	t.Chdir(t.TempDir())
	for size, warned := range map[int]bool{1 << 10: false, 65 << 10: true} {
		schema := `{"type": "string", "enum": ["` + strings.Repeat("x", size) + `"]}`
		writeCatalogue(t, "pets.yaml", strings.Replace(petsDocument, "schema: {type: string}}]", "schema: {type: string}}, {name: a, in: query, schema: "+schema+"}]", 1))
		writeCatalogue(t, "tools.yaml", "upstreams: {api: {url: 'https://pets.example.com/v1', credential: none}}\ndefault: deny\nimports: [{from: pets.yaml, upstream: api}]\n")
		got := invokeHere(t.Context(), nil, "tools", "lint", "tools.yaml")
		if got.code != exitOK || strings.Contains(got.stdout, "warning: the definitions have 6") != warned {
			t.Errorf("%d bytes: %d %s", size, got.code, got.stdout)
		}
	}
}

func TestToolsImportErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	writeCatalogue(t, "pets.yaml", petsDocument)
	writeCatalogue(t, "nowhere.yaml", strings.Replace(petsDocument, `, {url: "https://pets.example.com/v1/"}`, "", 1))
	for command, want := range map[string]string{
		"none.yaml":                        "no such file",
		"nowhere.yaml":                     "say where the API is with --url",
		"pets.yaml --tag cats":             `include.tags: "cats" matches no operation`,
		"pets.yaml --credential static":    "--credential must be one of",
		"pets.yaml --upstream Pets":        "upstreams.Pets: a name has",
		"pets.yaml --url ftp://x.example":  "upstreams.api.url",
		"pets.yaml -o none/tools.yaml":     "no such file",
		"http://pets.example.com/x":        "neither https nor loopback http",
		"pets.yaml --prefix P":             "imports[0].prefix: want 1 to 24",
		"pets.yaml --offer search --max 3": "this has no effect with offer: search",
		"pets.yaml --max=129":              "max: want a number from 1 to 128",
	} {
		if got := invokeHere(t.Context(), nil, append([]string{"tools", "import"}, strings.Fields(command)...)...); got.code == exitOK || !strings.Contains(got.stderr, want) || got.stdout != "" {
			t.Errorf("%s: %+v", command, got)
		}
	}
}
