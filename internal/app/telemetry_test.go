package app_test

import (
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

const (
	callTeams   = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"otus_teams","_meta":{"traceparent":"` + metaParent + `"}}}`
	remoteTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	httpParent  = "00-" + remoteTrace + "-00f067aa0ba902b7-01"
	metaParent  = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01"
)

// send sends one request and returns its status.
func send(t *testing.T, system *apptest.System, method, path, token, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, system.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Traceparent", httpParent)
	request.Header.Set("Tracestate", "vendor=text-of-the-client")
	request.Header.Set("Baggage", "secret=text-of-the-client")
	response, err := system.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// spanNamed waits for the span: it ends a moment after the answer.
func spanNamed(t *testing.T, system *apptest.System, name string) tracetest.SpanStub {
	t.Helper()
	var found tracetest.SpanStub
	apptest.Eventually(t, "there is a span "+name, func() bool {
		for _, span := range system.Spans() {
			if span.Name == name {
				found = span
				return true
			}
		}
		return false
	})
	return found
}

// TestTraceOfACall follows one call from the client's trace to the API: a trace
// of our own with links to the client's, three spans in a row, and the API is
// told the trace and nothing else.
func TestTraceOfACall(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	if status := send(t, system, http.MethodPost, "/mcp?x=text-of-the-client", system.Token("ana"), callTeams); status != http.StatusOK {
		t.Fatal(status)
	}
	outer, inner, client := spanNamed(t, system, "POST /mcp"), spanNamed(t, system, "tools/call otus_teams"), spanNamed(t, system, "GET")
	id := outer.SpanContext.TraceID()
	if id.String() == remoteTrace || outer.Parent.IsValid() {
		t.Error("the client's trace was continued, not linked to")
	}
	for _, linked := range []struct {
		span tracetest.SpanStub
		to   string
	}{{outer, "00f067aa0ba902b7"}, {inner, "00f067aa0ba902b8"}} {
		if len(linked.span.Links) != 1 || linked.span.Links[0].SpanContext.SpanID().String() != linked.to || linked.span.Links[0].SpanContext.TraceState().Len() != 0 {
			t.Errorf("%s: links %+v", linked.span.Name, linked.span.Links)
		}
	}
	if inner.Parent.SpanID() != outer.SpanContext.SpanID() || client.Parent.SpanID() != inner.SpanContext.SpanID() || client.SpanContext.TraceID() != id {
		t.Error("the spans are not parent and child")
	}
	if outer.SpanKind != trace.SpanKindServer || inner.SpanKind != trace.SpanKindServer || client.SpanKind != trace.SpanKindClient {
		t.Error("span kinds", outer.SpanKind, inner.SpanKind, client.SpanKind)
	}
	requests := system.Stack.OtusRequests()
	last := requests[len(requests)-1].Header
	if want := "00-" + id.String() + "-" + client.SpanContext.SpanID().String() + "-01"; last.Get("Traceparent") != want {
		t.Errorf("the API got traceparent %q, want %q", last.Get("Traceparent"), want)
	}
	if last.Get("Baggage") != "" || last.Get("Tracestate") != "" {
		t.Errorf("text of the client went to the API: %v", last)
	}
	apptest.Eventually(t, "every line of the request has its trace", func() bool {
		return strings.Count(system.Logs.String(), `"trace_id":"`+id.String()+`"`) >= 3 // authentication, call, access line
	})
	for _, span := range system.Spans() {
		if text := cmp.Diff("", dump(span)); strings.Contains(text, "text-of-the-client") || strings.Contains(text, "auth0|") {
			t.Errorf("a span holds text of the client: %s", text)
		}
	}
}

func dump(span tracetest.SpanStub) string {
	var b strings.Builder
	b.WriteString(span.Name + span.Status.Description)
	attributes := slices.Clone(span.Attributes)
	for _, event := range span.Events {
		attributes = append(attributes, event.Attributes...)
	}
	for _, kv := range attributes {
		b.WriteString(" " + string(kv.Key) + "=" + kv.Value.String())
	}
	return b.String()
}

// TestMetrics knows every series that a few requests leave: whatever a client
// writes into its request, no label repeats it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	good := system.Token("ana")
	send(t, system, http.MethodPost, "/mcp", good, callTeams)
	send(t, system, http.MethodPost, "/mcp", "", callTeams)
	send(t, system, http.MethodPost, "/mcp", system.Mint(devstack.Mint{Defect: "expired"}), callTeams)
	send(t, system, http.MethodPost, "/mcp", good, strings.Replace(callTeams, "otus_teams", "text-of-the-client", 1))
	send(t, system, http.MethodPost, "/mcp", good, strings.Replace(callTeams, "tools/call", "text/of-the-client", 1))
	send(t, system, "TEXTOFTHECLIENT", "/text-of-the-client", "", "")
	var got []string
	apptest.Eventually(t, "all six requests are counted", func() bool {
		got = series(system.Metrics())
		return system.Count("http.server.request.duration") == 6
	})
	want := []string{
		`http.client.request.duration {http.request.method=GET http.response.status_code=200 server.address=localhost server.port=PORT upstream=otus} 1`,
		`http.server.request.duration {http.request.method=POST http.response.status_code=200 http.route=/mcp url.scheme=http} 3`,
		`http.server.request.duration {http.request.method=POST http.response.status_code=401 http.route=/mcp url.scheme=http} 2`,
		`http.server.request.duration {http.request.method=_OTHER http.response.status_code=404 http.route=unmatched url.scheme=http} 1`,
		`mcp.server.operation.duration {error.type=-32601 mcp.method.name=_OTHER mcp.protocol.version=2025-03-26 rpc.response.status_code=-32601} 1`,
		`mcp.server.operation.duration {error.type=-32602 mcp.method.name=tools/call mcp.protocol.version=2025-03-26 rpc.response.status_code=-32602} 1`,
		`mcp.server.operation.duration {gen_ai.tool.name=otus_teams mcp.method.name=tools/call mcp.protocol.version=2025-03-26} 1`,
		`oauth_mcp_server.authentications {decision=allow reason=ok} 3`,
		`oauth_mcp_server.authentications {decision=deny reason=expired} 1`,
		`oauth_mcp_server.authentications {decision=deny reason=no_token} 1`,
		`oauth_mcp_server.key.fetches {issuer=http://localhost:PORT/auth0/ result=ok} 1`,
		`oauth_mcp_server.token.cache.entries {} 1`,
		`oauth_mcp_server.token.cache.lookups {result=hit} 2`,
		`oauth_mcp_server.token.cache.lookups {result=miss} 2`,
		`oauth_mcp_server.token.verifications {reason=expired} 1`,
		`oauth_mcp_server.token.verifications {reason=ok} 3`,
		`oauth_mcp_server.tool_decisions {decision=allow gen_ai.tool.name=otus_teams reason=ok} 1`,
		`oauth_mcp_server.tool_decisions {decision=deny reason=unknown_tool} 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	documented(t, system.Metrics())
}

var port = regexp.MustCompile(`(server\.port=|localhost:)\d+`)

// series returns counters and histograms as lines.
func series(metrics []metricdata.Metrics) []string {
	var lines []string
	add := func(name string, set attribute.Set, n uint64) {
		var labels []string
		for _, kv := range set.ToSlice() {
			labels = append(labels, string(kv.Key)+"="+kv.Value.String())
		}
		line := name + " {" + strings.Join(labels, " ") + "} " + attribute.IntValue(int(n)).String()
		lines = append(lines, port.ReplaceAllString(line, "${1}PORT"))
	}
	for _, m := range metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, point := range data.DataPoints {
				add(m.Name, point.Attributes, uint64(point.Value))
			}
		case metricdata.Histogram[float64]:
			for _, point := range data.DataPoints {
				add(m.Name, point.Attributes, point.Count)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// documented wants every metric, and every attribute of its series, in the
// table of docs/telemetry.md.
func documented(t *testing.T, metrics []metricdata.Metrics) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "telemetry.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|.*$").FindAllStringSubmatch(string(text), -1) {
		rows[row[1]] = row[0]
	}
	if len(rows) < 5 {
		t.Fatalf("docs/telemetry.md has rows for %v only", slices.Sorted(maps.Keys(rows)))
	}
	for _, m := range metrics {
		row, known := rows[m.Name]
		if !known {
			t.Errorf("docs/telemetry.md has no row for %s", m.Name)
		}
		data, ok := m.Data.(metricdata.Histogram[float64])
		if !ok {
			continue
		}
		for _, point := range data.DataPoints {
			for _, kv := range point.Attributes.ToSlice() {
				if !strings.Contains(row, "`"+string(kv.Key)+"`") {
					t.Errorf("docs/telemetry.md does not say that %s has %s", m.Name, kv.Key)
				}
			}
		}
	}
}

// TestMetricsListener is the other door: GET /metrics there, nothing else there,
// and nothing of it on the public routes.
func TestMetricsListener(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) { c.MetricsAddr = "127.0.0.1:0" }))
	send(t, system, http.MethodPost, "/mcp", system.Token("ana"), callTeams)
	ask := func(method, url string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := system.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	private := "http://" + system.App.MetricsAddr().String()
	status, body := ask(http.MethodGet, private+"/metrics")
	for _, want := range []string{"http_client_request_duration_seconds_count{", "oauth_mcp_server_streams 0", `service_name="oauth-mcp-server"`} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%d, no %s in\n%s", status, want, body)
		}
	}
	for _, other := range []struct {
		method, url string
		want        int
	}{
		{http.MethodPost, private + "/metrics", http.StatusMethodNotAllowed},
		{http.MethodGet, private + "/mcp", http.StatusNotFound},
		{http.MethodGet, private + "/", http.StatusNotFound},
		{http.MethodGet, system.URL + "/metrics", http.StatusNotFound},
	} {
		if status, _ := ask(other.method, other.url); status != other.want {
			t.Errorf("%s %s: %d, want %d", other.method, other.url, status, other.want)
		}
	}
	if without := apptest.Start(t); without.App.MetricsAddr() != nil {
		t.Error("metrics are served although nobody asked")
	}
}
