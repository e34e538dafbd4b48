// Package outbound is a request to an API together with what its tool declares
// about it and no header field says. Package tool makes one and package upstream
// sends it: they are of one layer, so what travels between them is below both.
//
// Start with [Request]. It does no I/O, and a header field cannot take its place:
// an argument of a tool might fill that field.
package outbound

import "net/http"

// Request is one request to an API. What a zero value leaves undeclared is not
// done.
type Request struct {
	HTTP *http.Request // its URL is relative to the API's base
	// Idempotent says that sending the request twice does what sending it once
	// does, although its method does not say so (RFC 9110 section 9.2.2).
	Idempotent bool
}
