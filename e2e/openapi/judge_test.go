package openapi

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
)

// call is one call of a tool, of an operation as kin-openapi sees it.
type call struct {
	api        *api
	tool       *readTool
	operation  *openapi3.Operation
	parameters map[string]*openapi3.Parameter // by argument; the body is not among them
	arguments  map[string]any
}

// body is the argument that is the body of the request.
const body = "body"

// unfillable are headers that the client of an API sets itself.
var unfillable = []string{"Accept", "Authorization", "Content-Type"}

// bind finds out which argument is which parameter, by what docs/adr/0029 says of
// their names. Each has to be the only one of the other.
func (c *call) bind(t *testing.T, item *openapi3.PathItem) {
	t.Helper()
	c.parameters = map[string]*openapi3.Parameter{}
	for _, ref := range slices.Concat(item.Parameters, c.operation.Parameters) {
		p := ref.Value
		if over := c.operation.Parameters.GetByInAndName(p.In, p.Name); over != nil && over != p || p.In == "header" && slices.Contains(unfillable, http.CanonicalHeaderKey(p.Name)) {
			continue
		}
		name := c.argumentOf(p)
		if name == "" {
			t.Errorf("%s: no argument is the parameter %s in %s", c.tool.Name, p.Name, p.In)
			continue
		}
		c.parameters[name] = p
	}
	for _, name := range c.tool.arguments {
		if c.parameters[name] == nil && (name != body || c.operation.RequestBody == nil) {
			t.Errorf("%s: the argument %s is nothing that the document has", c.tool.Name, name)
		}
	}
}

// argumentOf returns the argument that a parameter is and no other has been.
func (c *call) argumentOf(p *openapi3.Parameter) string {
	base := strings.Trim(strings.Map(func(r rune) rune {
		if argumentName.MatchString(string(r)) {
			return r
		}
		return '_'
	}, p.Name), "_")
	for _, name := range []string{base + "_" + p.In, base + "_" + p.In + "_2", base} {
		if c.parameters[name] == nil && slices.Contains(c.tool.arguments, name) {
			return name
		}
	}
	return ""
}

// judge holds the request that arrived against the arguments that were sent, as
// kin-openapi reads it.
func (c *call) judge(t *testing.T, got *arrival, counted *tally) {
	t.Helper()
	if got.Route == nil || got.Route.Operation != c.operation {
		t.Errorf("%s: %s %s is no request of this operation", c.tool.Name, got.Request.Method, got.Request.URL)
		return
	}
	got.Options = &openapi3filter.Options{SkipSettingDefaults: true, KeepValidatedValue: true, ExcludeReadOnlyValidations: true}
	counted.add(operations, got.Route.Method+" "+got.Route.Path+" of "+c.api.document.Info.Title)
	for name, p := range c.parameters {
		value, given := c.arguments[name]
		if reason := unreadable(p); reason != "" {
			if given {
				counted.add(excuses, reason)
			}
			continue
		}
		switch method, err := c.judgeParameter(t, got, p, value, given); {
		case err != nil:
			t.Errorf("%s: %s as %v in %s: %v", c.tool.Name, name, value, got.Request.URL, err)
		case given:
			counted.add(parameters, written(p.In, method.Style, method.Explode, value))
		}
	}
	for name := range c.withoutOthers(got.Request.URL.Query()) {
		if !c.explains(name) {
			t.Errorf("%s: nobody sent %s in %s", c.tool.Name, name, got.Request.URL)
		}
	}
	value, given := c.arguments[body]
	switch {
	case given && c.parameters[body] == nil:
		c.judgeBody(t, got, value, counted)
	case len(got.body) > 0:
		t.Errorf("%s: nobody sent the body %q", c.tool.Name, got.body)
	}
}

// explains reports whether a name in the query is that of a member of an object.
func (c *call) explains(name string) bool {
	for argument, p := range c.parameters {
		members, _ := c.arguments[argument].(map[string]any)
		if _, member := members[name]; member || members != nil && strings.HasPrefix(name, p.Name+"[") {
			return true
		}
	}
	return false
}

// judgeParameter has kin-openapi decode a parameter, which is right if it comes to
// the value, or to nothing when none was given.
func (c *call) judgeParameter(t *testing.T, got *arrival, p *openapi3.Parameter, value any, given bool) (openapi3.SerializationMethod, error) {
	t.Helper()
	method := openapi3.SerializationMethod{Style: "JSON"}
	if p.Schema != nil {
		found, err := p.SerializationMethod()
		if err != nil {
			return method, err
		}
		method = *found
	}
	input, needed := got.RequestValidationInput, given
	if p.In == "query" && method.Style == "form" && method.Explode && p.Schema.Value.Type.Is(openapi3.TypeObject) {
		input.QueryParams = c.withoutOthers(input.GetQueryParams())
		needed = given && len(input.QueryParams) == 0 // else kin-openapi misses the parameter's own name
	}
	expected := only(p, value)
	if !given {
		expected = only(p, "anything") // so that nothing may be there
	}
	expected.Required = needed
	return method, openapi3filter.ValidateParameter(t.Context(), &input, expected)
}

// withoutOthers returns the members of a query that are not other parameters of
// the operation: kin-openapi takes all of them for members of an object that is
// written exploded.
func (c *call) withoutOthers(query url.Values) url.Values {
	left := maps.Clone(query)
	for _, p := range c.parameters {
		if p.In == "query" {
			delete(left, p.Name)
		}
	}
	return left
}

// only returns a parameter like p whose schema allows nothing but the value.
func only(p *openapi3.Parameter, value any) *openapi3.Parameter {
	narrow := func(ref *openapi3.SchemaRef) *openapi3.SchemaRef {
		schema := *ref.Value
		schema.Enum = []any{value}
		return openapi3.NewSchemaRef("", &schema)
	}
	written := *p
	if p.Schema != nil {
		written.Schema = narrow(p.Schema)
		return &written
	}
	written.Content = openapi3.Content{}
	for name, media := range p.Content {
		narrowed := *media
		narrowed.Schema = narrow(media.Schema)
		written.Content[name] = &narrowed
	}
	return &written
}

// judgeBody compares the body that arrived with the one that was sent. kin-openapi
// decodes one that has members.
func (c *call) judgeBody(t *testing.T, got *arrival, sent any, counted *tally) {
	t.Helper()
	contentType := got.Request.Header.Get("Content-Type")
	declared := c.operation.RequestBody.Value
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || declared.Content.Get(contentType) == nil {
		t.Errorf("%s: the document has no body of the type %q", c.tool.Name, contentType)
		return
	}
	var read any
	_, isText := sent.(string)
	switch {
	case isText && c.tool.input.Properties[body].ContentEncoding == "base64":
		read, kind = base64.StdEncoding.EncodeToString(got.body), "bytes"
	case isText && !strings.HasSuffix(kind, "json"):
		read, kind = string(got.body), "text"
	case unfitting[c.tool.Name] != "":
		counted.add(excuses, unfitting[c.tool.Name])
		return
	default:
		if err = openapi3filter.ValidateRequestBody(t.Context(), &got.RequestValidationInput, declared); err == nil {
			kept, _ := got.Request.Body.(interface{ ValidatedValue() any })
			read = encode(c.tool.input.Properties[body], &c.tool.input, kept.ValidatedValue())
		}
	}
	if err != nil {
		t.Errorf("%s: the body %.1000q as %s: %v", c.tool.Name, got.body, kind, err)
	} else if diff := cmp.Diff(plain(t, sent), plain(t, read)); diff != "" {
		t.Errorf("%s: the body as %s (-sent +arrived):\n%s", c.tool.Name, kind, diff)
	}
	counted.add(bodies, kind)
}

// encode returns what was decoded with its files in Base64, as they are sent.
func encode(s, root *jsonschema.Schema, value any) any {
	if s = (inventor{defs: root.Defs}).plain(s); s == nil {
		return value
	}
	switch value := value.(type) {
	case string:
		if s.ContentEncoding == "base64" {
			return base64.StdEncoding.EncodeToString([]byte(value))
		}
	case []any:
		for i := range value {
			value[i] = encode(s.Items, root, value[i])
		}
	case map[string]any:
		for name := range value {
			value[name] = encode(s.Properties[name], root, value[name])
		}
	}
	return value
}

// plain returns a value as the decoder of JSON would.
func plain(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var decoded any
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}
