package tool

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// offering is a catalogue with resources and prompts.
const offering = compared + `
  - name: member
    description: Finds a member of a team.
    upstream: other
    method: GET
    path: /member
    query: {team: team, number: number}
    rule: arguments.team != "secret"
    input:
      type: object
      properties: {team: {type: string, enum: [red, "red & blue", secret, "17"]}, number: {type: integer}}
      required: [team]
      additionalProperties: false
resources:
  - uri: docs://guide
    name: guide
    title: The guide
    mime_type: text/markdown
    text: The guide.
  - uri: docs://logo
    name: logo
    mime_type: image/png
    blob: iVBORw0K
    scopes: [brand]
  - uri: teams://{team}/members/{number}
    name: member
    mime_type: application/json
    tool: member
  - uri: list://two
    name: two
    tool: two
prompts:
  - name: review
    title: Review a team
    description: Looks at a team closely.
    scopes: [read]
    arguments:
      - {name: team, required: true, values: [red, green, grey]}
      - {name: focus, description: What matters}
    messages:
      - {role: user, text: "Review {{team}}. Mind: {{focus}}. Only {{team}}."}
      - {role: assistant, text: "Shall I begin?"}
`

func offeringRunner(t *testing.T) (*Runner, *stubSender) {
	t.Helper()
	sender := &stubSender{status: 200, body: `{"a":1}`}
	r, err := NewRunner(RunnerConfig{
		Catalogue: mustLoad(t, offering), Senders: map[string]Sender{"otus": sender, "other": sender}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, sender
}

func person(scopes ...string) Caller {
	return Caller{Principal: oauth.Principal{Issuer: "i", Subject: "s", Scopes: scopes}, Token: secret.New("token-of-somebody")}
}

func TestReadResource(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		uri    string
		scopes []string
		want   Content
		query  string // of the request that was sent
		err    error
	}{
		{uri: "docs://guide", want: Content{MIMEType: "text/markdown", Text: "The guide."}},
		{uri: "docs://logo", scopes: []string{"brand"}, want: Content{MIMEType: "image/png", Blob: []byte("\x89PNG\r\n")}},
		{uri: "docs://logo", err: &oauth.Refusal{}},
		{uri: "docs://none", err: &UnknownResourceError{}},
		{uri: "docs://guide/", err: &UnknownResourceError{}},
		{uri: "list://two", want: Content{Text: `{"a":1}`}, query: "-"},
		{uri: "teams://red/members/7", want: Content{MIMEType: "application/json", Text: `{"a":1}`}, query: "number=7&team=red"},
		{uri: "teams://17/members/7", want: Content{MIMEType: "application/json", Text: `{"a":1}`}, query: "number=7&team=17"},
		{uri: "teams://red%20%26%20blue/members/7", want: Content{MIMEType: "application/json", Text: `{"a":1}`}, query: "number=7&team=red%20%26%20blue"},
		{uri: "teams://secret/members/7", err: &oauth.Refusal{}}, // the tool's rule
		{uri: "teams://red/members/many", err: &InvalidArgumentsError{}},
		{uri: "teams://yellow/members/7", err: &InvalidArgumentsError{}},
		{uri: "teams://red/members/7/8", err: &UnknownResourceError{}},
		{uri: "teams://red/members/7?x=y", err: &UnknownResourceError{}},
		{uri: "teams://re%zz/members/7", err: &UnknownResourceError{}},
		{uri: "teams://" + strings.Repeat("a", maxURI) + "/members/7", err: &UnknownResourceError{}},
	} {
		t.Run(strictyaml.Clip(test.uri), func(t *testing.T) {
			t.Parallel()
			r, sender := offeringRunner(t)
			got, err := r.ReadResource(t.Context(), person(test.scopes...), test.uri)
			if test.err != nil {
				if !sameKind(err, test.err) {
					t.Fatalf("%v, want a %T", err, test.err)
				}
			} else {
				test.want.URI = test.uri
				if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
					t.Fatalf("%v (-want +got):\n%s", err, diff)
				}
			}
			switch {
			case test.query == "" && sender.request != nil:
				t.Error("something was sent")
			case test.query != "" && sender.request.URL.RawQuery != strings.TrimPrefix(test.query, "-"):
				t.Errorf("sent %s", sender.request.URL)
			}
		})
	}
}

// sameKind reports whether two errors have the same type.
func sameKind(got, want error) bool {
	switch want.(type) { //nolint:errorlint // the wanted one is no chain
	case *oauth.Refusal:
		_, ok := errors.AsType[*oauth.Refusal](got)
		return ok
	case *InvalidArgumentsError:
		_, ok := errors.AsType[*InvalidArgumentsError](got)
		return ok
	default:
		_, ok := errors.AsType[*UnknownResourceError](got)
		return ok
	}
}

func TestReadResourceOfAFailingTool(t *testing.T) {
	t.Parallel()
	r, sender := offeringRunner(t)
	sender.status = 502
	_, err := r.ReadResource(t.Context(), person(), "list://two")
	if failed, ok := errors.AsType[*ReadError](err); !ok || !strings.Contains(failed.Sentence, "502") {
		t.Errorf("%v", err)
	}
}

func TestFillPrompt(t *testing.T) {
	t.Parallel()
	r, _ := offeringRunner(t)
	filled, err := r.FillPrompt(t.Context(), person("read"), "review", map[string]string{"team": "red", "focus": "{{team}}"})
	want := []PromptMessage{{"user", "Review red. Mind: {{team}}. Only red."}, {"assistant", "Shall I begin?"}}
	if diff := cmp.Diff(want, filled.Messages); err != nil || diff != "" {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	filled, err = r.FillPrompt(t.Context(), person("read"), "review", map[string]string{"team": "red"})
	if err != nil || filled.Messages[0].Text != "Review red. Mind: . Only red." {
		t.Errorf("%+v, %v", filled, err)
	}
	for _, test := range []struct {
		arguments map[string]string
		want      string
	}{
		{nil, `The argument "team" is missing.`},
		{map[string]string{"team": "secret value"}, `The argument "team" must be one of: red, green, grey.`},
		{map[string]string{"team": "red", "x": "y"}, `There is no argument "x".`},
		{map[string]string{"team": "red", "focus": strings.Repeat("a", maxPromptText+1)}, `The argument "focus" is longer than 16384 bytes.`},
	} {
		_, err := r.FillPrompt(t.Context(), person("read"), "review", test.arguments)
		if invalid, ok := errors.AsType[*InvalidArgumentsError](err); !ok || invalid.Detail != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
	if _, err := r.FillPrompt(t.Context(), person("write"), "review", map[string]string{"team": "red"}); oauth.AsRefusal(err).Code != oauth.CodeInsufficientScope {
		t.Errorf("without the scope: %v", err)
	}
	_, err = r.FillPrompt(t.Context(), person("read"), "none", nil)
	if _, ok := errors.AsType[*UnknownPromptError](err); !ok {
		t.Errorf("%v", err)
	}
}

func TestCompletions(t *testing.T) {
	t.Parallel()
	r, _ := offeringRunner(t)
	ctx, p := t.Context(), person("read").Principal
	for _, test := range []struct {
		got, want []string
	}{
		{r.CompletePrompt(p, "review", "team", "gr"), []string{"green", "grey"}},
		{r.CompletePrompt(p, "review", "team", "x"), []string{}},
		{r.CompletePrompt(p, "review", "focus", ""), nil},
		{r.CompletePrompt(p, "none", "team", ""), nil},
		{r.CompleteResource(ctx, p, "teams://{team}/members/{number}", "team", "red"), []string{"red", "red & blue"}},
		{r.CompleteResource(ctx, p, "teams://{team}/members/{number}", "number", ""), nil},
		{r.CompleteResource(ctx, p, "docs://guide", "team", ""), nil},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestOffersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, old, new, want string }{
		{"two of a URI", "docs://logo", "docs://guide", `resources[1].uri: it is taken by the resource at line 34`},
		{"two of a name", "name: logo", "name: guide", `resources[1].name: the name "guide" is taken by the resource at line 35; choose another`},
		{"URI", "docs://guide", "guide", "want a URI"},
		{"open brace", "docs://guide", "docs://{guide", "want a URI"},
		{"base64", "iVBORw0K", "no base64", "resources[1].blob: want base64"},
		{"no content", "    text: The guide.\n", "", "resources[0]: want one of text, blob (base64) and tool"},
		{"variable of a text", "docs://guide", "docs://{guide}", "resources[0].text: a URI with variables needs a tool"},
		{"tool that writes", "method: GET, path: /two", "method: DELETE, path: /two", `resources[3].tool: the tool "two" may change something`},
		{"tool that says so", "path: /two,", "path: /two, annotations: {read_only: false},", `want one with GET or HEAD, or with read_only: true`},
		{"unknown tool", "tool: two", "tool: three", `resources[3].tool: there is no tool "three"`},
		{"unknown argument", "{number}", "{count}", `the variable "count" is no argument of the tool "member"`},
		{"argument without variable", "teams://{team}/members", "teams://team/members", `the tool needs the argument "team"; write {team} in the URI`},
		{"variable twice", "members/{number}", "members/{team}", `the variable "team" is there twice`},
		{"gap without argument", "Mind: {{focus}}", "Mind: {{focus}} {{mood}}", `prompts[0].messages[0].text: there is no argument "mood"; declare it`},
		{"argument without gap", " Mind: {{focus}}.", "", `prompts[0].arguments: the argument "focus" goes nowhere`},
		{"role", "role: user", "role: system", `unknown role "system"; write user or assistant`},
		{"scopes", "[brand]", `["a b"]`, "resources[1].scopes: want at most 32 scopes without spaces and quotes"},
		{"no list", "prompts:\n  - name: review", "prompts:\n    name: review", "prompts: want a list"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load([]byte(strings.Replace(offering, test.old, test.new, 1)), testVariables)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

func TestReq079_ChangedPromptsAndResourcesAreSeen(t *testing.T) {
	t.Parallel()
	before := mustLoad(t, offering)
	after := mustLoad(t, strings.NewReplacer("Shall I begin?", "I begin.", "docs://guide", "docs://manual").Replace(offering))
	changes := Compare(before, after)
	var got []string
	for _, change := range changes.All {
		got = append(got, change.Kind+" "+change.Name+" "+strings.Join(change.Keys, ","))
		if change.Before == change.After {
			t.Errorf("%+v", change)
		}
	}
	want := []string{"prompt review messages", "resource docs://guide ", "resource docs://manual "}
	if diff := cmp.Diff(want, got); diff != "" || changes.Tools || !changes.Prompts || !changes.Resources {
		t.Errorf("%+v (-want +got):\n%s", changes, diff)
	}
	if same := Compare(before, mustLoad(t, offering)); same.All != nil || same.Prompts || same.Resources {
		t.Errorf("%+v", same)
	}
}
