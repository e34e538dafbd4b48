// Package mcp speaks the Model Context Protocol: one stateless dispatcher and
// its two transports.
//
// [Server] is the start. [Server.Post] is Streamable HTTP (every revision from
// 2025-03-26 to 2026-07-28, no sessions); [Server.OpenStream] and
// [Server.PostMessage] are legacy HTTP+SSE (2024-11-05), whose only state is
// the open stream. A message is decoded, its headers are held against its body,
// and the dispatcher turns (principal, message) into an answer.
//
// Requests arrive here authenticated: the caller is in the context, put there
// by the edge. Every message is executed with the token it came with, on
// HTTP+SSE too, where a stream and its messages may belong to different tokens
// of one party. The package does not know about OAuth challenges; it returns
// *oauth.Refusal and the edge writes it.
//
//	revision.go    which revisions there are and what differs
//	message.go     JSON-RPC 2.0 envelopes, strictly read
//	protocolerror.go   JSON-RPC errors and their HTTP statuses
//	dispatch.go    methods: the pure heart
//	features.go    what a server may offer, as its providers see it
//	exchange.go    what a handler may say before its answer
//	tools.go, resources.go, prompts.go   the methods of each feature
//	paging.go      lists in parts, with sealed cursors
//	rounds.go      requests that need several rounds (2026-07-28)
//	paramheaders.go   Mcp-Param-* headers
//	notices.go     who wants to hear of which change
//	streamable.go  POST /mcp
//	headers.go     header and body agreement of 2026-07-28
//	listen.go      subscriptions/listen
//	streams.go     the book of open streams: how many, whose, draining
//	tenant.go      one of them: how long it may stay and how it ends
//	sse.go         GET and POST /mcp/sse
//	session.go     one open HTTP+SSE stream
//	ask.go         questions to the client on such a stream
package mcp
