package imports

import (
	"slices"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// TestReq070_HeadersOfTheUpstreamAreNoArguments imports a document that declares
// what the operator has set for all calls: it is left out, and the operation stays.
func TestReq070_HeadersOfTheUpstreamAreNoArguments(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	write(t, directory, "api.yaml", `openapi: 3.1.0
info: {title: x, version: "1"}
paths:
  /x:
    get:
      operationId: x
      parameters:
        - {name: x_api_key, in: header, required: true, schema: {type: string}}
        - {name: X-Tenant, in: header, required: true, schema: {type: string}}
        - {name: X-Other, in: header, schema: {type: string}}
      responses: {}
`)
	for _, offer := range []string{"tools", "search"} {
		catalogue, err := tool.Load([]byte(`
upstreams:
  api: {url: "https://api.example", credential: static, headers: {x-tenant: a}, static: {header: X-Api-Key, secret_env: KEY}}
imports: [{from: api.yaml, upstream: api, offer: `+offer+`}]
`), nil)
		if err != nil {
			t.Fatal(err)
		}
		result, err := Resolve(t.Context(), catalogue, Config{Directory: directory})
		if err != nil {
			t.Fatal(err)
		}
		name, arguments := "x", `{"X-Other":"o"}`
		if offer == "search" {
			name, arguments = tool.CallOperation, `{"operation":"x","arguments":{"X-Other":"o"}}`
		}
		_, request, err := result.Catalogue.Request(t.Context(), name, []byte(arguments))
		if err != nil || request.Header.Get("X-Other") != "o" || len(request.Header) != 2 { // and Accept
			t.Errorf("%s: %v, %v", offer, request, err)
		}
		for _, header := range []string{"x_api_key", "X-Tenant"} {
			if !slices.ContainsFunc(result.Notes, func(note string) bool {
				return strings.Contains(note, "the header "+header+" is not for tools to fill; it is left out")
			}) {
				t.Errorf("%s: nobody is told of %s: %q", offer, header, result.Notes)
			}
		}
	}
}
