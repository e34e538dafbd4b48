package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/schema"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// inputSchema reads the schema of a tool's arguments: a closed object, so that
// unknown arguments are refused.
func (l *loader) inputSchema(node *yaml.Node, path string) (json.RawMessage, *schema.Schema) {
	text, compiled := l.objectSchema(node, path)
	if compiled != nil && !compiled.Closed() {
		l.Add(node, path, "write additionalProperties: false, so that unknown arguments are refused")
	}
	return text, compiled
}

// objectSchema reads a schema whose instances must be objects. What is wrong
// with it is reported; then the compiled schema is nil.
func (l *loader) objectSchema(node *yaml.Node, path string) (json.RawMessage, *schema.Schema) {
	before := l.Len()
	l.Object(node, path, nil) // true and false are schemas, but not of objects
	l.keywords(node, path, 0)
	text := l.json(node, path)
	if l.Len() > before {
		return text, nil
	}
	compiled, err := schema.Compile(text)
	switch {
	case err != nil:
		l.misplaced(node, path, err)
		return text, nil
	case !compiled.IsObject():
		l.Add(node, path, "the schema must have type: object")
	}
	return text, compiled
}

// misplaced reports what is wrong with a schema at the line where it is.
func (l *loader) misplaced(node *yaml.Node, path string, err error) {
	wrong, ok := errors.AsType[*schema.Error](err)
	if !ok {
		l.Add(node, path, "%v", err)
		return
	}
	for _, name := range wrong.Path() {
		inner := within(node, name)
		if inner == nil {
			break
		}
		node = inner
		path += "." + name
	}
	l.Add(node, path, "%s", wrong.Text)
}

// within returns the value under a name, or at a number of a list.
func within(node *yaml.Node, name string) *yaml.Node {
	number, err := strconv.Atoi(name)
	switch {
	case node.Kind == yaml.SequenceNode && err == nil && number < len(node.Content):
		return node.Content[number]
	case node.Kind != yaml.MappingNode:
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	return nil
}

// keywords reports, each with its line, what schema.Compile has no line for:
// words that are no keywords, which are typing errors and no wishes, and
// required properties that are not declared beside them.
func (l *loader) keywords(node *yaml.Node, path string, depth int) {
	if depth > schema.MaxDepth {
		l.Add(node, path, "the schema nests deeper than %d", schema.MaxDepth)
		return
	}
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!bool" {
		return
	}
	root := l.Object(node, path, nil)
	for _, keyword := range root.Keys() {
		value, at := root.Fields[keyword], root.At(keyword)
		kind, known := schema.Keyword(keyword)
		switch {
		case !known:
			l.Add(value, at, "unknown keyword %q of JSON Schema; write x-%s if it is an extension", strictyaml.Clip(keyword), strictyaml.Clip(keyword))
		case kind == schema.One:
			l.keywords(value, at, depth+1)
		case kind == schema.List && value.Kind == yaml.SequenceNode:
			for i, item := range value.Content {
				l.keywords(item, fmt.Sprintf("%s[%d]", at, i), depth+1)
			}
		case kind == schema.Map && value.Kind == yaml.MappingNode:
			members := l.Object(value, at, nil)
			for _, name := range members.Keys() {
				l.keywords(members.Fields[name], members.At(name), depth+1)
			}
		}
	}
	l.declared(root)
}

// declared reports required properties that a schema with properties does not
// declare, where nothing else could.
func (l *loader) declared(root strictyaml.Object) {
	properties, rest := root.Fields["properties"], root.Fields["additionalProperties"]
	closed := rest != nil && rest.Value == "false"
	if root.Fields["required"] == nil || properties == nil && !closed || root.Fields["patternProperties"] != nil {
		return
	}
	var members strictyaml.Object
	if properties != nil {
		members = l.Object(properties, root.At("properties"), nil)
	}
	for _, name := range root.Texts("required") {
		if members.Fields[name] == nil {
			l.Add(root.Fields["required"], root.At("required"), "%q is not among the properties", strictyaml.Clip(name))
		}
	}
}

// json returns node as compact JSON with the keys in the file's order.
func (l *loader) json(node *yaml.Node, path string) json.RawMessage {
	var b bytes.Buffer
	if err := writeJSON(&b, node, 0); err != nil {
		l.Add(node, path, "%v", err)
		return nil
	}
	return b.Bytes()
}

// maxJSONDepth bounds writeJSON: a schema's own depth is bounded before, its
// defaults and examples are not.
const maxJSONDepth = 2 * schema.MaxDepth

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
			return fmt.Errorf("line %d: write %q as JSON does, or in quotes if it is a text", node.Line, strictyaml.Clip(node.Value))
		}
		b.WriteString(node.Value)
	default:
		return fmt.Errorf("line %d: %q is read as a %s; put it in quotes", node.Line, strictyaml.Clip(node.Value), strings.TrimPrefix(tag, "!!"))
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
