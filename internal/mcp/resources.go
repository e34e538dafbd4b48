package mcp

import (
	"context"
	"errors"
	"net/http"

	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// codeResourceNotFound is for revisions before 2026-07-28, which answers
// codeInvalidParams.
const codeResourceNotFound = -32002

func (c call) toolCaller() tool.Caller {
	return tool.Caller{Principal: c.caller.Principal, Token: c.caller.Token}
}

func (s *Server) listResources(ctx context.Context, c call) (any, error) {
	part, next, failure := page(s, c, s.resources.Resources(ctx, c.caller.Principal))
	if failure != nil {
		return nil, failure
	}
	return struct {
		common
		cacheable
		Resources  []Resource `json:"resources"`
		NextCursor string     `json:"nextCursor,omitempty"`
	}{s.common(c.revision), cacheableFor(c.revision), append([]Resource{}, part...), next}, nil
}

func (s *Server) listResourceTemplates(ctx context.Context, c call) (any, error) {
	part, next, failure := page(s, c, s.resources.ResourceTemplates(ctx, c.caller.Principal))
	if failure != nil {
		return nil, failure
	}
	return struct {
		common
		cacheable
		ResourceTemplates []ResourceTemplate `json:"resourceTemplates"`
		NextCursor        string             `json:"nextCursor,omitempty"`
	}{s.common(c.revision), cacheableFor(c.revision), append([]ResourceTemplate{}, part...), next}, nil
}

func (s *Server) readResource(ctx context.Context, c call) (any, error) {
	uri, ok := c.message.params.Text("uri")
	if !ok || uri == "" {
		return nil, invalidParams(`Invalid params: resources/read needs "uri", the URI of a resource`)
	}
	contents, err := s.resources.ReadResource(ctx, c.toolCaller(), uri)
	if unknown, ok := errors.AsType[*UnknownResourceError](err); ok {
		return nil, resourceNotFound(c.revision, unknown.URI)
	}
	if invalid, ok := errors.AsType[*tool.InvalidArgumentsError](err); ok {
		return nil, invalidParams("Invalid URI: " + invalid.Detail)
	}
	if failed, ok := errors.AsType[*tool.ReadError](err); ok {
		return nil, &protocolError{status: http.StatusOK, code: codeInternal, message: failed.Sentence}
	}
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return struct {
		common
		cacheable
		Contents []ResourceContents `json:"contents"`
	}{s.common(c.revision), cacheableFor(c.revision), append([]ResourceContents{}, contents...)}, nil
}

func resourceNotFound(revision Revision, uri string) *protocolError {
	failure := invalidParams("Resource not found: " + clip(uri))
	if !revision.modern() {
		failure.code = codeResourceNotFound
	}
	failure.data = map[string]string{"uri": clip(uri)}
	return failure
}
