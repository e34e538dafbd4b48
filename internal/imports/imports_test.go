package imports

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// pets is a document with a bit of everything that an import decides about.
const pets = `openapi: 3.1.0
info: {title: Pets, version: "1"}
servers: [{url: https://pets.example.com/v1}]
security: [{sign-in: [pets:read]}]
paths:
  /pets:
    get:
      operationId: listPets
      tags: [pets]
      summary: List pets
      description: List pets of all kinds, page by page.
      parameters:
        - {name: kind, in: query, schema: {type: array, items: {type: string}}, style: pipeDelimited, explode: false}
        - {name: Accept, in: header, schema: {type: string}}
      responses:
        "200": {content: {application/json: {schema: {type: object, required: [pets], properties: {pets: {type: array}}}}}}
    post:
      operationId: addPet
      tags: [pets]
      security: [{sign-in: [pets:write]}]
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
      responses: {}
  /pets/{id}:
    delete:
      operationId: dropPet
      deprecated: true
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {}
  /odd/{a/b}:
    get: {operationId: odd, responses: {}}
components:
  schemas:
    Pet: {type: object, properties: {name: {type: string}, friends: {type: array, items: {$ref: "#/components/schemas/Pet"}}}}
  securitySchemes:
    sign-in: {type: oauth2, flows: {}}
`

func write(tb testing.TB, directory, name, text string) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// resolve resolves the imports, written in flow style, of a catalogue whose
// upstream is api.
func resolve(tb testing.TB, directory string, transport http.RoundTripper, entries ...string) (Result, error) {
	tb.Helper()
	text := "upstreams: {api: {url: 'https://pets.example.com/v1', credential: none}}\nimports:\n"
	for _, entry := range entries {
		text += "  - {upstream: api, " + entry + "}\n"
	}
	catalogue, err := tool.Load([]byte(text), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return Resolve(tb.Context(), catalogue, Config{Directory: directory, Transport: transport})
}

func names(c *tool.Catalogue) string {
	var list []string
	for _, d := range c.Definitions() {
		list = append(list, d.Name)
	}
	return strings.Join(list, " ")
}

func find(t *testing.T, c *tool.Catalogue, name string) tool.Definition {
	t.Helper()
	definition, ok := tool.Find(c.Definitions(), name)
	if !ok {
		t.Fatalf("no tool %s among %s", name, names(c))
	}
	return definition
}

func TestReq072_OperationsBecomeTools(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	write(t, directory, "pets.yaml", pets)
	result, err := resolve(t, directory, nil, "from: pets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(result.Catalogue); got != "add_pet list_pets" {
		t.Fatalf("tools: %s", got)
	}
	list, add := find(t, result.Catalogue, "list_pets"), find(t, result.Catalogue, "add_pet")
	if list.Title != "List pets" || list.Description != "List pets of all kinds, page by page." || add.Description != "POST /pets" {
		t.Errorf("texts: %q, %q, %q", list.Title, list.Description, add.Description)
	}
	if !*list.Annotations.ReadOnlyHint || *add.Annotations.ReadOnlyHint || !*add.Annotations.DestructiveHint {
		t.Error("hints are not those of the methods")
	}
	if list.Access.Scopes.String() != "pets:read" || add.Access.Scopes.String() != "pets:write" {
		t.Errorf("scopes: %s, %s", list.Access.Scopes, add.Access.Scopes)
	}
	if list.OutputSchema != nil {
		t.Error("an answer has a schema that nobody asked for")
	}
	if !strings.Contains(string(add.InputSchema), `"$defs"`) {
		t.Errorf("a recursive schema is gone: %s", add.InputSchema)
	}
	_, request, err := result.Catalogue.Request(t.Context(), "list_pets", []byte(`{"kind":["cat","dog"]}`))
	if err != nil || request.URL.String() != "/pets?kind=cat%7Cdog" {
		t.Errorf("request %v, %v", request, err)
	}
	if len(result.Files) != 1 || result.Files[0].Path != filepath.Join(directory, "pets.yaml") || result.Files[0].Info == nil {
		t.Errorf("files: %+v", result.Files)
	}
	for _, want := range []string{"left out: line 30: odd", "listPets: line 14: the header Accept is not for tools"} {
		if !slices.ContainsFunc(result.Notes, func(note string) bool { return strings.Contains(note, "line 3: imports[0] (pets.yaml): "+want) }) {
			t.Errorf("no note %q in %q", want, result.Notes)
		}
	}
}

func TestWhatIsImported(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	write(t, directory, "pets.yaml", pets)
	for name, tc := range map[string]struct {
		entries []string
		want    string // names, or a part of the error
	}{
		"all":                 {[]string{"from: pets.yaml"}, "add_pet list_pets"},
		"deprecated":          {[]string{"from: pets.yaml, deprecated: true"}, "add_pet drop_pet list_pets"},
		"by tag and method":   {[]string{"from: pets.yaml, include: {tags: [pets], methods: [get]}"}, "list_pets"},
		"without":             {[]string{"from: pets.yaml, exclude: {methods: [post]}"}, "list_pets"},
		"with a prefix":       {[]string{"from: pets.yaml, prefix: zoo_"}, "zoo_add_pet zoo_list_pets"},
		"with another name":   {[]string{"from: pets.yaml, prefix: zoo_, override: {addPet: {name: adopt}}"}, "adopt zoo_list_pets"},
		"twice":               {[]string{"from: pets.yaml, include: {methods: [get]}", "from: pets.yaml, include: {methods: [post]}, prefix: w_"}, "list_pets w_add_pet"},
		"searched":            {[]string{"from: pets.yaml, offer: search"}, "call_operation search_operations"},
		"both":                {[]string{"from: pets.yaml, include: {methods: [get]}", "from: pets.yaml, offer: search, prefix: s_"}, "call_operation list_pets search_operations"},
		"the same twice":      {[]string{"from: pets.yaml", "from: pets.yaml"}, `tool "add_pet": the name is taken by another tool; set the prefix`},
		"searched twice":      {[]string{"from: pets.yaml, offer: search", "from: pets.yaml, offer: search"}, `line 4: imports[1] (pets.yaml): the operation name "list_pets" is taken by listPets; set the prefix`},
		"too many":            {[]string{"from: pets.yaml, max: 1"}, `line 3: imports[0] (pets.yaml): 2 operations are selected, and at most 1 may be; choose with include and exclude by operations, tags, paths or methods, or raise max. By tag: "pets" 2. Or write offer: search`},
		"nothing":             {[]string{"from: pets.yaml, include: {tags: [cats]}"}, `include.tags: "cats" matches no operation`},
		"unknown override":    {[]string{"from: pets.yaml, override: {addDog: {title: x}}"}, `override: no selected operation is called "addDog"`},
		"no file":             {[]string{"from: other.yaml"}, "line 3: imports[0] (other.yaml): open"},
		"two problems":        {[]string{"from: other.yaml", "from: pets.yaml, max: 1"}, "line 4: imports[1]"},
		"long name":           {[]string{"from: pets.yaml, prefix: aaaaaaaaaaaaaaaaaaaaaaaa, override: {addPet: {name: " + strings.Repeat("a", 64) + "}}"}, strings.Repeat("a", 64) + " " + strings.Repeat("a", 24) + "list_pets"},
		"a directory":         {[]string{"from: ."}, "is a directory"},
		"a catalogue instead": {[]string{"from: catalogue.yaml"}, "line 3: imports[0] (catalogue.yaml): "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := resolve(t, directory, nil, tc.entries...)
			if err == nil && names(result.Catalogue) != tc.want {
				t.Errorf("got %s, want %s", names(result.Catalogue), tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if len(result.Files) == 0 {
				t.Error("no file to watch is told")
			}
		})
	}
}

// A document is text of somebody, and calls carry the caller's credential: no
// server that it names, for the whole or for an operation, is ever called, and no
// address in it is fetched.
func TestReq065_ADocumentDoesNotChooseWhereCallsGo(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	text := strings.ReplaceAll(pets, "https://pets.example.com/v1", "https://evil.example/v1")
	text = strings.Replace(text, "      operationId: listPets", "      servers: [{url: 'https://evil.example/v1'}]\n      externalDocs: {url: 'https://evil.example/docs'}\n      operationId: listPets", 1)
	write(t, directory, "pets.yaml", text)
	result, err := resolve(t, directory, noTransport{t}, "from: pets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	upstream, request, err := result.Catalogue.Request(t.Context(), "list_pets", nil)
	if err != nil || upstream != "api" || request.URL.String() != "/pets" {
		t.Errorf("%s %v, %v", upstream, request, err)
	}
	if upstreams := result.Catalogue.Upstreams(); len(upstreams) != 1 || upstreams[0].URL != "https://pets.example.com/v1" {
		t.Errorf("upstreams: %+v", upstreams)
	}
	if !slices.ContainsFunc(result.Notes, func(note string) bool {
		return strings.Contains(note, "listPets: the operation has a server of its own")
	}) {
		t.Errorf("nobody is told: %q", result.Notes)
	}
}

// noTransport fails the test for whatever is fetched.
type noTransport struct{ t *testing.T }

func (n noTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("%s was fetched", r.URL)
	return nil, errors.New("not here")
}

// The hash changes with the text of a document, and not with where it is.
func TestReq079_TheHashIsOfTheDocumentsToo(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	write(t, directory, "a.yaml", pets)
	hash := func() string {
		result, err := resolve(t, directory, nil, "from: a.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return result.Catalogue.Hash()
	}
	before := hash()
	if before != hash() {
		t.Error("the hash changes by itself")
	}
	write(t, directory, "a.yaml", pets+"# more\n")
	if before == hash() {
		t.Error("the hash does not change with the document")
	}
}

// An answer's schema is declared only where it is wanted, and only if it can be.
func TestOutputIsAChoice(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	write(t, directory, "pets.yaml", strings.Replace(pets, "      responses: {}\n  /pets/{id}", `      responses:
        "200": {content: {application/json: {schema: {type: array, items: {type: string}}}}}
  /pets/{id}`, 1))
	result, err := resolve(t, directory, nil, "from: pets.yaml, output: true")
	if err != nil {
		t.Fatal(err)
	}
	if find(t, result.Catalogue, "list_pets").OutputSchema == nil || find(t, result.Catalogue, "add_pet").OutputSchema != nil {
		t.Error("want a schema of the object and none of the list")
	}
}

// An operation that cannot be a tool is reported with its line, and the way out,
// when the document is read: however it is offered.
func TestOperationsThatCannotBeTools(t *testing.T) {
	t.Parallel()
	for _, offer := range []string{"tools", "search"} {
		directory := t.TempDir()
		text := strings.Replace(pets, "name: kind, in: query", `name: "a&b", in: query`, 1)
		text = strings.Replace(text, "sign-in: [pets:write]", `sign-in: ['pets "write"']`, 1)
		write(t, directory, "pets.yaml", text)
		_, err := resolve(t, directory, nil, "from: pets.yaml, offer: "+offer)
		for _, want := range []string{
			"line 3: imports[0] (pets.yaml): line 8: listPets: parameters[0]: want the parameter's name",
			"line 3: imports[0] (pets.yaml): line 18: addPet: scopes: ",
			"leave it out with exclude",
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", offer, err, want)
			}
		}
		write(t, directory, "pets.yaml", strings.Replace(pets, `"#/components/schemas/Pet"}}}}`, `"#/components/schemas/Pat"}}}}`, 1))
		if _, err := resolve(t, directory, nil, "from: pets.yaml, offer: "+offer); err == nil || !strings.Contains(err.Error(), "addPet: ") || !strings.Contains(err.Error(), "; leave it out with exclude") {
			t.Errorf("%s: got %v", offer, err)
		}
		if _, err := resolve(t, directory, nil, "from: pets.yaml, exclude: {operations: [addPet]}, offer: "+offer); err != nil {
			t.Errorf("%s: excluded, and still: %v", offer, err)
		}
	}
}

// What is decided about an operation is told, however it is offered.
func TestNotesOfSearchedOperations(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	write(t, directory, "pets.yaml", strings.Replace(pets, "      operationId: listPets", "      servers: [{url: 'https://evil.example/v1'}]\n      operationId: listPets", 1))
	tools, err := resolve(t, directory, nil, "from: pets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	searched, err := resolve(t, directory, nil, "from: pets.yaml, offer: search")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tools.Notes, searched.Notes); diff != "" || len(tools.Notes) != 3 {
		t.Errorf("%d notes (-tools +search):\n%s", len(tools.Notes), diff)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	var b strings.Builder
	b.WriteString("openapi: 3.1.0\ninfo: {title: x, version: '1'}\npaths:\n")
	for i := range 2 * maxProblems {
		fmt.Fprintf(&b, "  /a%d: {get: {parameters: [{name: 'a&b', in: query}], responses: {}}}\n", i)
	}
	write(t, directory, "pets.yaml", b.String())
	_, err := resolve(t, directory, nil, "from: pets.yaml, offer: search")
	if err == nil || strings.Count(err.Error(), "\n") != maxProblems || !strings.HasSuffix(err.Error(), "and 100 more problems") {
		t.Errorf("got %v", err)
	}
}

// OpenAPI 3.2 has methods that tools do not.
func TestOtherMethodsAreLeftOut(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	text := strings.Replace(pets, "openapi: 3.1.0", "openapi: 3.2.0", 1)
	text = strings.Replace(text, "  /odd/", "  /search:\n    query: {operationId: searchPets, responses: {}}\n    additionalOperations: {COPY: {operationId: copyPets, responses: {}}}\n  /odd/", 1)
	write(t, directory, "pets.yaml", text)
	for _, entry := range []string{"from: pets.yaml", "from: pets.yaml, offer: search"} {
		result, err := resolve(t, directory, nil, entry)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"left out: line 30: searchPets: QUERY is no method for tools", "left out: line 31: copyPets: COPY is no method for tools"} {
			if !slices.ContainsFunc(result.Notes, func(note string) bool { return strings.Contains(note, want) }) {
				t.Errorf("%s: no note %q in %q", entry, want, result.Notes)
			}
		}
		if entry == "from: pets.yaml" && names(result.Catalogue) != "add_pet list_pets" {
			t.Errorf("tools: %s", names(result.Catalogue))
		}
	}
}

func TestNotesAreBounded(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	var b strings.Builder
	b.WriteString("openapi: 3.2.0\ninfo: {title: x, version: '1'}\npaths:\n  /a: {get: {responses: {}}}\n")
	for i := range 2 * maxNotes {
		fmt.Fprintf(&b, "  /a%d: {additionalOperations: {COPY: {responses: {}}}}\n", i)
	}
	write(t, directory, "pets.yaml", b.String())
	result, err := resolve(t, directory, nil, "from: pets.yaml, offer: search")
	if err != nil || len(result.Notes) != maxNotes+1 || !strings.HasSuffix(result.Notes[maxNotes], "and 100 more notes") {
		t.Errorf("%d notes, %v", len(result.Notes), err)
	}
}

func TestTheUpstreamsPathIsCompared(t *testing.T) {
	t.Parallel()
	for server, same := range map[string]bool{
		"https://pets.example.com/v1": true, "https://pets.example.com/v1/": true, "https://other.example.com/v1": true, "/v1": true,
		"https://pets.example.com": false, "https://pets.example.com/v2": false, "/": false,
	} {
		directory := t.TempDir()
		write(t, directory, "pets.yaml", strings.Replace(pets, "https://pets.example.com/v1", server, 1))
		result, err := resolve(t, directory, nil, "from: pets.yaml")
		if err != nil {
			t.Fatal(err)
		}
		noted := slices.ContainsFunc(result.Notes, func(note string) bool { return strings.Contains(note, "the paths of the two URLs should be the same") })
		if noted == same {
			t.Errorf("%s: noted %v", server, noted)
		}
	}
}

func TestACatalogueWithoutImportsIsLeftAlone(t *testing.T) {
	t.Parallel()
	catalogue, err := tool.Load(tool.BuiltIn(), map[string]string{"OTUS_URL": "https://otus.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if result, err := Resolve(t.Context(), catalogue, Config{}); err != nil || result.Catalogue != catalogue || result.Files != nil {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestResolveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	write(t, directory, "pets.yaml", pets)
	catalogue, err := tool.Load([]byte("upstreams: {api: {url: 'https://pets.example.com', credential: none}}\nimports: [{from: pets.yaml, upstream: api}]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Resolve(ctx, catalogue, Config{Directory: directory}); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("got %v", err)
	}
}

// site serves documents over TLS.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	serve := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
				t.Error("a credential went along")
			}
			_, _ = w.Write([]byte(text))
		}
	}
	mux.HandleFunc("GET /pets.yaml", serve(pets))
	mux.HandleFunc("GET /huge", serve(strings.Repeat("#", openapi.MaxDocument+1)))
	mux.Handle("GET /moved", http.RedirectHandler("/pets.yaml", http.StatusFound))
	mux.Handle("GET /away", http.RedirectHandler("http://pets.example.com/pets.yaml", http.StatusFound))
	mux.HandleFunc("GET /down", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/pets.yaml", http.StatusFound)
	})
	mux.Handle("GET /round", http.RedirectHandler("/round", http.StatusFound))
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestReq072_DocumentsComeFromURLs(t *testing.T) {
	t.Parallel()
	server := site(t)
	for path, want := range map[string]string{
		"/pets.yaml": "add_pet list_pets",
		"/moved":     "add_pet list_pets",
		"/away":      "redirect to a URL that is not https",
		"/down":      "redirect to a URL that is not https",
		"/round":     "more than 3 redirects",
		"/none":      "status 404; check the URL, or download the document and import the file",
		"/huge":      "the document is larger than 33554432 bytes",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			result, err := resolve(t, "", server.Client().Transport, fmt.Sprintf("from: %q", server.URL+path))
			if err == nil && names(result.Catalogue) != want {
				t.Errorf("got %s", names(result.Catalogue))
			}
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
			if len(result.Files) != 0 {
				t.Errorf("files %v", result.Files)
			}
		})
	}
	if _, err := (Config{}).fetch(t.Context(), "http://pets.example.com"); err == nil {
		t.Error("a document came without TLS")
	}
}

// A document of this machine may come over http, and be followed there, but to
// nowhere else without TLS.
func TestDocumentsOfThisMachineNeedNoTLS(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pets.yaml", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(pets)) })
	mux.Handle("GET /moved", http.RedirectHandler("/pets.yaml", http.StatusFound))
	mux.Handle("GET /away", http.RedirectHandler("http://pets.example.com/pets.yaml", http.StatusFound))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	if _, err := (Config{}).fetch(t.Context(), server.URL+"/moved"); err != nil {
		t.Error(err)
	}
	if _, err := (Config{}).fetch(t.Context(), server.URL+"/away"); err == nil || !strings.Contains(err.Error(), "redirect to a URL that is not https") {
		t.Errorf("got %v", err)
	}
}

func TestServers(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	write(t, directory, "pets.yaml", pets)
	write(t, directory, "odd.yaml", "nothing")
	servers, err := NewDocuments(Config{Directory: directory}).Servers(t.Context(), "pets.yaml")
	if diff := cmp.Diff([]string{"https://pets.example.com/v1"}, servers); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	_, missing := NewDocuments(Config{Directory: directory}).Servers(t.Context(), "none.yaml")
	_, wrong := NewDocuments(Config{Directory: directory}).Servers(t.Context(), "odd.yaml")
	if !errors.Is(missing, os.ErrNotExist) || wrong == nil {
		t.Errorf("%v, %v", missing, wrong)
	}
}

// TestChangesThatEverybodyMayMake warns of them, however the operations are offered.
func TestChangesThatEverybodyMayMake(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	write(t, directory, "pets.yaml", pets)
	for entry, open := range map[string]string{
		"":                                    "",
		"security: ignore":                    "1 of these operations, such as add_pet;",
		"security: ignore, deprecated: true":  "2 of these operations, such as add_pet;",
		"security: ignore, rule: 'true'":      "",
		"security: ignore, scopes: [all]":     "",
		"security: ignore, prefix: x_":        "1 of these operations, such as x_add_pet;",
		"security: ignore, confirm: true":     "1 of these operations, such as add_pet;",
		"exclude: {methods: [post]}":          "",
		"override: {addPet: {scopes: []}}":    "1 of these operations, such as add_pet;",
		"override: {addPet: {rule: 'false'}}": "",
		"security: ignore, override: {addPet: {annotations: {read_only: true}}}": "", // a POST can be a search
	} {
		for _, offer := range []string{"tools", "search"} {
			result, err := resolve(t, directory, nil, strings.TrimSuffix("from: pets.yaml, offer: "+offer+", "+entry, ", "))
			if err != nil {
				t.Errorf("%s, %s: %v", offer, entry, err)
			}
			var want []string
			if open != "" {
				want = []string{"line 3: imports[0] (pets.yaml): everybody with a valid token may make changes with " + open + " declare scopes or a rule, or default: deny"}
			}
			if diff := cmp.Diff(want, result.Warnings); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", offer, entry, diff)
			}
		}
	}
}
