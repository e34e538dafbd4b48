package tool

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
	"tecrolabs.dev/oauth-mcp-server/internal/schema"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
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
	Confirm    string // a question that the person has to agree to first; "": none
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
	partConfirm    part = "confirm"
)

// With returns a catalogue that has the declared tools too. Everything wrong
// with them is reported, joined; c does not change.
func (c *Catalogue) With(declarations ...Declaration) (*Catalogue, error) {
	result := &Catalogue{tools: slices.Clone(c.tools), upstreams: c.upstreams}
	var problems []error
	complain := func(name, format string, args ...any) {
		problems = append(problems, fmt.Errorf("tool %q: %s", strictyaml.Clip(name), fmt.Sprintf(format, args...)))
	}
	if count := len(c.tools) + len(declarations); count > maxTools {
		return nil, fmt.Errorf("there are %d tools; clients take at most %d, so declare fewer", count, maxTools)
	}
	for _, d := range declarations {
		named := func(tool *declaredTool) bool { return tool.definition.Name == d.Name }
		known := func(u Upstream) bool { return u.Name == d.Upstream }
		switch {
		case !namePattern.MatchString(d.Name):
			complain(d.Name, nameRule)
			continue
		case slices.ContainsFunc(result.tools, named):
			complain(d.Name, "the name is taken by another tool")
			continue
		case !slices.ContainsFunc(c.upstreams, known):
			complain(d.Name, "there is no upstream %q", strictyaml.Clip(d.Upstream))
		}
		tool, err := d.declare()
		if err != nil {
			complain(d.Name, "%v", err)
			continue
		}
		result.tools = append(result.tools, tool)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	slices.SortFunc(result.tools, byName)
	return result, nil
}

func byName(a, b *declaredTool) int { return strings.Compare(a.definition.Name, b.definition.Name) }

// declare compiles a declaration that did not come with a file's lines.
func (d Declaration) declare() (*declaredTool, error) {
	if d.Method == "" || d.Path == "" {
		return nil, errors.New("want a method and a path")
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
	if tool.binding, tool.response, faults = d.bind(tool.input); len(faults) == 0 {
		return tool, nil
	}
	var problems []error
	for _, f := range faults {
		place := string(f.part)
		if f.part == partParameters || f.part == partFields {
			place = fmt.Sprintf("%s[%d]", place, f.index)
		}
		problems = append(problems, fmt.Errorf("%s: %s", place, f.text))
	}
	return nil, errors.Join(problems...)
}
