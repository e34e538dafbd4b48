package openapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mustLoad loads a document that has to be fine.
func mustLoad(tb testing.TB, text string) *Document {
	tb.Helper()
	document, err := Load(tb.Context(), []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return document
}

// mustDetails works out the operation with a key.
func mustDetails(tb testing.TB, document *Document, key string) *Details {
	tb.Helper()
	for _, operation := range document.Operations {
		if operation.Key() == key {
			details, err := document.Details(tb.Context(), operation)
			if err != nil {
				tb.Fatal(err)
			}
			return details
		}
	}
	tb.Fatalf("there is no operation %s", key)
	return nil
}

const teams = `
openapi: 3.0.3
info: {title: Teams, version: "1.2"}
servers:
  - url: https://{region}.example.com/v1
    variables: {region: {default: eu}}
security: [{oauth: [teams:read]}]
paths:
  /teams:
    get:
      operationId: listTeams
      tags: [teams, read]
      summary: List teams
      description: "All of them.\u0007"
      responses: {"200": {description: ok}}
    post:
      deprecated: true
      responses: {"201": {description: ok}}
    trace: {}
  /teams/{id}/../x: {get: {}}
  /broken: {get: {$ref: other.yaml#/get}}
  /text: {get: 1}
  x-internal: {get: {}}
components:
  securitySchemes: {oauth: {type: oauth2, flows: {}}}
`

func TestLoadListsOperations(t *testing.T) {
	document := mustLoad(t, teams)
	want := []Operation{
		{Name: "list_teams", ID: "listTeams", Method: "GET", Path: "/teams", Tags: []string{"teams", "read"}, Summary: "List teams", Description: "All of them.", Line: 11},
		{Name: "post_teams", Method: "POST", Path: "/teams", Deprecated: true, Line: 17},
	}
	got := document.Operations
	for i := range got {
		got[i].item, got[i].node = nil, nil
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Operation{})); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	if document.Title != "Teams" || document.Version != "1.2" || cmp.Diff([]string{"https://eu.example.com/v1"}, document.Servers) != "" {
		t.Errorf("got %q, %q, %q", document.Title, document.Version, document.Servers)
	}
	var problems []string
	for _, one := range document.Problems {
		problems = append(problems, one.Error())
	}
	wantProblems := []string{
		"line 19: TRACE /teams: TRACE is no method for tools",
		`line 20: GET /teams/{id}/../x: the path "/teams/{id}/../x" must not have dot segments`,
		`line 21: GET /broken: the reference "other.yaml#/get" leads out of the document, and nothing is fetched; bundle the document into one file first`,
		"line 22: GET /text: want a mapping with the keys of an operation",
	}
	if diff := cmp.Diff(wantProblems, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestLoadRefusesDocuments(t *testing.T) {
	deep := strings.Repeat("[", 250) + strings.Repeat("]", 250)
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":               {"", "empty"},
		"not YAML":              {"a: [", "neither YAML nor JSON"},
		"a list":                {"[]", "not a mapping"},
		"a text":                {"hello", "not a mapping"},
		"Swagger 2.0":           {"swagger: '2.0'", "line 1: this is Swagger 2.0; convert it"},
		"no version":            {"info: {}", `the key "openapi" is missing`},
		"other version":         {"openapi: 4.0.0", `version "4.0.0" of OpenAPI is not supported`},
		"looks like a version":  {"openapi: 3.10.0", "not supported"},
		"no paths":              {"openapi: 3.1.0\nwebhooks: {a: {post: {}}}", "no operations under paths"},
		"nothing that works":    {"openapi: 3.1.0\npaths:\n  /a b: {get: {}}", `no operation of the document can be used; the first problem: line 3: GET /a b: the path "/a b" is not a path`},
		"a key twice":           {"openapi: 3.1.0\npaths:\n  /a: {get: {}}\n  /a: {post: {}}", `line 4: the key "/a" is there twice`},
		"a key twice, far away": {"openapi: 3.1.0\nx:\n" + manyKeys(40) + "  k7: 1\n", `the key "k7" is there twice`},
		"two documents":         {"openapi: 3.1.0\n---\nopenapi: 3.1.0", "a second document"},
		"too deep":              {"openapi: 3.1.0\nx: " + deep, "nests deeper than 200"},
		"an anchor in itself":   {"openapi: 3.1.0\nx: &a [*a]", "holds itself"},
		"many merged mappings":  {"openapi: 3.1.0\na: &a {}\nb: {<<: [" + strings.Repeat("*a, ", 33) + "]}", "line 3: more than 32 mappings are merged"},
		"a key of its own kind": {"openapi: 3.1.0\n? [a]\n: 1", "plain word"},
		"too large":             {strings.Repeat(" ", MaxDocument+1), "at most 33554432 are allowed"},
		"too many values":       {strings.Repeat("[", maxStructure+1), "too many values"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(t.Context(), []byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %q", err, tc.want)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  k%d: 1\n", i)
	}
	return b.String()
}

func TestLoadEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(ctx, []byte(teams)); !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v", err)
	}
	document := mustLoad(t, strings.Replace(teams, "200\": {description: ok}", "200\": {content: {application/json: {schema: {type: object, title: x}}}}", 1))
	if _, err := document.Details(ctx, document.Operations[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("Details = %v", err)
	}
}

// 3.2 has the method QUERY, others by name, and a URI of its own.
func TestVersion32(t *testing.T) {
	text := `
openapi: %s
$self: https://api.example.com/openapi.yaml
paths:
  /files/{path}:
    parameters: [{$ref: "https://api.example.com/openapi.yaml#/components/parameters/path"}]
    query: {operationId: find}
    additionalOperations:
      COPY: {operationId: copy}
      get: {}
      CONNECT: {}
    get: {operationId: read}
components:
  parameters:
    path: {name: path, in: path, required: true, allowReserved: true, schema: {type: string}}
`
	document := mustLoad(t, fmt.Sprintf(text, "3.2.0"))
	var names []string
	for _, operation := range document.Operations {
		names = append(names, operation.Method+" "+operation.Name)
	}
	if diff := cmp.Diff([]string{"GET read", "QUERY find", "COPY copy"}, names); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	if len(document.Problems) != 2 {
		t.Errorf("problems %v", document.Problems)
	}
	if p := mustDetails(t, document, "find").Parameters[0]; !p.Write.AllowReserved {
		t.Errorf("the parameter does not allow reserved characters: %+v", p)
	}
	older := mustLoad(t, fmt.Sprintf(text, "3.1.1"))
	if len(older.Operations) != 1 {
		t.Errorf("3.1 has %d operations, want 1", len(older.Operations))
	}
	if _, err := older.Details(t.Context(), older.Operations[0]); err == nil || !strings.Contains(err.Error(), "leads out of the document") {
		t.Errorf("in 3.1 $self means nothing; got %v", err)
	}
}

func TestNames(t *testing.T) {
	for id, want := range map[string]string{
		"listTeams":                    "list_teams",
		"teams/list-members":           "teams_list_members",
		"GetV1Customers":               "get_v1_customers",
		"HTTPServerStatus":             "http_server_status",
		"getURL":                       "get_url",
		"users.get__all ":              "users_get_all",
		"añadir":                       "a_adir",
		"日本":                           "operation",
		"":                             "get_x_id",
		"a" + strings.Repeat("bc", 40): "abcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbc_07ead2",
	} {
		document := mustLoad(t, fmt.Sprintf("openapi: 3.1.0\npaths: {'/x/{id}': {get: {operationId: %q}}}", id))
		if got := document.Operations[0].Name; got != want {
			t.Errorf("%q became %q, want %q", id, got, want)
		}
	}
	document := mustLoad(t, `
openapi: 3.1.0
paths:
  /a: {get: {operationId: list}, post: {operationId: List}, put: {operationId: list-}}
  /b: {get: {operationId: list}}
`)
	seen := map[string]bool{}
	for i, operation := range document.Operations {
		if seen[operation.Name] || !namePattern.MatchString(operation.Name) || i > 0 && len(operation.Name) != len("list_123456") {
			t.Errorf("%s %s is called %q", operation.Method, operation.Path, operation.Name)
		}
		seen[operation.Name] = true
	}
	if document.Operations[0].Name != "list" {
		t.Errorf("the first is called %q", document.Operations[0].Name)
	}
}

// The text of a document must not grow without end.
func TestServersAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("openapi: 3.1.0\npaths: {/x: {get: {}}}\nservers: [{url: 'https://x.example/{a0}', variables: {")
	for i := range 40 {
		fmt.Fprintf(&b, "a%d: {default: '{a%d}{a%d}'}, ", i, i+1, i+1)
	}
	b.WriteString("}}]\n")
	if got := mustLoad(t, b.String()).Servers; len(got) != 1 || got[0] != "https://x.example/{a1}{a1}" {
		t.Errorf("servers: %.200q", got)
	}
}
