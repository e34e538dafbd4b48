// Package edge is the HTTP boundary: everything between the socket and a
// handler that knows what it was asked for.
//
// [Routes] lists every URL with its method and its policy; [New] wraps the list
// into one http.Handler, and [Server] serves it. On the way in a request gets an
// id, one access line, panic recovery, security headers, a check of the host
// and of the transport, and then what its route's policy asks for: for a
// protected route the origin check, the bearer gate and a body deadline.
// Handlers return errors; refusal.go is the only place that writes one.
//
// It defends against DNS rebinding, header injection, plain HTTP in production,
// forged forwarding headers, slow clients and unauthenticated work. It does not
// know what a tool is.
package edge
