package conformance

import (
	"context"
	"encoding/json"
	"sync"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/mcp"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// Fixtures is everything that the scenarios of the conformance suite expect to
// find on a server. Use [NewFixtures]. It is safe for concurrent use.
type Fixtures struct {
	tools   []fixtureTool
	prompts []fixturePrompt

	mu          sync.Mutex
	announcer   *mcp.Server
	extraTool   bool // the tool that comes and goes is there
	extraPrompt bool // and so is the prompt
}

// fixtureTool is a tool with what it does.
type fixtureTool struct {
	definition tool.Definition
	call       func(ctx context.Context, arguments map[string]any) (tool.Result, error)
}

// anyObject is the input schema of tools that look at no argument.
const anyObject = `{"type":"object"}`

// NewFixtures returns the fixtures. [Fixtures.Announce] must be called before
// clients are served.
func NewFixtures() *Fixtures {
	f := &Fixtures{}
	f.tools = append(f.tools, contentTools()...)
	f.tools = append(f.tools, exchangeTools()...)
	f.tools = append(f.tools, schemaTools()...)
	f.tools = append(f.tools, questionTools()...)
	f.tools = append(f.tools, f.changeTools()...)
	f.prompts = prompts()
	return f
}

// Features returns the fixtures as the server takes them.
func (f *Fixtures) Features() app.Features {
	return app.Features{Tools: f, Resources: resources{}, Prompts: promptList{f}, Completer: completer{}, Logging: true}
}

// Announce says which server tells clients of changes.
func (f *Fixtures) Announce(server *mcp.Server) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.announcer = server
}

// Definition implements [mcp.Tools].
func (f *Fixtures) Definition(name string) (tool.Definition, bool) {
	return tool.Find(f.Definitions(), name)
}

// Definitions implements [mcp.Tools].
func (f *Fixtures) Definitions() []tool.Definition {
	var definitions []tool.Definition
	for _, t := range f.tools {
		definitions = append(definitions, t.definition)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.extraTool {
		definitions = append(definitions, define("test_transient_tool", "Comes and goes", anyObject))
	}
	return definitions
}

// Listed implements [mcp.Tools]: everybody sees everything.
func (f *Fixtures) Listed(context.Context, oauth.Principal) []tool.Definition { return f.Definitions() }

// Call implements [mcp.Tools].
func (f *Fixtures) Call(ctx context.Context, _ tool.Caller, name string, arguments json.RawMessage) (tool.Result, error) {
	for _, t := range f.tools {
		if t.definition.Name != name {
			continue
		}
		var values map[string]any
		if len(arguments) > 0 && json.Unmarshal(arguments, &values) != nil {
			return tool.Result{}, &tool.InvalidArgumentsError{Detail: "the arguments must be an object"}
		}
		return t.call(ctx, values)
	}
	return tool.Result{}, &tool.UnknownToolError{Name: name}
}

// changeTools change the lists and tell of it.
func (f *Fixtures) changeTools() []fixtureTool {
	return []fixtureTool{
		{
			define("test_trigger_tool_change", "Changes the list of tools", anyObject),
			func(context.Context, map[string]any) (tool.Result, error) {
				f.change(&f.extraTool).ToolsChanged()
				return tool.Result{Text: "The list of tools is another one now."}, nil
			},
		},
		{
			define("test_trigger_prompt_change", "Changes the list of prompts", anyObject),
			func(context.Context, map[string]any) (tool.Result, error) {
				f.change(&f.extraPrompt).PromptsChanged()
				return tool.Result{Text: "The list of prompts is another one now."}, nil
			},
		},
	}
}

// change flips one of the flags and returns who announces it.
func (f *Fixtures) change(flag *bool) *mcp.Server {
	f.mu.Lock()
	defer f.mu.Unlock()
	*flag = !*flag
	return f.announcer
}

func define(name, description, inputSchema string) tool.Definition {
	return tool.Definition{Name: name, Description: description, InputSchema: json.RawMessage(inputSchema)}
}

// text returns an argument or another value, "" for what is not a text.
func text(values map[string]any, name string) string {
	value, _ := values[name].(string)
	return value
}

// encode is for values of this package, all of which are valid JSON.
func encode(v any) json.RawMessage {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err) // a mistake in a fixture
	}
	return encoded
}
