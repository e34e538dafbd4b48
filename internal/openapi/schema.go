package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/schema"
)

// Bounds of one schema with everything it refers to.
const (
	maxSchema      = 256 << 10 // bytes
	maxSchemaDepth = 48        // schemas in each other, without following references
)

// direction is the side of a call that a schema describes.
type direction int

const (
	request direction = iota // without what is readOnly
	answer                   // without what is writeOnly
)

// schemas turns the schemas of a document into one of JSON Schema 2020-12 that
// stands alone: what is referred to becomes $defs of it, so that recursive
// schemas stay what they are.
type schemas struct {
	ctx       context.Context //nolint:containedctx // lives for one schema
	worker    *worker
	direction direction
	defaults  bool // are kept
	base64    bool // binary content is given in Base64
	used      int  // bytes written

	names map[string]string // of $defs by reference
	taken map[string]bool
	queue []definition
}

// definition is a schema that is referred to.
type definition struct {
	name string
	node *yaml.Node
}

// makeSchema returns the schema that build begins, and tries again without
// defaults when it cannot be used: real documents have defaults that their own
// schemas refuse. Problems without a line of their own are of node.
func (w *worker) makeSchema(ctx context.Context, direction direction, node *yaml.Node, build func(*schemas) (object, error)) (json.RawMessage, error) {
	attempt := func(withDefaults bool) (json.RawMessage, error) {
		s := &schemas{
			ctx: ctx, worker: w, direction: direction, defaults: withDefaults,
			names: map[string]string{}, taken: map[string]bool{},
		}
		root, err := build(s)
		if err != nil {
			return nil, err
		}
		return s.finish(root, node)
	}
	text, err := attempt(true)
	if _, unusable := errors.AsType[*schema.Error](err); unusable {
		if text, again := attempt(false); again == nil {
			w.note(node, "its schema has a default that it refuses itself; the defaults are left out")
			return text, nil
		}
		return nil, problem(node, "its schema cannot be used: %s", cut(err.Error(), 4*maxShown))
	}
	return text, err
}

// finish adds the $defs that root refers to and returns it all, compiled once to
// be sure that it can be used; if not, the error is a *[schema.Error].
func (s *schemas) finish(root object, node *yaml.Node) (json.RawMessage, error) {
	defs := object{}
	for len(s.queue) > 0 {
		next := s.queue[0]
		s.queue = s.queue[1:]
		converted, err := s.convert(next.node, 0)
		if err != nil {
			return nil, err
		}
		defs.add(next.name, converted.json())
	}
	if len(defs.members) > 0 {
		root.set("$defs", defs.json())
	}
	text := root.json()
	if len(text) > maxSchema {
		return nil, tooLarge(node)
	}
	if _, err := schema.Compile(text); err != nil {
		return nil, err
	}
	return text, nil
}

func tooLarge(node *yaml.Node) *DocumentError {
	return problem(node, "its schema with all it refers to is larger than the %d bytes allowed", maxSchema)
}

// refer returns the schema that stands for a reference: one into $defs, whose
// target is converted later.
func (s *schemas) refer(reference *yaml.Node) (object, error) {
	pointer, target, err := s.worker.document.lookup(reference)
	if err != nil {
		return object{}, err
	}
	name, ok := s.names[pointer]
	if !ok {
		name = s.definitionName(pointer)
		s.names[pointer], s.taken[name] = name, true
		s.queue = append(s.queue, definition{name, target})
	}
	result := object{}
	result.add("$ref", appendText(nil, "#/$defs/"+name))
	return result, s.use(len(name), reference)
}

// definitionName returns a free name for the target of a reference: the end of
// it, in characters that need no escapes.
func (s *schemas) definitionName(pointer string) string {
	base := argumentName(unescapePointer(pointer[strings.LastIndex(pointer, "/")+1:]))
	name := base
	for n := 2; s.taken[name]; n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	return name
}

// use counts bytes that will be a part of the schema.
func (s *schemas) use(size int, node *yaml.Node) error {
	if s.used += size + len(`"":,`); s.used > maxSchema {
		return tooLarge(node)
	}
	return s.ctx.Err()
}

// convert returns the schema at node in JSON Schema 2020-12.
func (s *schemas) convert(node *yaml.Node, depth int) (object, error) {
	node = real(node)
	switch {
	case node == nil, node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null", flag(node):
		return object{}, nil
	case node.Kind == yaml.ScalarNode && node.ShortTag() == "!!bool": // false
		return object{members: []member{{"not", json.RawMessage("{}")}}}, nil
	case node.Kind != yaml.MappingNode:
		return object{}, problem(node, "want a schema: a mapping")
	case depth > maxSchemaDepth:
		return object{}, problem(node, "the schema nests deeper than %d", maxSchemaDepth)
	}
	result := object{}
	if reference := get(node, "$ref"); reference != nil {
		var err error
		// What stands beside a reference counts since 3.1 only.
		if result, err = s.refer(reference); err != nil || s.worker.document.minor == 0 {
			return result, err
		}
	}
	for _, f := range fields(node) {
		value, err := s.keyword(f, node, depth)
		if err != nil {
			return object{}, err
		}
		if value == nil {
			continue
		}
		if err := s.use(len(f.key.Value), f.key); err != nil {
			return object{}, err
		}
		result.add(f.key.Value, value)
	}
	s.translate(&result, node)
	return result, nil
}

// translate turns what OpenAPI says in other words into JSON Schema.
func (s *schemas) translate(result *object, node *yaml.Node) {
	if example := get(node, "example"); example != nil && !result.has("examples") {
		if value, err := appendJSON(nil, example, 0); err == nil && s.use(len(value), example) == nil {
			result.add("examples", array([]json.RawMessage{value}))
		}
	}
	if property := text(get(get(node, "discriminator"), "propertyName")); property != "" {
		// Its mapping holds references into the document, which mean nothing here.
		result.add("x-discriminator", appendText(nil, property))
		chooseAny(result)
	}
	if s.direction == request {
		s.withhold(result, node, "readOnly")
	} else {
		s.withhold(result, node, "writeOnly")
	}
	if s.base64 && isBinary(node) {
		result.remove("format")
		result.set("contentEncoding", []byte(`"base64"`))
	}
	if s.worker.document.minor > 0 {
		return
	}
	exclusive(result, node, "exclusiveMinimum", "minimum")
	exclusive(result, node, "exclusiveMaximum", "maximum")
	if flag(get(node, "nullable")) {
		nullable(result)
	}
}

// chooseAny makes anyOf of oneOf where a discriminator chooses. OpenAPI looks at the
// alternative that it names; of others many fit as well in real documents, where
// whatever is not required matches, and then oneOf refuses every value there is.
func chooseAny(result *object) {
	if alternatives := result.get("oneOf"); alternatives != nil && !result.has("anyOf") {
		result.remove("oneOf")
		result.set("anyOf", alternatives)
	}
}

// exclusive turns the flag of 3.0 into the number it is since.
func exclusive(result *object, node *yaml.Node, key, limit string) {
	if flag(get(node, key)) && result.has(limit) {
		result.set(key, result.get(limit))
		result.remove(limit)
	}
}

// nullable adds null to what a schema of 3.0 allows. Without a type the flag has
// no meaning there (OpenAPI 3.0.4 section 4.7.24.1); where schemas are combined
// it is taken to mean what its authors did.
func nullable(result *object) {
	kind := result.get("type")
	if kind != nil && kind[0] == '"' {
		result.set("type", array([]json.RawMessage{kind, json.RawMessage(`"null"`)}))
		var values []json.RawMessage
		if json.Unmarshal(result.get("enum"), &values) == nil && !containsNull(values) {
			result.set("enum", array(append(values, json.RawMessage("null"))))
		}
		return
	}
	if result.has("allOf") || result.has("oneOf") || result.has("anyOf") {
		whole := result.json()
		*result = object{members: []member{{"anyOf", array([]json.RawMessage{whole, json.RawMessage(`{"type":"null"}`)})}}}
	}
}

func containsNull(values []json.RawMessage) bool {
	for _, value := range values {
		if bytes.Equal(value, []byte("null")) {
			return true
		}
	}
	return false
}

// withhold removes the properties that are marked as of the other direction.
func (s *schemas) withhold(result *object, node *yaml.Node, mark string) {
	hidden := map[string]bool{}
	for _, f := range fields(get(node, "properties")) {
		if s.isMarked(f.value, mark) {
			hidden[f.key.Value] = true
		}
	}
	if len(hidden) == 0 {
		return
	}
	var required []string
	for _, name := range texts(get(node, "required")) {
		if !hidden[name] {
			required = append(required, name)
		}
	}
	if len(required) > 0 {
		result.set("required", textsJSON(required))
	} else {
		result.remove("required")
	}
}

// isMarked reports whether a property has the mark itself or refers to a schema
// that has it.
func (s *schemas) isMarked(property *yaml.Node, mark string) bool {
	if flag(get(property, mark)) {
		return true
	}
	reference := get(property, "$ref")
	if reference == nil {
		return false
	}
	_, target, err := s.worker.document.lookup(reference)
	return err == nil && flag(get(target, mark))
}

// compiles reports whether a pattern is one of Go's syntax, which leaves out
// what ECMA-262 has for looking around and back.
func compiles(pattern string) bool {
	_, err := regexp.Compile(pattern)
	return err == nil
}
