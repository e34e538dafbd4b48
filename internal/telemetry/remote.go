package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// RemoteLinks returns the link to the span that traceparent names (W3C Trace
// Context section 3.2), or none when it names none.
//
// A client's trace is linked to and not continued: whoever chooses the trace id
// and the sampled flag could fill the operator's traces, or hide in somebody
// else's. Trace state and baggage are text of the client and are dropped
// (docs/adr/0023-telemetry.md).
func RemoteLinks(traceparent string) []trace.Link {
	remote := remoteContext(traceparent)
	if !remote.IsValid() {
		return nil
	}
	return []trace.Link{{SpanContext: remote}}
}

func remoteContext(traceparent string) trace.SpanContext {
	if traceparent == "" {
		return trace.SpanContext{}
	}
	carrier := propagation.HeaderCarrier(http.Header{"Traceparent": {traceparent}})
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}
