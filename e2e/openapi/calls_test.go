package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/jsonschema-go/jsonschema"

	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
)

// TestReq072_TheJudgeReadsEveryStyle declares one parameter for each style and
// kind of value, whose schema allows that one value only. The judge accepts
// what was written if it decodes to the same.
func TestReq072_TheJudgeReadsEveryStyle(t *testing.T) {
	values := map[string]struct{ schema, value string }{
		"text":    {`{"type":"string"}`, `"a b-ñ"`},
		"integer": {`{"type":"integer"}`, `42`},
		"boolean": {`{"type":"boolean"}`, `true`},
		"list":    {`{"type":"array","items":{"type":"string"}}`, `["blue","black"]`},
		"object":  {`{"type":"object","properties":{"R":{"type":"integer"},"G":{"type":"integer"}}}`, `{"R":100,"G":200}`},
	}
	styles := map[openapi.In][]string{
		openapi.InPath: {"simple", "label", "matrix"}, openapi.InHeader: {"simple"},
		openapi.InQuery: {"form", "spaceDelimited", "pipeDelimited", "deepObject"}, openapi.InCookie: {"form"},
	}
	for in, styles := range styles {
		for _, style := range styles {
			for kind, v := range values {
				for _, explode := range []bool{false, true} {
					if !isDefined(in, style, kind, explode) {
						continue
					}
					t.Run(fmt.Sprintf("%s %s %s %v", in, style, kind, explode), func(t *testing.T) {
						if (in == openapi.InHeader || in == openapi.InCookie) && kind == "text" {
							v.value = `"a-b"` // headers are ASCII, and kin-openapi does not decode cookies
						}
						schema := strings.Replace(v.schema, "{", `{"enum":[`+v.value+`],`, 1)
						path := map[bool]string{true: "/x/{p}/y", false: "/x/y"}[in == openapi.InPath]
						text := fmt.Sprintf(`{"openapi":"3.0.3","info":{"title":"t","version":"1"},"paths":{%q:{"get":{"operationId":"x","responses":{},
							"parameters":[{"name":"p","in":%q,"required":true,"style":%q,"explode":%v,"schema":%s}]}}}}`, path, in, style, explode, schema)
						one := workOut(t, load(t, []byte(text)))[0]
						if count := call(t, one, judged(t, []byte(text)), map[string]string{"p": v.value}, nil); count != 1 {
							t.Errorf("%d parameters judged", count)
						}
					})
				}
			}
		}
	}
}

// isDefined reports whether OpenAPI defines a style for a kind of value
// (version 3.2, "Style Examples"), and the judge reads it.
func isDefined(in openapi.In, style, kind string, explode bool) bool {
	many := kind == "list" || kind == "object"
	switch {
	case style == "deepObject":
		return kind == "object" && explode
	case style == "spaceDelimited", style == "pipeDelimited":
		return kind == "list" && !explode
	case in == openapi.InCookie:
		return !many // a comma is no cookie-octet, and kin-openapi wants one
	default:
		return true
	}
}

// call builds the request of an operation, sends it to a real server, and lets
// the judge hold each parameter that arrived against its schema, but for those
// whose arguments are unlike it. It returns how many were judged.
func call(t *testing.T, o operation, theirs *openapi3.T, arguments map[string]string, unlike map[string]bool) int {
	t.Helper()
	item := theirs.Paths.Value(o.Path)
	request := build(t, o, arguments)
	received := roundTrip(t, request)
	segments := segmentsOf(o.Path, received.URL.EscapedPath())
	input := &openapi3filter.RequestValidationInput{
		Request: received, PathParams: segments,
		Route: &routers.Route{Spec: theirs, Path: o.Path, PathItem: item, Method: o.Method, Operation: item.GetOperation(o.Method)},
	}
	count := 0
	for _, p := range o.details.Parameters {
		argument, given := arguments[p.Argument]
		switch {
		case !given, unlike[p.Argument], p.In == openapi.InPath && segments[p.Write.Name] == "",
			p.In == openapi.InCookie && strings.ContainsAny(argument[:1], "[{"): // isDefined says why
			continue
		}
		if err := openapi3filter.ValidateParameter(t.Context(), input, parameter(item, input.Route.Operation, p)); err != nil {
			t.Errorf("%s: %s as %s in %s: %v", o.Key(), argument, p.Write.Style, request.URL, err)
		}
		count++
	}
	return count
}

// build makes the request of a call, without a body.
func build(t *testing.T, o operation, arguments map[string]string) *http.Request {
	t.Helper()
	pieces, header := map[string]string{}, http.Header{}
	var query, cookies []string
	for _, p := range o.details.Parameters {
		raw, given := arguments[p.Argument]
		if !given {
			continue
		}
		var text string
		var err error
		switch p.In {
		case openapi.InPath:
			pieces[p.Write.Name], err = p.Write.Path(json.RawMessage(raw))
		case openapi.InQuery:
			text, err = p.Write.Query(json.RawMessage(raw))
			query = append(query, text)
		case openapi.InHeader:
			text, _, err = p.Write.Header(json.RawMessage(raw))
			header.Set(p.Write.Name, text)
		case openapi.InCookie:
			text, err = p.Write.Cookie(json.RawMessage(raw))
			cookies = append(cookies, text)
		}
		if err != nil {
			t.Fatalf("%s: %s %v", o.Key(), p.Argument, err)
		}
	}
	path, err := o.details.Path.Expand(pieces)
	if err != nil {
		t.Fatalf("%s: %v", o.Key(), err)
	}
	if len(cookies) > 0 {
		header.Set("Cookie", strings.Join(cookies, "; "))
	}
	request, err := http.NewRequestWithContext(t.Context(), o.Method, path+"?"+strings.Join(query, "&"), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	return request
}

// roundTrip returns the request as a server receives it.
func roundTrip(t *testing.T, request *http.Request) *http.Request {
	t.Helper()
	var received *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		received = r.Clone(t.Context())
	}))
	defer server.Close()
	target := request.URL.String()
	var err error
	if request.URL, err = request.URL.Parse(server.URL + target); err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return received
}

// segmentsOf reads the values of a template's names, where a name is a whole
// segment.
func segmentsOf(template, path string) map[string]string {
	found := map[string]string{}
	names, values := strings.Split(template, "/"), strings.Split(path, "/")
	for i, segment := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(segment, "{"), "}")
		if len(name) == len(segment)-2 && !strings.ContainsAny(name, "{}") && len(values) == len(names) {
			found[name], _ = url.PathUnescape(values[i])
		}
	}
	return found
}

// invent makes up a value for every parameter whose schema is simple enough, and
// a text for the other parts of the path, which may be unlike their schema.
func invent(t *testing.T, details *openapi.Details) (arguments map[string]string, unlike map[string]bool) {
	t.Helper()
	var input jsonschema.Schema
	if err := json.Unmarshal(details.Input, &input); err != nil {
		t.Fatal(err)
	}
	arguments, unlike = map[string]string{}, map[string]bool{}
	for _, p := range details.Parameters {
		value, ok := example(&input, input.Properties[p.Argument])
		if !ok {
			if p.In != openapi.InPath {
				continue
			}
			value, unlike[p.Argument] = "x", true
		}
		raw, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		arguments[p.Argument] = string(raw)
	}
	return arguments, unlike
}

// example returns a value that fits a schema, and false when it is not simple.
func example(root, s *jsonschema.Schema) (any, bool) {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		s = root.Defs[name]
	}
	kind := s.Type
	if kind == "" && len(s.Types) > 0 {
		kind = s.Types[0]
	}
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0], true
	case s.Pattern != "" || s.Format != "" && kind == "string" || s.AllOf != nil || s.AnyOf != nil || s.OneOf != nil:
		return nil, false
	case kind == "string":
		length := 8
		if s.MaxLength != nil {
			length = min(length, *s.MaxLength)
		}
		if s.MinLength != nil {
			length = max(length, *s.MinLength)
		}
		return strings.Repeat("a", length), true
	case kind == "integer" || kind == "number":
		value := 1.0
		if s.Minimum != nil {
			value = max(value, *s.Minimum)
		}
		return value, true
	case kind == "boolean":
		return true, true
	case kind == "array" && s.Items != nil:
		item, ok := example(root, s.Items)
		return []any{item}, ok
	case kind == "object" && len(s.Properties) > 0:
		value := map[string]any{}
		for name, property := range s.Properties {
			member, ok := example(root, property)
			if !ok {
				return nil, false
			}
			value[name] = member
		}
		return value, true
	default:
		return nil, false
	}
}
