package openapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
)

// bodySchema returns what becomes of a schema: the property body, and the $defs
// behind it.
func bodySchema(t *testing.T, version, schema, components string) (string, *Details, error) {
	t.Helper()
	document := mustLoad(t, fmt.Sprintf(`
openapi: %s
paths:
  /x:
    post:
      operationId: x
      requestBody: {content: {application/json: {schema: %s}}}
components: {schemas: {%s}}
`, version, schema, components))
	details, err := document.Details(t.Context(), document.Operations[0])
	if err != nil {
		return "", nil, err
	}
	text := strings.TrimPrefix(string(details.Input), `{"type":"object","properties":{"body":`)
	return strings.Replace(text, `},"additionalProperties":false`, "", 1), details, nil
}

func TestReq073_SchemasBecomeOfTheirOwn(t *testing.T) {
	for name, tc := range map[string]struct{ version, schema, components, want string }{
		"as it is": {
			"3.1.0", `{type: [string, "null"], minLength: 1, pattern: "^a", description: "ñ <b>", x-own: 1, xml: {name: y}}`, "",
			`{"type":["string","null"],"minLength":1,"pattern":"^a","description":"ñ <b>"}}`,
		},
		"numbers keep their text": {"3.1.0", `{minimum: 0.10, maximum: 9007199254740993, multipleOf: 1e-2, const: 1.0}`, "", `{"minimum":0.10,"maximum":9007199254740993,"multipleOf":1e-2,"const":1.0}}`},
		"numbers of YAML":         {"3.1.0", `{enum: [0x10, 1_000, .5, +1, yes, ~, 2020-01-01]}`, "", `{"enum":[16,1000,0.5,1,"yes",null,"2020-01-01"]}}`},
		"texts of YAML":           {"3.1.0", `{title: 12, type: null, required: [1, yes]}`, "", `{"title":"12","type":"null","required":["1","yes"]}}`},
		"booleans":                {"3.1.0", `{properties: {a: true, b: false}}`, "", `{"properties":{"a":{},"b":{"not":{}}}}}`},
		"examples":                {"3.0.0", `{type: string, example: a}`, "", `{"type":"string","examples":["a"]}}`},
		"nullable":                {"3.0.0", `{type: string, nullable: true, enum: [a]}`, "", `{"type":["string","null"],"enum":["a",null]}}`},
		"nullable without a type": {"3.0.0", `{nullable: true, allOf: [{type: string}]}`, "", `{"anyOf":[{"allOf":[{"type":"string"}]},{"type":"null"}]}}`},
		"not nullable in 3.1":     {"3.1.0", `{type: string, nullable: true}`, "", `{"type":"string"}}`},
		"exclusive limits":        {"3.0.0", `{minimum: 1, exclusiveMinimum: true, maximum: 2, exclusiveMaximum: false}`, "", `{"maximum":2,"exclusiveMinimum":1}}`},
		"exclusive limits of 3.1": {"3.1.0", `{exclusiveMinimum: 1}`, "", `{"exclusiveMinimum":1}}`},
		"discriminator":           {"3.0.0", `{discriminator: {propertyName: kind, mapping: {a: "#/components/schemas/A"}}}`, "", `{"x-discriminator":"kind"}}`},
		"read only": {
			"3.0.0", `{required: [a, b, c], properties: {a: {readOnly: true}, b: {$ref: "#/components/schemas/B"}, c: {writeOnly: true}}}`, `B: {readOnly: true}`,
			`{"required":["c"],"properties":{"c":{"writeOnly":true}}}}`,
		},
		"reference": {
			"3.0.0", `{$ref: "#/components/schemas/A", description: not in 3.0}`, `A: {type: string}`,
			`{"$ref":"#/$defs/A"},"$defs":{"A":{"type":"string"}}}`,
		},
		"reference with company": {
			"3.1.0", `{$ref: "#/components/schemas/A", description: here}`, `A: {type: string}`,
			`{"$ref":"#/$defs/A","description":"here"},"$defs":{"A":{"type":"string"}}}`,
		},
		"recursion": {
			"3.0.0", `{$ref: "#/components/schemas/A"}`, `A: {properties: {next: {$ref: "#/components/schemas/A"}, all: {items: {$ref: "#/components/schemas/B"}}}}, B: {additionalProperties: {$ref: "#/components/schemas/A"}}, C: {}`,
			`{"$ref":"#/$defs/A"},"$defs":{"A":{"properties":{"next":{"$ref":"#/$defs/A"},"all":{"items":{"$ref":"#/$defs/B"}}}},"B":{"additionalProperties":{"$ref":"#/$defs/A"}}}}`,
		},
		"references into schemas": {
			"3.1.0", `{allOf: [{$ref: "#/components/schemas/A/properties/a%20b"}, {$ref: "#/components/schemas/A/oneOf/1"}, {$ref: "#/components/schemas/c~1d"}]}`,
			`A: {properties: {a b: {type: string}}, oneOf: [{}, {title: second}]}, c/d: {title: e}`,
			`{"allOf":[{"$ref":"#/$defs/a_b"},{"$ref":"#/$defs/1"},{"$ref":"#/$defs/c_d"}]},"$defs":{"a_b":{"type":"string"},"1":{"title":"second"},"c_d":{"title":"e"}}}`,
		},
		"equal ends": {
			"3.1.0", `{anyOf: [{$ref: "#/components/schemas/A"}, {$ref: "#/components/schemas/B/properties/A"}]}`, `A: {title: one}, B: {properties: {A: {title: two}}}`,
			`{"anyOf":[{"$ref":"#/$defs/A"},{"$ref":"#/$defs/A_2"}]},"$defs":{"A":{"title":"one"},"A_2":{"title":"two"}}}`,
		},
		"anchors and merged keys": {
			"3.1.0", `{properties: {a: &a {type: string, title: x}, b: *a, c: {<<: *a, title: y}}}`, "",
			`{"properties":{"a":{"type":"string","title":"x"},"b":{"type":"string","title":"x"},"c":{"title":"y","type":"string"}}}}`,
		},
		"slips are left out": {
			"3.0.0", `{type: file, minLength: "1", maximum: abc, required: true, pattern: "(?=a)", items: [{}], enum: a, allOf: [], properties: [], minItems: -1}`, "", `{}}`,
		},
		"alternatives with a discriminator": {
			"3.0.0", `{oneOf: [{title: a}, {title: b}], discriminator: {propertyName: kind}, nullable: true}`, "",
			`{"anyOf":[{"x-discriminator":"kind","anyOf":[{"title":"a"},{"title":"b"}]},{"type":"null"}]}}`,
		},
		"two lists of alternatives": {
			"3.1.0", `{oneOf: [{title: a}], anyOf: [{title: b}], discriminator: {propertyName: kind}}`, "",
			`{"oneOf":[{"title":"a"}],"anyOf":[{"title":"b"}],"x-discriminator":"kind"}}`,
		},
		"patterns of properties": {
			"3.1.0", `{patternProperties: {"(?!a)": {}, "^b": {}}, additionalProperties: false}`, "", `{"patternProperties":{"^b":{}}}}`,
		},
		"a default that fits":       {"3.1.0", `{type: integer, default: 5}`, "", `{"type":"integer","default":5}}`},
		"a default that is refused": {"3.1.0", `{type: integer, default: ten}`, "", `{"type":"integer"}}`},
		"no schema":                 {"3.1.0", `~`, "", `{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := bodySchema(t, tc.version, tc.schema, tc.components)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("schema (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSlipsAreNoted(t *testing.T) {
	_, details, err := bodySchema(t, "3.1.0", `{minLength: "1", pattern: "(?=a)"}`, "")
	want := []string{
		`line 7: the schema keyword "minLength" is left out: its value cannot be used here`,
		`line 7: the schema keyword "pattern" is left out: its value cannot be used here`,
	}
	if err != nil || cmp.Diff(want, details.Notes) != "" {
		t.Errorf("got %q, %v", details.Notes, err)
	}
}

func TestReq073_SchemasHaveBounds(t *testing.T) {
	var wide strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&wide, "p%d: {description: abcdefghijklmnop}, ", i)
	}
	for name, tc := range map[string]struct{ schema, components, want string }{
		"another document":    {`{$ref: "https://evil.example/x.json"}`, "", `leads out of the document, and nothing is fetched`},
		"another file":        {`{$ref: "file:///etc/passwd"}`, "", `leads out of the document`},
		"nothing there":       {`{$ref: "#/components/schemas/Nope"}`, "", `line 7: x: there is nothing at "#/components/schemas/Nope"`},
		"a name":              {`{$ref: "#anchor"}`, "", `not a path into the document`},
		"a broken escape":     {`{$ref: "#/%zz"}`, "", `not well-formed`},
		"dynamic references":  {`{$dynamicRef: "#a"}`, "", `$dynamicRef is not supported`},
		"itself":              {`{$ref: "#/components/schemas/A"}`, `A: {$ref: "#/components/schemas/A"}`, `itself`},
		"itself, combined":    {`{properties: {a: {$ref: "#/components/schemas/A"}}}`, `A: {allOf: [{anyOf: [{$ref: "#/components/schemas/B"}]}]}, B: {not: {$ref: "#/components/schemas/A"}}`, `itself`},
		"too large":           {`{properties: {` + wide.String() + `}}`, "", `larger than the 262144 bytes`},
		"too large elsewhere": {`{$ref: "#/components/schemas/A"}`, `A: {properties: {` + wide.String() + `}}`, `larger than the 262144 bytes`},
		"too deep":            {strings.Repeat("{items: ", 70) + "{}" + strings.Repeat("}", 70), "", `nests deeper than 48`},
		"a list":              {`[]`, "", `want a schema: a mapping`},
		"a number out of it":  {`{const: .nan}`, "", `".nan" is not a number of JSON`},
		"aliases in aliases":  {`{properties: ` + laughs() + `}`, "", `larger than the 262144 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := bodySchema(t, "3.1.0", tc.schema, tc.components)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %q", err, tc.want)
			}
		})
	}
}

// laughs is a schema of a few hundred bytes that is ten billion large when its
// aliases are written out.
func laughs() string {
	text := `{a0: &a0 {title: lol}`
	for i := range 10 {
		text += fmt.Sprintf(", a%d: &a%d {properties: {", i+1, i+1)
		for j := range 10 {
			text += fmt.Sprintf("x%d: *a%d, ", j, i)
		}
		text += "}}"
	}
	return text + "}"
}

const everything = `
openapi: 3.0.4
security: [{key: []}, {oauth: [a]}]
paths:
  /teams/{id}/{name}:
    servers: [{url: https://other.example.com}]
    parameters:
      - {name: id, in: path, required: true, description: The team, schema: {type: integer}}
      - {name: page, in: query, schema: {type: integer}, description: overridden}
    put:
      operationId: putTeam
      security: [{oauth: [teams:write, teams:read], other: [x]}, {oauth: []}]
      parameters:
        - {name: page, in: query, explode: false, allowReserved: true, schema: {type: array, items: {type: string}}}
        - {name: id, in: query, style: deepObject, explode: true, schema: {type: object}}
        - {name: "filter[kind]", in: query, style: pipeDelimited, deprecated: true, schema: {type: array}}
        - {name: body, in: query, required: true, content: {application/json: {schema: {type: object}}}}
        - {name: X-Trace, in: header, schema: {type: string}}
        - {name: Authorization, in: header, required: true, schema: {type: string}}
        - {name: Mcp-Session-Id, in: header, schema: {type: string}}
        - {name: unused, in: path, required: true, schema: {type: string}}
        - {$ref: "#/components/parameters/name"}
        - {name: session, in: cookie, schema: {type: string}}
      requestBody: {$ref: "#/components/requestBodies/team"}
      responses:
        default: {description: no, content: {application/json: {schema: {title: wrong}}}}
        "404": {description: no, content: {application/json: {schema: {title: wrong}}}}
        2XX: {description: yes, content: {application/json: {schema: {title: later}}}}
        "202": {$ref: "#/components/responses/team"}
        "204": {description: nothing}
components:
  parameters: {name: {name: name, in: path, required: true, style: matrix, explode: true, schema: {type: array, items: {type: string}}}}
  requestBodies:
    team:
      required: true
      description: What to change
      content:
        application/xml: {schema: {title: wrong}}
        application/merge-patch+json: {schema: {$ref: "#/components/schemas/Team"}}
  responses:
    team: {description: yes, content: {text/html: {}, application/json; charset=utf-8: {schema: {$ref: "#/components/schemas/Team"}}}}
  schemas:
    Team: {type: object, properties: {id: {type: integer, readOnly: true}, secret: {type: string, writeOnly: true}, parent: {$ref: "#/components/schemas/Team"}}}
  securitySchemes: {oauth: {type: oauth2}, key: {type: apiKey}, other: {type: http}}
`

func TestDetails(t *testing.T) {
	got := mustDetails(t, mustLoad(t, everything), "putTeam")
	template, err := paramstyle.ParseTemplate("/teams/{id}/{name}")
	if err != nil {
		t.Fatal(err)
	}
	want := &Details{
		Path: template,
		Parameters: []Parameter{
			{"id_path", InPath, true, paramstyle.Parameter{Name: "id", Style: paramstyle.Simple}},
			{"page", InQuery, false, paramstyle.Parameter{Name: "page", Style: paramstyle.Form, AllowReserved: true}},
			{"id_query", InQuery, false, paramstyle.Parameter{Name: "id", Style: paramstyle.DeepObject, Explode: true}},
			{"filter_kind", InQuery, false, paramstyle.Parameter{Name: "filter[kind]", Style: paramstyle.PipeDelimited}},
			{"body_query", InQuery, true, paramstyle.Parameter{Name: "body", Style: paramstyle.Form, Explode: true, JSON: true}},
			{"X-Trace", InHeader, false, paramstyle.Parameter{Name: "X-Trace", Style: paramstyle.Simple}},
			{"name", InPath, true, paramstyle.Parameter{Name: "name", Style: paramstyle.Matrix, Explode: true}},
			{"session", InCookie, false, paramstyle.Parameter{Name: "session", Style: paramstyle.Form, Explode: true}},
		},
		Body: &Body{Argument: "body", Required: true, Kind: BodyJSON, ContentType: "application/merge-patch+json"},
		Input: json.RawMessage(`{"type":"object","properties":{"id_path":{"description":"The team","type":"integer"},` +
			`"page":{"type":"array","items":{"type":"string"}},"id_query":{"type":"object"},"filter_kind":{"type":"array","deprecated":true},` +
			`"body_query":{"type":"object"},"X-Trace":{"type":"string"},"name":{"type":"array","items":{"type":"string"}},"session":{"type":"string"},` +
			`"body":{"description":"What to change","$ref":"#/$defs/Team"}},"required":["id_path","body_query","name","body"],"additionalProperties":false,` +
			`"$defs":{"Team":{"type":"object","properties":{"secret":{"type":"string","writeOnly":true},"parent":{"$ref":"#/$defs/Team"}}}}}`),
		Output: json.RawMessage(`{"$ref":"#/$defs/Team","$defs":{"Team":{"type":"object","properties":{"id":{"type":"integer","readOnly":true},"parent":{"$ref":"#/$defs/Team"}}}}}`),
		Scopes: []string{"teams:write", "teams:read"}, Servers: []string{"https://other.example.com"},
		Notes: []string{
			"line 19: the header Authorization is not for tools to fill; it is left out",
			"line 20: the header Mcp-Session-Id is not for tools to fill; it is left out",
			"line 21: the path has no {unused}; the parameter is left out",
			"line 12: there are 2 alternatives of security with different scopes; the first is taken",
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b paramstyle.Template) bool { return cmp.Equal(a.Names(), b.Names()) })); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

func TestBodies(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		want    Body
		schema  string
	}{
		"JSON before others": {"{text/plain: {}, application/json: {schema: {title: a}}}", Body{Kind: BodyJSON, ContentType: "application/json"}, `{"title":"a"}`},
		"any type":           {`{"*/*": {schema: {title: a}}}`, Body{Kind: BodyJSON, ContentType: "application/json"}, `{"title":"a"}`},
		"text":               {"{text/csv: {schema: {type: object}}}", Body{Kind: BodyText, ContentType: "text/csv"}, `{"type":"string"}`},
		"XML is text":        {"{application/xml: {schema: {type: object}}}", Body{Kind: BodyText, ContentType: "application/xml"}, `{"type":"string"}`},
		"bytes":              {"{image/png: {}}", Body{Kind: BodyBinary, ContentType: "image/png"}, `{"type":"string","contentEncoding":"base64"}`},
		"a form": {
			`{application/x-www-form-urlencoded: {schema: {properties: {a: {type: string}, b: {type: object}, c: {type: object}, d: {type: array, items: {type: object}}, e: {type: array}}},
			encoding: {c: {style: deepObject, explode: true}, e: {style: spaceDelimited}, a: {allowReserved: true}}}}`,
			Body{Kind: BodyForm, ContentType: "application/x-www-form-urlencoded", Fields: []Field{
				{Write: paramstyle.Parameter{Name: "a", Style: paramstyle.Form, Explode: true, AllowReserved: true}},
				{Write: paramstyle.Parameter{Name: "b", Style: paramstyle.Form, Explode: true, JSON: true}},
				{Write: paramstyle.Parameter{Name: "c", Style: paramstyle.DeepObject, Explode: true}},
				{Write: paramstyle.Parameter{Name: "d", Style: paramstyle.Form, Explode: true, JSON: true}},
				{Write: paramstyle.Parameter{Name: "e", Style: paramstyle.SpaceDelimited}},
			}},
			`{"properties":{"a":{"type":"string"},"b":{"type":"object"},"c":{"type":"object"},"d":{"type":"array","items":{"type":"object"}},"e":{"type":"array"}},"type":"object"}`,
		},
		"a form of anything": {
			"{application/x-www-form-urlencoded: {schema: {}}}", Body{Kind: BodyForm, ContentType: "application/x-www-form-urlencoded"}, `{"type":"object"}`,
		},
		"multipart": {
			`{multipart/form-data: {schema: {properties: {file: {type: string, format: binary}, files: {type: array, items: {type: string, format: binary}}, note: {type: string}}}, encoding: {file: {contentType: image/png}}}}`,
			Body{Kind: BodyMultipart, ContentType: "multipart/form-data", Fields: []Field{
				{Write: paramstyle.Parameter{Name: "file", Style: paramstyle.Form, Explode: true}, ContentType: "image/png", Base64: true},
				{Write: paramstyle.Parameter{Name: "files", Style: paramstyle.Form, Explode: true}, Base64: true},
				{Write: paramstyle.Parameter{Name: "note", Style: paramstyle.Form, Explode: true}},
			}},
			`{"properties":{"file":{"type":"string","contentEncoding":"base64"},"files":{"type":"array","items":{"type":"string","contentEncoding":"base64"}},"note":{"type":"string"}},"type":"object"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			document := mustLoad(t, "openapi: 3.0.0\npaths: {/x: {post: {requestBody: {content: "+tc.content+"}}}}")
			got := mustDetails(t, document, "POST /x")
			tc.want.Argument = "body"
			if diff := cmp.Diff(&tc.want, got.Body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if want := `{"type":"object","properties":{"body":` + tc.schema + `},"additionalProperties":false}`; string(got.Input) != want {
				t.Errorf("input %s\nwant  %s", got.Input, want)
			}
		})
	}
}

// A body that means nothing and can be left out does not cost the operation.
func TestBodiesWithoutMeaningAreLeftOut(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		document := mustLoad(t, "openapi: 3.1.0\npaths: {/x: {"+strings.ToLower(method)+": {requestBody: {content: {application/json: {}}}}}}")
		got := mustDetails(t, document, method+" /x")
		if want := "line 2: a " + method + " request has no body; the tool sends none"; got.Body != nil || len(got.Notes) != 1 || got.Notes[0] != want {
			t.Errorf("the body %v, and the notes %q", got.Body, got.Notes)
		}
	}
}

func TestDetailsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ operation, want string }{
		"a name nobody declares":    {`/{id}: {get: {}}`, `the path has {id}, and no parameter with in: path declares it`},
		"a parameter without name":  {`/x: {get: {parameters: [{in: query}]}}`, `has no name`},
		"a parameter in a body":     {`/x: {get: {parameters: [{name: a, in: body}]}}`, `is in "body"; want path, query, header or cookie`},
		"a whole query":             {`/x: {get: {parameters: [{name: a, in: querystring}]}}`, `querystring is not supported`},
		"a style of elsewhere":      {`/x: {get: {parameters: [{name: a, in: query, style: matrix}]}}`, `has the style "matrix", which is not one for in: query`},
		"content that is not JSON":  {`/x: {get: {parameters: [{name: a, in: query, content: {application/xml: {}}}]}}`, `is not declared as JSON`},
		"a body of several parts":   {`/x: {post: {requestBody: {required: true, content: {multipart/mixed: {}}}}}`, `no media type that arguments can become`},
		"a body of a GET":           {`/x: {get: {requestBody: {required: true, content: {application/json: {}}}}}`, `a GET request has no body`},
		"a field in another style":  {`/x: {post: {requestBody: {content: {multipart/form-data: {schema: {properties: {a: {}}}, encoding: {a: {style: label}}}}}}}`, `style "label"`},
		"scopes without end":        {"/x: {get: {security: [{oauth: [" + manyScopes(65) + "]}]}}", `more than the 64 scopes`},
		"references in a circle":    {`/x: {get: {parameters: [{$ref: "#/components/parameters/a"}]}}`, `in a circle`},
		"more parameters than fair": {`/x: {get: {parameters: [` + manyParameters(257) + `]}}`, `more than the 256 parameters`},
	} {
		t.Run(name, func(t *testing.T) {
			document := mustLoad(t, "openapi: 3.2.0\npaths:\n  "+tc.operation+"\ncomponents: {parameters: {a: {$ref: '#/components/parameters/a'}}, securitySchemes: {oauth: {type: oauth2}}}")
			_, err := document.Details(t.Context(), document.Operations[0])
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("got %v\nwant %q", err, tc.want)
			}
		})
	}
}

func manyScopes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "s%d, ", i)
	}
	return b.String()
}

func manyParameters(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{name: p%d, in: query}, ", i)
	}
	return b.String()
}

// FuzzLoad: a document is refused, or whatever it has comes out the same each
// time, with unique names that clients take and schemas that compile.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{teams, everything, "openapi: 3.1.0\npaths: {/a: {get: {}}}", `{"openapi":"3.0.0","paths":{"/a/{b}":{"post":{"parameters":[{"name":"b","in":"path"}],"requestBody":{"content":{"multipart/form-data":{"schema":{"$ref":"#/paths"}}}}}}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		document, err := Load(t.Context(), data)
		if err != nil {
			return
		}
		again, err := Load(t.Context(), data)
		if err != nil || len(again.Operations) != len(document.Operations) {
			t.Fatalf("the second time: %v", err)
		}
		seen := map[string]bool{}
		for i, operation := range document.Operations {
			if seen[operation.Name] || !namePattern.MatchString(operation.Name) || len(operation.Name) > maxName || operation.Name != again.Operations[i].Name {
				t.Fatalf("operation %d is called %q, then %q", i, operation.Name, again.Operations[i].Name)
			}
			seen[operation.Name] = true
			details, err := document.Details(t.Context(), operation)
			same, sameErr := again.Details(t.Context(), again.Operations[i])
			if fmt.Sprint(err) != fmt.Sprint(sameErr) {
				t.Fatalf("%v, then %v", err, sameErr)
			}
			if err != nil {
				continue
			}
			if string(details.Input) != string(same.Input) || string(details.Output) != string(same.Output) {
				t.Fatalf("%s\nthen %s", details.Input, same.Input)
			}
			wantSchema(t, details)
		}
		found := NewIndex(document.Operations).Search("teams get", 5, nil)
		if diff := cmp.Diff(keys(found), keys(NewIndex(again.Operations).Search("teams get", 5, nil))); diff != "" {
			t.Fatal(diff)
		}
	})
}

func wantSchema(t *testing.T, details *Details) {
	t.Helper()
	if len(details.Input) > maxSchema || len(details.Output) > maxSchema {
		t.Fatalf("the schemas have %d and %d bytes", len(details.Input), len(details.Output))
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(details.Input, &schema); err != nil {
		t.Fatalf("%v: %s", err, details.Input)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatalf("%v: %s", err, details.Input)
	}
	for _, p := range details.Parameters {
		if schema.Properties[p.Argument] == nil {
			t.Fatalf("no property %q in %s", p.Argument, details.Input)
		}
	}
	for name := range schema.Properties {
		if name != argumentName(name) {
			t.Fatalf("property %q", name)
		}
	}
	_ = resolved.Validate(map[string]any{bodyArgument: map[string]any{}}) // ends, whatever it says
}

func keys(operations []Operation) []string {
	var list []string
	for _, operation := range operations {
		list = append(list, operation.Key())
	}
	return list
}
