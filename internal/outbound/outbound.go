// Package outbound is a request to an API together with what its tool declares
// about it and no header field says. Package tool makes one and package upstream
// sends it: they are of one layer, so what travels between them is below both.
//
// Start with [Request]. It does no I/O, and a header field cannot take its place:
// an argument of a tool might fill that field.
package outbound

import (
	"net/http"
	"time"
)

// MaxFresh bounds for how long an answer is given again before the API is asked,
// whoever allows it.
const MaxFresh = 5 * time.Minute

// Request is one request to an API. What a zero value leaves undeclared is not
// done.
type Request struct {
	HTTP *http.Request // its URL is relative to the API's base
	// Idempotent says that sending the request twice does what sending it once
	// does, although its method does not say so (RFC 9110 section 9.2.2).
	Idempotent bool
	// TTL is for how long the answer of a GET or HEAD may be given again to the
	// same caller, at most MaxFresh: where the API says how long, the shorter of
	// both, and where it does not, TTL (a heuristic in the sense of RFC 9111
	// section 4.2.2). With 0 it is for the API alone to say.
	TTL time.Duration
}
