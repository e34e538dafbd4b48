package mcp

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// sessionParameter is the query parameter that names a session in the URL of
// the endpoint event.
const sessionParameter = "session_id"

// OpenStream answers GET /mcp/sse (HTTP+SSE, 2024-11-05, "HTTP with SSE"): a
// stream whose first event tells where to POST messages, and on which their
// answers arrive. The request must have passed the bearer gate.
//
// The stream ends when the client goes, at the expiry of the newest token used
// on it, at its maximum age, and on shutdown; in the last three cases calls in
// flight are answered first.
func (s *Server) OpenStream(w http.ResponseWriter, r *http.Request) error {
	caller, ok := bearer.FromContext(r.Context())
	if !ok {
		return oauth.NoToken()
	}
	if acceptable(r.Header, "text/event-stream") != nil {
		return &oauth.Refusal{
			Status: http.StatusNotAcceptable, Code: oauth.CodeInvalidRequest, Reason: "not_acceptable",
			Description: "This URL answers with an event stream; Accept must list text/event-stream.",
		}
	}
	leave, err := s.streams.enter(caller.Principal)
	if err != nil {
		return err
	}
	defer leave()
	session := newSession(caller.Principal)
	s.streams.add(session)
	defer s.streams.remove(session)
	notices, stop := s.streams.watch()
	defer stop()

	stream := openEventStream(w)
	endpoint := s.messagePath + "?" + sessionParameter + "=" + url.QueryEscape(session.id)
	why := "client_gone"
	if stream.event("endpoint", []byte(endpoint)) == nil {
		why = s.relayAnswers(r.Context(), stream, session, notices)
	}
	telemetry.Annotate(r.Context(), slog.String("stream_end", why))
	session.stop(true)
	<-session.idle // every call of the session has returned
	return nil
}

// relayAnswers writes what the session queues until the stream ends, and
// returns why it ended.
func (s *Server) relayAnswers(ctx context.Context, stream *eventStream, session *session, notices <-chan struct{}) string {
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	age := time.NewTimer(streamAge(s.maxAge))
	defer age.Stop()
	expiry := time.NewTimer(time.Until(session.expires()))
	defer expiry.Stop()
	for {
		var err error
		select {
		case data := <-session.queue:
			err = stream.message(data)
		case <-notices:
			err = stream.message(toolsChangedNotice())
		case <-ticker.C:
			err = stream.comment()
		case <-expiry.C:
			if left := time.Until(session.expires()); left > 0 {
				expiry.Reset(left)
				continue
			}
			return s.finish(ctx, stream, session, "token_expired")
		case <-age.C:
			return s.finish(ctx, stream, session, "max_age")
		case <-s.streams.draining:
			return s.finish(ctx, stream, session, "shutdown")
		case <-ctx.Done():
			return "client_gone"
		}
		if err != nil {
			return "client_gone"
		}
	}
}

// finish takes no more calls, waits for those in flight and writes their
// answers.
func (s *Server) finish(ctx context.Context, stream *eventStream, session *session, why string) string {
	session.stop(false)
	limit := time.NewTimer(drainTimeout)
	defer limit.Stop()
	idle := session.idle
	for {
		select {
		case data := <-session.queue:
			if stream.message(data) != nil {
				return "client_gone"
			}
			continue
		default:
		}
		if idle == nil {
			return why // all answered, all written
		}
		select {
		case data := <-session.queue:
			if stream.message(data) != nil {
				return "client_gone"
			}
		case <-idle:
			idle = nil // what is queued now is all there will be
		case <-limit.C:
			return why
		case <-ctx.Done():
			return "client_gone"
		}
	}
}

// PostMessage answers POST /mcp/sse?session_id=…: one message for an open
// stream, executed with the token of this very request. 202 means the message
// was taken and its answer will come on the stream.
func (s *Server) PostMessage(w http.ResponseWriter, r *http.Request) error {
	caller, ok := bearer.FromContext(r.Context())
	if !ok {
		return oauth.NoToken()
	}
	session := s.streams.find(r.URL.Query().Get(sessionParameter), caller.Principal.Binding())
	if session == nil {
		return &oauth.Refusal{
			Status: http.StatusNotFound, Code: oauth.CodeNotFound, Reason: "unknown_session",
			Description: "There is no such session of yours here; open a stream with GET " + s.messagePath + " and POST to the URL of its endpoint event.",
		}
	}
	body, failure := readBody(w, r)
	if failure != nil {
		writeJSON(w, failure.status, failure.encode(Rev20241105, nil))
		return nil
	}
	raw, batch, failure := parseBody(body)
	if failure == nil && batch {
		failure = malformed(codeInvalidRequest, "HTTP+SSE has no batches; send one message per request")
	}
	if failure != nil {
		writeJSON(w, failure.status, failure.encode(Rev20241105, nil))
		return nil
	}
	m, failure := parseMessage(raw[0])
	if failure != nil {
		writeJSON(w, failure.status, failure.encode(Rev20241105, m.id))
		return nil
	}
	session.extend(caller.Principal.Expiry)
	c := call{revision: Rev20241105, sse: true, message: m, caller: caller}
	if m.response || m.notification() {
		noteNotification(r.Context(), c)
		if m.response {
			session.conversation.answered(m)
		}
		if m.method == "notifications/cancelled" {
			if id, ok := m.params.Get("requestId"); ok {
				session.cancel(id)
			}
		}
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	return s.accept(w, r, session, c)
}

// accept starts a call whose answer goes to the stream. The call outlives this
// request; the stream waits for it.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, session *session, c call) error {
	session.conversation.note(c.message)
	c.notify, c.ask = session.send, session.ask
	ctx, state := session.begin(context.WithoutCancel(r.Context()), c.message.id)
	switch state {
	case sessionEnding:
		return draining()
	case tooManyCalls:
		return &oauth.Refusal{
			Status: http.StatusTooManyRequests, Code: oauth.CodeTooManyRequests, Reason: "too_many_calls", RetryAfter: time.Second,
			Description: "This session has 32 unanswered requests; wait for an answer before sending more.",
		}
	case idInUse:
		failure := malformed(codeInvalidRequest, "Invalid request: a request with this id is not answered yet; use another id")
		writeJSON(w, failure.status, failure.encode(c.revision, c.message.id))
		return nil
	case begun:
	}
	go func() { // the session owns it: OpenStream returns only when it has ended
		defer session.end(c.message.id)
		answer := s.answerRecovered(ctx, c)
		if ctx.Err() == nil { // a cancelled call is not answered
			session.send(answer)
		}
	}()
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// answerRecovered is answerInline outside of net/http, whose own recovery does
// not reach this goroutine.
func (s *Server) answerRecovered(ctx context.Context, c call) (answer json.RawMessage) {
	defer func() {
		if crash := recover(); crash != nil {
			s.logger.LogAttrs(ctx, slog.LevelError, "panic in a call", slog.String("stack", string(debug.Stack())))
			failure := &protocolError{code: codeInternal, message: "Internal error: the call failed on the server; try again"}
			answer = failure.encode(c.revision, c.message.id)
		}
	}()
	return s.answerInline(ctx, c)
}
