package openapi

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// shape is what the value of a keyword looks like.
type shape int

const (
	dropped      shape = iota // of no use outside the document, or translated elsewhere
	refused                   // cannot be kept and cannot be dropped
	anything                  // any value, as it is
	literal                   // a text
	boolean                   // true or false
	number                    // a number
	count                     // a whole number, not negative
	values                    // a list of any values
	names                     // a list of texts
	namesByKey                // lists of texts by key
	types                     // a type or a list of types
	patternOf                 // a regular expression
	oneSchema                 // a schema
	schemaList                // a list of schemas
	schemasByKey              // schemas by key
)

// keywords has the shape of every keyword that is kept (JSON Schema 2020-12) or
// needs a decision. Others, x- extensions among them, are dropped: nothing here
// reads them, and models pay for them.
var keywords = map[string]shape{
	"title": literal, "description": literal, "format": literal, "contentEncoding": literal, "contentMediaType": literal, "$comment": literal,
	"default": anything, "const": anything, "enum": values, "examples": values,
	"deprecated": boolean, "readOnly": boolean, "writeOnly": boolean, "uniqueItems": boolean,
	"minimum": number, "maximum": number, "exclusiveMinimum": number, "exclusiveMaximum": number, "multipleOf": number,
	"minLength": count, "maxLength": count, "minItems": count, "maxItems": count, "minContains": count, "maxContains": count,
	"minProperties": count, "maxProperties": count,
	"type": types, "pattern": patternOf, "required": names, "dependentRequired": namesByKey,
	"items": oneSchema, "contains": oneSchema, "additionalProperties": oneSchema, "propertyNames": oneSchema,
	"unevaluatedItems": oneSchema, "unevaluatedProperties": oneSchema, "contentSchema": oneSchema,
	"prefixItems": schemaList, "properties": schemasByKey, "patternProperties": schemasByKey,
	"not": oneSchema, "if": oneSchema, "then": oneSchema, "else": oneSchema,
	"allOf": schemaList, "anyOf": schemaList, "oneOf": schemaList, "dependentSchemas": schemasByKey,
	"$dynamicRef": refused, "$recursiveRef": refused,
}

var typeNames = []string{"object", "array", "string", "integer", "number", "boolean", "null"}

// keyword returns the JSON of a keyword's value, and nil when it is left out.
// What does not have the keyword's shape is left out with a note: real documents
// have such slips, and a tool works without the keyword.
func (s *schemas) keyword(f field, parent *yaml.Node, depth int) (json.RawMessage, error) {
	kind := keywords[f.key.Value]
	switch kind {
	case dropped:
		return nil, nil
	case refused:
		return nil, problem(f.key, "the schema keyword %s is not supported", f.key.Value)
	case oneSchema:
		if f.value.Kind == yaml.SequenceNode || f.key.Value == "additionalProperties" && s.loosened(parent) {
			s.ignore(f)
			return nil, nil
		}
		converted, err := s.convert(f.value, depth+1)
		return converted.json(), err
	case schemaList:
		return s.list(f, depth)
	case schemasByKey:
		return s.byKey(f, depth)
	default:
		return s.plain(f, kind)
	}
}

// plain returns the value of a keyword that holds no schemas.
func (s *schemas) plain(f field, kind shape) (json.RawMessage, error) {
	if f.key.Value == "default" && !s.defaults {
		return nil, nil
	}
	if !fits(f.value, kind) {
		if flagOf30 := kind == number && strings.HasPrefix(f.key.Value, "exclusive") && s.worker.document.minor == 0; flagOf30 {
			return nil, nil // translated elsewhere
		}
		s.ignore(f)
		return nil, nil
	}
	value, err := plainJSON(f.value, kind)
	if err == nil {
		err = s.use(len(value), f.value)
	}
	return value, err
}

// plainJSON writes the value of a keyword that holds no schemas. What is a text
// to JSON Schema may look like something else in YAML: a title of digits, the
// type null.
func plainJSON(node *yaml.Node, kind shape) (json.RawMessage, error) {
	switch {
	case kind == literal:
		return appendText(nil, prose(node)), nil
	case kind == patternOf, kind == types && node.Kind == yaml.ScalarNode:
		return appendText(nil, node.Value), nil
	case kind == types, kind == names:
		var texts []string
		for _, item := range items(node) {
			texts = append(texts, item.Value)
		}
		return textsJSON(texts), nil
	default:
		return appendJSON(nil, node, 0)
	}
}

// ignore notes a keyword that is left out.
func (s *schemas) ignore(f field) {
	s.worker.note(f.key, "the schema keyword %s is left out: its value cannot be used here", quote(f.key.Value))
}

// loosened reports whether patternProperties of a schema are left out, so that
// additionalProperties would refuse what they allow.
func (s *schemas) loosened(node *yaml.Node) bool {
	return slices.ContainsFunc(fields(get(node, "patternProperties")), func(f field) bool { return !compiles(f.key.Value) })
}

func (s *schemas) list(f field, depth int) (json.RawMessage, error) {
	all := items(f.value)
	if len(all) == 0 {
		s.ignore(f)
		return nil, nil
	}
	converted := make([]json.RawMessage, len(all))
	for i, node := range all {
		schema, err := s.convert(node, depth+1)
		if err != nil {
			return nil, err
		}
		converted[i] = schema.json()
	}
	return array(converted), nil
}

func (s *schemas) byKey(f field, depth int) (json.RawMessage, error) {
	if f.value.Kind != yaml.MappingNode {
		s.ignore(f)
		return nil, nil
	}
	mark := "readOnly"
	if s.direction == answer {
		mark = "writeOnly"
	}
	result := object{}
	for _, member := range fields(f.value) {
		if f.key.Value == "patternProperties" && !compiles(member.key.Value) {
			s.ignore(member)
			continue
		}
		if f.key.Value == "properties" && s.isMarked(member.value, mark) {
			continue
		}
		converted, err := s.convert(member.value, depth+1)
		if err == nil {
			err = s.use(len(member.key.Value), member.key)
		}
		if err != nil {
			return nil, err
		}
		result.add(member.key.Value, converted.json())
	}
	return result.json(), nil
}

// fits reports whether a value has a shape.
func fits(node *yaml.Node, kind shape) bool {
	tag := node.ShortTag()
	switch kind {
	case literal:
		return node.Kind == yaml.ScalarNode && tag != "!!null"
	case boolean:
		return tag == "!!bool"
	case number:
		return tag == "!!int" || tag == "!!float"
	case count:
		size, err := strconv.Atoi(node.Value)
		return tag == "!!int" && err == nil && size >= 0
	case values:
		return node.Kind == yaml.SequenceNode
	case names:
		return node.Kind == yaml.SequenceNode && !slices.ContainsFunc(items(node), func(item *yaml.Node) bool { return item.Kind != yaml.ScalarNode })
	case namesByKey:
		return node.Kind == yaml.MappingNode && !slices.ContainsFunc(fields(node), func(f field) bool { return !fits(f.value, names) })
	case types:
		unknown := func(item *yaml.Node) bool {
			return item.Kind != yaml.ScalarNode || !slices.Contains(typeNames, item.Value)
		}
		if node.Kind == yaml.SequenceNode {
			return len(node.Content) > 0 && !slices.ContainsFunc(items(node), unknown)
		}
		return !unknown(node)
	case patternOf:
		return node.Kind == yaml.ScalarNode && compiles(node.Value)
	default:
		return true
	}
}
