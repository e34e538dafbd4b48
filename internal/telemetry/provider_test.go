package telemetry

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/proto"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
)

func TestEnvironmentSwitches(t *testing.T) {
	for name, test := range map[string]struct {
		set     map[string]string
		want    environment
		problem string
	}{
		"nothing is set":     {nil, environment{propagate: true}, ""},
		"a collector":        {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, environment{traces: true, metrics: true, propagate: true}, ""},
		"only traces":        {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, environment{traces: true, propagate: true}, ""},
		"only metrics":       {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, environment{metrics: true, propagate: true}, ""},
		"by the exporter":    {map[string]string{"OTEL_METRICS_EXPORTER": "OTLP"}, environment{metrics: true, propagate: true}, ""},
		"disabled":           {map[string]string{"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, environment{disabled: true}, ""},
		"no propagation":     {map[string]string{"OTEL_PROPAGATORS": "none"}, environment{}, ""},
		"the default's list": {map[string]string{"OTEL_PROPAGATORS": "tracecontext, baggage"}, environment{propagate: true}, ""},
		"another format":     {map[string]string{"OTEL_PROPAGATORS": "b3,b3"}, environment{ignored: []string{"b3"}}, ""},
		"the right protocol": {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, environment{traces: true, propagate: true}, ""},
		"grpc for one":       {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, environment{}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"},
		"grpc for all, off":  {map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, environment{propagate: true}, ""},
		"console":            {map[string]string{"OTEL_TRACES_EXPORTER": "console"}, environment{}, `"console" is not an exporter`},
		"prometheus":         {map[string]string{"OTEL_METRICS_EXPORTER": "prometheus"}, environment{}, "METRICS_ADDR"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readEnvironment(func(name string) (string, bool) { value, set := test.set[name]; return value, set })
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Fatalf("got %v, want a problem with %q", err, test.problem)
				}
				return
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(environment{})); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// collector is an OTLP/HTTP collector that remembers what came.
type collector struct {
	mu      sync.Mutex
	headers http.Header
	spans   []string
	metrics []string
	service string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	raw, err := io.ReadAll(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header
	switch r.URL.Path {
	case "/v1/traces":
		var request collectortraces.ExportTraceServiceRequest
		err = errors.Join(err, proto.Unmarshal(raw, &request))
		for _, resource := range request.GetResourceSpans() {
			for _, attribute := range resource.GetResource().GetAttributes() {
				if attribute.GetKey() == "service.name" {
					c.service = attribute.GetValue().GetStringValue()
				}
			}
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					c.spans = append(c.spans, span.GetName())
				}
			}
		}
	case "/v1/metrics":
		var request collectormetrics.ExportMetricsServiceRequest
		err = errors.Join(err, proto.Unmarshal(raw, &request))
		for _, resource := range request.GetResourceMetrics() {
			for _, scope := range resource.GetScopeMetrics() {
				for _, m := range scope.GetMetrics() {
					c.metrics = append(c.metrics, m.GetName())
				}
			}
		}
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// TestExportsToACollector uses the process environment, as the SDK does: what
// was measured arrives with the shutdown at the latest, under the names and with
// the headers that the environment says.
func TestExportsToACollector(t *testing.T) {
	received := &collector{}
	server := httptest.NewServer(received)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=otus")
	t.Setenv("OTEL_SERVICE_NAME", "teams")
	p, err := NewProvider(t.Context(), ProviderConfig{Service: "x", LookupEnv: os.LookupEnv})
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer().Start(t.Context(), "GET /x")
	span.End()
	counter, err := p.Meter().Int64Counter("things")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 1)
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := []any{received.spans, received.metrics, received.service, received.headers.Get("X-Tenant")}
	if diff := cmp.Diff([]any{[]string{"GET /x"}, []string{"things"}, "teams", "otus"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestCollectorFailuresAreLogged is about the collector that is away.
func TestCollectorFailuresAreLogged(t *testing.T) {
	before := otel.GetErrorHandler()
	defer otel.SetErrorHandler(before)
	var b strings.Builder
	ReportTo(t.Context(), slog.New(slog.NewTextHandler(&b, nil)))
	otel.Handle(errors.New("connection refused"))
	if !strings.Contains(b.String(), `msg="telemetry not exported" error="connection refused"`) {
		t.Error(b.String())
	}
}

// TestOffMeansNil is why a request costs nothing when nothing is measured: every
// package leaves its code out.
func TestOffMeansNil(t *testing.T) {
	off, err := NewProvider(t.Context(), ProviderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	disabled, err := NewProvider(t.Context(), ProviderConfig{Scrape: true, LookupEnv: func(name string) (string, bool) {
		return "true", name == "OTEL_SDK_DISABLED"
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*Provider{"nil": nil, "zero": {}, "off": off, "disabled": disabled} {
		if p.Meter() != nil || p.Tracer() != nil || p.Propagator() != nil || p.Handler() != nil {
			t.Errorf("%s: something is on", name)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestScrape(t *testing.T) {
	p, err := NewProvider(t.Context(), ProviderConfig{Service: "s", Version: "1.2.3", Scrape: true})
	if err != nil {
		t.Fatal(err)
	}
	histogram, err := p.Meter().Float64Histogram("http.server.request.duration", metric.WithUnit("s"))
	if err != nil {
		t.Fatal(err)
	}
	histogram.Record(t.Context(), 0.5, metric.WithAttributes(KeyHTTPRoute.String("/mcp")))
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`http_server_request_duration_seconds_count{http_route="/mcp"} 1`, `service_version="1.2.3"`, "go_goroutines ", "process_"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in\n%s", want, w.Body)
		}
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestRemoteLinks(t *testing.T) {
	const traceID, spanID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	links := RemoteLinks("00-" + traceID + "-" + spanID + "-01")
	if len(links) != 1 || links[0].SpanContext.TraceID().String() != traceID || links[0].SpanContext.SpanID().String() != spanID {
		t.Fatalf("%+v", links)
	}
	if state := links[0].SpanContext.TraceState(); state.Len() != 0 {
		t.Error("trace state was kept")
	}
	for _, bad := range []string{"", "x", "00-" + strings.Repeat("0", 32) + "-" + spanID + "-01", "00-" + traceID + "-" + spanID, traceID, strings.Repeat("a", 1<<20)} {
		if links := RemoteLinks(bad); links != nil {
			t.Errorf("%.40q: %+v", bad, links)
		}
	}
}

// FuzzRemoteLinks: what a client writes into traceparent comes out as two ids
// that stand in it, or not at all.
func FuzzRemoteLinks(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-the-future-will-be-like")
	f.Add("00-00000000000000000000000000000000-0000000000000000-01")
	f.Fuzz(func(t *testing.T, traceparent string) {
		for _, link := range RemoteLinks(traceparent) {
			remote := link.SpanContext
			if !remote.IsValid() || remote.TraceState().Len() != 0 || len(link.Attributes) != 0 {
				t.Errorf("%q became %+v", traceparent, link)
			}
			if !strings.Contains(traceparent, remote.TraceID().String()+"-"+remote.SpanID().String()) {
				t.Errorf("%q became other ids: %+v", traceparent, link)
			}
		}
	})
}
