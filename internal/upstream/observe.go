package upstream

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// observer measures requests to an API and tells the API which trace they
// belong to. A nil observer does nothing: without a meter and a tracer there is
// none.
//
// The url.full that the semantic conventions ask for is left out: it holds the
// caller's arguments.
type observer struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator // nil: the API is told nothing
	duration   metric.Float64Histogram
	attributes []attribute.KeyValue // of every request
}

func newObserver(cfg Config, host, port string) (*observer, error) {
	meter := cfg.Meter
	if meter == nil && cfg.Tracer == nil {
		return nil, nil //nolint:nilnil // nothing to observe with
	}
	o := &observer{tracer: cfg.Tracer, propagator: cfg.Propagator}
	if meter == nil {
		meter = noop.Meter{}
	}
	if o.tracer == nil {
		o.tracer = tracenoop.Tracer{}
	}
	o.attributes = []attribute.KeyValue{telemetry.KeyUpstreamName.String(cfg.Name), telemetry.KeyServer.String(host)}
	if number, err := strconv.Atoi(port); err == nil {
		o.attributes = append(o.attributes, telemetry.KeyServerPort.Int(number))
	}
	var err error
	o.duration, err = meter.Float64Histogram("http.client.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of requests to the APIs, from queue to last byte."),
		metric.WithExplicitBucketBoundaries(telemetry.HTTPBuckets...))
	return o, err
}

// exchange is one request that is being measured.
type exchange struct {
	began      time.Time
	span       trace.Span
	attributes []attribute.KeyValue
}

func (o *observer) begin(ctx context.Context, method string) (context.Context, *exchange) {
	if o == nil {
		return ctx, nil
	}
	attributes := append([]attribute.KeyValue{telemetry.KeyHTTPMethod.String(method)}, o.attributes...)
	ctx, span := o.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	return ctx, &exchange{began: time.Now(), span: span, attributes: attributes}
}

// introduce adds the trace context to the request that goes out.
func (o *observer) introduce(ctx context.Context, request *http.Request) {
	if o != nil && o.propagator != nil {
		o.propagator.Inject(ctx, propagation.HeaderCarrier(request.Header))
	}
}

// end says how a request ended. For a client every status from 400 on is an
// error (HTTP semantic conventions).
func (o *observer) end(ctx context.Context, e *exchange, response *http.Response, err error) {
	if o == nil {
		return
	}
	attributes, what := e.attributes, ""
	switch {
	case err != nil:
		what = telemetry.Other
		if failure, ok := errors.AsType[interface {
			error
			Reason() string
		}](err); ok {
			what = failure.Reason()
		}
	default:
		attributes = append(attributes, telemetry.KeyHTTPStatus.Int(response.StatusCode))
		if response.StatusCode >= http.StatusBadRequest {
			what = strconv.Itoa(response.StatusCode)
		}
	}
	if what != "" {
		attributes = append(attributes, telemetry.KeyErrorType.String(what))
		e.span.SetStatus(codes.Error, what)
	}
	e.span.SetAttributes(attributes...)
	e.span.End()
	o.duration.Record(ctx, time.Since(e.began).Seconds(), metric.WithAttributes(attributes...))
}
