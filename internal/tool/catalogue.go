package tool

import (
	_ "embed" // the built-in catalogue
	"encoding/json"
	"net/http"
	"slices"

	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/schema"
)

//go:embed catalogue.yaml
var builtIn []byte

// BuiltIn returns the catalogue that is used when the operator gives none. It
// refers to the variable OTUS_URL.
func BuiltIn() []byte { return slices.Clone(builtIn) }

// Definition is a tool as clients see it in tools/list; its JSON is the Tool
// object of the MCP schema.
type Definition struct {
	Name         string          `json:"name"`
	Title        string          `json:"title,omitempty"`
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema,omitempty"` // nil when none is declared
	Annotations  *Annotations    `json:"annotations,omitempty"`
	Access       Access          `json:"-"` // who may call it
}

// Annotations are hints to a client about what a tool does. A nil hint is not
// stated.
type Annotations struct {
	Title           string `json:"title,omitempty"`
	ReadOnlyHint    *bool  `json:"readOnlyHint,omitempty"`
	DestructiveHint *bool  `json:"destructiveHint,omitempty"`
	IdempotentHint  *bool  `json:"idempotentHint,omitempty"`
	OpenWorldHint   *bool  `json:"openWorldHint,omitempty"`
}

// Catalogue is a loaded and checked set of tools. It does not change.
type Catalogue struct {
	tools     []*declaredTool                 // sorted by name
	upstreams []Upstream                      // sorted by name
	prompts   []Prompt                        // sorted by name
	resources []Resource                      // sorted by URI
	declared  map[entryName]map[string]string // of resources and prompts, by key, see [Compare]
	hash      string                          // of the text, see [Catalogue.Hash]

	upstreamTexts map[string]string // by name, see parts
	imports       []Import          // in the order of the file
	imported      bool              // what they ask for is among tools and in directory
	directory     *directory        // nil: no import is searched
}

// role is what a call of a tool does.
type role int

// The roles.
const (
	sends    role = iota // a request to its upstream
	searches             // looks into the directory
	calls                // is a call of what the directory has
)

// declaredTool is one entry of the catalogue, compiled.
type declaredTool struct {
	role       role
	definition Definition
	upstream   string
	binding    binding
	input      *schema.Schema
	output     *schema.Schema // nil when none is declared
	response   response
	// parts has everything that is declared of the tool, by key, for [Compare].
	parts map[string]string
}

// maxArguments is how many bytes of arguments the tool takes.
func (t *declaredTool) maxArguments() int {
	if t.binding.body != nil {
		return maxUpload
	}
	return maxArguments
}

// idempotent reports whether the tool is declared to do the same when it is
// called twice.
func (t *declaredTool) idempotent() bool {
	hints := t.definition.Annotations
	return t.binding.method != http.MethodGet && hints != nil && hints.IdempotentHint != nil && *hints.IdempotentHint
}

// outbound returns a request of the tool with what the tool declares about it.
func (t *declaredTool) outbound(request *http.Request) outbound.Request {
	return outbound.Request{HTTP: request, Idempotent: t.idempotent(), TTL: t.binding.ttl}
}

// readsOnly reports whether the tool changes nothing, by its method or by what is
// declared.
func (t *declaredTool) readsOnly() bool {
	hints := t.definition.Annotations
	if hints != nil && hints.ReadOnlyHint != nil {
		return *hints.ReadOnlyHint
	}
	return slices.Contains(safeMethods, t.binding.method)
}

// Find returns the definition of that name.
func Find(definitions []Definition, name string) (Definition, bool) {
	at := slices.IndexFunc(definitions, func(d Definition) bool { return d.Name == name })
	if at < 0 {
		return Definition{}, false
	}
	return definitions[at], true
}

// tool returns the tool of that name, nil for none.
func (c *Catalogue) tool(name string) *declaredTool {
	at := slices.IndexFunc(c.tools, func(t *declaredTool) bool { return t.definition.Name == name })
	if at < 0 {
		return nil
	}
	return c.tools[at]
}

// Definitions returns the tools sorted by name.
func (c *Catalogue) Definitions() []Definition {
	definitions := make([]Definition, len(c.tools))
	for i, tool := range c.tools {
		definitions[i] = tool.definition
	}
	return definitions
}

// Route is where the calls of a tool go, and who may make them.
type Route struct {
	Tool     string
	Upstream string // "" for a tool that calls no API itself
	Method   string
	Path     string
	Access   Access
}

// Routes returns a route for each tool, sorted by its name.
func (c *Catalogue) Routes() []Route {
	routes := make([]Route, len(c.tools))
	for i, tool := range c.tools {
		routes[i] = Route{
			Tool: tool.definition.Name, Upstream: tool.upstream, Method: tool.binding.method, Path: tool.binding.path,
			Access: tool.definition.Access,
		}
	}
	return routes
}
