package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/generations"
	"tecrolabs.dev/oauth-mcp-server/internal/schema"
	"tecrolabs.dev/oauth-mcp-server/internal/shape"
)

// The tools that stand for all operations of a [Directory].
const (
	SearchOperations = "search_operations"
	CallOperation    = "call_operation"
)

// Bounds of a search, and of the operations that are kept ready to be called.
const (
	defaultFound   = 5        // operations of one answer; searchSchema has the most
	maxFoundSchema = 32 << 10 // bytes of all schemas of one answer but the first
	maxSummary     = 400      // bytes
	maxCompiled    = 256      // operations
	compiledLife   = 10 * time.Minute
)

// Directory has operations that are no tools of their own: there are too many.
// It is safe for concurrent use.
type Directory interface {
	// About says in one sentence what can be found.
	About() string
	// Search returns at most limit of the operations that keep accepts, best first;
	// one whose name is the query is the best.
	Search(query string, limit int, keep func(Listing) bool) []Listing
	// Declaration returns the tool that an operation would be, and false when there
	// is no operation of that name. An error says why it cannot be one.
	Declaration(ctx context.Context, name string) (d Declaration, known bool, err error)
}

// Listing is an operation as a search shows it.
type Listing struct {
	Name    string
	Summary string
	Method  string
	Path    string
	Access  Access
}

// directory finds operations and makes tools of those that are called.
type directory struct {
	Directory
	catalogue *Catalogue // whose upstreams they call
	compiled  *generations.Map[*declaredTool]
}

func newDirectory(c *Catalogue, d Directory) *directory {
	return &directory{d, c, generations.New[*declaredTool](maxCompiled, compiledLife)}
}

// searchSchema and callSchema are the arguments of the two tools.
const (
	searchSchema = `{"type":"object","properties":{` +
		`"query":{"type":"string","minLength":1,"maxLength":200,"description":"Words of what you want to do, such as: list open invoices. Or the exact name of an operation."},` +
		`"limit":{"type":"integer","minimum":1,"maximum":20,"default":5,"description":"How many operations to show"}},` +
		`"required":["query"],"additionalProperties":false}`
	callSchema = `{"type":"object","properties":{` +
		`"operation":{"type":"string","minLength":1,"maxLength":128,"description":"The name of an operation that search_operations has shown"},` +
		`"arguments":{"type":["object","null"],"description":"Its arguments, as its schema says. Leave it out for none."}},` +
		`"required":["operation"],"additionalProperties":false}`
	foundSchema = `{"type":"object","properties":{` +
		`"operations":{"type":"array","items":{"type":"object","properties":{` +
		`"operation":{"type":"string"},"summary":{"type":"string"},"request":{"type":"string"},` +
		`"arguments":{"type":"object","description":"JSON Schema of its arguments"}},"required":["operation","request"]}},` +
		`"note":{"type":"string"}},"required":["operations"]}`
)

// tools returns the two tools. Whoever has a valid token may call them: a search
// shows what the caller may call, and a call is judged as one of the operation.
func (d *directory) tools(hash string) []*declaredTool {
	documents, _ := json.Marshal(hash) // a text
	list := []*declaredTool{
		{role: searches, definition: Definition{
			Name: SearchOperations, Title: "Search operations",
			Description: "Find operations by what they do, with the JSON Schema of their arguments. Call them with " + CallOperation + ". " + d.About(),
			InputSchema: json.RawMessage(searchSchema), OutputSchema: json.RawMessage(foundSchema),
			Annotations: &Annotations{ReadOnlyHint: new(true)},
		}},
		{role: calls, definition: Definition{
			Name: CallOperation, Title: "Call an operation",
			Description: "Call one operation that " + SearchOperations + " has found, with the arguments that its schema asks for. It may read, change or delete: see its request.",
			InputSchema: json.RawMessage(callSchema),
			Annotations: &Annotations{ReadOnlyHint: new(false), DestructiveHint: new(true)},
		}},
	}
	for _, tool := range list {
		tool.input, _ = schema.Compile(tool.definition.InputSchema) // constant, and called by every test of these tools
		tool.parts = Declaration{Definition: tool.definition}.parts()
		tool.parts["imports"] = string(documents)
		d.catalogue.searchedParts(tool.parts)
	}
	return list
}

// searchedParts adds what is declared of the imports that are searched, and of
// their upstreams: it decides what the operations are and who may call them.
func (c *Catalogue) searchedParts(parts map[string]string) {
	for _, i := range c.imports {
		if !i.Search {
			continue
		}
		for key, text := range i.declared {
			parts[i.Path+"."+key] = text
		}
		parts["upstreams."+i.Upstream] = c.upstreamTexts[i.Upstream]
		if i.deny {
			parts["default"] = defaultDeny
		}
	}
}

// operation returns the tool that an operation is.
func (d *directory) operation(ctx context.Context, name string) (*declaredTool, error) {
	now := time.Now()
	if tool, ok := d.compiled.Get(now, name); ok {
		return tool, nil
	}
	declaration, known, err := d.Declaration(ctx, name)
	if !known {
		return nil, invalid("There is no operation %s; %s finds those there are.", quote(name), SearchOperations)
	}
	if err == nil {
		var tool *declaredTool
		if tool, err = d.catalogue.declare(declaration); err == nil {
			d.compiled.Put(now, name, tool)
			return tool, nil
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, &brokenOperationError{name, err}
}

// brokenOperationError says that a document declares something that cannot be
// called. Nobody but the operator can help.
type brokenOperationError struct {
	name string
	err  error
}

func (e *brokenOperationError) Error() string { return fmt.Sprintf("%s: %v", e.name, e.err) }

func (e *brokenOperationError) Safe() string {
	return "This operation cannot be called: what is declared of it cannot be understood."
}

func (e *brokenOperationError) Reason() string { return "invalid_operation" }

// chosen reads the arguments of [CallOperation] and returns the tool that is meant
// with its own arguments.
func (d *directory) chosen(ctx context.Context, t *declaredTool, raw json.RawMessage) (*declaredTool, json.RawMessage, error) {
	checked, err := checkArguments(t.input, raw, maxUpload)
	if err != nil {
		return nil, nil, err
	}
	var name string
	if err := json.Unmarshal(checked["operation"], &name); err != nil {
		return nil, nil, err // it is a string, as was checked
	}
	tool, err := d.operation(ctx, name)
	return tool, checked["arguments"], err
}

// found is one operation of an answer.
type found struct {
	Operation string          `json:"operation"`
	Summary   string          `json:"summary,omitempty"`
	Request   string          `json:"request"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

// search answers a call of [SearchOperations].
func (r *Runner) search(ctx context.Context, c *call, raw json.RawMessage) (Result, error) {
	checked, err := checkArguments(c.tool.input, raw, maxArguments)
	if err != nil {
		return Result{}, err
	}
	query, limit := "", defaultFound
	if err := json.Unmarshal(checked["query"], &query); err != nil {
		return Result{}, err // it is a string, as was checked
	}
	if value, given := checked["limit"]; given {
		var number float64 // 5.0 is an integer in JSON Schema
		if err := json.Unmarshal(value, &number); err != nil {
			return Result{}, err
		}
		limit = int(number)
	}
	directory := r.catalogue.directory
	answer := struct {
		Operations []found `json:"operations"`
		Note       string  `json:"note,omitempty"`
	}{Operations: []found{}}
	left := maxFoundSchema
	for i, listing := range directory.Search(query, limit, func(l Listing) bool { return r.shows(ctx, c.applicant, l.tool()) }) {
		summary, _ := shape.FitText(listing.Summary, maxSummary)
		one := found{Operation: listing.Name, Summary: summary, Request: listing.Method + " " + listing.Path}
		tool, err := directory.operation(ctx, listing.Name)
		switch _, broken := errors.AsType[*brokenOperationError](err); {
		case broken:
			continue
		case err != nil:
			return Result{}, err
		case i == 0:
			one.Arguments = tool.definition.InputSchema
		case len(tool.definition.InputSchema) <= left:
			one.Arguments = tool.definition.InputSchema
			left -= len(one.Arguments)
		default:
			answer.Note = "Where arguments are missing, search for the exact name of the operation to see them."
		}
		answer.Operations = append(answer.Operations, one)
	}
	if len(answer.Operations) == 0 {
		answer.Note = "Nothing was found; try fewer or other words."
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(answer); err != nil {
		return Result{}, err
	}
	c.outcome = "ok"
	text := bytes.TrimSpace(b.Bytes())
	return Result{Text: string(text), Structured: text}, nil
}

// tool returns as much of the operation's tool as it takes to judge a caller.
func (l Listing) tool() *declaredTool {
	return &declaredTool{definition: Definition{Name: l.Name, Access: l.Access}}
}
