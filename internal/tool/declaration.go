package tool

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
	"tecrolabs.dev/oauth-mcp-server/internal/schema"
)

// Declaration is a tool as a Go value: what an entry of a catalogue says, and
// what an operation of an OpenAPI document becomes. Every declared argument must
// be sent somewhere.
type Declaration struct {
	Definition

	Upstream   string // a name of the catalogue's
	Method     string
	Path       string      // a template below the upstream's base URL, such as /teams/{id}
	Parameters []Parameter // {id} without one is filled by the argument of that name
	Body       *Body       // nil: none
	Response   Response
	// TTL is for how long an answer may be given again to the same caller, see
	// [outbound.Request]; of GET and HEAD, and with an upstream that has Cache.
	TTL     time.Duration
	Confirm string // a question that the person has to agree to first; "": none

	Origin string // where the tool is declared, for what is wrong with it; "": by its name
}

// Place is where in a request a parameter goes.
type Place string

// The places, by their names in OpenAPI.
const (
	InPath   Place = "path"
	InQuery  Place = "query"
	InHeader Place = "header"
	InCookie Place = "cookie"
)

// Parameter sends an argument as a part of the request.
type Parameter struct {
	Argument string
	In       Place
	Write    paramstyle.Parameter // its name there, and how it is written
}

// BodyKind is how a body is written.
type BodyKind string

// The kinds of a body.
const (
	BodyJSON      BodyKind = "json"
	BodyForm      BodyKind = "form"      // application/x-www-form-urlencoded
	BodyMultipart BodyKind = "multipart" // multipart/form-data
	BodyText      BodyKind = "text"      // the argument is the text
	BodyBinary    BodyKind = "binary"    // the argument is the content in Base64
)

// Body says how arguments become the body of a request: one of them as the
// whole, or some as its members.
type Body struct {
	Kind        BodyKind
	ContentType string // the media type that is sent; "" is the kind's own
	// Argument is the whole body; of a form or multipart body it is an object. No
	// argument, no body.
	Argument string
	// Fields are the members of a json, form or multipart body. With Argument they
	// say how its members are written; those without a field are written as
	// OpenAPI's defaults say.
	Fields []Field
}

// Field is a member of a body.
type Field struct {
	Argument    string               // that fills it; "" where [Body.Argument] has the member
	Write       paramstyle.Parameter // its name in the body and, in a form, how it is written
	ContentType string               // of its part in a multipart body; "" is the default
	Base64      bool                 // in a multipart body: a file, or a list of files, in Base64
	// Filename is the argument that names the file: a text, which names every file
	// of a list, or a list of one text for each. "", or not given: the file is
	// called as the member. Only for a file with an Argument of its own.
	Filename string
}

// fault is one thing wrong with a declaration.
type fault struct {
	part  part
	index int // in Parameters or Fields
	text  string
}

// part is what of a declaration a fault is about.
type part string

const (
	partMethod     part = "method"
	partPath       part = "path"
	partInput      part = "input"
	partParameters part = "parameters"
	partBody       part = "body"
	partFields     part = "fields"
	partResponse   part = "response"
	partTTL        part = "ttl"
	partConfirm    part = "confirm"
)

// Imported is what became of all imports of a catalogue.
type Imported struct {
	Tools     []Declaration
	Directory Directory // of the imports that are searched; nil without one
	Hash      string    // of the documents, see [Catalogue.Hash]; "" leaves it as it is
}

// With returns a catalogue that has the imported tools too. Everything wrong with
// them is reported, joined; c does not change.
func (c *Catalogue) With(imported Imported) (*Catalogue, error) {
	result := *c
	result.tools, result.imported = slices.Clone(c.tools), true
	if imported.Hash != "" {
		result.hash = hashOf(c.hash + imported.Hash)
	}
	var more []*declaredTool
	var problems []error
	for _, d := range imported.Tools {
		tool, err := c.declare(d)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %s; leave it out with exclude", cmp.Or(d.Origin, "tool "+quote(d.Name)), strings.ReplaceAll(err.Error(), "\n", "; ")))
			continue
		}
		more = append(more, tool)
	}
	if imported.Directory != nil {
		result.directory = newDirectory(c, imported.Directory)
		more = append(more, result.directory.tools(imported.Hash)...)
	}
	if count := len(c.tools) + len(imported.Tools); count > maxTools {
		return nil, fmt.Errorf("there are %d tools; clients take at most %d, so declare fewer, or import with offer: search", count, maxTools)
	}
	for _, tool := range more {
		named := func(other *declaredTool) bool { return other.definition.Name == tool.definition.Name }
		if slices.ContainsFunc(result.tools, named) {
			problems = append(problems, fmt.Errorf("tool %s: the name is taken by another tool; set the prefix of the import, or override the name", quote(tool.definition.Name)))
		}
		result.tools = append(result.tools, tool)
	}
	result.resources = slices.Clone(c.resources)
	problems = append(problems, result.bindResources()...)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	slices.SortFunc(result.tools, byName)
	return &result, nil
}

func byName(a, b *declaredTool) int { return strings.Compare(a.definition.Name, b.definition.Name) }

// Check reports what is wrong with a declaration, joined, as [Catalogue.With] would.
// c does not change.
func (c *Catalogue) Check(d Declaration) error {
	_, err := c.declare(d)
	return err
}

// declare compiles a declaration that did not come with a file's lines.
func (c *Catalogue) declare(d Declaration) (*declaredTool, error) {
	upstream, known := c.Upstream(d.Upstream)
	switch {
	case !namePattern.MatchString(d.Name):
		return nil, errors.New(nameRule)
	case !known:
		return nil, fmt.Errorf("there is no upstream %s", quote(d.Upstream))
	case d.TTL > 0 && !upstream.Cache:
		return nil, fmt.Errorf("%s: "+needsCache, partTTL, d.Upstream)
	case d.Method == "" || d.Path == "":
		return nil, errors.New("want a method and a path")
	}
	if err := d.Access.Scopes.Validate(); err != nil {
		return nil, fmt.Errorf("scopes: %w", err)
	}
	if len(d.Access.Scopes) > maxScopes {
		return nil, fmt.Errorf("scopes: there are %d; at most %d are allowed", len(d.Access.Scopes), maxScopes)
	}
	tool := &declaredTool{definition: d.Definition, upstream: d.Upstream}
	tool.definition.Annotations = hinted(d.Method, d.Annotations)
	var err error
	if tool.input, err = schema.Compile(d.InputSchema); err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if !tool.input.IsObject() || !tool.input.Closed() {
		return nil, errors.New("input: want an object without further properties")
	}
	if d.OutputSchema != nil {
		if tool.output, err = schema.Compile(d.OutputSchema); err != nil {
			return nil, fmt.Errorf("output: %w", err)
		}
	}
	var faults []fault
	if tool.binding, tool.response, faults = d.bind(tool.input, upstream); len(faults) > 0 {
		return nil, joined(faults)
	}
	tool.parts = d.parts()
	tool.parts["upstreams."+d.Upstream] = c.upstreamTexts[d.Upstream]
	return tool, nil
}

func joined(faults []fault) error {
	var problems []error
	for _, f := range faults {
		place := string(f.part)
		if f.part == partParameters || f.part == partFields {
			place = fmt.Sprintf("%s[%d]", place, f.index)
		}
		problems = append(problems, fmt.Errorf("%s: %s", place, f.text))
	}
	return errors.Join(problems...)
}

// parts returns what is declared, by the key that a catalogue has for it, as
// JSON.
func (d Declaration) parts() map[string]string {
	parts := map[string]string{}
	add := func(key string, given bool, value any) {
		if given {
			text, _ := json.Marshal(value) // plain values
			parts[key] = string(text)
		}
	}
	access := d.Access
	add("name", true, d.Name)
	add("title", d.Title != "", d.Title)
	add("description", true, d.Description)
	add("upstream", true, d.Upstream)
	add("method", true, d.Method)
	add("path", true, d.Path)
	add("params", len(d.Parameters) > 0, d.Parameters)
	add("body", d.Body != nil, d.Body)
	add("response", d.Response != Response{}, d.Response)
	add("ttl", d.TTL > 0, d.TTL.String())
	add("confirm", d.Confirm != "", d.Confirm)
	add("input", true, d.InputSchema)
	add("output", d.OutputSchema != nil, d.OutputSchema)
	add("scopes", len(access.Scopes) > 0, access.Scopes)
	add("acr", len(access.ACR) > 0, access.ACR)
	add("max_age", access.MaxAge > 0, access.MaxAge.String())
	add("annotations", d.Annotations != nil, d.Annotations)
	if access.Rule != nil {
		add("rule", true, access.Rule.String())
	}
	if access.Nobody {
		parts["default"] = defaultDeny
	}
	return parts
}
