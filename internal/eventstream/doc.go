// Package eventstream writes server-sent events (WHATWG HTML, "Server-sent
// events") on responses that stay open for long and are idle most of the time.
//
// [Open] is the start. On HTTP/1.1 it takes the connection over from net/http,
// so that an idle stream costs one small goroutine that waits for the client to
// go, two timers and its bookkeeping, and nothing of the request that opened it
// (docs/adr/0014-streams-take-their-connection.md has the figures). On HTTP/2,
// HTTP/1.0 and wherever a connection cannot be had, the handler stays and the
// response is written as usual; callers see no difference but [Stream.Hold].
//
// A stream defends itself against slow readers (a deadline for every write, a
// bounded queue), against proxies that end what is idle (comments), and against
// data that would end an event early. It does not know what the events mean.
//
//	frame.go   events and comments as bytes
//	output.go  where they go: a connection, or a response
//	stream.go  the queue between both, and the end of a stream
package eventstream
