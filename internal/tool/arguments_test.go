package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const argumentsCatalogue = `
upstreams: {api: {url: "https://api.example.com", credential: none}}
tools:
  - name: find
    description: d
    upstream: api
    method: GET
    path: /find
    query: {limit: limit, kind: "filter[kind]", deep: deep, ratio: ratio, name: q, any: any}
    input:
      type: object
      required: [limit]
      properties:
        limit: {type: integer, minimum: 1, maximum: 9007199254740993}
        kind: {type: string, enum: [team, user]}
        deep: {type: boolean}
        ratio: {type: number, exclusiveMinimum: 0}
        name: {type: string, minLength: 2, maxLength: 5, pattern: "^[^x]*$"}
        any: {type: string, const: "1"}
      additionalProperties: false
`

func TestReq073_ArgumentsAreCheckedAndBound(t *testing.T) {
	find := mustLoad(t, argumentsCatalogue).tools[0]
	for name, tc := range map[string]struct{ arguments, query, want string }{
		"all": {
			arguments: `{"limit":7,"kind":"team","deep":true,"ratio":0.5,"name":"a&b=c"}`,
			query:     "deep=true&filter%5Bkind%5D=team&limit=7&q=a%26b%3Dc&ratio=0.5",
		},
		"optional left out":       {arguments: `{"limit":1}`, query: "limit=1"},
		"white space":             {arguments: " {\n\"limit\" : 1 } ", query: "limit=1"},
		"escaped name":            {arguments: `{"\u006cimit":1}`, query: "limit=1"},
		"digits are kept":         {arguments: `{"limit":9007199254740991}`, query: "limit=9007199254740991"},
		"exponent":                {arguments: `{"limit":1e2,"ratio":1e-3}`, query: "limit=1e2&ratio=1e-3"},
		"not ASCII":               {arguments: `{"limit":1,"name":"t\u00f6\u0000"}`, query: "limit=1&q=t%C3%B6%00"},
		"line breaks are encoded": {arguments: `{"limit":1,"name":"a\r\nb"}`, query: "limit=1&q=a%0D%0Ab"},

		"absent":                   {arguments: ``, want: `The argument "limit" is missing: want an integer, at least 1, at most 9007199254740992.`},
		"null":                     {arguments: `null`, want: `The argument "limit" is missing`},
		"wrong type":               {arguments: `{"limit":"7"}`, want: `The argument "limit" is not as declared: want an integer`},
		"null value":               {arguments: `{"limit":null}`, want: `The argument "limit" is not as declared`},
		"fraction":                 {arguments: `{"limit":1.5}`, want: `The argument "limit" is not as declared`},
		"too small":                {arguments: `{"limit":0}`, want: `The argument "limit" is not as declared`},
		"out of every range":       {arguments: `{"limit":1e999}`, want: `The argument "limit" is not as declared`},
		"not one of":               {arguments: `{"limit":1,"kind":"admin"}`, want: `The argument "kind" is not as declared: want a string, one of "team", "user".`},
		"not a boolean":            {arguments: `{"limit":1,"deep":"true"}`, want: `The argument "deep" is not as declared: want a boolean.`},
		"not more than":            {arguments: `{"limit":1,"ratio":0}`, want: `want a number, more than 0.`},
		"too long":                 {arguments: `{"limit":1,"name":"aaaaaa"}`, want: `want a string, of at least 2 characters, of at most 5 characters, matching "^[^x]*$".`},
		"not the constant":         {arguments: `{"limit":1,"any":"2"}`, want: `want a string, equal to "1".`},
		"object for a text":        {arguments: `{"limit":1,"name":{"a":1}}`, want: `The argument "name" is not as declared`},
		"unknown":                  {arguments: `{"limit":1,"token":"x"}`, want: `There is no argument "token"; this tool takes "any", "deep", "kind", "limit", "name", "ratio".`},
		"other case":               {arguments: `{"Limit":1}`, want: `There is no argument "Limit"`},
		"hostile name":             {arguments: `{"\u202e\u0007` + strings.Repeat("a", 500) + `":1}`, want: `There is no argument "\u202e\a`},
		"twice":                    {arguments: `{"limit":1,"limit":2}`, want: `same key twice: "limit"`},
		"twice through an escape":  {arguments: `{"limit":1,"\u006cimit":2}`, want: `same key twice`},
		"an array":                 {arguments: `[1]`, want: `not a JSON object`},
		"a text":                   {arguments: `"limit"`, want: `not a JSON object`},
		"broken":                   {arguments: `{"limit":1`, want: `not valid JSON`},
		"two values":               {arguments: `{"limit":1}{"limit":2}`, want: `not valid JSON`},
		"not UTF-8":                {arguments: "{\"limit\":1,\"name\":\"a\xff\"}", want: `not valid JSON`},
		"a NUL":                    {arguments: "{\"limit\":1,\"name\":\"a\x00\"}", want: `not valid JSON`},
		"too deep":                 {arguments: `{"limit":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, want: `nested too deeply`},
		"too large":                {arguments: `{"limit":1,"name":"` + strings.Repeat("a", maxArguments) + `"}`, want: `larger than the 65536 bytes allowed`},
		"a long value is not told": {arguments: `{"limit":"` + strings.Repeat("hunter2", 1000) + `"}`, want: `not as declared`},
	} {
		t.Run(name, func(t *testing.T) {
			checked, err := checkArguments(find.input, json.RawMessage(tc.arguments), find.maxArguments())
			if tc.want != "" {
				invalid, ok := errors.AsType[*InvalidArgumentsError](err)
				if !ok || !strings.Contains(invalid.Detail, tc.want) {
					t.Fatalf("got %v\nwant %q", err, tc.want)
				}
				if len(invalid.Detail) > 1000 || strings.Contains(invalid.Detail, "hunter2") {
					t.Errorf("the sentence repeats too much: %s", invalid.Detail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			request, err := find.binding.request(t.Context(), checked)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("/find?"+tc.query, request.URL.String()); diff != "" {
				t.Errorf("URL (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoArguments(t *testing.T) {
	teams := mustLoad(t, string(BuiltIn())).tools[0]
	for _, arguments := range []string{"", "null", "{}", " { } "} {
		checked, err := checkArguments(teams.input, json.RawMessage(arguments), teams.maxArguments())
		if err != nil {
			t.Fatalf("%q: %v", arguments, err)
		}
		request, err := teams.binding.request(t.Context(), checked)
		if err != nil {
			t.Fatal(err)
		}
		if got := request.URL.String(); got != "/teams" {
			t.Errorf("%q: URL %q, want /teams", arguments, got)
		}
	}
	_, err := checkArguments(teams.input, json.RawMessage(`{"q":1}`), teams.maxArguments())
	if err == nil || err.Error() != `There is no argument "q"; this tool takes none.` {
		t.Errorf("got %v", err)
	}
}

// Whatever is accepted stays one query below the declared path, and binds.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{
		`{"limit":7,"kind":"team","deep":true,"ratio":0.5,"name":"a&b"}`, `{"limit":1e2}`, `{"limit":-0}`,
		`{"limit":1,"name":"\ud800"}`, `{"limit":1,"name":"#/.."}`, `null`, `{`, `{"a":{"a":[]}}`,
	} {
		f.Add([]byte(seed))
	}
	find := mustLoad(f, argumentsCatalogue).tools[0]
	f.Fuzz(func(t *testing.T, raw []byte) {
		checked, err := checkArguments(find.input, raw, find.maxArguments())
		if err != nil {
			if invalid, ok := errors.AsType[*InvalidArgumentsError](err); !ok || invalid.Detail == "" || len(invalid.Detail) > 1000 {
				t.Fatalf("check(%q) = %v", raw, err)
			}
			return
		}
		request, err := find.binding.request(t.Context(), checked)
		if err != nil {
			t.Fatalf("%q was accepted and does not bind: %v", raw, err)
		}
		if u := request.URL; u.Path != "/find" || u.Host != "" || u.Scheme != "" || u.Fragment != "" || len(u.Query()) != len(checked) {
			t.Errorf("%q became %q", raw, u)
		}
	})
}

// Keywords that concern several arguments count, and every keyword is in
// tools/list as it was written.
func TestReq073_ArgumentsTogether(t *testing.T) {
	const input = `{"type": "object", "additionalProperties": false,
      "properties": {"from": {"$ref": "#/$defs/day", "x-mcp-header": "From"}, "to": {"$ref": "#/$defs/day"}, "where": {"type": "string"}},
      "dependentRequired": {"to": ["from"]}, "oneOf": [{"required": ["from"]}, {"required": ["where"]}],
      "$defs": {"day": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}}}`
	catalogue, err := Load([]byte("upstreams: {otus: {url: https://otus.example, credential: none}}\ntools:\n"+
		"  - {name: find, description: d, upstream: otus, method: GET, path: /, query: {from: from, to: to, where: where},\n     input: "+input+"}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(input)); err != nil {
		t.Fatal(err)
	}
	if got := string(catalogue.tools[0].definition.InputSchema); got != compact.String() {
		t.Errorf("the schema became %s", got)
	}
	for arguments, want := range map[string]string{
		`{"from":"2026-01-01","to":"2026-01-02"}`: "",
		`{"where":"here"}`:                        "",
		`{"from":"tomorrow"}`:                     `The argument "from" is not as declared: want a value, as the tool's input schema says.`,
		`{"to":"2026-01-02","where":"here"}`:      "do not fit together",
		`{"from":"2026-01-01","where":"here"}`:    "do not fit together",
		`{}`:                                      "do not fit together",
		`{"when":"2026-01-01"}`:                   `There is no argument "when"; this tool takes "from", "to", "where".`,
	} {
		_, err := checkArguments(catalogue.tools[0].input, json.RawMessage(arguments), maxArguments)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", arguments, err, want)
		}
	}
}
