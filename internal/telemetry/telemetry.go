// Package telemetry is how the server tells its operator what it does: the
// structured logger, the one access line a request leaves, audit records, and
// the meter and tracer that a [Provider] hands out.
//
// Loggers, meters and tracers are injected; nothing here is global. No record,
// span or metric may hold a token, a code, a header, a query string or a body:
// handlers log the route pattern and words from closed lists.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// NewLogger returns a logger that writes to w. level is debug, info, warn or
// error; format is json or text. Attributes that [With] put into the context
// are added to every record.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var threshold slog.Level
	if err := threshold.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: threshold, ReplaceAttr: nameLevel}
	var lines slog.Handler
	switch strings.ToLower(format) {
	case "json":
		lines = slog.NewJSONHandler(w, options)
	case "text":
		lines = slog.NewTextHandler(w, options)
	default:
		return nil, fmt.Errorf("log format %q: want json or text", format)
	}
	return slog.New(handler{Handler: lines}), nil
}

type contextKey int

const (
	attrsKey contextKey = iota
	lineKey
)

// With returns a context whose attributes every log record under it carries,
// such as the request id.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	before, _ := ctx.Value(attrsKey).([]slog.Attr)
	return context.WithValue(ctx, attrsKey, append(slices.Clone(before), attrs...))
}

// handler is every logger's: it adds what the context says, writes people as
// pseudonyms, and gives audit records to the auditor, if there is one.
type handler struct {
	slog.Handler
	auditor *Auditor
}

// Enabled lets audit records pass, whatever the level of the log.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level == LevelAudit || h.Handler.Enabled(ctx, level)
}

// Handle finishes the record and passes it on. An attribute of the context gives
// way to one of the record.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	var people people
	if h.auditor != nil {
		people = h.auditor.people
	}
	finished := slog.NewRecord(record.Time, record.Level, record.Message, record.PC)
	keys := make([]string, 0, maxKnownKeys)
	add := func(attr slog.Attr) bool {
		if attr, ok := people.say(attr); ok && !slices.Contains(keys, attr.Key) {
			keys = append(keys, attr.Key)
			finished.AddAttrs(attr)
		}
		return true
	}
	record.Attrs(add)
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		add(slog.String("trace_id", span.TraceID().String()))
	}
	attrs, _ := ctx.Value(attrsKey).([]slog.Attr)
	for _, attr := range attrs {
		add(attr)
	}
	if record.Level == LevelAudit && h.auditor != nil {
		return h.auditor.write(ctx, finished, h.Handler)
	}
	return h.Handler.Handle(ctx, finished)
}

// maxKnownKeys is room for the attributes of a usual record; more need another
// allocation.
const maxKnownKeys = 24

// WithAttrs keeps the wrapping.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.auditor}
}

// WithGroup keeps the wrapping.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.auditor}
}

// Line gathers what the one access line of a request says, while the request
// is handled.
type Line struct {
	write func(attrs []slog.Attr)

	mu       sync.Mutex
	attrs    []slog.Attr
	detached bool
}

// NewLine returns a context that carries a fresh Line. write is called once,
// with everything that was gathered.
func NewLine(ctx context.Context, write func(attrs []slog.Attr)) (context.Context, *Line) {
	line := &Line{write: write}
	return context.WithValue(ctx, lineKey, line), line
}

// End writes the line, unless somebody has detached it: the handler has
// returned.
func (l *Line) End(attrs ...slog.Attr) {
	l.mu.Lock()
	detached := l.detached
	l.mu.Unlock()
	if !detached {
		l.write(append(l.Attrs(), attrs...))
	}
}

// Detach makes the caller the one who ends the access line of the request that
// ctx belongs to, because its answer goes on after the handler has returned. It
// must be called before that, and what it returns once.
func Detach(ctx context.Context) (end func(attrs ...slog.Attr)) {
	line, ok := ctx.Value(lineKey).(*Line)
	if !ok {
		return func(...slog.Attr) {}
	}
	line.mu.Lock()
	defer line.mu.Unlock()
	line.detached = true
	return func(attrs ...slog.Attr) { line.write(append(line.Attrs(), attrs...)) }
}

// Carry returns a context that has what log records under ctx carry and nothing
// else of it: for work that outlives a request and must not hold on to it.
func Carry(ctx context.Context) context.Context {
	attrs, _ := ctx.Value(attrsKey).([]slog.Attr)
	carried := context.WithValue(context.Background(), attrsKey, attrs)
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		carried = trace.ContextWithSpanContext(carried, span)
	}
	return carried
}

// Annotate adds attributes to the access line of the request that ctx belongs
// to. Outside a request it does nothing.
func Annotate(ctx context.Context, attrs ...slog.Attr) {
	if line, ok := ctx.Value(lineKey).(*Line); ok {
		line.mu.Lock()
		defer line.mu.Unlock()
		line.attrs = append(line.attrs, attrs...)
	}
}

// Attrs returns what was gathered, later values of a key replacing earlier
// ones.
func (l *Line) Attrs() []slog.Attr {
	l.mu.Lock()
	defer l.mu.Unlock()
	var attrs []slog.Attr
	for _, attr := range l.attrs {
		if i := slices.IndexFunc(attrs, func(a slog.Attr) bool { return a.Key == attr.Key }); i >= 0 {
			attrs[i] = attr
			continue
		}
		attrs = append(attrs, attr)
	}
	return attrs
}
