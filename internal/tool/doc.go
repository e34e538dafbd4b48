// Package tool is the catalogue of declared tools: what clients see of them,
// who may call them, how arguments become a request to an API and how its
// answer becomes a result. A tool is an entry of a file, not code.
//
// Start with [Load], which reads a catalogue and reports everything wrong with
// it at once, and [Runner.Call], one call from scopes to result. The steps of a
// call have a file each: arguments.go checks them against the schema, request.go
// and body.go build the request, result.go maps the answer. [Declaration] is a
// tool without a file; bind.go checks where its arguments go.
//
// It defends an API against arguments that its tool does not declare, against
// tokens that lack a scope or the API's audience, and callers against anything
// of an API's answer that is not a result: no header of it is relayed and no
// body of a failure is shown.
//
// It does not verify tokens (package bearer), does not speak HTTP (package
// upstream, seen here as a [Sender]) and does not know MCP (package mcp).
package tool
