package tool

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

func TestImportsAreRead(t *testing.T) {
	t.Parallel()
	imports := mustLoad(t, importing).Imports()
	if len(imports) != 1 {
		t.Fatalf("got %d", len(imports))
	}
	got := imports[0]
	want := Import{
		From: "pets.yaml", Upstream: "pets", Prefix: "pets_",
		Include:    Match{Operations: []string{"listPets"}, Tags: []string{"pets"}, Paths: []string{"/pets/**"}, Methods: []string{"get", "POST"}},
		Exclude:    Match{Operations: []string{"dropPets"}},
		Deprecated: true, Max: 50, IgnoreSecurity: true, Line: 5, Path: "imports[0]",
	}
	want.Override, want.treatment, want.declared = got.Override, got.treatment, got.declared // TestTreat looks at them
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Import{}), cmp.Comparer(func(a, b map[string]Override) bool { return len(a) == len(b) }), cmp.Comparer(func(treatment, treatment) bool { return true })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// operation is a tool as it comes from a document.
func operation() Declaration {
	return Declaration{
		Definition: Definition{
			Name: "list", Title: "List", Description: "d", Access: Access{Scopes: oauth.Scopes{"doc:read"}},
			InputSchema:  json.RawMessage(`{"type":"object","additionalProperties":false}`),
			OutputSchema: json.RawMessage(`{"type":"object"}`),
		},
		Method: "GET", Path: "/pets",
	}
}

func TestTreat(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		old, new string // changes of importing
		key      string
		change   func(want *Declaration)
	}{
		"of the import": {"", "", "other", func(*Declaration) {}},
		"overridden": {"", "", "listPets", func(want *Declaration) {
			want.Name, want.Title, want.Description = "all_pets", "All pets", "List all pets there are."
			want.Annotations = &Annotations{ReadOnlyHint: new(true)}
			want.Access.Scopes = oauth.Scopes{"pets", "pets:list"}
			want.Confirm, want.OutputSchema, want.TTL = "", nil, time.Minute
		}},
		"scopes of the document": {"security: ignore", "security: scopes", "other", func(want *Declaration) {
			want.Access.Scopes = oauth.Scopes{"pets", "doc:read"}
		}},
		"answers as they come": {"    output: true\n    override", "    override", "other", func(want *Declaration) { want.OutputSchema = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			imported := mustLoad(t, strings.Replace(importing, tc.old, tc.new, 1)).Imports()[0]
			want := operation()
			want.Name, want.Upstream, want.Confirm = "pets_list", "pets", confirmAnything
			want.Response = Response{MaxItems: 20}
			want.Access = Access{Scopes: oauth.Scopes{"pets"}, Rule: imported.access.Rule, ACR: []string{"gold"}, MaxAge: 5 * time.Minute}
			tc.change(&want)
			got := imported.Treat(tc.key, operation())
			if got.Access.Rule == nil {
				t.Error("the rule is gone")
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b Access) bool { return a.equal(b) })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Where tools are denied by default, what a document does not ask scopes for is
// for nobody.
func TestReq053_ImportedToolsAreDeniedByDefault(t *testing.T) {
	t.Parallel()
	bare := "default: deny\nupstreams: {pets: {url: 'https://pets.example.com', credential: none}}\nimports: [{from: a.yaml, upstream: pets}]\n"
	imported := mustLoad(t, bare).Imports()[0]
	with, without := operation(), operation()
	without.Access.Scopes = nil
	if imported.Treat("x", with).Access.Nobody || !imported.Treat("x", without).Access.Nobody {
		t.Error("default: deny does not hold for imports")
	}
}

func TestImportErrorsHaveLineAndFix(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ old, new, want string }{
		"no document":     {"from: pets.yaml\n    ", "", "line 5: imports[0].from: missing; name the OpenAPI document"},
		"ftp":             {"pets.yaml", "ftp://pets.example.com/x", "line 5: imports[0].from: want a file, or a URL that begins with https"},
		"http":            {"pets.yaml", "http://pets.example.com/x", "line 5: imports[0].from: want a file, or a URL that begins with https"},
		"password":        {"pets.yaml", "https://ana:geheim@pets.example.com/x", "line 5: imports[0].from: a URL must not hold a user name or password; remove it"},
		"upstream":        {"upstream: pets", "upstream: dogs", `line 6: imports[0].upstream: there is no upstream "dogs"`},
		"prefix":          {"pets_", "pets-", "line 8: imports[0].prefix: want 1 to 24"},
		"search with max": {"offer: tools", "offer: search", "line 12: imports[0].max: this has no effect with offer: search"},
		"name":            {"all_pets", "All pets", `line 23: imports[0].override.listPets.name: "All pets" is not a name`},
		"rule":            {`claims.department == "care"`, "claims.department ==", "line 15: imports[0].rule:"},
		"list":            {"{tags: [pets], ", "{tags: pets, ", "line 9: imports[0].include.tags: want a list"},
		"too many":        {importing[strings.Index(importing, "  - from"):], strings.Repeat("  - {from: a, upstream: pets}\n", maxImports+1), "imports: there are 17; at most 16 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(importing, tc.old, tc.new, 1)
			if text == importing {
				t.Fatal("nothing was changed")
			}
			if _, err := Load([]byte(text), nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// A server must not start without the tools that its catalogue imports.
func TestRunnerWantsTheImports(t *testing.T) {
	t.Parallel()
	catalogue := mustLoad(t, importing)
	cfg := RunnerConfig{Catalogue: catalogue, Senders: map[string]Sender{"pets": &stubSender{}}, Logger: slog.New(slog.DiscardHandler)}
	if _, err := NewRunner(cfg); err == nil {
		t.Error("a runner was made of half a catalogue")
	}
	var err error
	if cfg.Catalogue, err = catalogue.With(Imported{}); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRunner(cfg); err != nil {
		t.Error(err)
	}
}

// What a file declares besides tools stays, and changes of imported tools are
// seen like those of the file.
func TestReq079_ImportedToolsAreCompared(t *testing.T) {
	t.Parallel()
	base := mustLoad(t, offering)
	with := func(change func(*Declaration), hash string) *Catalogue {
		d := archive()
		change(&d)
		catalogue, err := base.With(Imported{Tools: []Declaration{d}, Hash: hash})
		if err != nil {
			t.Fatal(err)
		}
		return catalogue
	}
	before := with(func(*Declaration) {}, "1")
	if len(before.prompts) != len(base.prompts) || len(before.resources) != len(base.resources) || len(base.prompts) == 0 {
		t.Error("prompts or resources are gone")
	}
	for key, change := range map[string]func(*Declaration){
		"path":   func(d *Declaration) { d.Path = "/groups/{team-id}/archive" },
		"params": func(d *Declaration) { d.Parameters[0].Write.AllowReserved = true },
		"body":   func(d *Declaration) { d.Body.Kind = BodyJSON },
		"scopes": func(d *Declaration) { d.Access.Scopes = oauth.Scopes{"x"} },
	} {
		after := with(change, "2")
		changes := Compare(before, after)
		if len(changes.All) != 1 || changes.All[0].Name != "archive" || !cmp.Equal(changes.All[0].Keys, []string{key}) {
			t.Errorf("%s: %+v", key, changes)
		}
		if before.Declared(KindTool, "archive", key) == after.Declared(KindTool, "archive", key) {
			t.Errorf("%s: what is declared is the same", key)
		}
		if before.Hash() == after.Hash() || before.Hash() == base.Hash() {
			t.Error("the hash does not change with the documents")
		}
	}
}

// A resource may be what an imported tool answers; that it is one is known when
// the import is.
func TestResourcesOfImportedTools(t *testing.T) {
	t.Parallel()
	base := mustLoad(t, `
upstreams: {otus: {url: "https://otus.example.com", credential: none}}
imports: [{from: a.yaml, upstream: otus}]
resources:
  - {uri: "teams://{id}", name: team, tool: archive}
`)
	reading := func() Declaration {
		d := archive()
		d.Annotations = &Annotations{ReadOnlyHint: new(true)}
		return d
	}
	catalogue, err := base.With(Imported{Tools: []Declaration{reading()}})
	if err != nil {
		t.Fatal(err)
	}
	sender := &stubSender{status: 200, body: "{}"}
	r, err := NewRunner(RunnerConfig{Catalogue: catalogue, Senders: map[string]Sender{"otus": sender}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if content, err := r.ReadResource(t.Context(), caller(), "teams://7"); err != nil || content.Text != "{}" || sender.sent.HTTP.URL.Path != "/teams/7/archive" {
		t.Errorf("%+v, %v", content, err)
	}
	if len(base.resources[0].types) != 0 {
		t.Error("the catalogue before has changed")
	}
	other, needs := reading(), reading()
	other.Name = "other"
	needs.InputSchema = json.RawMessage(strings.Replace(string(needs.InputSchema), `"required":["id"]`, `"required":["id","body"]`, 1))
	for want, tools := range map[string][]Declaration{
		`line 5: resources[0].tool: there is no tool "archive", declared or imported`:            {other},
		`line 5: resources[0].tool: the tool needs the argument "body"; write {body} in the URI`: {needs},
	} {
		if _, err := base.With(Imported{Tools: tools}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A searched import has no tools that could be compared: the two that stand for
// its operations change with it.
func TestReq079_SearchedImportsAreCompared(t *testing.T) {
	t.Parallel()
	const searched = `
upstreams:
  pets: {url: 'https://pets.example.com', credential: none}
  other: {url: 'https://other.example.com', credential: none}
imports:
  - {from: a.yaml, upstream: pets, offer: search, security: scopes, rule: 'true', override: {drop: {scopes: [admin]}}}
  - {from: b.yaml, upstream: other, prefix: b_}
`
	with := func(text, hash string) *Catalogue {
		catalogue, err := mustLoad(t, text).With(Imported{Directory: &shelf{}, Hash: hash})
		if err != nil {
			t.Fatal(err)
		}
		return catalogue
	}
	before := with(searched, "1")
	for _, test := range []struct {
		old, new, hash string
		keys           []string // that differ; nil: nothing has changed
	}{
		{"", "", "1", nil},
		{"", "", "2", []string{"imports"}},
		{", rule: 'true'", "", "1", []string{"imports[0].rule"}},
		{"security: scopes", "security: ignore", "1", []string{"imports[0].security"}},
		{"[admin]", "[any]", "1", []string{"imports[0].override"}},
		{"pets.example", "dogs.example", "1", []string{"upstreams.pets"}},
		{"\nupstreams", "\ndefault: deny\nupstreams", "1", []string{"default"}},
		{"b_}", "c_}", "1", nil}, // whose tools are compared
	} {
		after := with(strings.Replace(searched, test.old, test.new, 1), test.hash)
		var names []string
		for _, change := range Compare(before, after).All {
			names = append(names, change.Name)
			if diff := cmp.Diff(test.keys, change.Keys); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", test.new, change.Name, diff)
			}
		}
		if test.keys == nil != (names == nil) || names != nil && !cmp.Equal(names, []string{CallOperation, SearchOperations}) {
			t.Errorf("%s: changes of %q", test.new, names)
		}
	}
}
