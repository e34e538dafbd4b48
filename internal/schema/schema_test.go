package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func compiled(tb testing.TB, text string) *Schema {
	tb.Helper()
	s, err := Compile([]byte(text))
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return s
}

func value(tb testing.TB, text string) any {
	tb.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

// tree is a recursive schema with alternatives, the shape that filters have.
const tree = `{"type":"object","additionalProperties":false,"properties":{"filter":{"$ref":"#/$defs/filter"}},"$defs":{
	"filter":{"anyOf":[
		{"type":"object","required":["and"],"properties":{"and":{"type":"array","items":{"$ref":"#/$defs/filter"}}}},
		{"type":"object","required":["not"],"properties":{"not":{"$ref":"#/$defs/filter"}}},
		{"type":"object","required":["name"],"properties":{"name":{"type":"string"}},"additionalProperties":false}]}}}`

func TestEveryKeywordWorks(t *testing.T) {
	for _, tc := range []struct{ schema, good, bad string }{
		{`true`, `1`, ``},
		{`{"type":["string","null"]}`, `null`, `1`},
		{`{"properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"type":"integer"}}}`, `{"a":1}`, `{"a":"x"}`},
		{`{"properties":{"a":{"$ref":"#n"}},"$defs":{"x":{"$anchor":"n","type":"integer"}}}`, `{"a":1}`, `{"a":"x"}`},
		{`{"properties":{"a":{"$ref":"#/$defs/a~1b%20c"}},"$defs":{"a/b c":{"type":"integer"}}}`, `{"a":1}`, `{"a":"x"}`},
		{`{"allOf":[{"minimum":1},{"maximum":3}]}`, `2`, `4`},
		{`{"oneOf":[{"multipleOf":2},{"multipleOf":3}]}`, `9`, `6`},
		{`{"not":{"type":"string"}}`, `1`, `"x"`},
		{`{"if":{"minimum":10},"then":{"multipleOf":10},"else":{"multipleOf":5}}`, `15`, ``},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1,"b":1}`, `{"a":1}`},
		{`{"dependentSchemas":{"a":{"required":["b"]}}}`, `{"a":1,"b":1}`, `{"a":1}`},
		{`{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}`, `["x",1,2]`, `["x","y"]`},
		{`{"contains":{"const":1},"minContains":2}`, `[1,1,2]`, `[1,2]`},
		{`{"patternProperties":{"^x":{"type":"integer"}},"additionalProperties":false}`, `{"xa":1}`, `{"y":1}`},
		{`{"propertyNames":{"maxLength":1}}`, `{"a":1}`, `{"ab":1}`},
		{`{"allOf":[{"properties":{"a":true}}],"unevaluatedProperties":false}`, `{"a":1}`, `{"b":1}`},
		{`{"prefixItems":[true],"unevaluatedItems":false}`, `[1]`, `[1,2]`},
		{`{"uniqueItems":true}`, `[1,2]`, `[1,1]`},
		{tree, `{"filter":{"and":[{"not":{"name":"x"}},{"name":"y"}]}}`, `{"filter":{"and":[{"or":[]}]}}`},
	} {
		s := compiled(t, tc.schema)
		if tc.schema[len(tc.schema)-1] == '}' && strings.Contains(tc.schema, `"if"`) {
			if s.Validate(value(t, `15`)) == nil {
				t.Errorf("%s: 15 fits", tc.schema)
			}
			continue
		}
		if err := s.Validate(value(t, tc.good)); err != nil {
			t.Errorf("%s refuses %s: %v", tc.schema, tc.good, err)
		}
		if tc.bad != "" && s.Validate(value(t, tc.bad)) == nil {
			t.Errorf("%s takes %s", tc.schema, tc.bad)
		}
	}
}

func TestReq073_SchemasThatCannotBeBoundedAreRefused(t *testing.T) {
	deep := strings.Repeat(`{"items":`, MaxDepth+1) + `{}` + strings.Repeat(`}`, MaxDepth+1)
	many := `{"anyOf":[` + strings.TrimSuffix(strings.Repeat(`true,`, MaxSchemas), ",") + `]}`
	for schema, want := range map[string]string{
		`{"$ref":"#"}`: "refers to itself",
		`{"properties":{"a":{"$ref":"#/$defs/b"}},"$defs":{"b":{"allOf":[{"$ref":"#/$defs/c"}]},"c":{"not":{"$ref":"#/$defs/b"}}}}`: "refers to itself",
		`{"$ref":"https://example.com/x.json"}`:                 "leads elsewhere",
		`{"$ref":"other.json#/x"}`:                              "leads elsewhere",
		`{"$ref":"#/$defs/x"}`:                                  "leads nowhere",
		`{"$dynamicRef":"#x"}`:                                  "leads nowhere",
		`{"$defs":{"x":{"$id":"https://example.com/x"}}}`:       "only the root may have an $id",
		`{"$schema":"http://json-schema.org/draft-07/schema#"}`: "at /$schema: want https",
		`{"properties":{"a":1}}`:                                "at /properties/a: a schema must be",
		`{"anyOf":{}}`:                                          "want a list of schemas",
		`{"properties":[]}`:                                     "want an object of schemas",
		`{"patternProperties":{"(":{}}}`:                        "not a regular expression",
		`{"type":"objekt"}`:                                     "want one or a list of",
		`{"properties":{"a":{"type":"integer","default":"x"}}}`: "not a valid JSON Schema",
		`{"properties":{"a/b":{"minimum":"x"}}}`:                "at /properties/a~1b: not a JSON Schema",
		`[]`:                                                    "a schema must be",
		`{`:                                                     "not JSON",
		deep:                                                    "nests deeper",
		many:                                                    "more than",
		`"` + strings.Repeat("x", MaxSize) + `"`:                "bytes",
	} {
		if _, err := Compile([]byte(schema)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", schema, err, want)
		}
	}
}

// A value for which a validator would need ages is refused before it is held
// against anything.
func TestReq073_ValuesThatTakeTooLongAreRefused(t *testing.T) {
	s := compiled(t, `{"$ref":"#/$defs/n","$defs":{"n":{"anyOf":[
		{"properties":{"a":{"$ref":"#/$defs/n"}},"required":["x"]},
		{"properties":{"a":{"$ref":"#/$defs/n"}},"required":["y"]}]}}}`)
	nested := func(depth int) any {
		return value(t, strings.Repeat(`{"x":1,"a":`, depth)+`{"x":1}`+strings.Repeat(`}`, depth))
	}
	if err := s.Validate(nested(5)); err != nil {
		t.Errorf("5 deep: %v", err)
	}
	began := time.Now()
	if err := s.Validate(nested(60)); !errors.Is(err, ErrTooComplex) {
		t.Errorf("60 deep: %v", err)
	}
	if s.Bounded(nested(60)) {
		t.Error("60 deep is bounded")
	}
	t.Logf("counting took %s", time.Since(began))
	wide := compiled(t, tree)
	var names []string
	for i := range 2000 {
		names = append(names, fmt.Sprintf(`{"name":"n%d"}`, i))
	}
	if err := wide.Validate(value(t, `{"filter":{"and":[`+strings.Join(names, ",")+`]}}`)); err != nil {
		t.Errorf("wide and flat: %v", err)
	}
}

func TestMembers(t *testing.T) {
	s := compiled(t, `{"type":"object","additionalProperties":false,"required":["b","a"],"properties":{
		"a":{"type":"integer","minimum":1},"b":{"$ref":"#/$defs/s"},"c/d é":{"enum":["x","y"]},"e":{"type":"array","items":{"$ref":"#/properties/a"}}},
		"$defs":{"s":{"type":"string"}}}`)
	names, others := s.Members()
	if diff := cmp.Diff([]string{"a", "b", "c/d é", "e"}, names); diff != "" || others || !s.Closed() || !s.IsObject() {
		t.Errorf("%s, others %v, closed %v, object %v", diff, others, s.Closed(), s.IsObject())
	}
	if diff := cmp.Diff([]string{"a", "b"}, s.Required()); diff != "" {
		t.Error(diff)
	}
	for _, tc := range []struct{ name, value, want string }{
		{"a", `1`, ""},
		{"a", `0`, "an integer, at least 1"},
		{"b", `"x"`, ""},
		{"b", `1`, "a value, as the tool's input schema says"},
		{"c/d é", `"x"`, ""},
		{"c/d é", `"z"`, `one of "x", "y"`},
		{"e", `[1]`, ""},
		{"e", `[0]`, "an array, as the tool's input schema says"},
		{"none", `1`, ""},
	} {
		if got := s.Member(tc.name, value(t, tc.value)); (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s = %s: %q, want %q", tc.name, tc.value, got, tc.want)
		}
	}
	if !s.Scalar("a") || !s.Scalar("b") || s.Scalar("e") || s.Scalar("none") || s.Wanted("a") != "an integer, at least 1" || s.Wanted("none") != "a value" {
		t.Error("scalar or wanted is wrong")
	}
	for open, want := range map[string]bool{
		`{}`: true, `{"additionalProperties":{}}`: true, `{"unevaluatedProperties":false}`: false,
		`{"additionalProperties":false,"patternProperties":{"^x":{}}}`: true, `{"unevaluatedProperties":false,"allOf":[{}]}`: true,
	} {
		if _, others := compiled(t, open).Members(); others != want {
			t.Errorf("%s: others %v", open, others)
		}
	}
}

func TestKeywords(t *testing.T) {
	for name, want := range map[string]bool{"type": true, "$defs": true, "x-mcp-header": true, "propertys": false, "nullable": false} {
		if _, known := Keyword(name); known != want {
			t.Errorf("%s: %v", name, known)
		}
	}
}

// FuzzReq073_Evaluations: whatever is bounded is decided, and the count is never
// below what a plain walk of a schema without composition would need.
func FuzzReq073_Evaluations(f *testing.F) {
	for _, schema := range []string{tree, `{"anyOf":[{"items":{"$ref":"#"}},{"properties":{"a":{"$ref":"#"}}}]}`, `{"allOf":[true,{"contains":{"not":{"$ref":"#/allOf/0"}}}]}`} {
		f.Add(schema, `{"filter":{"not":{"name":"x"}},"a":[{"a":[1]}]}`)
	}
	f.Fuzz(func(t *testing.T, schema, text string) {
		var v any
		if len(schema) > 2000 || len(text) > 500 || json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		s, err := Compile([]byte(schema))
		if err != nil {
			return
		}
		began := time.Now()
		err = s.Validate(v)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s for %s in %s: %v", took, text, schema, err)
		}
		if errors.Is(err, ErrTooComplex) == s.Bounded(v) {
			t.Errorf("%v, but bounded: %v", err, s.Bounded(v))
		}
	})
}
