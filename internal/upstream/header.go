package upstream

import (
	"net/http"
	"slices"
	"strings"
)

// userAgent tells an API's operator who is calling.
const userAgent = "oauth-mcp-server"

// forbidden lists header fields that never go out, whoever declared them: they
// carry credentials, belong to one connection (RFC 9110 section 7.6.1), say
// where a request came from, or are the transport's own business. (With an
// Accept-Encoding of ours the transport would hand over compressed bytes, and
// the size limit would count those.)
var forbidden = []string{
	"Authorization", "Dpop", "Client-Cert", "Client-Cert-Chain", "Cookie", "Cookie2", "Set-Cookie",
	"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Forwarded", "Via", "X-Real-Ip", "Origin", "Referer",
	"Host", "Content-Length", "Accept-Encoding", "Expect", "User-Agent",
}

// forbiddenPrefixes does the same for families of fields.
var forbiddenPrefixes = []string{"Proxy-", "Mcp-", "X-Forwarded-"}

// isForbidden reports whether a field, by its canonical name, never goes out.
func isForbidden(name string) bool {
	return slices.Contains(forbidden, name) ||
		slices.ContainsFunc(forbiddenPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// forbiddenField returns a field of an operator's fixed ones that never goes
// out.
func forbiddenField(header http.Header) (name string, found bool) {
	for name := range header {
		if isForbidden(http.CanonicalHeaderKey(name)) {
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
		if isForbidden(name) || slices.Contains(hop, name) {
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
