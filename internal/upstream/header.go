package upstream

import (
	"net/http"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
)

// userAgent tells an API's operator who is calling.
const userAgent = "oauth-mcp-server"

// reservedField returns a field of an operator's fixed ones that never goes
// out.
func reservedField(header http.Header) (name string, found bool) {
	for name := range header {
		if egress.IsReserved(name) {
			return name, true
		}
	}
	return "", false
}

// declared returns a fresh header set: what the tool's request declares minus
// what is never sent, and our own User-Agent.
func declared(from http.Header) http.Header {
	header := http.Header{"User-Agent": {userAgent}}
	hop := connectionOptions(from)
	for name, values := range from {
		name = http.CanonicalHeaderKey(name)
		// The only cookies here are a tool's own parameters: nothing of the caller's
		// request comes this far.
		if name == "Cookie" {
			header[name] = slices.Clone(values)
			continue
		}
		if egress.IsReserved(name) || slices.Contains(hop, name) {
			continue
		}
		header[name] = slices.Clone(values)
	}
	if header.Get("Accept") == "" {
		header.Set("Accept", "application/json")
	}
	return header
}

// connectionOptions returns the fields that Connection declares hop-by-hop.
func connectionOptions(from http.Header) []string {
	var names []string
	for _, value := range from.Values("Connection") {
		for name := range strings.SplitSeq(value, ",") {
			names = append(names, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	return names
}
