package mcp

import (
	"context"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Limits says how often requests may come; *ratelimit.Limiter is one.
type Limits interface {
	// AdmitRequest counts a request of p that calls a tool, "" for any other. The
	// error is an *oauth.Refusal.
	AdmitRequest(ctx context.Context, p oauth.Principal, tool string) error
}

// admit counts a request that will be answered. On Streamable HTTP that is when
// it is dispatched, on HTTP+SSE before it is taken with a 202: a refusal must
// still be an answer of HTTP.
func (s *Server) admit(ctx context.Context, c call) error {
	if s.limits == nil {
		return nil
	}
	return s.limits.AdmitRequest(ctx, c.caller.Principal, s.limitedTool(c))
}

// limitedTool returns the tool that a request uses: the one that it calls, or the
// one whose answer it reads.
func (s *Server) limitedTool(c call) string {
	if c.message.method == "resources/read" && s.resources != nil {
		uri, _ := c.message.params.Text("uri")
		return s.resources.ToolOf(uri)
	}
	return calledTool(s.tools, c)
}

// calledTool returns the tool that a request calls, if there is such a tool: any
// other name is the client's own text.
func calledTool(tools Tools, c call) string {
	if c.message.method != "tools/call" {
		return ""
	}
	name, _ := c.message.params.Text("name")
	if _, declared := tools.Definition(name); !declared {
		return ""
	}
	return name
}
