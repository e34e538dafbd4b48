package edge

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// TestObservingNothingCostsNothing holds the promise that telemetry which is off
// allocates nothing on the way of a request.
func TestObservingNothingCostsNothing(t *testing.T) {
	off, err := newObserver(nil, nil)
	if off != nil || err != nil {
		t.Fatal(off, err)
	}
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	line := []slog.Attr{slog.Int("status", http.StatusUnauthorized)}
	if allocations := testing.AllocsPerRun(100, func() {
		ctx, end := off.begin(t.Context(), r)
		off.decided(ctx, "deny", "expired")
		end("/mcp", 1, line)
	}); allocations != 0 {
		t.Errorf("%v allocations for nothing", allocations)
	}
}

// BenchmarkRequest compares what a refused request costs without and with
// telemetry.
func BenchmarkRequest(b *testing.B) {
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())).Meter("b")
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.TraceIDRatioBased(0.1))).Tracer("b")
	for _, mode := range []struct {
		name   string
		meter  metric.Meter
		tracer trace.Tracer
	}{{"off", nil, nil}, {"metrics", meter, nil}, {"both", meter, tracer}} {
		b.Run(mode.name, func(b *testing.B) {
			ok := func(http.ResponseWriter, *http.Request) error { return nil }
			e, err := New(Config{
				ServerURL: "http://localhost:8000", AnyLoopbackHost: true,
				Routes: []Route{{http.MethodPost, PathMCP, Protected, ok, PathMCP}},
				Authenticate: func(context.Context, bearer.Presented) (oauth.Principal, error) {
					return oauth.Principal{}, oauth.InvalidToken("expired", "The token expired.", nil)
				},
				Logger: slog.New(slog.DiscardHandler), Meter: mode.meter, Tracer: mode.tracer,
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "http://localhost/mcp", nil)
				r.Header.Set("Authorization", "Bearer a.b.c")
				e.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
