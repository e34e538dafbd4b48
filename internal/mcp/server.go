package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/seal"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Config is what a [Server] is made of.
type Config struct {
	Tools        Tools
	Resources    Resources // nil: none
	Prompts      Prompts   // nil: none
	Completer    Completer // nil: nothing is completed
	Logging      bool      // some handler uses [Exchange.Log]
	Info         Info
	Instructions string // for the model; may be empty
	Logger       *slog.Logger
	// MessagePath is where HTTP+SSE clients POST their messages: a path of
	// this origin, the same as the stream's.
	MessagePath string
	// MaxStreamAge ends a stream that has been open this long, within a tenth;
	// 0 means [DefaultStreamAge].
	MaxStreamAge time.Duration
	// SealKey seals cursors and the state of requests that need several rounds,
	// the same on every replica; not set means a key of this process.
	SealKey secret.Value
	// Limits admits requests; nil: there are none.
	Limits Limits
	// Bus reaches the sessions of other replicas; nil means there is one replica.
	Bus Bus
	// Meter and Tracer measure requests and streams; nil: nothing is measured.
	Meter  metric.Meter
	Tracer trace.Tracer
}

// DefaultStreamAge is how long a stream may stay open.
const DefaultStreamAge = time.Hour

// Server answers MCP on both transports. Use [New]. It is safe for concurrent
// use; [Server.Drain] ends its streams.
type Server struct {
	tools        Tools
	resources    Resources
	prompts      Prompts
	completer    Completer
	logging      bool
	cursors      seal.Sealer
	states       seal.Sealer
	notices      *notices
	paramHeaders sync.Map // tool name to *declaredHeaders, see paramheaders.go
	info         Info
	instructions string
	logger       *slog.Logger
	messagePath  string
	maxAge       time.Duration
	streams      *streams
	limits       Limits
	bus          Bus
	away         *awayCalls
	observer     *observer
}

// New returns a Server. It fails when a required part is missing.
func New(cfg Config) (*Server, error) {
	if cfg.Tools == nil || cfg.Logger == nil || cfg.Info.Name == "" || cfg.MessagePath == "" {
		return nil, errors.New("mcp: tools, logger, name and message path are required")
	}
	if cfg.MaxStreamAge <= 0 {
		cfg.MaxStreamAge = DefaultStreamAge
	}
	material := []byte(cfg.SealKey.Reveal())
	if len(material) == 0 {
		material = make([]byte, 32)
		_, _ = rand.Read(material) // never fails
	}
	cursors, err := seal.New(material, "oauth-mcp-server cursor")
	if err != nil {
		return nil, err
	}
	states, err := seal.New(material, "oauth-mcp-server request state")
	if err != nil {
		return nil, err
	}
	s := &Server{
		tools:        cfg.Tools,
		resources:    cfg.Resources,
		prompts:      cfg.Prompts,
		completer:    cfg.Completer,
		logging:      cfg.Logging,
		cursors:      cursors,
		states:       states,
		notices:      newNotices(),
		info:         cfg.Info,
		instructions: cfg.Instructions,
		logger:       cfg.Logger,
		messagePath:  cfg.MessagePath,
		maxAge:       cfg.MaxStreamAge,
		streams:      newStreams(),
		limits:       cfg.Limits,
		bus:          cfg.Bus,
		away:         newAwayCalls(),
	}
	if err := s.observe(cfg.Meter, cfg.Tracer); err != nil {
		return nil, fmt.Errorf("mcp: %w", err)
	}
	return s, nil
}

// ToolsChanged tells every open stream that wants to hear of it that the list of
// tools is another one now: HTTP+SSE sessions, and subscriptions that asked.
func (s *Server) ToolsChanged() { s.changed(notice{kind: "tools"}) }

// PromptsChanged tells the same of the list of prompts, if there are any.
func (s *Server) PromptsChanged() {
	if s.prompts != nil {
		s.changed(notice{kind: "prompts"})
	}
}

// ResourcesChanged tells the same of the list of resources, if there are any.
func (s *Server) ResourcesChanged() {
	if s.resources != nil {
		s.changed(notice{kind: "resources"})
	}
}

func (s *Server) changed(about notice) {
	s.streams.announce(about.kind, encode(notification{Version: "2.0", Method: changeMethods[about.kind]}))
	s.notices.tell(about)
}

// ResourceUpdated tells subscriptions of that resource that it holds something
// else now.
func (s *Server) ResourceUpdated(uri string) { s.notices.tell(notice{kind: "resource", uri: uri}) }

// Drain ends every stream: no message is taken any more, calls in flight are
// finished and answered, then the stream closes. It does not wait.
func (s *Server) Drain() { s.streams.drain() }

// Wait waits for the streams that [Server.Drain] ends. When ctx ends before, it
// cuts what is left off and returns the reason. net/http knows nothing of the
// connections that streams have taken over.
func (s *Server) Wait(ctx context.Context) error { return s.streams.wait(ctx) }

// EndStreams ends, as Drain does, the streams that match wants ended: match gets
// whose a stream is and the jti of the newest token that was used on it. It does
// not wait.
func (s *Server) EndStreams(match func(owner oauth.Binding, tokenID string) bool) {
	s.streams.end(endRevoked, match)
}

// Finish waits for the calls that run here for streams of other replicas, until
// ctx ends; then it cancels them, and waits for that. It is called after
// [Server.Wait], when no request comes any more.
func (s *Server) Finish(ctx context.Context) { s.away.finish(ctx) }

// OpenStreams returns how many streams are open, for readiness and tests.
func (s *Server) OpenStreams() int { return s.streams.count() }
