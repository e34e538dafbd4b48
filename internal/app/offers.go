package app

import (
	"context"
	"encoding/json"
	"errors"

	"tecrolabs.dev/oauth-mcp-server/internal/mcp"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// features serves the catalogue where f does not replace a part of it.
func (t *liveTools) features(f Features) Features {
	f.Tools = t
	if f.Resources == nil {
		f.Resources = t
	}
	if f.Prompts == nil {
		f.Prompts = t
	}
	if f.Completer == nil {
		f.Completer = t
	}
	return f
}

// HasResources implements [mcp.Resources].
func (t *liveTools) HasResources() bool { return t.current.Load().HasResources() }

// Resources returns the resources of the catalogue in use that p is shown.
func (t *liveTools) Resources(ctx context.Context, p oauth.Principal) []mcp.Resource {
	var resources []mcp.Resource
	for _, r := range t.current.Load().ListedResources(ctx, p) {
		if len(r.Variables) == 0 {
			resources = append(resources, mcp.Resource{URI: r.URI, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIMEType})
		}
	}
	return resources
}

// ResourceTemplates returns those with variables.
func (t *liveTools) ResourceTemplates(ctx context.Context, p oauth.Principal) []mcp.ResourceTemplate {
	var templates []mcp.ResourceTemplate
	for _, r := range t.current.Load().ListedResources(ctx, p) {
		if len(r.Variables) > 0 {
			templates = append(templates, mcp.ResourceTemplate{URITemplate: r.URI, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIMEType})
		}
	}
	return templates
}

// ToolOf implements [mcp.Resources].
func (t *liveTools) ToolOf(uri string) string { return t.current.Load().ToolOf(uri) }

// ReadResource reads a resource of the catalogue in use.
func (t *liveTools) ReadResource(ctx context.Context, caller tool.Caller, uri string) ([]mcp.ResourceContents, error) {
	content, err := t.current.Load().ReadResource(ctx, caller, uri)
	if unknown, ok := errors.AsType[*tool.UnknownResourceError](err); ok {
		return nil, &mcp.UnknownResourceError{URI: unknown.URI}
	}
	if err != nil {
		return nil, err
	}
	return []mcp.ResourceContents{{URI: content.URI, MIMEType: content.MIMEType, Text: content.Text, Blob: content.Blob}}, nil
}

// HasPrompts implements [mcp.Prompts].
func (t *liveTools) HasPrompts() bool { return t.current.Load().HasPrompts() }

// Prompts returns the prompts of the catalogue in use that p is shown.
func (t *liveTools) Prompts(_ context.Context, p oauth.Principal) []mcp.Prompt {
	var prompts []mcp.Prompt
	for _, declared := range t.current.Load().ListedPrompts(p) {
		prompt := mcp.Prompt{Name: declared.Name, Title: declared.Title, Description: declared.Description}
		for _, a := range declared.Arguments {
			prompt.Arguments = append(prompt.Arguments, mcp.PromptArgument{Name: a.Name, Description: a.Description, Required: a.Required})
		}
		prompts = append(prompts, prompt)
	}
	return prompts
}

// GetPrompt fills a prompt of the catalogue in use.
func (t *liveTools) GetPrompt(ctx context.Context, caller tool.Caller, name string, arguments map[string]string) (mcp.PromptResult, error) {
	prompt, err := t.current.Load().FillPrompt(ctx, caller, name, arguments)
	if unknown, ok := errors.AsType[*tool.UnknownPromptError](err); ok {
		return mcp.PromptResult{}, &mcp.UnknownPromptError{Name: unknown.Name}
	}
	if err != nil {
		return mcp.PromptResult{}, err
	}
	result := mcp.PromptResult{Description: prompt.Description}
	for _, message := range prompt.Messages {
		content, err := json.Marshal(struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}{"text", message.Text})
		if err != nil {
			return mcp.PromptResult{}, err
		}
		result.Messages = append(result.Messages, mcp.PromptMessage{Role: message.Role, Content: content})
	}
	return result, nil
}

// Complete proposes the values that the catalogue in use declares.
func (t *liveTools) Complete(ctx context.Context, caller tool.Caller, request mcp.CompletionRequest) (mcp.Completion, error) {
	runner, p := t.current.Load(), caller.Principal
	if request.Prompt != "" {
		return mcp.Completion{Values: runner.CompletePrompt(p, request.Prompt, request.Argument, request.Value)}, nil
	}
	return mcp.Completion{Values: runner.CompleteResource(ctx, p, request.Template, request.Argument, request.Value)}, nil
}
