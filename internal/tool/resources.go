package tool

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// Bounds of resources.
const (
	maxResources = 128
	maxURI       = 1 << 10   // bytes
	maxContent   = 256 << 10 // bytes of a text or of decoded binary data
)

// resourceKeys are the keys of a resource.
var resourceKeys = []string{"uri", "name", "title", "description", "mime_type", "text", "blob", "tool", "scopes"}

var (
	resourceURI = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:[^\s"<>\\^` + "`" + `|]+$`)
	variable    = regexp.MustCompile(`\{([A-Za-z0-9_]+)\}`)
)

// Resource is data that clients may read: a text or binary data of the file, or
// what a tool answers. With variables in its URI it is a template of resources.
type Resource struct {
	URI         string // of a template with {variables} (RFC 6570, level 1)
	Name        string
	Title       string
	Description string
	MIMEType    string
	Text        string
	Blob        []byte
	Tool        string       // whose answer it is; the variables are its arguments
	Variables   []string     // of a template, in their order
	Scopes      oauth.Scopes // of whoever may read it, besides what Tool asks for

	matches *regexp.Regexp // nil for one resource
	types   []string       // of the arguments that the variables fill
	values  [][]string     // the only ones of each; none: any
	unbound string         // where the resource names a tool that has to be imported yet
}

// Content is what was read. Blob is set for what is not text.
type Content struct {
	URI      string
	MIMEType string
	Text     string
	Blob     []byte
}

// HasResources reports whether there is any resource or template, whoever asks.
func (r *Runner) HasResources() bool { return len(r.catalogue.resources) > 0 }

// ReadResource returns what the resource at uri holds. It returns an
// *[UnknownResourceError], an *[InvalidArgumentsError] for variables that its tool
// does not take, an *[oauth.Refusal] for a caller who may not read it, and a
// *[ReadError] where its tool fails. Reading what a tool answers is a call
// of that tool, with all that belongs to one.
func (r *Runner) ReadResource(ctx context.Context, caller Caller, uri string) (Content, error) {
	if len(uri) > maxURI {
		return Content{}, &UnknownResourceError{URI: uri}
	}
	a := r.applicant(caller.Principal)
	for _, resource := range r.catalogue.resources {
		arguments, ok := resource.match(uri)
		if !ok {
			continue
		}
		if refusal := a.lacking(resource.Scopes); refusal != nil {
			return Content{}, r.refuseReading(ctx, caller, a, resource)
		}
		content := Content{URI: uri, MIMEType: resource.MIMEType, Text: resource.Text, Blob: resource.Blob}
		if resource.Tool == "" {
			return content, nil
		}
		result, err := r.Call(ctx, caller, resource.Tool, arguments)
		switch {
		case err != nil:
			return Content{}, err
		case result.IsError:
			return Content{}, &ReadError{Sentence: result.Text}
		case result.Content != nil:
			return Content{}, &ReadError{Sentence: fmt.Sprintf("The tool %q answers with more than one text, which a resource cannot hold.", resource.Tool)}
		}
		content.Text = result.Text
		return content, nil
	}
	return Content{}, &UnknownResourceError{URI: uri}
}

// ToolOf returns the tool whose answer the resource at uri is, "" for none.
func (r *Runner) ToolOf(uri string) string {
	if len(uri) > maxURI {
		return ""
	}
	for _, resource := range r.catalogue.resources {
		if _, ok := resource.match(uri); ok {
			return resource.Tool
		}
	}
	return ""
}

// match reports whether uri is of the resource, and with which arguments of its
// tool.
func (r Resource) match(uri string) (arguments json.RawMessage, ok bool) {
	if r.matches == nil {
		return json.RawMessage("{}"), uri == r.URI
	}
	found := r.matches.FindStringSubmatch(uri)
	if found == nil {
		return nil, false
	}
	values := map[string]json.RawMessage{}
	for i, name := range r.Variables {
		text, err := url.PathUnescape(found[i+1])
		if err != nil {
			return nil, false
		}
		values[name] = argumentOf(text, r.types[i])
	}
	return mustJSON(values), true
}

// argumentOf returns a text as the JSON that an argument of the type is: as it
// is where that is no string, and as a string where it cannot be, for the schema
// to refuse.
func argumentOf(text, kind string) json.RawMessage {
	if kind != "string" && json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return mustJSON(text)
}

// mustJSON encodes what always can be.
func mustJSON(value any) json.RawMessage {
	text, _ := json.Marshal(value) // texts, and JSON that was held to be valid
	return text
}

// CompleteResource returns the values of a template's variable that begin with
// what was typed: those of the argument's enum. A template that p is not shown has
// none, like one that is not there.
func (r *Runner) CompleteResource(ctx context.Context, p oauth.Principal, template, name, typed string) []string {
	for _, resource := range r.catalogue.resources {
		i := slices.Index(resource.Variables, name)
		if i >= 0 && resource.URI == template && r.showsResource(ctx, r.applicant(p), resource) {
			return beginning(resource.values[i], typed)
		}
	}
	return nil
}

// resources reads the resources. Tools are read before.
func (l *loader) resources(top strictyaml.Object) {
	lines, names := map[string]int{}, map[string]int{}
	for _, entry := range l.items(top, "resources", maxResources, resourceKeys) {
		resource := Resource{
			URI:         entry.Required("uri", "write a URI, such as docs://guide, or a template, such as teams://{team}"),
			Name:        l.itemName(entry, "resource", names),
			Title:       l.bounded(entry, "title", entry.Text("title"), maxTitle),
			Description: l.bounded(entry, "description", entry.Text("description"), maxDescription),
			MIMEType:    entry.Text("mime_type"),
			Tool:        entry.Text("tool"),
			Scopes:      l.itemScopes(entry),
		}
		l.uri(entry, &resource, lines)
		l.content(entry, &resource)
		l.keep(KindResource, resource.URI, entry)
		l.catalogue.resources = append(l.catalogue.resources, resource)
	}
	slices.SortFunc(l.catalogue.resources, func(a, b Resource) int { return strings.Compare(a.URI, b.URI) })
}

// uri reads the URI and, of a template, what matches it: each variable stands for
// characters of one path segment.
func (l *loader) uri(entry strictyaml.Object, resource *Resource, lines map[string]int) {
	if resource.URI == "" {
		return
	}
	node, at := entry.Fields["uri"], entry.At("uri")
	if line, taken := lines[resource.URI]; taken {
		l.Add(node, at, "it is taken by the resource at line %d", line)
	}
	lines[resource.URI] = node.Line
	plain := variable.ReplaceAllString(resource.URI, "x")
	if len(resource.URI) > maxURI || !resourceURI.MatchString(plain) || strings.ContainsAny(plain, "{}") {
		l.Add(node, at, "want a URI of at most %d bytes, such as docs://guide; variables are written {name}", maxURI)
		return
	}
	pattern, rest := "^", resource.URI
	for _, found := range variable.FindAllStringSubmatch(resource.URI, -1) {
		before, after, _ := strings.Cut(rest, found[0])
		pattern += regexp.QuoteMeta(before) + `([^/?#]+)`
		rest = after
		if slices.Contains(resource.Variables, found[1]) {
			l.Add(node, at, "the variable %q is there twice", strictyaml.Clip(found[1]))
		}
		resource.Variables = append(resource.Variables, found[1])
	}
	if len(resource.Variables) > 0 {
		resource.matches = regexp.MustCompile(pattern + regexp.QuoteMeta(rest) + "$")
	}
}

// content reads where the content comes from: exactly one of text, blob and tool.
func (l *loader) content(entry strictyaml.Object, resource *Resource) {
	var given []string
	for _, key := range []string{"text", "blob", "tool"} {
		if entry.Fields[key] != nil {
			given = append(given, key)
		}
	}
	if len(given) != 1 {
		l.Add(entry.Node, entry.Path, "want one of text, blob (base64) and tool")
		return
	}
	node, at := entry.Fields[given[0]], entry.At(given[0])
	switch given[0] {
	case "text":
		resource.Text = entry.Required("text", "write what it says")
	case "blob":
		var err error
		if resource.Blob, err = base64.StdEncoding.DecodeString(entry.Required("blob", "write base64")); err != nil {
			l.Add(node, at, "want base64")
		}
	default:
		l.readTool(entry, resource)
		return
	}
	if len(resource.Text) > maxContent || len(resource.Blob) > maxContent {
		l.Add(node, at, "want at most %d bytes", maxContent)
	}
	if len(resource.Variables) > 0 {
		l.Add(node, at, "a URI with variables needs a tool that they are arguments of")
	}
}

// readTool finds the tool of a resource. Where there are imports it may be one of
// theirs; then [Catalogue.With] finds it.
func (l *loader) readTool(entry strictyaml.Object, resource *Resource) {
	node, at := entry.Fields["tool"], entry.At("tool")
	switch tool := l.catalogue.tool(resource.Tool); {
	case tool != nil:
		for _, problem := range resource.bind(tool) {
			l.Add(node, at, "%s", problem)
		}
	case len(l.catalogue.imports) > 0 && resource.Tool != "":
		resource.unbound = fmt.Sprintf("line %d: %s", node.Line, at)
	default:
		l.Add(node, at, "there is no tool %q; declare it under tools", strictyaml.Clip(resource.Tool))
	}
}

// bind makes the variables arguments of the tool, and returns what is wrong with
// that. Every variable is one of its arguments, and every argument that it needs
// a variable. Clients read resources without asking the person, so the tool has to
// be one that only reads.
func (r *Resource) bind(tool *declaredTool) (problems []string) {
	if !tool.readsOnly() {
		problems = append(problems, fmt.Sprintf("the tool %q may change something, and clients read resources without asking; want one with GET or HEAD, or with read_only: true", r.Tool))
	}
	var input struct {
		Properties map[string]struct {
			Type any
			Enum []any
		}
		Required []string
	}
	if json.Unmarshal(tool.definition.InputSchema, &input) != nil {
		return problems // what is wrong with it is reported
	}
	for _, name := range r.Variables {
		property, ok := input.Properties[name]
		if !ok {
			problems = append(problems, fmt.Sprintf("the variable %q is no argument of the tool %q", strictyaml.Clip(name), r.Tool))
		}
		kind, _ := property.Type.(string)
		r.types = append(r.types, kind)
		var values []string
		for _, value := range property.Enum {
			values = append(values, fmt.Sprint(value))
		}
		r.values = append(r.values, values)
	}
	for _, name := range input.Required {
		if !slices.Contains(r.Variables, name) {
			problems = append(problems, fmt.Sprintf("the tool needs the argument %q; write {%s} in the URI", strictyaml.Clip(name), strictyaml.Clip(name)))
		}
	}
	return problems
}

// bindResources connects the resources of imported tools with them.
func (c *Catalogue) bindResources() []error {
	var problems []error
	for i := range c.resources {
		resource := &c.resources[i]
		if resource.unbound == "" {
			continue
		}
		tool := c.tool(resource.Tool)
		if tool == nil {
			problems = append(problems, fmt.Errorf("%s: there is no tool %s, declared or imported", resource.unbound, quote(resource.Tool)))
			continue
		}
		for _, problem := range resource.bind(tool) {
			problems = append(problems, fmt.Errorf("%s: %s", resource.unbound, problem))
		}
		resource.unbound = ""
	}
	return problems
}
