package mcp

import (
	"context"
	"encoding/json"
	"fmt"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// Resource is data that clients may read, as resources/list shows it.
type Resource struct {
	URI         string `json:"uri"`
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	MIMEType    string `json:"mimeType,omitempty"`
}

// ResourceTemplate describes resources whose URIs have variables (RFC 6570).
type ResourceTemplate struct {
	URITemplate string `json:"uriTemplate"`
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	MIMEType    string `json:"mimeType,omitempty"`
}

// ResourceContents is what a resource holds: Text, or Blob for what is not
// text.
type ResourceContents struct {
	URI      string `json:"uri"`
	MIMEType string `json:"mimeType,omitempty"`
	Text     string `json:"text,omitempty"`
	Blob     []byte `json:"blob,omitempty"`
}

// Resources is the provider of resources; nil in [Config] when there are never
// any. While it has none, the server is one without resources.
type Resources interface {
	// HasResources reports whether there is any resource or template, whoever asks.
	HasResources() bool
	// Resources returns the resources that resources/list shows p, in a fixed order
	// and always the same for the same authorisation.
	Resources(ctx context.Context, p oauth.Principal) []Resource
	// ResourceTemplates returns the templates that p is shown, in the same way.
	ResourceTemplates(ctx context.Context, p oauth.Principal) []ResourceTemplate
	// ToolOf returns the tool whose answer the resource at uri is, "" for none.
	ToolOf(uri string) string
	// ReadResource returns an [*UnknownResourceError] for a URI it does not have, a
	// [*tool.InvalidArgumentsError] for one that makes no sense, and a
	// [*tool.ReadError] where the data cannot be had.
	ReadResource(ctx context.Context, caller tool.Caller, uri string) ([]ResourceContents, error)
}

// UnknownResourceError says that there is no resource of that URI.
type UnknownResourceError struct{ URI string }

// Error names the URI.
func (e *UnknownResourceError) Error() string { return fmt.Sprintf("unknown resource %q", e.URI) }

// Prompt is a template of messages, as prompts/list shows it.
type Prompt struct {
	Name        string           `json:"name"`
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Arguments   []PromptArgument `json:"arguments,omitempty"`
}

// PromptArgument is one argument of a prompt.
type PromptArgument struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
}

// PromptMessage is one message of a prompt. Content is one content block.
type PromptMessage struct {
	Role    string          `json:"role"` // "user" or "assistant"
	Content json.RawMessage `json:"content"`
}

// PromptResult is a prompt with its arguments filled in.
type PromptResult struct {
	Description string          `json:"description,omitempty"`
	Messages    []PromptMessage `json:"messages"`
}

// Prompts is the provider of prompts; nil in [Config] when there are never any.
// While it has none, the server is one without prompts.
type Prompts interface {
	// HasPrompts reports whether there is any prompt, whoever asks.
	HasPrompts() bool
	// Prompts returns the prompts that prompts/list shows p, in a fixed order and
	// always the same for the same authorisation.
	Prompts(ctx context.Context, p oauth.Principal) []Prompt
	// GetPrompt returns an [*UnknownPromptError] for a name it does not have and
	// a [*tool.InvalidArgumentsError] for arguments it cannot use.
	GetPrompt(ctx context.Context, caller tool.Caller, name string, arguments map[string]string) (PromptResult, error)
}

// UnknownPromptError says that there is no prompt of that name.
type UnknownPromptError struct{ Name string }

// Error names the prompt.
func (e *UnknownPromptError) Error() string { return fmt.Sprintf("unknown prompt %q", e.Name) }

// CompletionRequest asks how a value could go on.
type CompletionRequest struct {
	Prompt   string            // name, of a prompt's argument
	Template string            // URI template, of a template's variable
	Argument string            // its name
	Value    string            // what has been typed
	Context  map[string]string // arguments that are known already
}

// Completion lists values; MCP sends at most 100 of them.
type Completion struct {
	Values  []string `json:"values"`
	Total   int      `json:"total,omitempty"`
	HasMore bool     `json:"hasMore,omitempty"`
}

// Completer proposes values; nil in [Config] when there are none to propose.
type Completer interface {
	// Complete answers for a prompt or template that the caller is not shown as for
	// one that is not there.
	Complete(ctx context.Context, caller tool.Caller, request CompletionRequest) (Completion, error)
}

// InputRequest is one question to the client: "elicitation/create",
// "sampling/createMessage" or "roots/list" with its parameters.
type InputRequest struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

// InputRequired is the error of a handler that cannot finish without asking:
// the request ends with the questions, and the client sends it again with the
// answers (2026-07-28, multi round-trip requests). State comes back sealed, to
// the same caller only, through [Exchange.State].
type InputRequired struct { //nolint:errname // an answer that ends the round, not only an error
	Requests map[string]InputRequest
	State    []byte
}

// Error says that a round is over.
func (e *InputRequired) Error() string { return "input from the client is required" }
