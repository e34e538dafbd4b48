package openapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
)

// TestReq072_Req073_EveryStyleOfEveryDocument imports each document into a whole
// server, reads the tools that it lists as a client does, makes up arguments, and
// has kin-openapi read what arrives at a stub of the API: all of it and nothing
// else. The stub's answers are made up too, of the output schemas.
func TestReq072_Req073_EveryStyleOfEveryDocument(t *testing.T) {
	counted := &tally{}
	own, styles := everyStyle(t)
	t.Run("document", func(t *testing.T) {
		serving := func(text []byte, count int, imports string) func(t *testing.T) {
			return func(t *testing.T) {
				t.Helper()
				t.Parallel()
				a := stand(t, text)
				c := serve(t, a, text, scopesOf(a), imports)
				tools := c.tools(t)
				if len(tools) != count {
					t.Errorf("%d tools, want %d", len(tools), count)
				}
				for _, one := range callsOf(t, a, text, tools, counted) {
					one.useTwice(t, counted, func(arguments map[string]any) (result, error) { return c.call(t, one.tool.Name, arguments) })
				}
			}
		}
		t.Run("our own", serving(own, len(styles)+len(everyBody), "max: 128"))
		for name, d := range documents {
			if name != "authentik" {
				t.Run(name, serving(textOf(t, d), d.operations, "max: 128"))
				continue
			}
			t.Run(name, serving(textOf(t, d), 67, "max: 128, include: {tags: [core]}")) // it has more than a catalogue holds
		}
	})
	t.Run("together", func(t *testing.T) {
		counted.log(t)
		counted.want(t, parameters, styles)
		counted.want(t, bodies, []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text", "bytes"})
	})
}

// callsOf returns a call of every tool, with all arguments that it has. Which
// operation a tool is, nobody but the server says.
func callsOf(t *testing.T, a *api, text []byte, tools []listed, counted *tally) []*call {
	t.Helper()
	operations := map[string]openapi.Operation{}
	for _, o := range load(t, text).Operations {
		operations[o.Name] = o
	}
	var calls []*call
	for _, tool := range tools {
		r, err := read(tool)
		o, known := operations[tool.Name]
		if err != nil || !known {
			t.Errorf("%s: %v", tool.Name, err)
			continue
		}
		calls = append(calls, newCall(t, a, o, r, counted))
	}
	return calls
}

// newCall returns a call of an operation with all arguments that there are.
func newCall(t *testing.T, a *api, o openapi.Operation, r *readTool, counted *tally) *call {
	t.Helper()
	item := a.document.Paths.Value(o.Path)
	one := &call{api: a, tool: r, operation: item.GetOperation(o.Method), arguments: map[string]any{}}
	one.bind(t, item)
	for _, name := range r.arguments {
		text := `a "b" & c=ñ+/`
		if p := one.parameters[name]; p != nil {
			text = textFor(p)
		}
		value, ok := r.invent(name, text)
		if !ok {
			t.Errorf("%s: nothing could be made up for %s", r.Name, name)
			continue
		}
		if reason := unwritten(one.parameters[name], value); reason != "" {
			counted.add(excuses, reason)
			continue
		}
		one.arguments[name] = value
	}
	return one
}

// textFor returns a text that can stand in a parameter, with characters that have
// to be escaped there. It is another one for each parameter of an operation.
func textFor(p *openapi3.Parameter) string {
	switch {
	case p.In == openapi3.ParameterInHeader || p.In == openapi3.ParameterInCookie:
		return p.Name + "-a"
	case p.In == openapi3.ParameterInPath:
		return p.Name + " ñ&?#"
	case p.Style == openapi3.SerializationSpaceDelimited || p.Explode != nil && !*p.Explode: // kin-openapi splits what it has decoded
		return p.Name + "-ñ&=+"
	default:
		return p.Name + " ñ&=+,|"
	}
}

// useTwice calls an operation with all arguments, and with those that it needs, and
// judges what arrives.
func (c *call) useTwice(t *testing.T, counted *tally, send func(arguments map[string]any) (result, error)) {
	t.Helper()
	c.use(t, counted, send)
	all := c.arguments
	c.arguments = maps.Clone(all)
	maps.DeleteFunc(c.arguments, func(name string, _ any) bool { return !slices.Contains(c.tool.input.Required, name) })
	if len(c.arguments) < len(all) {
		c.use(t, counted, send)
	}
}

func (c *call) use(t *testing.T, counted *tally, send func(arguments map[string]any) (result, error)) {
	t.Helper()
	var answer any = map[string]any{"arrived": true}
	if c.tool.answers != nil {
		made, ok := c.tool.inventAnswer()
		if !ok {
			t.Errorf("%s: no answer could be made up", c.tool.Name)
			return
		}
		answer = made
		counted.add(answers, "of the output schema")
	}
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	c.api.answer = text
	got, err := send(c.arguments)
	if err != nil {
		t.Errorf("%s with %v: %v", c.tool.Name, c.arguments, err)
		c.api.forget()
		return
	}
	arrived := c.api.next(t)
	if answered := strings.TrimSpace(string(got.StructuredContent)); answered != string(text) && arrived.Request.Method != http.MethodHead {
		t.Errorf("%s: the stub answers %.500s, the tool %.500s", c.tool.Name, text, answered)
	}
	c.judge(t, arrived, counted)
}
