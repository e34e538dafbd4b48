package tool

import (
	"strings"
	"testing"
)

// TestReq070_NoArgumentFillsAHeaderOfTheUpstream declares arguments for the header
// fields that go to the API anyway: its credential and the fixed ones, however they
// are spelled. A server may read the second one, or both.
func TestReq070_NoArgumentFillsAHeaderOfTheUpstream(t *testing.T) {
	t.Parallel()
	const catalogue = `
upstreams:
  api:
    url: https://api.example
    credential: static
    headers: {X-Tenant: a}
    static: {header: X-Api-Key, secret_env: KEY}
tools:
  - name: t
    description: d
    upstream: api
    method: GET
    path: /
    params:
      - {argument: a, in: header, name: NAME}
      - {argument: b, in: header, name: X-B}
    input: {type: object, properties: {a: {type: string}, b: {type: string}}, additionalProperties: false}
`
	for name, want := range map[string]string{
		"X-Other":   "",
		"X-Tenants": "",
		"X-Api-Key": `line 15: tools[0].params[0]: the header X-Api-Key is one that the upstream "api" has of its own; remove the argument`,
		"x_api_key": "the header x_api_key is one that the upstream",
		"x-tenant":  "the header x-tenant is one that the upstream",
		"X_TENANT":  "the header X_TENANT is one that the upstream",
		"X_B":       `line 16: tools[0].params[1]: another argument fills the parameter "X-B" already`,
	} {
		_, err := Load([]byte(strings.Replace(catalogue, "NAME", name, 1)), nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}
