package mcp

import (
	"context"
	"encoding/json"
	"errors"

	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// listedTool is a tool as tools/list shows it. Schemas are verbatim.
type listedTool struct {
	Name         string            `json:"name"`
	Title        string            `json:"title,omitempty"`
	Description  string            `json:"description,omitempty"`
	InputSchema  json.RawMessage   `json:"inputSchema"`
	OutputSchema json.RawMessage   `json:"outputSchema,omitempty"`
	Annotations  *tool.Annotations `json:"annotations,omitempty"`
}

func (s *Server) listTools(ctx context.Context, c call) (any, error) {
	part, next, failure := page(s, c, s.tools.Listed(ctx, c.caller.Principal))
	if failure != nil {
		return nil, failure
	}
	tools := []listedTool{}
	for _, d := range part {
		tools = append(tools, listedTool{d.Name, d.Title, d.Description, d.InputSchema, d.OutputSchema, d.Annotations})
	}
	return struct {
		common
		cacheable
		Tools      []listedTool `json:"tools"`
		NextCursor string       `json:"nextCursor,omitempty"`
	}{s.common(c.revision), cacheableFor(c.revision), tools, next}, nil
}

// textContent is one text block of a result.
func textContent(text string) []json.RawMessage {
	return []json.RawMessage{encode(struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}{"text", text})}
}

type toolResult struct {
	common
	Content           []json.RawMessage `json:"content"`
	StructuredContent json.RawMessage   `json:"structuredContent,omitempty"`
	IsError           bool              `json:"isError,omitempty"`
}

func (s *Server) callTool(ctx context.Context, c call) (any, error) {
	name, ok := c.message.params.Text("name")
	if !ok || name == "" {
		return nil, invalidParams(`Invalid params: tools/call needs "name", the name of a tool from tools/list`)
	}
	arguments, _ := c.message.params.Get("arguments")
	result, err := s.tools.Call(ctx, tool.Caller{Principal: c.caller.Principal, Token: c.caller.Token, Confirmation: confirmation(ctx)}, name, arguments)
	if err != nil {
		return s.failedCall(ctx, c, err)
	}
	answer := toolResult{
		common:  s.common(c.revision),
		Content: result.Content,
		IsError: result.IsError,
	}
	if answer.Content == nil {
		answer.Content = textContent(result.Text)
	}
	// Before 2026-07-28 structured content had to be an object.
	if result.Structured != nil && (c.revision.modern() || isObject(result.Structured)) {
		answer.StructuredContent = result.Structured
	}
	return answer, nil
}

func (s *Server) failedCall(ctx context.Context, c call, err error) (any, error) {
	if unknown, ok := errors.AsType[*tool.UnknownToolError](err); ok {
		return nil, invalidParams("Unknown tool: " + clip(unknown.Name))
	}
	if invalid, ok := errors.AsType[*tool.InvalidArgumentsError](err); ok {
		// Since 2025-11-25 wrong arguments are a tool error, so that the model
		// reads the reason and corrects itself.
		if c.revision < Rev20251125 {
			return nil, invalidParams("Invalid arguments: " + invalid.Detail)
		}
		return toolResult{
			common:  s.common(c.revision),
			Content: textContent("Invalid arguments: " + invalid.Detail),
			IsError: true,
		}, nil
	}
	if needed, ok := errors.AsType[*tool.ConfirmationNeededError](err); ok {
		return nil, confirmationRequest(needed)
	}
	if declined, ok := errors.AsType[*tool.DeclinedError](err); ok {
		return toolResult{common: s.common(c.revision), Content: textContent(declined.Error()), IsError: true}, nil
	}
	return nil, s.failed(ctx, err)
}
