package conformance

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/mcp"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// resources implements [mcp.Resources]: everybody sees everything.
type resources struct{}

func (resources) HasResources() bool { return true }

func (resources) Resources(context.Context, oauth.Principal) []mcp.Resource {
	return []mcp.Resource{
		{URI: "test://static-text", Name: "static-text", Description: "A text", MIMEType: "text/plain"},
		{URI: "test://static-binary", Name: "static-binary", Description: "A picture", MIMEType: "image/png"},
		{URI: "test://watched-resource", Name: "watched-resource", Description: "Something to subscribe to", MIMEType: "text/plain"},
	}
}

func (resources) ResourceTemplates(context.Context, oauth.Principal) []mcp.ResourceTemplate {
	return []mcp.ResourceTemplate{{
		URITemplate: "test://template/{id}/data", Name: "template", Description: "The data of an id", MIMEType: "application/json",
	}}
}

func (resources) ToolOf(string) string { return "" }

func (resources) ReadResource(_ context.Context, _ tool.Caller, uri string) ([]mcp.ResourceContents, error) {
	contents := mcp.ResourceContents{URI: uri, MIMEType: "text/plain"}
	switch uri {
	case "test://static-text":
		contents.Text = "This is the content of the static text resource."
		return []mcp.ResourceContents{contents}, nil
	case "test://static-binary":
		contents.MIMEType, contents.Blob = "image/png", pixel()
		return []mcp.ResourceContents{contents}, nil
	case "test://watched-resource":
		contents.Text = "This is the content of the watched resource."
		return []mcp.ResourceContents{contents}, nil
	}
	id, ok := templateID(uri)
	if !ok {
		return nil, &mcp.UnknownResourceError{URI: uri}
	}
	contents.MIMEType = "application/json"
	contents.Text = string(encode(map[string]any{"id": id, "templateTest": true, "data": "Data for ID: " + id}))
	return []mcp.ResourceContents{contents}, nil
}

// templateID returns the variable of a URI of the one template.
func templateID(uri string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(uri, "test://template/")
	if !ok {
		return "", false
	}
	id, ok = strings.CutSuffix(rest, "/data")
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// fixturePrompt is a prompt with how it is filled in.
type fixturePrompt struct {
	prompt mcp.Prompt
	get    func(ctx context.Context, arguments map[string]string) (mcp.PromptResult, error)
}

func prompts() []fixturePrompt {
	argument := func(name string) mcp.PromptArgument {
		return mcp.PromptArgument{Name: name, Description: "Any text", Required: true}
	}
	fixed := func(blocks ...json.RawMessage) func(context.Context, map[string]string) (mcp.PromptResult, error) {
		return func(context.Context, map[string]string) (mcp.PromptResult, error) { return fromUser(blocks...), nil }
	}
	return []fixturePrompt{
		{
			mcp.Prompt{Name: "test_simple_prompt", Title: "Simple prompt", Description: "A prompt without arguments"},
			fixed(textBlock("This is a simple prompt for testing.")),
		},
		{
			mcp.Prompt{Name: "test_prompt_with_arguments", Description: "A prompt with arguments", Arguments: []mcp.PromptArgument{argument("arg1"), argument("arg2")}},
			func(_ context.Context, arguments map[string]string) (mcp.PromptResult, error) {
				return fromUser(textBlock("Prompt with arguments: arg1='" + arguments["arg1"] + "', arg2='" + arguments["arg2"] + "'")), nil
			},
		},
		{
			mcp.Prompt{Name: "test_prompt_with_embedded_resource", Description: "A prompt with a resource", Arguments: []mcp.PromptArgument{argument("resourceUri")}},
			func(_ context.Context, arguments map[string]string) (mcp.PromptResult, error) {
				return fromUser(resourceBlock(arguments["resourceUri"], "Embedded resource content for testing."),
					textBlock("Please process the embedded resource above.")), nil
			},
		},
		{
			mcp.Prompt{Name: "test_prompt_with_image", Description: "A prompt with an image"},
			fixed(imageBlock(), textBlock("Please analyze the image above.")),
		},
		{
			mcp.Prompt{Name: "test_input_required_result_prompt", Description: "A prompt that asks first"},
			func(ctx context.Context, _ map[string]string) (mcp.PromptResult, error) {
				about := text(accepted(ctx, "user_context"), "context")
				if about == "" {
					return mcp.PromptResult{}, ask("user_context", askUser("What is it about?", form("context", "string")), "")
				}
				return fromUser(textBlock("It is about this: " + about)), nil
			},
		},
	}
}

// fromUser is a prompt of one message for each block.
func fromUser(blocks ...json.RawMessage) mcp.PromptResult {
	var result mcp.PromptResult
	for _, block := range blocks {
		result.Messages = append(result.Messages, mcp.PromptMessage{Role: "user", Content: block})
	}
	return result
}

// promptList implements [mcp.Prompts]: everybody sees everything.
type promptList struct{ fixtures *Fixtures }

func (promptList) HasPrompts() bool { return true }

func (l promptList) Prompts(context.Context, oauth.Principal) []mcp.Prompt {
	var list []mcp.Prompt
	for _, p := range l.fixtures.prompts {
		list = append(list, p.prompt)
	}
	l.fixtures.mu.Lock()
	defer l.fixtures.mu.Unlock()
	if l.fixtures.extraPrompt {
		list = append(list, mcp.Prompt{Name: "test_transient_prompt", Description: "Comes and goes"})
	}
	return list
}

func (l promptList) GetPrompt(ctx context.Context, _ tool.Caller, name string, arguments map[string]string) (mcp.PromptResult, error) {
	for _, p := range l.fixtures.prompts {
		if p.prompt.Name != name {
			continue
		}
		for _, argument := range p.prompt.Arguments {
			if arguments[argument.Name] == "" {
				return mcp.PromptResult{}, &tool.InvalidArgumentsError{Detail: argument.Name + " is required"}
			}
		}
		return p.get(ctx, arguments)
	}
	return mcp.PromptResult{}, &mcp.UnknownPromptError{Name: name}
}

// completer implements [mcp.Completer]: it knows a few words.
type completer struct{}

func (completer) Complete(_ context.Context, _ tool.Caller, request mcp.CompletionRequest) (mcp.Completion, error) {
	words := []string{"paris", "park", "party", "test", "testing"}
	words = slices.DeleteFunc(words, func(word string) bool { return !strings.HasPrefix(word, request.Value) })
	return mcp.Completion{Values: words, Total: len(words)}, nil
}
