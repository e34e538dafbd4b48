package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// Tools is what the dispatcher needs of the catalogue; *tool.Runner is one.
// The list may change between calls.
type Tools interface {
	Definitions() []tool.Definition
	Call(ctx context.Context, caller tool.Caller, name string, arguments json.RawMessage) (tool.Result, error)
}

// Info is how the server introduces itself.
type Info struct {
	Name    string `json:"name"`
	Title   string `json:"title,omitempty"`
	Version string `json:"version"`
}

// listLifetime is how long a client may keep a list or discovery answer of
// 2026-07-28 before it asks again (ttlMs).
const listLifetime = time.Minute

// call is one request on its way to its answer. It holds everything the answer
// depends on: nothing is remembered between calls.
type call struct {
	revision Revision
	sse      bool // over HTTP+SSE: there is a stream for change notices
	message  message
	caller   bearer.Access
}

// dispatch answers one request. The error is a *protocolError (an answer within
// the protocol) or an *oauth.Refusal (an answer of HTTP).
func (s *Server) dispatch(ctx context.Context, c call) (any, error) {
	telemetry.Annotate(ctx, slog.String("mcp_revision", string(c.revision)))
	method, ok := methods[c.message.method]
	if !ok || method.modern != nil && *method.modern != c.revision.modern() {
		telemetry.Annotate(ctx, slog.String("mcp_method", "unknown"))
		return nil, methodNotFound(c.revision, c.message.method)
	}
	telemetry.Annotate(ctx, slog.String("mcp_method", c.message.method))
	return method.answer(s, ctx, c)
}

// method is one entry of the protocol. modern says whether it exists in the
// stateless revisions only or before them only; nil means in all.
type method struct {
	modern *bool
	answer func(*Server, context.Context, call) (any, error)
}

// methods is every request this server answers, but for subscriptions/listen,
// whose answer is a stream (see listen.go).
var methods = map[string]method{
	"initialize":      {new(false), (*Server).initialize},
	"ping":            {new(false), (*Server).ping},
	"server/discover": {new(true), (*Server).discover},
	"tools/list":      {nil, (*Server).listTools},
	"tools/call":      {nil, (*Server).callTool},
}

// common is what every result of 2026-07-28 carries; earlier revisions carry
// none of it.
type common struct {
	Meta       map[string]any `json:"_meta,omitempty"`
	ResultType string         `json:"resultType,omitempty"`
}

func (s *Server) common(revision Revision) common {
	if !revision.modern() {
		return common{}
	}
	return common{Meta: map[string]any{metaServerInfo: s.info}, ResultType: "complete"}
}

// cacheable is what list and discovery results of 2026-07-28 carry. The scope
// is private although every caller sees the same list: it is behind
// authentication, and a shared cache would show it to anybody.
type cacheable struct {
	TTL   *int64 `json:"ttlMs,omitempty"`
	Scope string `json:"cacheScope,omitempty"`
}

func cacheableFor(revision Revision) cacheable {
	if !revision.modern() {
		return cacheable{}
	}
	return cacheable{TTL: new(listLifetime.Milliseconds()), Scope: "private"}
}

type capabilities struct {
	Tools toolsCapability `json:"tools"`
}

type toolsCapability struct {
	ListChanged bool `json:"listChanged,omitempty"`
}

// capabilities declares exactly what there is: change notices need a stream,
// which stateless 2025 revisions do not have.
func (c call) capabilities() capabilities {
	return capabilities{Tools: toolsCapability{ListChanged: c.sse || c.revision.modern()}}
}

func (s *Server) initialize(ctx context.Context, c call) (any, error) {
	requested, ok := c.message.params.Text("protocolVersion")
	if !ok {
		return nil, invalidParams(`Invalid params: initialize needs "protocolVersion"`)
	}
	revision := negotiated(requested)
	if c.sse {
		revision = Rev20241105 // the only revision that defines this transport
	}
	telemetry.Annotate(ctx, slog.String("mcp_revision", string(revision)))
	return struct {
		ProtocolVersion Revision     `json:"protocolVersion"`
		Capabilities    capabilities `json:"capabilities"`
		ServerInfo      Info         `json:"serverInfo"`
		Instructions    string       `json:"instructions,omitempty"`
	}{revision, c.capabilities(), s.info, s.instructions}, nil
}

func (s *Server) ping(context.Context, call) (any, error) { return struct{}{}, nil }

func (s *Server) discover(_ context.Context, c call) (any, error) {
	return struct {
		common
		cacheable
		SupportedVersions []string     `json:"supportedVersions"`
		Capabilities      capabilities `json:"capabilities"`
		Instructions      string       `json:"instructions,omitempty"`
	}{s.common(c.revision), cacheableFor(c.revision), versions(streamable), c.capabilities(), s.instructions}, nil
}

// listedTool is a tool as tools/list shows it. Schemas are verbatim.
type listedTool struct {
	Name         string            `json:"name"`
	Title        string            `json:"title,omitempty"`
	Description  string            `json:"description,omitempty"`
	InputSchema  json.RawMessage   `json:"inputSchema"`
	OutputSchema json.RawMessage   `json:"outputSchema,omitempty"`
	Annotations  *tool.Annotations `json:"annotations,omitempty"`
}

func (s *Server) listTools(_ context.Context, c call) (any, error) {
	if cursor, ok := c.message.params.Get("cursor"); ok && string(cursor) != "null" {
		return nil, invalidParams("Invalid params: unknown cursor; the list has one page, ask without a cursor")
	}
	tools := []listedTool{}
	for _, d := range s.tools.Definitions() {
		tools = append(tools, listedTool{d.Name, d.Title, d.Description, d.InputSchema, d.OutputSchema, d.Annotations})
	}
	return struct {
		common
		cacheable
		Tools []listedTool `json:"tools"`
	}{s.common(c.revision), cacheableFor(c.revision), tools}, nil
}

// content is one text block of a tool result.
type content struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type toolResult struct {
	common
	Content           []content       `json:"content"`
	StructuredContent json.RawMessage `json:"structuredContent,omitempty"`
	IsError           bool            `json:"isError,omitempty"`
}

func (s *Server) callTool(ctx context.Context, c call) (any, error) {
	name, ok := c.message.params.Text("name")
	if !ok || name == "" {
		return nil, invalidParams(`Invalid params: tools/call needs "name", the name of a tool from tools/list`)
	}
	arguments, _ := c.message.params.Get("arguments")
	result, err := s.tools.Call(ctx, tool.Caller{Principal: c.caller.Principal, Token: c.caller.Token}, name, arguments)
	if err != nil {
		return s.failedCall(ctx, c, err)
	}
	answer := toolResult{
		common:  s.common(c.revision),
		Content: []content{{Type: "text", Text: result.Text}},
		IsError: result.IsError,
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
			Content: []content{{Type: "text", Text: "Invalid arguments: " + invalid.Detail}},
			IsError: true,
		}, nil
	}
	if refusal, ok := errors.AsType[*oauth.Refusal](err); ok {
		return nil, refusal
	}
	if ctx.Err() != nil {
		return nil, oauth.Unavailable("The request was cancelled before it was answered.", 0, context.Cause(ctx))
	}
	s.logger.LogAttrs(ctx, slog.LevelError, "tool call failed", slog.String("error", err.Error()))
	return nil, &protocolError{status: 200, code: codeInternal, message: "Internal error: the tool call failed on the server; try again"}
}

func isObject(raw json.RawMessage) bool {
	for _, b := range raw {
		switch b {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return b == '{'
	}
	return false
}

// encodeResult returns the JSON-RPC response for id.
func encodeResult(id json.RawMessage, result any) []byte {
	return encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  any             `json:"result"`
	}{"2.0", id, result})
}
