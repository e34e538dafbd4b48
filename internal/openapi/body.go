package openapi

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
)

// bodyKinds is the order in which a body's kinds are preferred.
var bodyKinds = []BodyKind{BodyJSON, BodyForm, BodyMultipart, BodyText, BodyBinary}

// bodiless are the methods for whose bodies HTTP has no meaning (RFC 9110 sections
// 9.3.1, 9.3.2 and 9.3.7). OpenAPI 3.0 has them ignored, and later versions avoided.
var bodiless = []string{http.MethodGet, http.MethodHead, http.MethodOptions}

// bodyKind returns how a body of a media type is written, and false for those
// that arguments cannot become: other kinds of multipart.
func bodyKind(mediaType string) (BodyKind, bool) {
	name, _, err := mime.ParseMediaType(mediaType)
	if err != nil {
		name = strings.ToLower(strings.TrimSpace(mediaType))
	}
	switch {
	case name == "application/json", name == "text/json", strings.HasSuffix(name, "+json"), name == "*/*", name == "application/*":
		return BodyJSON, true
	case name == "application/x-www-form-urlencoded":
		return BodyForm, true
	case name == "multipart/form-data":
		return BodyMultipart, true
	case strings.HasPrefix(name, "multipart/"):
		return "", false
	case strings.HasPrefix(name, "text/"), name == "application/xml", strings.HasSuffix(name, "+xml"):
		return BodyText, true
	default:
		return BodyBinary, name != ""
	}
}

// contentTypes are sent where a media type is a range.
var contentTypes = map[string]string{
	"*/*": "application/json", "application/*": "application/json", "text/*": "text/plain",
	"image/*": "application/octet-stream", "audio/*": "application/octet-stream", "video/*": "application/octet-stream",
}

// body reads what the operation takes as its body and returns the media type
// object that was chosen, nil for none.
func (w *worker) body(o Operation) (*yaml.Node, error) {
	node, err := w.document.resolve(get(o.node, "requestBody"))
	if err != nil || node == nil {
		return nil, err
	}
	body := &Body{Argument: bodyArgument, Required: flag(get(node, "required"))}
	switch {
	case slices.Contains(bodiless, o.Method) && body.Required:
		return nil, problem(node, "a %s request has no body, and this operation wants one", o.Method)
	case slices.Contains(bodiless, o.Method):
		w.note(node, "a %s request has no body; the tool sends none", o.Method)
		return nil, nil
	}
	declared := chooseMedia(get(node, "content"), body)
	switch {
	case declared == nil && body.Required:
		return nil, problem(node, "the body has no media type that arguments can become; of multipart only form-data is one")
	case declared == nil:
		w.note(node, "the body has no media type that arguments can become; the tool sends none")
		return nil, nil
	}
	media, err := w.document.resolve(declared) // 3.2 has media types among the components
	if err != nil {
		return nil, err
	}
	if body.Kind == BodyForm || body.Kind == BodyMultipart {
		if body.Fields, err = w.bodyFields(media, body.Kind); err != nil {
			return nil, err
		}
	}
	w.details.Body = body
	return media, nil
}

// chooseMedia completes body with the media type that is preferred and returns
// what is declared of it, nil when there is none that can be written.
func chooseMedia(content *yaml.Node, body *Body) *yaml.Node {
	for _, kind := range bodyKinds {
		for _, media := range fields(content) {
			if found, ok := bodyKind(media.key.Value); !ok || found != kind {
				continue
			}
			body.Kind, body.ContentType = kind, media.key.Value
			if concrete, ok := contentTypes[strings.ToLower(body.ContentType)]; ok {
				body.ContentType = concrete
			}
			return media.value
		}
	}
	return nil
}

// bodyFields returns the properties that the body's schema declares itself,
// with how each is written (OpenAPI 3.2 sections 4.14 and 4.15).
func (w *worker) bodyFields(media *yaml.Node, kind BodyKind) ([]Field, error) {
	schema, err := w.document.resolve(get(media, "schema"))
	if err != nil {
		return nil, err
	}
	var list []Field
	for _, f := range fields(get(schema, "properties")) {
		property, err := w.document.resolve(f.value)
		if err != nil {
			return nil, err
		}
		encoding := get(get(media, "encoding"), f.key.Value)
		style := paramstyle.Style(text(get(encoding, "style")))
		field := Field{
			Write: paramstyle.Parameter{
				Name: f.key.Value, Style: style, Explode: style == "" || style == paramstyle.Form,
				AllowReserved: flag(get(encoding, "allowReserved")),
			},
			ContentType: text(get(encoding, "contentType")), Base64: kind == BodyMultipart && (isBinary(property) || isBinary(get(property, "items"))),
		}
		if explode := get(encoding, "explode"); explode != nil {
			field.Write.Explode = flag(explode)
		}
		if style == "" {
			field.Write.Style = paramstyle.Form
			field.Write.JSON = w.isNested(property)
		} else if !slices.Contains(paramstyle.Styles(string(InQuery)), style) {
			return nil, problem(encoding, "the field %s has the style %s, which is not one of forms", quote(f.key.Value), quote(string(style)))
		}
		list = append(list, field)
	}
	return list, nil
}

// isNested reports whether a property without a style is written as JSON: an
// object, and a list of objects.
func (w *worker) isNested(property *yaml.Node) bool {
	if hasType(property, "array") {
		item, err := w.document.resolve(get(property, "items"))
		return err == nil && (hasType(item, "object") || get(item, "properties") != nil)
	}
	return hasType(property, "object") || get(property, "properties") != nil
}

// isBinary reports whether a property is content that JSON cannot hold as it is:
// by the format binary of 3.0, or by a media type of bytes without an encoding
// as in 3.1.
func isBinary(property *yaml.Node) bool {
	kind, ok := bodyKind(text(get(property, "contentMediaType")))
	return text(get(property, "format")) == "binary" || ok && kind == BodyBinary && get(property, "contentEncoding") == nil
}

// hasType reports whether a schema has a type.
func hasType(schema *yaml.Node, name string) bool {
	node := get(schema, "type")
	return text(node) == name || slices.Contains(texts(node), name)
}
