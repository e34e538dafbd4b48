// Package wireschema judges what the server says: every JSON-RPC message that a
// test makes it send has to be valid against the published JSON Schema of the
// revision in force.
//
// A [Judge] sits between the sockets and the server ([Judge.Listen]) and keeps
// what connections carry, so that it sees what a client sees, whatever wrote
// it: a handler, a stream that took its connection over, HTTP/1.1 or HTTP/2.
// [Judge.Verdict] reads it all and reports. What it knows of the protocol is
// its own: nothing of internal/mcp is asked.
//
// It is for tests only and imports nothing of this module, so that the tests of
// every package may use it. It hears servers of the test's own process, and
// nothing of a connection with TLS.
package wireschema
