package app_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
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
