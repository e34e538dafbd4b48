package schema

import "strings"

// Kind says where in the value of a keyword there are schemas.
type Kind int

// The kinds of keywords.
const (
	Plain Kind = iota // nowhere
	One               // it is one
	List              // a list of them
	Map               // an object of them, under names of the author's
)

// keywords is the vocabulary of draft 2020-12 (JSON Schema Core and Validation),
// with the words of earlier drafts that it still explains.
var keywords = map[string]Kind{
	"$schema": Plain, "$vocabulary": Plain, "$id": Plain, "$anchor": Plain, "$dynamicAnchor": Plain,
	"$ref": Plain, "$dynamicRef": Plain, "$comment": Plain, "$defs": Map, "definitions": Map,

	"allOf": List, "anyOf": List, "oneOf": List, "not": One, "if": One, "then": One, "else": One, "dependentSchemas": Map,
	"prefixItems": List, "items": One, "contains": One, "unevaluatedItems": One,
	"properties": Map, "patternProperties": Map, "additionalProperties": One, "propertyNames": One, "unevaluatedProperties": One,

	"type": Plain, "enum": Plain, "const": Plain,
	"multipleOf": Plain, "minimum": Plain, "maximum": Plain, "exclusiveMinimum": Plain, "exclusiveMaximum": Plain,
	"minLength": Plain, "maxLength": Plain, "pattern": Plain,
	"minItems": Plain, "maxItems": Plain, "uniqueItems": Plain, "minContains": Plain, "maxContains": Plain,
	"minProperties": Plain, "maxProperties": Plain, "required": Plain, "dependentRequired": Plain,

	"title": Plain, "description": Plain, "default": Plain, "deprecated": Plain, "readOnly": Plain, "writeOnly": Plain, "examples": Plain,
	"format": Plain, "contentEncoding": Plain, "contentMediaType": Plain, "contentSchema": One,
}

// Keyword returns where a keyword holds schemas, and whether there is such a
// keyword. A word that begins with "x-" is an extension: it means nothing here
// and is kept.
func Keyword(name string) (kind Kind, known bool) {
	kind, known = keywords[name]
	return kind, known || strings.HasPrefix(name, "x-")
}
