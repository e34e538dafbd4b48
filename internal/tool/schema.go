package tool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"
)

// maxSchemaDepth bounds how deep a schema nests.
const maxSchemaDepth = 16

const dialect = "https://json-schema.org/draft/2020-12/schema"

// keywords lists what a schema may use. References and composition (allOf,
// anyOf, ...) are not among them, so that validation takes time linear in the
// arguments and cannot recurse without end; an unknown keyword is a typing
// error, not a wish.
var keywords = []string{
	"$schema", "$comment", "title", "description", "default", "examples", "deprecated", "format",
	"type", "enum", "const",
	"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
	"minLength", "maxLength", "pattern",
	"items", "minItems", "maxItems", "uniqueItems",
	"properties", "required", "additionalProperties", "minProperties", "maxProperties",
}

// inputKeywords lists what the root of an input schema may use: every argument
// is checked by its own schema, so that a refusal can name it.
var inputKeywords = []string{
	"$schema", "$comment", "title", "description", "type", "properties", "required", "additionalProperties",
}

var schemaTypes = []string{"object", "array", "string", "integer", "number", "boolean", "null"}

// inputSchema is a compiled input schema: its root is always a closed object.
type inputSchema struct {
	arguments map[string]*argument
	required  []string // sorted
}

// argument is one property of an input schema.
type argument struct {
	schema   *jsonschema.Schema
	resolved *jsonschema.Resolved
}

// names returns the arguments' names, sorted.
func (s inputSchema) names() []string { return slices.Sorted(maps.Keys(s.arguments)) }

func (l *loader) inputSchema(node *yaml.Node, path string) (json.RawMessage, inputSchema) {
	result := inputSchema{arguments: map[string]*argument{}}
	root := l.objectSchema(node, path, inputKeywords)
	if extra := root.fields["additionalProperties"]; root.node.Kind == yaml.MappingNode && (extra == nil || extra.Value != "false") {
		l.add(node, path, "write additionalProperties: false, so that unknown arguments are refused")
	}
	if properties := root.fields["properties"]; properties != nil {
		all := l.object(properties, root.at("properties"), nil)
		for _, name := range all.keys() {
			schema, resolved := l.compile(all.fields[name], all.at(name))
			result.arguments[name] = &argument{schema: schema, resolved: resolved}
		}
	}
	result.required = root.texts("required")
	slices.Sort(result.required)
	return l.json(node, path), result
}

func (l *loader) outputSchema(node *yaml.Node, path string) (json.RawMessage, *jsonschema.Resolved) {
	l.objectSchema(node, path, keywords)
	_, resolved := l.compile(node, path)
	return l.json(node, path), resolved
}

// objectSchema checks a schema whose instances must be objects.
func (l *loader) objectSchema(node *yaml.Node, path string, allowed []string) object {
	before := len(l.list)
	l.schema(node, path, 1)
	if len(l.list) > before {
		return object{problems: &l.problems, node: node, path: path}
	}
	root := l.object(node, path, allowed)
	if kind := root.fields["type"]; kind == nil || kind.Value != "object" {
		l.add(node, path, "the schema must have type: object")
	}
	return root
}

// schema checks the shape of a schema and of the schemas in it.
func (l *loader) schema(node *yaml.Node, path string, depth int) {
	if depth > maxSchemaDepth {
		l.add(node, path, "the schema nests deeper than %d", maxSchemaDepth)
		return
	}
	root := l.object(node, path, keywords)
	if root.fields["$schema"] != nil && root.text("$schema") != dialect {
		l.add(root.fields["$schema"], root.at("$schema"), "want %s", dialect)
	}
	if node := root.fields["type"]; node != nil {
		l.schemaType(node, root.at("type"))
	}
	var properties object
	if node := root.fields["properties"]; node != nil {
		properties = l.object(node, root.at("properties"), nil)
		for _, name := range properties.keys() {
			l.schema(properties.fields[name], properties.at(name), depth+1)
		}
	}
	for _, name := range root.texts("required") {
		if properties.fields[name] == nil {
			l.add(root.fields["required"], root.at("required"), "%q is not among the properties", clip(name))
		}
	}
	if node := root.fields["items"]; node != nil {
		l.schema(node, root.at("items"), depth+1)
	}
	if node := root.fields["additionalProperties"]; node != nil && node.ShortTag() != "!!bool" {
		l.schema(node, root.at("additionalProperties"), depth+1)
	}
}

func (l *loader) schemaType(node *yaml.Node, path string) {
	list := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode && len(node.Content) > 0 {
		list = node.Content
	}
	for _, item := range list {
		if item.Kind != yaml.ScalarNode || !slices.Contains(schemaTypes, item.Value) {
			l.add(item, path, "want one of: %s", strings.Join(schemaTypes, ", "))
		}
	}
}

// compile makes a validator of a schema whose shape was checked.
func (l *loader) compile(node *yaml.Node, path string) (*jsonschema.Schema, *jsonschema.Resolved) {
	before := len(l.list)
	text := l.json(node, path)
	if len(l.list) > before {
		return &jsonschema.Schema{}, nil
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		l.add(node, path, "not a JSON Schema: %v", err)
		return &schema, nil
	}
	resolved, err := schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		l.add(node, path, "not a valid JSON Schema: %v", err)
	}
	return &schema, resolved
}

// json returns node as compact JSON with the keys in the file's order.
func (l *loader) json(node *yaml.Node, path string) json.RawMessage {
	var b bytes.Buffer
	if err := writeJSON(&b, node, 0); err != nil {
		l.add(node, path, "%v", err)
		return nil
	}
	return b.Bytes()
}

// maxJSONDepth bounds writeJSON: a schema's own depth is bounded before, its
// defaults and examples are not.
const maxJSONDepth = 4 * maxSchemaDepth

func writeJSON(b *bytes.Buffer, node *yaml.Node, depth int) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("line %d: nests deeper than %d", node.Line, maxJSONDepth)
	}
	switch node.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		return writeList(b, node, depth)
	case yaml.ScalarNode:
		return writeScalar(b, node)
	default:
		return fmt.Errorf("line %d: anchors and aliases are not supported; write the value out", node.Line)
	}
}

func writeList(b *bytes.Buffer, node *yaml.Node, depth int) error {
	open, end := byte('['), byte(']')
	if node.Kind == yaml.MappingNode {
		open, end = '{', '}'
	}
	b.WriteByte(open)
	seen := map[string]bool{}
	for i, item := range node.Content {
		isKey := node.Kind == yaml.MappingNode && i%2 == 0
		switch {
		case i == 0:
		case node.Kind == yaml.MappingNode && !isKey:
			b.WriteByte(':')
		default:
			b.WriteByte(',')
		}
		if isKey {
			if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!merge" || seen[item.Value] {
				return fmt.Errorf("line %d: a key must be a plain word that is there once", item.Line)
			}
			seen[item.Value] = true
			writeString(b, item.Value)
			continue
		}
		if err := writeJSON(b, item, depth+1); err != nil {
			return err
		}
	}
	b.WriteByte(end)
	return nil
}

func writeScalar(b *bytes.Buffer, node *yaml.Node) error {
	switch tag := node.ShortTag(); tag {
	case "!!str":
		writeString(b, node.Value)
	case "!!null":
		b.WriteString("null")
	case "!!bool":
		b.WriteString(strings.ToLower(node.Value))
	case "!!int", "!!float":
		if !json.Valid([]byte(node.Value)) {
			return fmt.Errorf("line %d: write %q as JSON does, or in quotes if it is a text", node.Line, clip(node.Value))
		}
		b.WriteString(node.Value)
	default:
		return fmt.Errorf("line %d: %q is read as a %s; put it in quotes", node.Line, clip(node.Value), strings.TrimPrefix(tag, "!!"))
	}
	return nil
}

// writeString writes text as a JSON string without HTML escapes.
func writeString(b *bytes.Buffer, text string) {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes, and a Buffer takes it
	b.Truncate(b.Len() - 1)  // Encode ends with a newline
}
