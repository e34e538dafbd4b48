package edge

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// observer measures requests and authentication decisions. A nil observer does
// nothing: without a meter and a tracer there is none.
type observer struct {
	tracer    trace.Tracer
	duration  metric.Float64Histogram
	decisions metric.Int64Counter
}

func newObserver(meter metric.Meter, tracer trace.Tracer) (*observer, error) {
	if meter == nil && tracer == nil {
		return nil, nil //nolint:nilnil // nothing to observe with
	}
	o := &observer{tracer: tracer}
	if meter == nil {
		meter = noop.Meter{}
	}
	if tracer == nil {
		o.tracer = tracenoop.Tracer{}
	}
	var err error
	if o.duration, err = meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of HTTP server requests."),
		metric.WithExplicitBucketBoundaries(telemetry.HTTPBuckets...)); err != nil {
		return nil, err
	}
	o.decisions, err = meter.Int64Counter("oauth_mcp_server.authentications", metric.WithUnit("{decision}"),
		metric.WithDescription("Decisions of the bearer gate, by reason."))
	return o, err
}

// begin starts the span of a request, and returns what ends it: with the route,
// how long it took, and what its access line says. The span begins a trace of its
// own and links to the client's (see [telemetry.RemoteLinks]). Nothing of r is
// held on to: a stream goes on for long after its request.
func (o *observer) begin(ctx context.Context, r *http.Request) (context.Context, func(route string, took time.Duration, line []slog.Attr)) {
	if o == nil {
		return ctx, func(string, time.Duration, []slog.Attr) {}
	}
	method, scheme := observedMethod(r.Method), "http"
	if secure(r) {
		scheme = "https"
	}
	ctx, span := o.tracer.Start(ctx, method, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithLinks(telemetry.RemoteLinks(r.Header.Get("Traceparent"))...),
		trace.WithAttributes(telemetry.KeyHTTPMethod.String(method)))
	after := telemetry.Carry(ctx)
	return ctx, func(route string, took time.Duration, line []slog.Attr) {
		o.end(after, span, method, scheme, route, took, line)
	}
}

// end names a span after the route, never the URL, and counts the request. An
// answer that the client is to blame for is no error of a server's span.
func (o *observer) end(ctx context.Context, span trace.Span, method, scheme, route string, took time.Duration, line []slog.Attr) {
	status, _ := logged(line, "status").Any().(int64)
	attributes := []attribute.KeyValue{
		telemetry.KeyHTTPMethod.String(method), telemetry.KeyURLScheme.String(scheme),
		telemetry.KeyHTTPRoute.String(route), telemetry.KeyHTTPStatus.Int(int(status)),
	}
	if status >= http.StatusInternalServerError {
		reason, _ := logged(line, "reason").Any().(string)
		if reason == "" {
			reason = telemetry.Other
		}
		attributes = append(attributes, telemetry.KeyErrorType.String(reason))
		span.SetStatus(codes.Error, reason)
	}
	span.SetName(method + " " + route)
	span.SetAttributes(attributes...)
	span.End()
	o.duration.Record(ctx, took.Seconds(), metric.WithAttributes(attributes...))
}

// logged returns what an access line says of key, a word of a closed list where
// it is a text.
func logged(line []slog.Attr, key string) slog.Value {
	for _, attr := range line {
		if attr.Key == key {
			return attr.Value
		}
	}
	return slog.Value{}
}

// decided counts one decision of the gate.
func (o *observer) decided(ctx context.Context, decision, reason string) {
	if o == nil {
		return
	}
	attributes := []attribute.KeyValue{telemetry.KeyDecision.String(decision), telemetry.KeyReason.String(reason)}
	trace.SpanFromContext(ctx).AddEvent("authentication", trace.WithAttributes(attributes...))
	o.decisions.Add(ctx, 1, metric.WithAttributes(attributes...))
}

// observedMethod is a method of the closed list that the semantic conventions
// ask for.
func observedMethod(method string) string {
	if logged := loggedMethod(method); logged != "other" {
		return logged
	}
	return telemetry.Other
}
