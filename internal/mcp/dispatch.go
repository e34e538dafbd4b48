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
	// Definitions returns all tools, whoever asks.
	Definitions() []tool.Definition
	// Definition returns the tool of that name, whoever asks.
	Definition(name string) (tool.Definition, bool)
	// Listed returns the tools that tools/list shows p, always the same for the
	// same authorisation.
	Listed(ctx context.Context, p oauth.Principal) []tool.Definition
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
	// notify writes a notification before the answer; nil when there is
	// nowhere to write it. It is called by one goroutine at a time.
	notify func(message []byte)
	// declared is what the client can do as far as the transport knows it; nil
	// where every request says so itself.
	declared map[string]bool
	// ask puts questions to the client while the call waits, and returns the
	// answers by the names they were asked under; nil where only the next round
	// can bring them. Its error is a *protocolError.
	ask func(ctx context.Context, questions map[string]InputRequest) (map[string]json.RawMessage, error)
}

// dispatch answers one request and measures it. The error is a *protocolError
// (an answer within the protocol) or an *oauth.Refusal (an answer of HTTP).
func (s *Server) dispatch(ctx context.Context, c call) (any, error) {
	ctx, request := s.observer.begin(ctx, c)
	result, err := s.answer(ctx, c)
	s.observer.end(ctx, request, result, err)
	return result, err
}

func (s *Server) answer(ctx context.Context, c call) (any, error) {
	telemetry.Annotate(ctx, slog.String("mcp_revision", string(c.revision)))
	if !c.sse {
		if err := s.admit(ctx, c); err != nil {
			return nil, err
		}
	}
	method, ok := methods[c.message.method]
	if !ok || method.modern != nil && *method.modern != c.revision.modern() || method.has != nil && !method.has(s) {
		telemetry.Annotate(ctx, slog.String("mcp_method", "unknown"))
		return nil, methodNotFound(c.revision, c.message.method)
	}
	telemetry.Annotate(ctx, slog.String("mcp_method", c.message.method))
	exchange, failure := s.exchange(c)
	if failure != nil {
		return nil, failure
	}
	defer exchange.finish()
	for round := 0; ; round++ {
		result, err := method.answer(s, withExchange(ctx, exchange), c)
		required, asks := errors.AsType[*InputRequired](err)
		if !asks {
			return result, err
		}
		if c.ask == nil || round == maxRounds {
			return s.inputRequired(c, exchange, required)
		}
		if exchange.responses, err = c.ask(ctx, required.Requests); err != nil {
			return nil, err
		}
		exchange.state = required.State
	}
}

// method is one entry of the protocol. modern says whether it exists in the
// stateless revisions only or before them only; nil means in all.
type method struct {
	modern *bool
	answer func(*Server, context.Context, call) (any, error)
	has    func(*Server) bool // whether this server has the feature; nil: always
}

// A provider that has nothing is as good as none: what is offered can change
// while the server runs. It does not depend on who asks: a list that is empty for
// a caller is an empty list, not a method that is missing.
func hasResources(s *Server) bool { return s.resources != nil && s.resources.HasResources() }
func hasPrompts(s *Server) bool   { return s.prompts != nil && s.prompts.HasPrompts() }
func hasCompleter(s *Server) bool { return s.completer != nil && (hasResources(s) || hasPrompts(s)) }
func hasLogging(s *Server) bool   { return s.logging }

// methods is every request this server answers, but for subscriptions/listen,
// whose answer is a stream (see listen.go).
var methods = map[string]method{
	"initialize":               {new(false), (*Server).initialize, nil},
	"ping":                     {new(false), (*Server).empty, nil},
	"server/discover":          {new(true), (*Server).discover, nil},
	"tools/list":               {nil, (*Server).listTools, nil},
	"tools/call":               {nil, (*Server).callTool, nil},
	"resources/list":           {nil, (*Server).listResources, hasResources},
	"resources/templates/list": {nil, (*Server).listResourceTemplates, hasResources},
	"resources/read":           {nil, (*Server).readResource, hasResources},
	"resources/subscribe":      {new(false), (*Server).empty, hasResources},
	"resources/unsubscribe":    {new(false), (*Server).empty, hasResources},
	"prompts/list":             {nil, (*Server).listPrompts, hasPrompts},
	"prompts/get":              {nil, (*Server).getPrompt, hasPrompts},
	"completion/complete":      {nil, (*Server).complete, hasCompleter},
	"logging/setLevel":         {new(false), (*Server).setLevel, hasLogging},
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
// is private: what is listed depends on who asks, and all of it is behind
// authentication.
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
	Tools       *listCapability `json:"tools,omitempty"`
	Resources   *listCapability `json:"resources,omitempty"`
	Prompts     *listCapability `json:"prompts,omitempty"`
	Completions *struct{}       `json:"completions,omitempty"`
	Logging     *struct{}       `json:"logging,omitempty"`
}

type listCapability struct {
	ListChanged bool `json:"listChanged,omitempty"`
	Subscribe   bool `json:"subscribe,omitempty"` // resources only
}

// capabilities declares exactly what there is: change notices need a stream,
// which stateless 2025 revisions do not have.
func (s *Server) capabilities(c call) capabilities {
	tells := c.sse || c.revision.modern()
	declared := capabilities{Tools: &listCapability{ListChanged: tells}}
	if hasResources(s) {
		declared.Resources = &listCapability{ListChanged: tells, Subscribe: c.revision.modern()}
	}
	if hasPrompts(s) {
		declared.Prompts = &listCapability{ListChanged: tells}
	}
	if hasCompleter(s) {
		declared.Completions = &struct{}{}
	}
	if s.logging {
		declared.Logging = &struct{}{}
	}
	return declared
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
	}{revision, s.capabilities(c), s.info, s.instructions}, nil
}

// empty answers what needs no more than an answer: ping, and subscribing to a
// resource where no stream could tell of its changes.
func (s *Server) empty(context.Context, call) (any, error) { return struct{}{}, nil }

// setLevel accepts a level that is known. Without a session there is nothing to
// remember it for: every request of these revisions gets its logs from "info"
// upwards.
func (s *Server) setLevel(_ context.Context, c call) (any, error) {
	if level, _ := c.message.params.Text("level"); !LogLevel(level).known() {
		return nil, invalidParams(`Invalid params: "level" must be one of debug, info, notice, warning, error, critical, alert, emergency`)
	}
	return struct{}{}, nil
}

func (s *Server) discover(_ context.Context, c call) (any, error) {
	return struct {
		common
		cacheable
		SupportedVersions []string     `json:"supportedVersions"`
		Capabilities      capabilities `json:"capabilities"`
		Instructions      string       `json:"instructions,omitempty"`
	}{s.common(c.revision), cacheableFor(c.revision), versions(streamable), s.capabilities(c), s.instructions}, nil
}

// failed is the error of a handler as the client may see it: refusals and
// questions as they are, everything else opaque.
func (s *Server) failed(ctx context.Context, err error) error {
	if refusal, ok := errors.AsType[*oauth.Refusal](err); ok {
		return refusal
	}
	if required, ok := errors.AsType[*InputRequired](err); ok {
		return required
	}
	if failure, ok := errors.AsType[*protocolError](err); ok {
		return failure
	}
	if ctx.Err() != nil {
		return oauth.Unavailable("The request was cancelled before it was answered.", 0, context.Cause(ctx))
	}
	s.logger.LogAttrs(ctx, slog.LevelError, "request failed in its handler", slog.String("error", err.Error()))
	return &protocolError{status: 200, code: codeInternal, message: "Internal error: the server failed to handle this; try again"}
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
