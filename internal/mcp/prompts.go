package mcp

import (
	"context"
	"errors"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

func (s *Server) listPrompts(ctx context.Context, c call) (any, error) {
	part, next, failure := page(s, c, s.prompts.Prompts(ctx, c.caller.Principal))
	if failure != nil {
		return nil, failure
	}
	return struct {
		common
		cacheable
		Prompts    []Prompt `json:"prompts"`
		NextCursor string   `json:"nextCursor,omitempty"`
	}{s.common(c.revision), cacheableFor(c.revision), append([]Prompt{}, part...), next}, nil
}

func (s *Server) getPrompt(ctx context.Context, c call) (any, error) {
	name, ok := c.message.params.Text("name")
	if !ok || name == "" {
		return nil, invalidParams(`Invalid params: prompts/get needs "name", the name of a prompt from prompts/list`)
	}
	arguments, failure := texts(c.message.params, "arguments")
	if failure != nil {
		return nil, failure
	}
	result, err := s.prompts.GetPrompt(ctx, c.toolCaller(), name, arguments)
	if unknown, ok := errors.AsType[*UnknownPromptError](err); ok {
		return nil, invalidParams("Unknown prompt: " + clip(unknown.Name))
	}
	if invalid, ok := errors.AsType[*tool.InvalidArgumentsError](err); ok {
		return nil, invalidParams("Invalid arguments: " + invalid.Detail)
	}
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return struct {
		common
		PromptResult
	}{s.common(c.revision), result}, nil
}

// texts reads a parameter that is an object of texts; absent is nil.
func texts(params strictjson.Object, name string) (map[string]string, *protocolError) {
	raw, ok := params.Get(name)
	if !ok {
		return nil, nil
	}
	object, err := strictjson.ParseObject(raw)
	if err != nil {
		return nil, invalidParams(`Invalid params: "` + name + `": ` + err.Error())
	}
	values := make(map[string]string, len(object))
	for _, member := range object {
		value, ok := object.Text(member.Key)
		if !ok {
			return nil, invalidParams(`Invalid params: "` + clip(member.Key) + `" must be a text`)
		}
		values[member.Key] = value
	}
	return values, nil
}

// maxCompletions is how many values one answer may hold (completion/complete).
const maxCompletions = 100

func (s *Server) complete(ctx context.Context, c call) (any, error) {
	request, failure := completionRequest(c.message.params)
	if failure != nil {
		return nil, failure
	}
	completion, err := s.completer.Complete(ctx, c.toolCaller(), request)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	if len(completion.Values) > maxCompletions {
		completion.Total = max(completion.Total, len(completion.Values))
		completion.Values, completion.HasMore = completion.Values[:maxCompletions], true
	}
	completion.Values = append([]string{}, completion.Values...)
	return struct {
		common
		Completion Completion `json:"completion"`
	}{s.common(c.revision), completion}, nil
}

func completionRequest(params strictjson.Object) (CompletionRequest, *protocolError) {
	part := func(of strictjson.Object, name string) strictjson.Object {
		raw, _ := of.Get(name)
		object, err := strictjson.ParseObject(raw)
		if err != nil {
			return nil
		}
		return object
	}
	var request CompletionRequest
	reference, argument := part(params, "ref"), part(params, "argument")
	kind, _ := reference.Text("type")
	switch kind {
	case "ref/prompt":
		request.Prompt, _ = reference.Text("name")
	case "ref/resource":
		request.Template, _ = reference.Text("uri")
	}
	request.Argument, _ = argument.Text("name")
	var typed bool
	request.Value, typed = argument.Text("value")
	if request.Prompt == "" && request.Template == "" || request.Argument == "" || !typed {
		return request, invalidParams(`Invalid params: completion/complete needs "ref" (ref/prompt with a name or ref/resource with a uri) and "argument" with name and value`)
	}
	var failure *protocolError
	request.Context, failure = texts(part(params, "context"), "arguments")
	return request, failure
}
