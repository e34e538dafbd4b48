package egress

import (
	"net/http"
	"slices"
	"strings"
)

// reserved lists header fields of requests that no tool and no catalogue may
// set: they carry credentials, belong to one connection (RFC 9110 section
// 7.6.1), say where a request came from, or are the transport's own business.
// (With an Accept-Encoding of ours the transport would hand over compressed
// bytes, and a size limit would count those.)
var reserved = []string{
	"Authorization", "Dpop", "Client-Cert", "Client-Cert-Chain", "Cookie", "Cookie2", "Set-Cookie",
	"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Forwarded", "Via", "X-Real-Ip", "Origin", "Referer",
	"Host", "Content-Length", "Accept-Encoding", "Expect", "User-Agent",
}

// reservedPrefixes does the same for families of fields.
var reservedPrefixes = []string{"Proxy-", "Mcp-", "X-Forwarded-"}

// IsReserved reports whether a header field, however it is spelled, is not for
// tools and catalogues to set.
func IsReserved(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return slices.Contains(reserved, name) ||
		slices.ContainsFunc(reservedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// described lists header fields that say what the body and the answer are, and
// which trace a request belongs to.
var described = []string{"Accept", "Content-Type", "Content-Encoding", "Traceparent", "Tracestate", "Baggage"}

// rerouted does the same for fields by which some servers take another method or
// path than those of the request: not the ones that the tool declares.
var rerouted = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Rewrite-Url"}

// reroutedPrefix is that of a family of them, such as X-Original-URL.
const reroutedPrefix = "X-Original-"

// FieldName returns the one spelling of a header field's name that servers may take
// for the same field: CGI reads underscores as hyphens.
func FieldName(name string) string {
	return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// IsFillable reports whether an argument of a tool may become the header field.
func IsFillable(name string) bool {
	name = FieldName(name)
	return !IsReserved(name) && !slices.Contains(described, name) &&
		!slices.Contains(rerouted, name) && !strings.HasPrefix(name, reroutedPrefix)
}
