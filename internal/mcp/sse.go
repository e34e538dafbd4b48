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
	"tecrolabs.dev/oauth-mcp-server/internal/eventstream"
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
	if r.Method == http.MethodHead {
		eventstream.NewWriter(w) // the header, and no stream for nobody
		return nil
	}
	tenant, err := s.streams.enter(caller.Principal)
	if err != nil {
		return err
	}
	stream := tenant.open(w, r, s.maxAge)
	session := newSession(tenant.owner, sessionStream{stream})
	session.tenant = tenant
	s.streams.add(session)
	after := telemetry.Carry(r.Context())
	if s.bus != nil { // before the client knows the session
		s.bus.Hold(r.Context(), session.id, ownerDigest(session.id, session.owner))
	}
	stream.Send(eventstream.Event("endpoint", []byte(s.messagePath+"?"+sessionParameter+"="+url.QueryEscape(session.id))))
	tenant.stay(func(why string) {
		finishCalls(stream, session, why)
		s.streams.remove(session) // before the client sees the end
		session.stop(true)
		stream.Close()
		<-stream.Done()
		<-session.idle // every call of the session has returned
		if s.bus != nil {
			s.bus.Release(after, session.id)
		}
	})
	return nil
}

// sessionStream is a session's own stream as an [outlet].
type sessionStream struct{ stream *eventstream.Stream }

func (o sessionStream) send(message []byte) { o.stream.Send(eventstream.Message(message)) }

func (o sessionStream) offer(message []byte) bool {
	return o.stream.TrySend(eventstream.Message(message))
}

// announce tells the client of a change.
func (s *session) announce(kind string, message []byte) {
	s.tenant.stream.Announce(kind, eventstream.Message(message))
}

// finishCalls takes no more calls and waits for those in flight, unless nobody
// will read their answers, or may.
func finishCalls(stream *eventstream.Stream, session *session, why string) {
	if why == endGone || why == endRevoked {
		return
	}
	session.stop(false)
	limit := time.NewTimer(drainTimeout)
	defer limit.Stop()
	select {
	case <-session.idle: // all answers are queued
	case <-limit.C:
	case <-stream.Done(): // the client has gone
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
	id, owner := r.URL.Query().Get(sessionParameter), caller.Principal.Binding()
	session, holder := s.streams.find(id, owner), ""
	if session == nil {
		var err error
		if holder, err = s.locate(r.Context(), id, owner); err != nil {
			return err
		}
	}
	m, raw, failure := readMessage(w, r)
	if failure != nil {
		writeJSON(w, failure.status, failure.encode(Rev20241105, m.id))
		return nil
	}
	c := call{revision: Rev20241105, sse: true, message: m, caller: caller}
	silent := m.response || m.notification()
	if silent {
		noteNotification(r.Context(), c)
	} else if err := s.admit(r.Context(), c); err != nil {
		return err
	}
	switch {
	case session == nil:
		return s.postAway(w, r, away{holder, id, owner}, c, raw)
	case silent:
		if err := s.heed(r.Context(), session, c, raw); err != nil {
			return err
		}
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	session.tenant.extend(caller.Principal.Expiry, caller.Principal.TokenID)
	return s.accept(w, r, session, c)
}

// unknownSession refuses a message for a session that does not exist, or is
// somebody else's.
func (s *Server) unknownSession() *oauth.Refusal {
	return &oauth.Refusal{
		Status: http.StatusNotFound, Code: oauth.CodeNotFound, Reason: "unknown_session",
		Description: "There is no such session of yours here; open a stream with GET " + s.messagePath + " and POST to the URL of its endpoint event.",
	}
}

// readMessage reads the one message of a POST, and returns it as it was written
// too.
func readMessage(w http.ResponseWriter, r *http.Request) (m message, raw json.RawMessage, failure *protocolError) {
	body, failure := readBody(w, r)
	if failure != nil {
		return m, nil, failure
	}
	messages, batch, failure := parseBody(body)
	if failure == nil && batch {
		failure = malformed(codeInvalidRequest, "HTTP+SSE has no batches; send one message per request")
	}
	if failure != nil {
		return m, nil, failure
	}
	m, failure = parseMessage(messages[0])
	return m, messages[0], failure
}

// heed does what a notification or a response asks for in a session that is
// held here. The error is an *oauth.Refusal.
func (s *Server) heed(ctx context.Context, session *session, c call, raw json.RawMessage) error {
	session.tenant.extend(c.caller.Principal.Expiry, c.caller.Principal.TokenID)
	if id, ok := cancelled(c.message); ok {
		session.cancel(id)
	}
	if !c.message.response || session.conversation.answered(c.message) {
		return nil
	}
	return s.spread(ctx, session.remoteCalls(), raw)
}

// cancelled returns which request a notifications/cancelled is about.
func cancelled(m message) (id json.RawMessage, ok bool) {
	if m.method != "notifications/cancelled" {
		return nil, false
	}
	return m.params.Get("requestId")
}

// accept starts a call whose answer goes to the stream. The call outlives this
// request; the stream waits for it.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, session *session, c call) error {
	session.conversation.note(c.message)
	session.converse(&c)
	ctx, state := session.begin(context.WithoutCancel(r.Context()), c.message.id)
	if state != begun {
		return notBegun(w, state, c)
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

// notBegun tells the client why its call cannot begin.
func notBegun(w http.ResponseWriter, state beginning, c call) error {
	switch state {
	case tooManyCalls:
		return &oauth.Refusal{
			Status: http.StatusTooManyRequests, Code: oauth.CodeTooManyRequests, Reason: "too_many_calls", RetryAfter: time.Second,
			Description: "This session has 32 unanswered requests; wait for an answer before sending more.",
		}
	case idInUse:
		failure := malformed(codeInvalidRequest, "Invalid request: a request with this id is not answered yet; use another id")
		writeJSON(w, failure.status, failure.encode(c.revision, c.message.id))
		return nil
	case sessionEnding, begun:
	}
	return oauth.Unavailable("This session's stream is ending; open a new one and send the message there.", time.Second, nil)
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
