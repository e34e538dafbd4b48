package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
)

// Names that every client and every API of a model takes.
var (
	toolName     = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	argumentName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)
)

// readTool is a tool as a client reads it: with a validator that the server does
// not use.
type readTool struct {
	listed

	input     jsonschema.Schema
	arguments []string                     // sorted
	accepts   map[string]*validator.Schema // by argument
	output    jsonschema.Schema
	answers   *validator.Schema // nil when no schema is declared
}

// read reads a tool and checks what clients ask of it: names that they take, and
// schemas of objects in JSON Schema 2020-12 that stand alone.
func read(tool listed) (*readTool, error) {
	r := &readTool{listed: tool, accepts: map[string]*validator.Schema{}}
	compile, err := compiler(tool.InputSchema, &r.input)
	if err != nil {
		return nil, fmt.Errorf("inputSchema: %w", err)
	}
	if !toolName.MatchString(tool.Name) {
		return nil, fmt.Errorf("not every client takes the name %q", tool.Name)
	}
	r.arguments = slices.Sorted(maps.Keys(r.input.Properties))
	for _, name := range r.arguments {
		if !argumentName.MatchString(name) {
			return nil, fmt.Errorf("not every model takes the argument %q", name)
		}
		if r.accepts[name], err = compile("#/properties/" + name); err != nil {
			return nil, fmt.Errorf("inputSchema: %w", err)
		}
	}
	if tool.OutputSchema == nil {
		return r, nil
	}
	if compile, err = compiler(tool.OutputSchema, &r.output); err == nil {
		r.answers, err = compile("")
	}
	if err != nil {
		return nil, fmt.Errorf("outputSchema: %w", err)
	}
	return r, nil
}

// compiler reads a schema into parsed and returns what compiles parts of it, of
// which it has checked the whole.
func compiler(text json.RawMessage, parsed *jsonschema.Schema) (func(fragment string) (*validator.Schema, error), error) {
	if err := json.Unmarshal(text, parsed); err != nil {
		return nil, err
	}
	if parsed.Type != "object" {
		return nil, fmt.Errorf("the type is %q", parsed.Type)
	}
	document, err := validator.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	const url = "https://client.example/schema.json"
	c := validator.NewCompiler()
	c.DefaultDraft(validator.Draft2020)
	c.UseLoader(validator.SchemeURLLoader{}) // loads nothing
	if err := c.AddResource(url, document); err != nil {
		return nil, err
	}
	_, err = c.Compile(url)
	return func(fragment string) (*validator.Schema, error) { return c.Compile(url + fragment) }, err
}

// tries is how many different values are made up before giving up.
const tries = 48

// invent makes up a value for an argument, of text where the schema leaves it
// open, and returns false when it cannot.
func (r *readTool) invent(argument, text string) (any, bool) {
	return invent(&r.input, r.input.Properties[argument], r.accepts[argument], text)
}

// inventAnswer makes up an answer that the output schema allows.
func (r *readTool) inventAnswer() (any, bool) {
	return invent(&r.output, &r.output, r.answers, "answer")
}

func invent(root, s *jsonschema.Schema, fits *validator.Schema, text string) (any, bool) {
	for try := range tries {
		v := inventor{defs: root.Defs, text: text, full: try%2 == 0, items: 2 - try/2%2, variant: try / 4}
		if value, ok := v.value(s, 0, 0); ok && fits.Validate(value) == nil {
			return value, true
		}
	}
	return nil, false
}
