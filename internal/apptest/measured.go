package apptest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// measured is where the metrics and spans of the server under test end up.
type measured struct {
	provider *telemetry.Provider
	spans    *tracetest.InMemoryExporter
	reader   *sdkmetric.ManualReader
}

func measure(tb testing.TB, cfg config.Config) *measured {
	tb.Helper()
	m := &measured{spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	provider, err := telemetry.NewProvider(tb.Context(), telemetry.ProviderConfig{
		Service: app.Name, Version: Version, Scrape: cfg.MetricsAddr != "",
		Readers:    []sdkmetric.Reader{m.reader},
		Processors: []sdktrace.SpanProcessor{sdktrace.NewSimpleSpanProcessor(m.spans)},
	})
	if err != nil {
		tb.Fatal(err)
	}
	m.provider = provider
	return m
}

// Spans returns the spans of the server that have ended.
func (s *System) Spans() tracetest.SpanStubs { return s.measured.spans.GetSpans() }

// Metrics returns the server's metrics as they are now.
func (s *System) Metrics() []metricdata.Metrics {
	s.t.Helper()
	var all metricdata.ResourceMetrics
	if err := s.measured.reader.Collect(context.Background(), &all); err != nil {
		s.t.Errorf("metrics: %v", err)
	}
	var metrics []metricdata.Metrics
	for _, scope := range all.ScopeMetrics {
		metrics = append(metrics, scope.Metrics...)
	}
	return metrics
}

// Count returns how often something was counted or measured under name with at
// least these attributes.
func (s *System) Count(name string, want ...attribute.KeyValue) int {
	s.t.Helper()
	total := 0
	for _, m := range s.Metrics() {
		if m.Name != name {
			continue
		}
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, point := range data.DataPoints {
				if hasAll(point.Attributes, want) {
					total += int(point.Value)
				}
			}
		case metricdata.Histogram[float64]:
			for _, point := range data.DataPoints {
				if hasAll(point.Attributes, want) {
					total += int(point.Count) //nolint:gosec // a test counts no 2^63 requests
				}
			}
		default:
			s.t.Fatalf("%s is neither a counter nor a histogram", name)
		}
	}
	return total
}

// dump is everything in v as text, one element a line.
func dump[T any](v []T) string {
	var b strings.Builder
	for _, element := range v {
		fmt.Fprintf(&b, "%+v\n", element)
	}
	return b.String()
}

func hasAll(set attribute.Set, want []attribute.KeyValue) bool {
	for _, kv := range want {
		if value, ok := set.Value(kv.Key); !ok || value != kv.Value {
			return false
		}
	}
	return true
}
