package openapi

import (
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
)

// This file has all differences between kin-openapi and what documents say.

// unreadable says why kin-openapi cannot decode a parameter that was written as the
// document says, "" when it can.
func unreadable(p *openapi3.Parameter) string {
	switch {
	case p.In == openapi3.ParameterInCookie && p.Schema != nil && isMany(p.Schema):
		return "a cookie holds no comma (RFC 6265 section 4.1.1), so it is percent-encoded, and kin-openapi does not decode it"
	case p.Schema != nil && !isTyped(p.Schema):
		return "kin-openapi decodes nothing where the schema has no type"
	default:
		return ""
	}
}

// unwritten says why a value cannot be sent in a parameter, "" when it can. This is
// not the judge's doing: OpenAPI defines no way to write it.
func unwritten(p *openapi3.Parameter, value any) string {
	list, _ := value.([]any)
	if p == nil || p.Schema == nil || len(list) == 0 {
		return ""
	}
	if _, nested := list[0].(map[string]any); nested {
		return "no style is defined for a list of objects"
	}
	return ""
}

// unfitting says why kin-openapi refuses a body that fits its schema, by the tool.
var unfitting = map[string]string{
	"core_transactional_applications_update": "kin-openapi wants the discriminator in the object, and authentik has it beside the object",
	"operations_uploadfile":                  "kin-openapi decodes no part of a form that the schema does not name",
}

// isTyped reports whether a schema, or one that it is combined of, has a type.
func isTyped(ref *openapi3.SchemaRef) bool {
	s := ref.Value
	return s.Type != nil || len(s.Enum) > 0 || slices.ContainsFunc(slices.Concat(s.AllOf, s.AnyOf, s.OneOf), isTyped)
}

// isMany reports whether a schema is one of lists or objects.
func isMany(ref *openapi3.SchemaRef) bool {
	return ref.Value.Type.Is(openapi3.TypeArray) || ref.Value.Type.Is(openapi3.TypeObject)
}

// spellOut adds to a document what kin-openapi wants to be told of forms: that they
// are objects, and that a part of no type is text.
func spellOut(document *openapi3.T) {
	for _, item := range document.Paths.Map() {
		for _, operation := range item.Operations() {
			if operation.RequestBody == nil {
				continue
			}
			for _, name := range []string{"application/x-www-form-urlencoded", "multipart/form-data"} {
				media := operation.RequestBody.Value.Content[name]
				if media == nil || media.Schema == nil {
					continue
				}
				setType(media.Schema, openapi3.TypeObject)
				for _, property := range media.Schema.Value.Properties {
					setType(property, openapi3.TypeString)
				}
			}
		}
	}
}

func setType(ref *openapi3.SchemaRef, name string) {
	if !isTyped(ref) {
		ref.Value.Type = &openapi3.Types{name}
	}
}
