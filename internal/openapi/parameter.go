package openapi

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
)

// maxParameters bounds the parameters of one operation.
const maxParameters = 256

// declared is a parameter with what its argument's schema is made of.
type declared struct {
	Parameter
	node   *yaml.Node
	schema *yaml.Node // nil for any value
}

// parameters returns what the path item and the operation declare; of the same
// name and place the operation's wins (OpenAPI 3.2 section 4.10).
func (w *worker) parameters(o Operation) ([]declared, error) {
	var list []declared
	for _, source := range []*yaml.Node{o.item, o.node} {
		for _, node := range items(get(source, "parameters")) {
			node, err := w.document.resolve(node)
			if err != nil {
				return nil, err
			}
			p, err := w.parameter(node)
			if err != nil {
				return nil, err
			}
			if p == nil {
				continue
			}
			same := func(known declared) bool { return known.In == p.In && known.Write.Name == p.Write.Name }
			if i := slices.IndexFunc(list, same); i >= 0 {
				list[i] = *p
			} else {
				list = append(list, *p)
			}
			if len(list) > maxParameters {
				return nil, problem(node, "there are more than the %d parameters allowed", maxParameters)
			}
		}
	}
	return w.onlyUsed(o, list)
}

// onlyUsed drops path parameters that the path does not have, and wants one for
// every name in it.
func (w *worker) onlyUsed(o Operation, list []declared) ([]declared, error) {
	names := w.details.Path.Names()
	list = slices.DeleteFunc(list, func(p declared) bool {
		unused := p.In == InPath && !slices.Contains(names, p.Write.Name)
		if unused {
			w.note(p.node, "the path has no {%s}; the parameter is left out", p.Write.Name)
		}
		return unused
	})
	for _, name := range names {
		if !slices.ContainsFunc(list, func(p declared) bool { return p.In == InPath && p.Write.Name == name }) {
			return nil, problem(o.node, "the path has {%s}, and no parameter with in: path declares it", name)
		}
	}
	return list, nil
}

// parameter reads one parameter. It returns nil for one that tools do not fill.
func (w *worker) parameter(node *yaml.Node) (*declared, error) {
	p := &declared{node: node, schema: get(node, "schema"), Parameter: Parameter{
		In: In(text(get(node, "in"))), Required: flag(get(node, "required")),
		Write: paramstyle.Parameter{
			Name: text(get(node, "name")), Style: paramstyle.Style(text(get(node, "style"))),
			AllowReserved: flag(get(node, "allowReserved")),
		},
	}}
	styles := paramstyle.Styles(string(p.In))
	switch {
	case p.Write.Name == "":
		return nil, problem(node, "a parameter has no name")
	case text(get(node, "in")) == "querystring":
		return nil, problem(node, "in: querystring is not supported")
	case styles == nil:
		return nil, problem(node, "the parameter %s is in %s; want path, query, header or cookie", quote(p.Write.Name), quote(string(p.In)))
	case p.In == InHeader && !w.fills(p.Write.Name):
		w.note(node, "the header %s is not for tools to fill; it is left out", p.Write.Name)
		return nil, nil
	}
	if p.Write.Style == "" {
		p.Write.Style = styles[0]
	}
	if !slices.Contains(styles, p.Write.Style) {
		return nil, problem(node, "the parameter %s has the style %s, which is not one for in: %s", quote(p.Write.Name), quote(string(p.Write.Style)), p.In)
	}
	p.Write.Explode = p.Write.Style == paramstyle.Form || p.Write.Style == paramstyle.Cookie
	if explode := get(node, "explode"); explode != nil {
		p.Write.Explode = flag(explode)
	}
	// Before 3.2 allowReserved is for queries alone.
	p.Write.AllowReserved = p.Write.AllowReserved && (p.In == InQuery || p.In == InPath && w.document.minor >= 2)
	p.Required = p.Required || p.In == InPath
	if content := get(node, "content"); content != nil && p.schema == nil {
		if err := p.readContent(content); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// readContent reads the one media type of a parameter that is written as such.
func (p *declared) readContent(content *yaml.Node) error {
	for _, media := range fields(content) {
		if kind, ok := bodyKind(media.key.Value); ok && kind == BodyJSON {
			p.Write.JSON = true
			p.schema = get(media.value, "schema")
			return nil
		}
	}
	return problem(content, "the parameter %s is not declared as JSON; no other content can be written", quote(p.Write.Name))
}

// fills reports whether an argument may become the header name. OpenAPI says itself
// to ignore Accept, Content-Type and Authorization.
func (w *worker) fills(name string) bool {
	const tchar = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz" // RFC 9110 section 5.6.2
	return strings.Trim(strings.ToLower(name), tchar) == "" && egress.IsFillable(name) && !slices.Contains(w.own, egress.FieldName(name))
}
