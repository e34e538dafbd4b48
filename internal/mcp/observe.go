package mcp

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// errorToolResult is the error.type of a result that says that the tool failed
// (GenAI semantic conventions, "MCP").
const errorToolResult = "tool_error"

// observer measures the requests that the dispatcher answers, after
// OpenTelemetry's conventions for MCP. A nil observer does nothing: without a
// meter and a tracer there is none.
type observer struct {
	tracer   trace.Tracer
	duration metric.Float64Histogram
	tools    Tools
}

func (s *Server) observe(meter metric.Meter, tracer trace.Tracer) error {
	if meter == nil && tracer == nil {
		return nil
	}
	if meter == nil {
		meter = noop.Meter{}
	}
	if tracer == nil {
		tracer = tracenoop.Tracer{}
	}
	duration, err := meter.Float64Histogram("mcp.server.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of MCP requests, from dispatch to the answer."),
		metric.WithExplicitBucketBoundaries(telemetry.MCPBuckets...))
	if err != nil {
		return err
	}
	_, err = meter.Int64ObservableGauge("oauth_mcp_server.streams", metric.WithUnit("{stream}"),
		metric.WithDescription("Open streams, both transports together."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(s.OpenStreams()))
			return nil
		}))
	s.observer = &observer{tracer: tracer, duration: duration, tools: s.tools}
	return err
}

// observed is one request that is being measured.
type observed struct {
	began      time.Time
	span       trace.Span
	attributes []attribute.KeyValue
}

// begin starts the span of a request. A traceparent in its _meta is linked to
// like that of an HTTP request.
func (o *observer) begin(ctx context.Context, c call) (context.Context, *observed) {
	if o == nil {
		return ctx, nil
	}
	method := telemetry.Other
	if _, known := methods[c.message.method]; known {
		method = c.message.method
	}
	attributes := []attribute.KeyValue{
		telemetry.KeyMCPMethod.String(method), telemetry.KeyMCPRevision.String(string(c.revision)),
	}
	name := method
	if tool := calledTool(o.tools, c); tool != "" {
		attributes = append(attributes, telemetry.KeyTool.String(tool))
		name += " " + tool
	}
	ctx, span := o.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithLinks(telemetry.RemoteLinks(traceparent(c))...), trace.WithAttributes(attributes...))
	return ctx, &observed{began: time.Now(), span: span, attributes: attributes}
}

// traceparent is a member of the _meta that clients of SEP-414 send.
func traceparent(c call) string {
	raw, present := c.message.params.Get("_meta")
	if !present {
		return ""
	}
	meta, err := strictjson.ParseObject(raw)
	if err != nil {
		return ""
	}
	text, _ := meta.Text("traceparent")
	return text
}

// end says how a request ended.
func (o *observer) end(ctx context.Context, request *observed, result any, err error) {
	if o == nil {
		return
	}
	attributes := request.attributes
	if failure, ok := errors.AsType[*protocolError](err); ok {
		code := strconv.Itoa(failure.code)
		attributes = append(attributes, telemetry.KeyErrorType.String(code), telemetry.KeyRPCStatus.String(code))
	} else if err != nil {
		attributes = append(attributes, telemetry.KeyErrorType.String(oauth.AsRefusal(err).Reason))
	} else if answer, ok := result.(toolResult); ok && answer.IsError {
		attributes = append(attributes, telemetry.KeyErrorType.String(errorToolResult))
	}
	if len(attributes) > len(request.attributes) {
		request.span.SetStatus(codes.Error, attributes[len(request.attributes)].Value.AsString())
	}
	request.span.SetAttributes(attributes...)
	request.span.End()
	o.duration.Record(ctx, time.Since(request.began).Seconds(), metric.WithAttributes(attributes...))
}
