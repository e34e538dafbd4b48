package telemetry

import "go.opentelemetry.io/otel/attribute"

// Attribute keys of metrics and spans. Where OpenTelemetry's semantic
// conventions have a name, it is theirs (HTTP 1.43; MCP in the GenAI
// conventions); docs/telemetry.md says what each can hold. All values come from
// closed lists: routes, methods, reasons, the names of declared tools. None
// holds a URL, a token, a subject or anything else that a client writes.
const (
	KeyErrorType    = attribute.Key("error.type")
	KeyHTTPMethod   = attribute.Key("http.request.method")
	KeyHTTPStatus   = attribute.Key("http.response.status_code")
	KeyHTTPRoute    = attribute.Key("http.route")
	KeyURLScheme    = attribute.Key("url.scheme")
	KeyServer       = attribute.Key("server.address")
	KeyServerPort   = attribute.Key("server.port")
	KeyMCPMethod    = attribute.Key("mcp.method.name")
	KeyMCPRevision  = attribute.Key("mcp.protocol.version")
	KeyTool         = attribute.Key("gen_ai.tool.name")
	KeyRPCStatus    = attribute.Key("rpc.response.status_code")
	KeyDecision     = attribute.Key("decision")
	KeyReason       = attribute.Key("reason")
	KeyUpstreamName = attribute.Key("upstream")
	KeyLimit        = attribute.Key("limit")
	KeyIssuer       = attribute.Key("issuer") // as configured
	KeyResult       = attribute.Key("result")
)

// Other stands for a value outside of a closed list.
const Other = "_OTHER"

// Buckets of durations, in seconds. Those of HTTP are the semantic
// conventions'; those of MCP operations are theirs too, for work that may take
// minutes.
var (
	HTTPBuckets = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
	MCPBuckets  = []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300}
)
