package tool

import (
	"slices"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// body checks the body.
func (b *binder) body() {
	body := b.declaration.Body
	if body == nil {
		return
	}
	if b.declaration.Method != "" && !slices.Contains(bodyMethods, b.declaration.Method) {
		b.fault(partBody, 0, "a %s request has no body; bind the arguments in path, query or params", strictyaml.Clip(b.declaration.Method))
	}
	whole := body.Kind == BodyText || body.Kind == BodyBinary
	switch _, known := contentTypes[body.Kind]; {
	case !known:
		b.fault(partBody, 0, "unknown kind %q; write one of: json, form, multipart, text, binary", strictyaml.Clip(string(body.Kind)))
		return
	case whole && body.Argument == "":
		b.fault(partBody, 0, "a body of %s is one argument; name it", body.Kind)
	case whole && len(body.Fields) > 0:
		b.fault(partBody, 0, "a body of %s has no fields", body.Kind)
	case body.Argument == "" && len(body.Fields) == 0:
		b.fault(partBody, 0, "name the argument that is the whole body, or the fields of it")
	}
	if body.ContentType != "" && !isMediaType(body.ContentType, body.Kind) {
		b.fault(partBody, 0, "want a media type of this kind of body, such as %s", contentTypes[body.Kind])
	}
	if body.Argument != "" {
		b.argument(partBody, 0, body.Argument)
	}
	taken := map[string]bool{}
	for i, field := range body.Fields {
		b.field(i, field)
		if taken[field.Write.Name] {
			b.fault(partFields, i, "another argument fills the member %q already", strictyaml.Clip(field.Write.Name))
		}
		taken[field.Write.Name] = true
	}
}

// field checks one member of the body.
func (b *binder) field(index int, field Field) {
	body := b.declaration.Body
	switch {
	case field.Write.Name == "":
		b.fault(partFields, index, "want the member's name")
	case (field.Argument == "") != (body.Argument != ""):
		b.fault(partFields, index, "the body is either one argument or has its members from arguments of their own")
	case field.Argument != "":
		b.argument(partFields, index, field.Argument)
	}
	if field.Base64 && body.Kind != BodyMultipart {
		b.fault(partFields, index, "only a multipart body has files in Base64")
	}
	switch name := field.Filename; {
	case name != "" && (!field.Base64 || field.Argument == ""):
		b.fault(partFields, index, "only a file that is an argument of its own has a name from another; write base64: true")
	case name != "" && name == field.Argument:
		b.fault(partFields, index, "a file's content cannot be its name; name another argument")
	case name != "":
		b.argument(partFields, index, name)
	}
	if field.ContentType != "" && !isMediaType(field.ContentType, "") {
		b.fault(partFields, index, "want a media type, such as image/png")
	}
	allowed := paramstyle.Styles(string(InQuery))
	if style := field.Write.Style; style != "" && !slices.Contains(allowed, style) {
		b.fault(partFields, index, "unknown style %q for a member of a form; write one of: %v", strictyaml.Clip(string(style)), allowed)
	}
}
