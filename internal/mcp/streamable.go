package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/eventstream"
	"tecrolabs.dev/oauth-mcp-server/internal/negotiate"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// Post answers POST /mcp: Streamable HTTP without sessions. The request must
// have passed the bearer gate; an error is always an *oauth.Refusal.
//
// The message runs under the request's context: a client that goes away
// cancels its own call, because nothing could deliver the answer.
func (s *Server) Post(w http.ResponseWriter, r *http.Request) error {
	caller, ok := bearer.FromContext(r.Context())
	if !ok {
		return oauth.NoToken()
	}
	body, failure := readBody(w, r)
	if failure == nil {
		failure = acceptable(r.Header, "application/json")
	}
	if failure != nil {
		writeJSON(w, failure.status, failure.encode(announced(r.Header), nil))
		return nil
	}
	messages, batch, failure := parseBody(body)
	if failure == nil && batch {
		if revision := announced(r.Header); revision != Rev20250326 {
			failure = malformed(codeInvalidRequest, "Only revision 2025-03-26 has batches; send one message per request")
		}
	}
	if failure != nil {
		writeJSON(w, failure.status, failure.encode(announced(r.Header), nil))
		return nil
	}
	if batch {
		return s.postBatch(w, r, caller, messages)
	}
	return s.postOne(w, r, caller, messages[0])
}

// announced is the revision a request claims in its header, for shaping
// errors about what cannot be read.
func announced(header http.Header) Revision {
	switch value := Revision(header.Get(headerVersion)); {
	case value == "":
		return Rev20250326
	case value.known():
		return value
	}
	return latestLegacy
}

func (s *Server) postOne(w http.ResponseWriter, r *http.Request, caller bearer.Access, raw json.RawMessage) error {
	m, failure := parseMessage(raw)
	if failure != nil {
		writeJSON(w, failure.status, failure.encode(announced(r.Header), m.id))
		return nil
	}
	revision, failure := era(r.Header, m)
	if failure == nil && m.response && revision.modern() {
		failure = malformed(codeInvalidRequest, "Revision 2026-07-28 has no responses from clients; send a request")
	}
	if failure != nil {
		writeJSON(w, failure.status, failure.encode(revision, m.id))
		return nil
	}
	c := call{revision: revision, message: m, caller: caller}
	switch {
	case m.response, m.notification():
		noteNotification(r.Context(), c)
		w.WriteHeader(http.StatusAccepted)
		return nil
	case m.method == methodListen && revision.modern():
		return s.listen(w, r, c)
	}
	if m.method == "tools/call" && revision.modern() {
		if failure := s.agreeParameters(r.Header, m); failure != nil {
			return s.writeFailure(w, c, failure)
		}
	}
	reply := &lateStream{w: w}
	if negotiate.Names(r.Header, "text/event-stream") {
		c.notify = reply.notify
	}
	result, err := s.dispatch(r.Context(), c)
	switch {
	case reply.stream != nil && err != nil:
		_ = reply.stream.Write(eventstream.Message(s.failureInline(c, err))) // a client that has gone needs none
	case reply.stream != nil:
		_ = reply.stream.Write(eventstream.Message(encodeResult(m.id, result)))
	case err != nil:
		return s.writeFailure(w, c, err)
	default:
		writeJSON(w, http.StatusOK, encodeResult(m.id, result))
	}
	return nil
}

// lateStream is an answer that becomes a stream only when there is something to say
// before it.
type lateStream struct {
	w      http.ResponseWriter
	stream *eventstream.Writer
}

// notify writes a notification. A client that has gone is noticed by the
// request's context.
func (r *lateStream) notify(message []byte) {
	if r.stream == nil {
		r.stream = eventstream.NewWriter(r.w)
	}
	_ = r.stream.Write(eventstream.Message(message))
}

// writeFailure writes a protocol error and passes every refusal on to the
// edge.
func (s *Server) writeFailure(w http.ResponseWriter, c call, err error) error {
	failure, ok := errors.AsType[*protocolError](err)
	if !ok {
		return err
	}
	writeJSON(w, failure.status, failure.encode(c.revision, c.message.id))
	return nil
}

// postBatch answers a batch of 2025-03-26. HTTP has one status for all of it,
// so a refusal of one message is a JSON-RPC error in the answer, unless the
// batch is that one message.
func (s *Server) postBatch(w http.ResponseWriter, r *http.Request, caller bearer.Access, raw []json.RawMessage) error {
	if len(raw) == 1 {
		return s.postBatchOfOne(w, r, caller, raw[0])
	}
	var answers []json.RawMessage
	for _, one := range raw {
		m, failure := parseMessage(one)
		switch {
		case failure != nil:
			answers = append(answers, failure.encode(Rev20250326, m.id))
		case m.response || m.notification():
			noteNotification(r.Context(), call{revision: Rev20250326, message: m})
		case m.method == "initialize":
			answers = append(answers, malformed(codeInvalidRequest, "initialize must not be part of a batch").encode(Rev20250326, m.id))
		default:
			c := call{revision: Rev20250326, message: m, caller: caller}
			answers = append(answers, s.answerInline(r.Context(), c))
		}
	}
	if len(answers) == 0 {
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	writeJSON(w, http.StatusOK, encode(answers))
	return nil
}

func (s *Server) postBatchOfOne(w http.ResponseWriter, r *http.Request, caller bearer.Access, raw json.RawMessage) error {
	m, failure := parseMessage(raw)
	if failure != nil {
		writeJSON(w, failure.status, encode([]json.RawMessage{failure.encode(Rev20250326, m.id)}))
		return nil
	}
	if m.response || m.notification() {
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	c := call{revision: Rev20250326, message: m, caller: caller}
	result, err := s.dispatch(r.Context(), c)
	if refusal, ok := errors.AsType[*oauth.Refusal](err); ok {
		return refusal
	}
	if failure, ok := errors.AsType[*protocolError](err); ok {
		writeJSON(w, http.StatusOK, encode([]json.RawMessage{failure.encode(c.revision, m.id)}))
		return nil
	}
	writeJSON(w, http.StatusOK, encode([]json.RawMessage{encodeResult(m.id, result)}))
	return nil
}

// answerInline answers where HTTP cannot: in a batch and on an HTTP+SSE stream.
// A refusal becomes a JSON-RPC error whose code is the HTTP status.
func (s *Server) answerInline(ctx context.Context, c call) json.RawMessage {
	result, err := s.dispatch(ctx, c)
	if err == nil {
		return encodeResult(c.message.id, result)
	}
	return s.failureInline(c, err)
}

// failureInline is an error as a JSON-RPC message.
func (s *Server) failureInline(c call, err error) json.RawMessage {
	if failure, ok := errors.AsType[*protocolError](err); ok {
		return failure.encode(c.revision, c.message.id)
	}
	refusal := oauth.AsRefusal(err)
	data := map[string]any{"status": refusal.Status, "error": refusal.Code}
	if refusal.Scope != nil {
		data["scope"] = refusal.Scope.String()
	}
	if refusal.RetryAfter > 0 {
		data["retryAfter"] = int(refusal.RetryAfter.Seconds())
	}
	return encodeError(c.revision, c.message.id, errorObject{Code: refusal.Status, Message: refusal.Description, Data: data})
}

// noteNotification puts what came in into the access line. No notification
// changes anything on stateless HTTP: a call is cancelled by closing its own
// request (docs/adr/0002-stateless-transport.md).
func noteNotification(ctx context.Context, c call) {
	word := "notification"
	if c.message.response {
		word = "response"
	}
	telemetry.Annotate(ctx, slog.String("mcp_method", word), slog.String("mcp_revision", string(c.revision)))
}

// readBody returns the body of a message within its bound.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *protocolError) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return nil, &protocolError{
			status: http.StatusUnsupportedMediaType, code: codeInvalidRequest,
			message: "Content-Type must be application/json",
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxMessage)) //nolint:forbidigo // bounded by MaxBytesReader
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &protocolError{
			status: http.StatusRequestEntityTooLarge, code: codeInvalidRequest,
			message: fmt.Sprintf("The message is larger than %d bytes; send less", MaxMessage),
		}
	}
	if err != nil {
		return nil, malformed(codeParse, "Parse error: the body ended before it was complete")
	}
	return body, nil
}

// acceptable refuses a request whose Accept header rules out want.
func acceptable(header http.Header, want string) *protocolError {
	if negotiate.Accepts(header, want) {
		return nil
	}
	return &protocolError{
		status: http.StatusNotAcceptable, code: codeInvalidRequest,
		message: "Accept must list application/json and text/event-stream",
	}
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON under its own content type and nosniff
}
