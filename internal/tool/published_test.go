package tool

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"
)

// loaderKeys are the lists by which the loader tells a key from a typing error.
// docs/tools.schema.json has an object for each, marked with its name.
var loaderKeys = map[string][]string{
	"rootKeys": rootKeys, "upstreamKeys": upstreamKeys, "toolKeys": toolKeys, "annotationKeys": annotationKeys,
	"exchangeTokenKeys": exchangeTokenKeys, "clientTokenKeys": clientTokenKeys, "clientKeys": clientKeys, "staticKeys": staticKeys, "tlsKeys": tlsKeys,
	"paramKeys": paramKeys, "bodyKeys": bodyKeys, "fieldKeys": fieldKeys, "responseKeys": responseKeys, "paginateKeys": paginateKeys,
	"resourceKeys": resourceKeys, "promptKeys": promptKeys, "promptArgumentKeys": promptArgumentKeys, "messageKeys": messageKeys,
	"importKeys": importKeys, "overrideKeys": overrideKeys, "matchKeys": matchKeys,
}

func publishedSchema(t *testing.T) (text []byte, document map[string]any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "tools.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return text, document
}

// TestPublishedSchemaHasEveryKey compares the schema for editors with what the
// loader takes, both ways.
func TestPublishedSchemaHasEveryKey(t *testing.T) {
	t.Parallel()
	for _, name := range keyLists(t) {
		if loaderKeys[name] == nil {
			t.Errorf("%s is not among loaderKeys: name it there and describe its keys in docs/tools.schema.json", name)
		}
	}
	_, document := publishedSchema(t)
	described := map[string][]string{}
	walkSchema(document, func(object map[string]any) {
		name, marked := object["$comment"].(string)
		properties, closed := object["properties"].(map[string]any)
		if !marked || !closed {
			return
		}
		if object["additionalProperties"] != false {
			t.Errorf("%s: the object is not closed", name)
		}
		keys := []string{}
		for key := range properties {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		described[name] = keys
	})
	want := map[string][]string{}
	for name, keys := range loaderKeys {
		want[name] = slices.Sorted(slices.Values(keys))
	}
	if diff := cmp.Diff(want, described); diff != "" {
		t.Errorf("docs/tools.schema.json (-loader +schema):\n%s", diff)
	}
}

// credentialed is a catalogue with a block of every credential mode.
const credentialed = `
upstreams:
  billing:
    url: https://billing.example.com
    credential: exchange
    audience: https://billing.example.com
    retries: 0
    redirects: same_origin
    headers: {X-Tenant: a}
    allow_networks: [10.0.0.0/8]
    exchange:
      token_url: https://idp.example.com/token
      tls: {ca_file: ca.pem}
      client: {id: gateway, auth: client_secret_basic, secret_env: SECRET}
  stock:
    url: https://stock.example.com
    credential: client_credentials
    client_credentials:
      token_url: https://idp.example.com/token
      scopes: [stock]
      client: {id: gateway, auth: private_key_jwt, key_file: key.pem, key_id: k}
  maps:
    url: https://maps.example.com
    credential: static
    static: {header: X-Api-Key, secret_file: key}
tools:
  - {name: t, description: d, upstream: maps, method: GET, path: /, input: {type: object, additionalProperties: false}}
`

// importing is a catalogue with every key of imports.
const importing = `
upstreams:
  pets: {url: "https://pets.example.com/v1", credential: none, cache: true}
imports:
  - from: pets.yaml
    upstream: pets
    offer: tools
    prefix: pets_
    include: {tags: [pets], methods: [get, POST], paths: ["/pets/**"], operations: [listPets]}
    exclude: {operations: [dropPets]}
    deprecated: true
    max: 50
    security: ignore
    scopes: [pets]
    rule: claims.department == "care"
    acr: [gold]
    max_age: 5m
    confirm: true
    response: {max_items: 20}
    output: true
    override:
      listPets:
        name: all_pets
        title: All pets
        description: List all pets there are.
        annotations: {read_only: true}
        ttl: 1m
        scopes: [pets:list]
        confirm: false
        output: false
`

// keyLists returns the variables of this package that are lists of keys.
func keyLists(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			variables, ok := declaration.(*ast.GenDecl)
			if !ok || variables.Tok != token.VAR {
				continue
			}
			for _, spec := range variables.Specs {
				if value, ok := spec.(*ast.ValueSpec); ok && strings.HasSuffix(value.Names[0].Name, "Keys") {
					names = append(names, value.Names[0].Name)
				}
			}
		}
	}
	if len(names) < 4 {
		t.Fatalf("found only %q", names)
	}
	return names
}

func walkSchema(value any, visit func(map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		visit(value)
		for _, member := range value {
			walkSchema(member, visit)
		}
	case []any:
		for _, item := range value {
			walkSchema(item, visit)
		}
	}
}

// TestPublishedSchemaAgreesWithTheLoader gives both the same catalogues. What an
// editor marks has to be wrong, and what can be seen without knowing the rest of
// the file has to be marked.
func TestPublishedSchemaAgreesWithTheLoader(t *testing.T) {
	t.Parallel()
	text, _ := publishedSchema(t)
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	published, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, text string
		good       bool
	}{
		{"built-in", string(BuiltIn()), true},
		{"full", fullCatalogue, true},
		{"guarded", guarded, true},
		{"compared", compared, true},
		{"no tools", strings.Replace(compared, "tools:", "toils:", 1), false},
		{"unknown key of a tool", strings.Replace(compared, "title: One", "titel: One", 1), false},
		{"unknown key of an upstream", strings.Replace(compared, "{url:", "{uri: x, url:", 1), false},
		{"unknown hint", strings.Replace(compared, "read_only", "readonly", 1), false},
		{"hint that is no flag", strings.Replace(compared, "read_only: true", "read_only: sometimes", 1), false},
		{"name", strings.Replace(compared, "name: one", "name: One", 1), false},
		{"name of an upstream", strings.ReplaceAll(compared, "otus", "OTUS"), false},
		{"method", strings.Replace(compared, "method: GET", "method: get", 1), false},
		{"path", strings.Replace(compared, "path: /one", "path: one", 1), false},
		{"credential", strings.Replace(compared, "forward", "backward", 1), false},
		{"no credential", strings.Replace(compared, ", credential: forward", "", 1), false},
		{"timeout", strings.Replace(compared, "credential: forward", "credential: forward, timeout: 10", 1), false},
		{"no unit", strings.Replace(compared, "credential: forward", "credential: forward, timeout: '10'", 1), false},
		{"good timeout", strings.Replace(compared, "credential: forward", "credential: forward, timeout: 1m1.5s", 1), true},
		{"size", strings.Replace(compared, "credential: forward", "credential: forward, max_response: 67108865", 1), false},
		{"scopes as a text", strings.Replace(compared, "[read]", "read", 1), false},
		{"no description", strings.Replace(compared, "    description: Lists what there is.\n", "", 1), false},
		{"input of another type", strings.Replace(compared, "type: object", "type: array", 1), false},
		{"credentials", credentialed, true},
		{"unknown key of a client", strings.Replace(credentialed, "key_id: k", "key_name: k", 1), false},
		{"unknown key of an exchange", strings.Replace(credentialed, "tls:", "ssl:", 1), false},
		{"way to authenticate", strings.Replace(credentialed, "private_key_jwt", "password", 1), false},
		{"no client", strings.Replace(credentialed, "      client: {id: gateway, auth: client_secret_basic, secret_env: SECRET}\n", "", 1), false},
		{"too many retries", strings.Replace(credentialed, "retries: 0", "retries: 6", 1), false},
		{"offers", offering, true},
		{"resource without content", strings.Replace(offering, "    text: The guide.\n", "", 1), false},
		{"resource with two contents", strings.Replace(offering, "text: The guide.", "text: The guide.\n    tool: two", 1), false},
		{"role", strings.Replace(offering, "role: user", "role: system", 1), false},
		{"prompt without messages", strings.Replace(offering, "messages:", "massages:", 1), false},
		{"default", "default: maybe" + compared, false},
		{"imports", importing, true},
		{"neither tools nor imports", strings.Replace(compared, "tools:", "prompts:", 1), false},
		{"unknown key of an import", strings.Replace(importing, "prefix:", "prefixes:", 1), false},
		{"unknown key of a match", strings.Replace(importing, "tags:", "tag:", 1), false},
		{"unknown key of an override", strings.Replace(importing, "title:", "titel:", 1), false},
		{"offer", strings.Replace(importing, "offer: tools", "offer: everything", 1), false},
		{"prefix", strings.Replace(importing, "prefix: pets_", "prefix: Pets", 1), false},
		{"max", strings.Replace(importing, "max: 50", "max: 129", 1), false},
		{"no document", strings.Replace(importing, "from: pets.yaml\n    ", "", 1), false},
		{"answers given again", strings.Replace(givenAgain, "ttl: 5m", "ttl: 1m30s", 1), true},
		{"answers of a POST given again", strings.Replace(givenAgain, "method: GET", "method: POST", 1), false},
		{"named file", toolThat(uploadTool), true},
		{"name of no file", toolThat(strings.Replace(uploadTool, "base64: true, ", "", 1)), false},
		{"name of what is no file", toolThat(strings.Replace(uploadTool, "base64: true", "base64: false", 1)), false},
	} {
		_, err := Load([]byte(test.text), testVariables)
		var value any
		if err := yaml.Unmarshal([]byte(test.text), &value); err != nil {
			t.Fatal(err)
		}
		problem := published.Validate(value)
		if (err == nil) != test.good || (problem == nil) != test.good {
			t.Errorf("%s: the loader says %v, the schema says %v", test.name, err, problem)
		}
	}
}

// TestPublishedSchemaHasTheSameBounds compares what the schema repeats of the
// loader's constants.
func TestPublishedSchemaHasTheSameBounds(t *testing.T) {
	t.Parallel()
	_, document := publishedSchema(t)
	at := func(path ...string) any {
		var value any = document
		for _, name := range path {
			members, ok := value.(map[string]any)
			if !ok {
				t.Fatalf("no %q", path)
			}
			value = members[name]
		}
		return value
	}
	tool, upstream := []string{"$defs", "tool", "properties"}, []string{"$defs", "upstream", "properties"}
	for _, bound := range []struct {
		path []string
		want any
	}{
		{[]string{"$defs", "name", "pattern"}, namePattern.String()},
		{[]string{"properties", "tools", "maxItems"}, float64(maxTools)},
		{[]string{"properties", "upstreams", "maxProperties"}, float64(maxUpstreams)},
		{append(upstream, "max_concurrent", "maximum"), float64(maxMaxConcurrent)},
		{append(upstream, "max_queue", "maximum"), float64(maxMaxQueue)},
		{append(upstream, "retries", "maximum"), float64(maxRetries)},
		{append(upstream, "headers", "maxProperties"), float64(maxHeaders)},
		{append(upstream, "allow_networks", "maxItems"), float64(maxNetworks)},
		{append(upstream, "max_response", "maximum"), float64(maxMaxResponse)},
		{append(tool, "title", "maxLength"), float64(maxTitle)},
		{append(tool, "description", "maxLength"), float64(maxDescription)},
		{append(tool, "scopes", "maxItems"), float64(maxScopes)},
		{[]string{"properties", "resources", "maxItems"}, float64(maxResources)},
		{[]string{"properties", "prompts", "maxItems"}, float64(maxPrompts)},
		{[]string{"$defs", "resource", "properties", "uri", "maxLength"}, float64(maxURI)},
		{[]string{"$defs", "message", "properties", "text", "maxLength"}, float64(maxPromptText)},
		{[]string{"$defs", "promptArgument", "properties", "values", "maxItems"}, float64(maxPromptValues)},
		{[]string{"$defs", "acr", "maxItems"}, float64(maxACR)},
		{[]string{"properties", "imports", "maxItems"}, float64(maxImports)},
		{[]string{"$defs", "import", "properties", "max", "maximum"}, float64(maxTools)},
		{[]string{"$defs", "import", "properties", "prefix", "pattern"}, prefixPattern.String()},
		{[]string{"$defs", "override", "properties", "title", "maxLength"}, float64(maxTitle)},
		{[]string{"$defs", "override", "properties", "description", "maxLength"}, float64(maxDescription)},
	} {
		if got := at(bound.path...); got != bound.want {
			t.Errorf("%q is %v, want %v", bound.path, got, bound.want)
		}
	}
	words := []any{}
	for _, method := range methods {
		words = append(words, method)
	}
	modes := []any{}
	for _, mode := range credentialModes {
		modes = append(modes, mode)
	}
	if diff := cmp.Diff(any(modes), at(append(upstream, "credential", "enum")...)); diff != "" {
		t.Errorf("credential modes (-loader +schema):\n%s", diff)
	}
	if diff := cmp.Diff(any(words), at(append(tool, "method", "enum")...)); diff != "" {
		t.Errorf("methods (-loader +schema):\n%s", diff)
	}
}
