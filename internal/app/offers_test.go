package app_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

const offers = otherCatalogue + `
resources:
  - {uri: "docs://guide", name: guide, title: The guide, mime_type: text/plain, text: How to work with teams.}
  - {uri: "teams://all", name: teams, mime_type: application/json, tool: squads}
  - {uri: "docs://closed", name: closed, text: Not for everybody., scopes: [librarian]}
prompts:
  - name: review
    description: Looks at a team closely.
    arguments: [{name: team, required: true, values: [red, green, grey]}]
    messages: [{role: user, text: "Review {{team}}."}]
`

// TestOffersOfTheCatalogue asks for everything but tools that a catalogue can
// offer.
func TestOffersOfTheCatalogue(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tools.yaml")
	writeFile(t, file, offers)
	system := apptest.Start(t, withTools(file))
	token := system.Token("ana")
	for _, test := range []struct {
		method, params string
		status         int
		want           string
	}{
		{"initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`, 200, `"capabilities":{"tools":{},"resources":{},"prompts":{},"completions":{}}`},
		{"resources/list", `{}`, 200, `"resources":[{"uri":"docs://closed","name":"closed"},{"uri":"docs://guide","name":"guide","title":"The guide","mimeType":"text/plain"},{"uri":"teams://all","name":"teams","mimeType":"application/json"}]`},
		{"resources/templates/list", `{}`, 200, `"resourceTemplates":[]`},
		{"resources/read", `{"uri":"docs://guide"}`, 200, `"contents":[{"uri":"docs://guide","mimeType":"text/plain","text":"How to work with teams."}]`},
		{"resources/read", `{"uri":"teams://all"}`, 200, `Albatros`},
		{"resources/read", `{"uri":"docs://none"}`, 200, `Resource not found`},
		{"resources/read", `{"uri":"docs://closed"}`, 403, `insufficient_scope`},
		{"prompts/list", `{}`, 200, `"prompts":[{"name":"review","description":"Looks at a team closely.","arguments":[{"name":"team","required":true}]}]`},
		{"prompts/get", `{"name":"review","arguments":{"team":"red"}}`, 200, `"messages":[{"role":"user","content":{"type":"text","text":"Review red."}}]`},
		{"prompts/get", `{"name":"review","arguments":{"team":"blue"}}`, 200, `must be one of: red, green, grey`},
		{"prompts/get", `{"name":"none"}`, 200, `Unknown prompt`},
		{"completion/complete", `{"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"team","value":"gr"}}`, 200, `"values":["green","grey"]`},
	} {
		status, body := request(t, http.MethodPost, system.URL+"/mcp", token, `{"jsonrpc":"2.0","id":1,"method":"`+test.method+`","params":`+test.params+`}`)
		if status != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s %s: %d %s, want %s", test.method, test.params, status, body, test.want)
		}
	}
	if n := strings.Count(system.Logs.String(), `"event":"tool_call"`); n != 1 {
		t.Errorf("%d calls are on record, want the one of the resource that is a tool's answer", n)
	}
}

const guardedOffers = otherCatalogue + `
  - name: vault
    description: The teams for those who keep them.
    upstream: otus
    method: GET
    path: /teams
    query: {kind: kind}
    input: {type: object, properties: {kind: {type: string, enum: [crew, squad]}}, additionalProperties: false}
    rule: '"keeper" in principal.scopes'
resources:
  - {uri: "docs://closed", name: closed, text: Not for everybody., scopes: [librarian]}
  - {uri: "docs://guide", name: guide, text: How to work with teams.}
  - {uri: "teams://{kind}", name: teams, tool: vault}
prompts:
  - {name: close, description: Closes., scopes: [librarian], arguments: [{name: team, values: [red]}], messages: [{role: user, text: "Close {{team}}."}]}
`

// TestReq060_OffersFollowWhoAsks asks with three tokens, in both ways of listing.
// What is not listed is refused to whoever asks for it by its name, as before.
func TestReq060_OffersFollowWhoAsks(t *testing.T) {
	t.Parallel()
	nothing := []string{`"docs://guide"`, ``, ``, ``, ``}
	librarian := []string{`"docs://closed" "docs://guide"`, ``, `"close"`, `"red"`, ``}
	keeper := []string{`"docs://guide"`, `"teams://{kind}"`, ``, ``, `"crew"`}
	everything := []string{`"docs://closed" "docs://guide"`, `"teams://{kind}"`, `"close"`, `"red"`, `"crew"`}
	shown := regexp.MustCompile(`"(?:uri|uriTemplate|name)":("(?:docs|teams):[^"]*"|"close")|"values":\[([^\]]*)\]`)
	for _, test := range []struct {
		listed, scope string
		want          []string
	}{
		{config.ListCallable, "openid", nothing},
		{config.ListCallable, "openid librarian", librarian},
		{config.ListCallable, "openid keeper", keeper},
		{config.ListObtainable, "openid", librarian},
		{config.ListObtainable, "openid keeper", everything},
	} {
		t.Run(test.listed+" "+test.scope, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "tools.yaml")
			writeFile(t, file, guardedOffers)
			system := apptest.Start(t, withTools(file), apptest.WithConfig(func(c *config.Config) { c.ToolsListed = test.listed }))
			token := system.Mint(devstack.Mint{Scope: test.scope})
			var got []string
			for _, ask := range []struct{ method, params string }{
				{"resources/list", `{}`},
				{"resources/templates/list", `{}`},
				{"prompts/list", `{}`},
				{"completion/complete", `{"ref":{"type":"ref/prompt","name":"close"},"argument":{"name":"team","value":"r"}}`},
				{"completion/complete", `{"ref":{"type":"ref/resource","uri":"teams://{kind}"},"argument":{"name":"kind","value":"c"}}`},
			} {
				status, body := request(t, http.MethodPost, system.URL+"/mcp", token, `{"jsonrpc":"2.0","id":1,"method":"`+ask.method+`","params":`+ask.params+`}`)
				if status != http.StatusOK {
					t.Errorf("%s: %d %s", ask.method, status, body)
				}
				var names []string
				for _, found := range shown.FindAllStringSubmatch(body, -1) {
					names = append(names, found[1]+found[2])
				}
				got = append(got, strings.Join(names, " "))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, read := range []struct{ method, params, scope, code string }{
				{"resources/read", `{"uri":"docs://closed"}`, "librarian", "insufficient_scope"},
				{"resources/read", `{"uri":"teams://crew"}`, "keeper", "forbidden"},
				{"prompts/get", `{"name":"close","arguments":{"team":"red"}}`, "librarian", "insufficient_scope"},
			} {
				status, body := request(t, http.MethodPost, system.URL+"/mcp", token, `{"jsonrpc":"2.0","id":1,"method":"`+read.method+`","params":`+read.params+`}`)
				if may := strings.Contains(test.scope, read.scope); may != (status == http.StatusOK) || !may && !strings.Contains(body, read.code) {
					t.Errorf("%s %s: %d %s", read.method, read.params, status, body)
				}
			}
		})
	}
}

// What is offered can come and go with the file: without any prompt the server
// is one without prompts.
func TestOffersComeWithAReload(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tools.yaml")
	writeFile(t, file, otherCatalogue)
	system := apptest.Start(t, withTools(file))
	token := system.Token("ana")
	const prompts = `{"jsonrpc":"2.0","id":1,"method":"prompts/list","params":{}}`
	if _, body := request(t, http.MethodPost, system.URL+"/mcp", token, prompts); !strings.Contains(body, "-32601") {
		t.Errorf("before there are prompts: %s", body)
	}
	stream := openStream(t, system, system.URL)
	writeFile(t, file, offers)
	system.App.ReloadTools(t.Context())
	if _, body := request(t, http.MethodPost, system.URL+"/mcp", token, prompts); !strings.Contains(body, `"name":"review"`) {
		t.Errorf("after the reload: %s", body)
	}
	told := map[string]bool{}
	for len(told) < 2 && stream.lines.Scan() {
		for _, kind := range []string{"tools", "prompts", "resources"} {
			if strings.Contains(stream.lines.Text(), "notifications/"+kind+"/list_changed") {
				told[kind] = true
			}
		}
	}
	if !told["prompts"] || !told["resources"] || told["tools"] {
		t.Errorf("the stream was told of %v", told)
	}
}
