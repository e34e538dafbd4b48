package mcp

import (
	"errors"
	"log/slog"
	"time"
)

// Config is what a [Server] is made of.
type Config struct {
	Tools        Tools
	Info         Info
	Instructions string // for the model; may be empty
	Logger       *slog.Logger
	// MessagePath is where HTTP+SSE clients POST their messages: a path of
	// this origin, the same as the stream's.
	MessagePath string
	// MaxStreamAge ends a stream that has been open this long, within a tenth;
	// 0 means [DefaultStreamAge].
	MaxStreamAge time.Duration
}

// DefaultStreamAge is how long a stream may stay open.
const DefaultStreamAge = time.Hour

// Server answers MCP on both transports. Use [New]. It is safe for concurrent
// use; [Server.Drain] ends its streams.
type Server struct {
	tools        Tools
	info         Info
	instructions string
	logger       *slog.Logger
	messagePath  string
	maxAge       time.Duration
	streams      *streams
}

// New returns a Server. It fails when a required part is missing.
func New(cfg Config) (*Server, error) {
	if cfg.Tools == nil || cfg.Logger == nil || cfg.Info.Name == "" || cfg.MessagePath == "" {
		return nil, errors.New("mcp: tools, logger, name and message path are required")
	}
	if cfg.MaxStreamAge <= 0 {
		cfg.MaxStreamAge = DefaultStreamAge
	}
	return &Server{
		tools:        cfg.Tools,
		info:         cfg.Info,
		instructions: cfg.Instructions,
		logger:       cfg.Logger,
		messagePath:  cfg.MessagePath,
		maxAge:       cfg.MaxStreamAge,
		streams:      newStreams(),
	}, nil
}

// ToolsChanged tells every open stream that asked for it that the list of
// tools is another one now.
func (s *Server) ToolsChanged() { s.streams.changed() }

// Drain ends every stream: no message is taken any more, calls in flight are
// finished and answered, then the stream closes. It returns at once; the
// handlers of the streams return when they are done.
func (s *Server) Drain() { s.streams.drain() }

// OpenStreams returns how many streams are open, for readiness and tests.
func (s *Server) OpenStreams() int { return s.streams.count() }
