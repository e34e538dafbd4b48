package tool

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
	"tecrolabs.dev/oauth-mcp-server/internal/schema"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// The keys that say how a request is made.
var (
	paramKeys = []string{"argument", "in", "name", "style", "explode", "allow_reserved"}
	bodyKeys  = []string{"content_type", "media_type", "argument", "fields"}
	fieldKeys = []string{"name", "media_type", "base64", "filename"}
)

// maxParameters bounds params of one tool.
const maxParameters = 64

// located is where in a file something stands.
type located struct {
	node *yaml.Node
	path string
}

// places says where the parts of a declaration stand in the file.
type places struct {
	entry      strictyaml.Object
	parameters []located
	fields     []located
}

// of returns the place of a fault. A part that is not there is missing in the
// entry.
func (p places) of(f fault) located {
	switch {
	case f.part == partParameters:
		return p.parameters[f.index]
	case f.part == partFields:
		return p.fields[f.index]
	case p.entry.Fields[string(f.part)] != nil:
		return located{p.entry.Fields[string(f.part)], p.entry.At(string(f.part))}
	default:
		return located{p.entry.Node, p.entry.At(string(f.part))}
	}
}

// declaration reads a tool but for its schemas, and remembers where its parts
// stand.
func (l *loader) declaration(entry strictyaml.Object) (Declaration, places) {
	found := places{entry: entry}
	d := Declaration{
		Definition: Definition{
			Name:        l.itemName(entry, "tool", l.toolLines),
			Title:       l.bounded(entry, "title", entry.Text("title"), maxTitle),
			Description: l.bounded(entry, "description", entry.Required("description", "say what it does and when to use it; models choose by it"), maxDescription),
			Annotations: l.annotations(entry),
			Access:      l.access(entry),
		},
		Upstream: l.upstreamOf(entry),
		Method:   entry.Required("method", "write one of: "+strings.Join(methods, ", ")),
		Path:     entry.Required("path", "write the path below the upstream's URL, such as /teams or /teams/{id}"),
	}
	d.Confirm = l.confirm(entry)
	d.TTL = l.ttl(entry, d.Upstream)
	if node := entry.Fields["query"]; node != nil {
		query := l.Object(node, entry.At("query"), nil)
		for _, argument := range query.Keys() {
			name := query.Required(argument, "write the parameter's name")
			d.Parameters = append(d.Parameters, Parameter{Argument: argument, In: InQuery, Write: paramstyle.Parameter{Name: name, Explode: true}})
			found.parameters = append(found.parameters, located{query.Fields[argument], query.At(strictyaml.Clip(argument))})
		}
	}
	for _, param := range l.items(entry, "params", maxParameters, paramKeys) {
		d.Parameters = append(d.Parameters, l.parameter(param))
		found.parameters = append(found.parameters, located{param.Node, param.Path})
	}
	if node := entry.Fields["body"]; node != nil {
		d.Body, found.fields = l.body(l.Object(node, entry.At("body"), bodyKeys))
	}
	if node := entry.Fields["response"]; node != nil {
		d.Response = l.response(l.Object(node, entry.At("response"), responseKeys))
	}
	return d, found
}

// ttl reads for how long an answer of an upstream may be given again.
func (l *loader) ttl(entry strictyaml.Object, upstream string) time.Duration {
	ttl := entry.Duration("ttl", 0, outbound.MaxFresh)
	if api, known := l.catalogue.Upstream(upstream); ttl > 0 && known && !api.Cache {
		l.Add(entry.Fields["ttl"], entry.At("ttl"), needsCache, upstream)
	}
	return ttl
}

// confirm reads whether the person has to agree to calls, and in which words.
func (l *loader) confirm(entry strictyaml.Object) string {
	node, ok := entry.Scalar("confirm", "true, or the question to the person", "!!str", "!!bool")
	switch {
	case !ok:
		return ""
	case node.ShortTag() == "!!str":
		return entry.Required("confirm", "write the question to the person, or true")
	case strings.EqualFold(node.Value, "true"):
		return confirmAnything
	default:
		return ""
	}
}

// scalars reports arguments in the short form of a query that could be more than
// one value: how those are written is to be said.
func (l *loader) scalars(entry strictyaml.Object, input *schema.Schema) {
	if entry.Fields["query"] == nil || input == nil {
		return
	}
	names, _ := input.Members()
	query := l.Object(entry.Fields["query"], entry.At("query"), nil)
	for _, argument := range query.Keys() {
		if slices.Contains(names, argument) && !input.Scalar(argument) {
			l.Add(query.Fields[argument], query.At(strictyaml.Clip(argument)), "only a string, integer, number or boolean can be a query parameter here; for lists and objects write it under params, with its style")
		}
	}
}

// parameter reads one entry of params. What is left out is OpenAPI's default.
func (l *loader) parameter(entry strictyaml.Object) Parameter {
	p := Parameter{
		Argument: entry.Required("argument", "name the property of input that fills it"),
		In:       Place(entry.Required("in", "write one of: path, query, header, cookie")),
		Write:    paramstyle.Parameter{Name: entry.Text("name"), Style: paramstyle.Style(entry.Text("style")), AllowReserved: isTrue(entry.Flag("allow_reserved"))},
	}
	if p.Write.Name == "" {
		p.Write.Name = p.Argument
	}
	if explode := entry.Flag("explode"); explode != nil {
		p.Write.Explode = *explode
	} else {
		style := p.Write.Style
		p.Write.Explode = style == paramstyle.Form || style == paramstyle.Cookie || style == "" && (p.In == InQuery || p.In == InCookie)
	}
	return p
}

func isTrue(flag *bool) bool { return flag != nil && *flag }

// body reads how the body is made.
func (l *loader) body(entry strictyaml.Object) (*Body, []located) {
	body := &Body{
		Kind:        BodyKind(entry.Required("content_type", "write one of: json, form, multipart, text, binary")),
		ContentType: entry.Text("media_type"),
		Argument:    entry.Text("argument"),
	}
	node := entry.Fields["fields"]
	if node == nil {
		return body, nil
	}
	if body.Argument != "" {
		l.Add(node, entry.At("fields"), "the body is either one argument or made of fields; remove one of the two")
		return body, nil
	}
	fields := l.Object(node, entry.At("fields"), nil)
	var found []located
	for _, argument := range fields.Keys() {
		body.Fields = append(body.Fields, l.field(fields, argument))
		found = append(found, located{fields.Fields[argument], fields.At(strictyaml.Clip(argument))})
	}
	return body, found
}

// field reads one member: its name, or more about it.
func (l *loader) field(fields strictyaml.Object, argument string) Field {
	node := fields.Fields[argument]
	field := Field{Argument: argument, Write: paramstyle.Parameter{Style: paramstyle.Form, Explode: true}}
	if node.Kind != yaml.MappingNode {
		field.Write.Name = fields.Text(argument)
		return field
	}
	entry := l.Object(node, fields.At(strictyaml.Clip(argument)), fieldKeys)
	field.Write.Name = entry.Required("name", "write the member's name")
	field.ContentType = entry.Text("media_type")
	field.Base64 = isTrue(entry.Flag("base64"))
	field.Filename = entry.Text("filename")
	return field
}
