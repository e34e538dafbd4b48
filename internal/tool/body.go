package tool

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
	"tecrolabs.dev/oauth-mcp-server/internal/shape"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// contentTypes are the media types of the kinds of a body.
var contentTypes = map[BodyKind]string{
	BodyJSON:      "application/json",
	BodyForm:      "application/x-www-form-urlencoded",
	BodyMultipart: "multipart/form-data",
	BodyText:      "text/plain; charset=utf-8",
	BodyBinary:    "application/octet-stream",
}

// isMediaType reports whether text is a media type that a body of that kind can
// have; kind "" can have any.
func isMediaType(text string, kind BodyKind) bool {
	mediaType, _, err := mime.ParseMediaType(text)
	if err != nil || !strings.Contains(mediaType, "/") || strings.ContainsAny(text, "\r\n") {
		return false
	}
	switch kind {
	case BodyJSON:
		return isJSON(mediaType) || mediaType == "text/json"
	case BodyForm, BodyMultipart:
		return mediaType == contentTypes[kind]
	case BodyText, BodyBinary:
		return !strings.HasPrefix(mediaType, "multipart/")
	default:
		return true
	}
}

// entry is a member of a body in the making.
type entry struct {
	field    Field
	argument string // who is to blame
	value    json.RawMessage
	names    json.RawMessage // of its files, as the caller gives them; nil: not given
}

// write returns the body and its media type; "" for no body. It is safe on nil.
func (b *Body) write(arguments map[string]json.RawMessage) (content []byte, contentType string, err error) {
	if b == nil {
		return nil, "", nil
	}
	whole, given := arguments[b.Argument]
	if b.Argument != "" && (!given || string(whole) == "null") {
		return nil, "", nil
	}
	contentType = b.ContentType
	if contentType == "" {
		contentType = contentTypes[b.Kind]
	}
	switch b.Kind {
	case BodyText, BodyBinary:
		content, err = b.writeText(whole)
		return content, contentType, err
	case BodyJSON:
		if b.Argument != "" {
			return whole, contentType, nil // as the caller wrote it
		}
	case BodyForm, BodyMultipart:
	}
	entries, err := b.entries(arguments, whole)
	if err != nil {
		return nil, "", err
	}
	switch b.Kind {
	case BodyForm:
		content, err = b.writeForm(entries)
	case BodyMultipart:
		content, contentType, err = writeMultipart(entries)
	default:
		content = writeMembers(entries)
	}
	return content, contentType, err
}

// writeText returns a string's text, decoded where it is Base64.
func (b *Body) writeText(raw json.RawMessage) ([]byte, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, wrongField(b.Argument, "must be a text: it is the whole body")
	}
	if b.Kind == BodyText {
		return []byte(text), nil
	}
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, wrongField(b.Argument, "must be Base64 with padding: it is the content of the body")
	}
	return content, nil
}

// entries returns the members of the body that are given, in order.
func (b *Body) entries(arguments map[string]json.RawMessage, whole json.RawMessage) ([]entry, error) {
	var list []entry
	if b.Argument == "" {
		for _, field := range b.Fields {
			value, given := arguments[field.Argument]
			names := arguments[field.Filename]
			if isGiven(names) && !isGiven(value) {
				return nil, wrongField(field.Filename, "names a file that is not there; give %s too", quote(field.Argument))
			}
			if given {
				list = append(list, entry{field, field.Argument, value, names})
			}
		}
		return list, nil
	}
	members, err := strictjson.ParseObject(whole)
	if err != nil {
		return nil, wrongField(b.Argument, "must be an object: its members are those of the body")
	}
	for _, member := range members {
		list = append(list, entry{field: b.field(member), argument: b.Argument, value: member.Value})
	}
	return list, nil
}

// field returns how a member is written: as declared, or by OpenAPI's defaults.
func (b *Body) field(member strictjson.Member) Field {
	for _, field := range b.Fields {
		if field.Write.Name == member.Key {
			return field
		}
	}
	return Field{Write: paramstyle.Parameter{
		Name: member.Key, Style: paramstyle.Form, Explode: true, JSON: isNested(member.Value),
	}}
}

// isNested reports whether a value is an object, or a list with more in it than
// scalars.
func isNested(raw json.RawMessage) bool {
	items, list := shape.Array(raw)
	for _, item := range items {
		if item[0] == '{' || item[0] == '[' {
			return true
		}
	}
	return !list && raw[0] == '{'
}

// writeMembers writes entries as one JSON object; values stay as they are.
func writeMembers(entries []entry) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, e := range entries {
		if i > 0 {
			b.WriteByte(',')
		}
		writeString(&b, e.field.Write.Name)
		b.WriteByte(':')
		b.Write(e.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func (b *Body) writeForm(entries []entry) ([]byte, error) {
	var all pairs
	for _, field := range b.Fields {
		all.declared = append(all.declared, field.Write.Name)
	}
	for _, e := range entries {
		text, err := e.field.Write.Query(e.value)
		if err == nil {
			err = all.add(e.field.Write, text, "&")
		}
		if err != nil {
			return nil, wrongField(e.argument, "cannot be written as a form: %s %v", quote(e.field.Write.Name), err)
		}
	}
	return []byte(strings.Join(all.parts, "&")), nil
}
