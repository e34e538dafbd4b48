package imports

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
	"tecrolabs.dev/oauth-mcp-server/internal/shape"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// Bounds of what models read of an operation. Documents have whole pages, and a
// client sends all of them with every question.
const (
	maxTitle       = 100     // bytes
	maxDescription = 1 << 10 // bytes
)

// declaration returns an operation as a tool.
func declaration(o openapi.Operation, details *openapi.Details) tool.Declaration {
	d := tool.Declaration{
		Definition: tool.Definition{
			Name: o.Name, Title: firstLine(o.Summary), Description: describe(o),
			InputSchema: details.Input, OutputSchema: objectSchema(details.Output), Annotations: hints(o.Method),
			Access: tool.Access{Scopes: details.Scopes},
		},
		Method: o.Method, Path: o.Path,
	}
	for _, p := range details.Parameters {
		d.Parameters = append(d.Parameters, tool.Parameter{Argument: p.Argument, In: tool.Place(p.In), Write: p.Write})
	}
	if body := details.Body; body != nil {
		d.Body = &tool.Body{Kind: tool.BodyKind(body.Kind), ContentType: encoded(body), Argument: body.Argument}
		for _, field := range body.Fields {
			d.Body.Fields = append(d.Body.Fields, tool.Field{Write: field.Write, ContentType: field.ContentType, Base64: field.Base64})
		}
	}
	return d
}

// encoded returns the media type of a body. A text is sent in UTF-8, which text/*
// does not mean by itself (RFC 2046 section 4.1.2).
func encoded(body *openapi.Body) string {
	if body.Kind == openapi.BodyText && strings.HasPrefix(body.ContentType, "text/") && !strings.Contains(body.ContentType, "charset") {
		return body.ContentType + "; charset=utf-8"
	}
	return body.ContentType
}

// describe says what an operation does: its summary, and what the description
// adds to it.
func describe(o openapi.Operation) string {
	text := strings.TrimSpace(o.Description)
	if summary := strings.TrimSpace(o.Summary); summary != "" && !strings.HasPrefix(text, summary) {
		text = strings.TrimSpace(strings.TrimRight(summary, ".") + ".\n" + text)
	}
	if text == "" {
		text = o.Method + " " + o.Path
	}
	if o.Deprecated {
		text = "Deprecated. " + text
	}
	return fit(text, maxDescription)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return fit(line, maxTitle)
}

// fit shortens a text and shows that it was.
func fit(text string, limit int) string {
	text, cut := shape.FitText(text, limit)
	if cut {
		text += "…"
	}
	return text
}

// hints says what a method means (RFC 9110 section 9.2). What writes is taken for
// something that destroys (package tool sees to it).
func hints(method string) *tool.Annotations {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return &tool.Annotations{ReadOnlyHint: new(true)}
	case http.MethodPut, http.MethodDelete:
		return &tool.Annotations{IdempotentHint: new(true)}
	default:
		return nil
	}
}

// objectSchema returns the schema of an answer if it says that it is an object:
// MCP knows no other structured content.
func objectSchema(output json.RawMessage) json.RawMessage {
	var schema struct{ Type any }
	if json.Unmarshal(output, &schema) != nil || schema.Type != "object" {
		return nil
	}
	return output
}

// selection returns what an import chooses of a document.
func selection(i *tool.Import, d *openapi.Document) openapi.Selection {
	s := openapi.Selection{
		Include: openapi.Match(i.Include), Exclude: openapi.Match(i.Exclude), Deprecated: i.Deprecated,
		Max: i.Max, Override: map[string]openapi.Override{},
	}
	if i.Search {
		s.Max = len(d.Operations)
	}
	for key, over := range i.Override {
		s.Override[key] = openapi.Override{Name: over.Name, Description: over.Description}
	}
	return s
}

// samePath reports whether one of a document's servers has the path of the
// upstream's URL; without servers, whatever is declared will be right.
func samePath(servers []string, upstream string) bool {
	path := func(address string) string {
		if _, rest, absolute := strings.Cut(address, "://"); absolute {
			_, rest, _ = strings.Cut(rest, "/")
			address = rest
		}
		return strings.Trim(address, "/")
	}
	same := func(server string) bool { return path(server) == path(upstream) }
	return len(servers) == 0 || slices.ContainsFunc(servers, same)
}
