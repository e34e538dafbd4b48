package openapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
)

// maxNotes bounds the notes about one operation.
const maxNotes = 50

// worker is the state of one Details.
type worker struct {
	document *Document
	own      []string // header fields that are no arguments
	details  Details
}

func (w *worker) note(node *yaml.Node, format string, args ...any) {
	note := fmt.Sprintf("line %d: %s", node.Line, fmt.Sprintf(format, args...))
	if len(w.details.Notes) < maxNotes && !slices.Contains(w.details.Notes, note) {
		w.details.Notes = append(w.details.Notes, note)
	}
}

// Details works out what a tool needs to know of one of the document's
// operations. Header fields that whoever sends the request has of its own, as
// [egress.FieldName] spells them, become no arguments. Whatever cannot be
// understood and cannot be left out is a *[DocumentError]; other errors are the
// context's.
func (d *Document) Details(ctx context.Context, o Operation, own ...string) (*Details, error) {
	w := &worker{document: d, own: own}
	err := w.work(ctx, o)
	if found, ok := errors.AsType[*DocumentError](err); ok {
		return nil, &DocumentError{Line: found.Line, Operation: o.Key(), Text: found.Text}
	}
	if err != nil {
		return nil, err
	}
	return &w.details, nil
}

func (w *worker) work(ctx context.Context, o Operation) error {
	var err error
	if w.details.Path, err = paramstyle.ParseTemplate(o.Path); err != nil {
		return problem(o.node, "the path %s %v", quote(o.Path), err)
	}
	list, err := w.parameters(o)
	if err != nil {
		return err
	}
	content, err := w.body(o)
	if err != nil {
		return err
	}
	parameters := make([]Parameter, len(list))
	for i := range list {
		parameters[i] = list[i].Parameter
	}
	for i, name := range argumentNames(parameters, w.details.Body != nil) {
		list[i].Argument, parameters[i].Argument = name, name
	}
	w.details.Parameters = parameters
	w.details.Input, err = w.makeSchema(ctx, request, o.node, func(s *schemas) (object, error) { return w.input(s, o, list, content) })
	if err != nil {
		return err
	}
	if err := w.output(ctx, o); err != nil {
		return err
	}
	if err := w.security(o); err != nil {
		return err
	}
	w.details.Servers = servers(o.node)
	if w.details.Servers == nil {
		w.details.Servers = servers(o.item)
	}
	return nil
}

// input makes the schema of the arguments: one property for each parameter, and
// one for the body.
func (w *worker) input(s *schemas, o Operation, list []declared, content *yaml.Node) (object, error) {
	s.base64 = w.details.Body != nil && w.details.Body.Kind == BodyMultipart
	properties, required := object{}, []string{}
	for _, p := range list {
		property, err := s.convert(p.schema, 0)
		if err != nil {
			return object{}, err
		}
		property.describe(prose(get(p.node, "description")))
		if flag(get(p.node, "deprecated")) {
			property.set("deprecated", []byte("true"))
		}
		properties.add(p.Argument, property.json())
		if p.Required {
			required = append(required, p.Argument)
		}
	}
	if body := w.details.Body; body != nil {
		property, err := w.bodySchema(s, content)
		if err != nil {
			return object{}, err
		}
		node, err := w.document.resolve(get(o.node, "requestBody"))
		if err != nil {
			return object{}, err
		}
		property.describe(prose(get(node, "description")))
		properties.add(body.Argument, property.json())
		if body.Required {
			required = append(required, body.Argument)
		}
	}
	root := object{}
	root.add("type", []byte(`"object"`))
	root.add("properties", properties.json())
	if len(required) > 0 {
		root.add("required", textsJSON(required))
	}
	root.add("additionalProperties", []byte("false"))
	return root, nil
}

// bodySchema returns the schema of the body argument.
func (w *worker) bodySchema(s *schemas, content *yaml.Node) (object, error) {
	switch w.details.Body.Kind {
	case BodyText, BodyBinary:
		property := object{}
		property.set("type", []byte(`"string"`))
		if w.details.Body.Kind == BodyBinary {
			property.set("contentEncoding", []byte(`"base64"`))
		}
		return property, nil
	case BodyForm, BodyMultipart:
		property, err := s.convert(get(content, "schema"), 0)
		if err == nil && !property.has("type") {
			property.set("type", []byte(`"object"`)) // whose members are the fields; documents leave it to the media type
		}
		return property, err
	default:
		return s.convert(get(content, "schema"), 0)
	}
}

// output makes the schema of the first success that is answered in JSON. A
// schema that cannot be made is left out: the answer can do without.
func (w *worker) output(ctx context.Context, o Operation) error {
	responses := fields(get(o.node, "responses"))
	slices.SortStableFunc(responses, func(a, b field) int { return strings.Compare(a.key.Value, b.key.Value) })
	for _, f := range responses {
		if !isSuccess(f.key.Value) {
			continue
		}
		response, err := w.document.resolve(f.value)
		if err != nil {
			w.note(f.value, "%s; the answer has no schema", describe(err))
			continue
		}
		for _, media := range fields(get(response, "content")) {
			kind, ok := bodyKind(media.key.Value)
			chosen, err := w.document.resolve(media.value)
			schema := get(chosen, "schema")
			if err != nil || !ok || kind != BodyJSON || schema == nil {
				continue
			}
			w.details.Output, err = w.makeSchema(ctx, answer, schema, func(s *schemas) (object, error) { return s.convert(schema, 0) })
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				w.note(schema, "%s; the answer has no schema", describe(err))
			}
			return nil
		}
	}
	return nil
}

// describe returns what an error says, without the line.
func describe(err error) string {
	if found, ok := errors.AsType[*DocumentError](err); ok {
		return found.Text
	}
	return err.Error()
}

// isSuccess reports whether a key of responses is of the class 2xx.
func isSuccess(key string) bool {
	if strings.EqualFold(key, "2XX") {
		return true
	}
	status, err := strconv.Atoi(key)
	return err == nil && status >= 200 && status < 300
}
