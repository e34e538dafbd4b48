package mcp

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// The life of a call that another replica runs for a stream that is held here.
const (
	remoteLease = 20 * time.Second // without a word of the replica
	retryLease  = time.Second      // when the queue has no room for the news
)

// remoteCall is such a call. It counts as one of the session's calls from
// before it is accepted until its answer is in the queue of the stream. So it
// is answered once: an answer that comes again, or after the session has given
// the call up, finds no call.
//
//	begun ──emit, alive──► begun ──final emit──► answered
//	begun ──lease over──► answered with an error: the outcome is not known
//	begun ──stream gone──► forgotten, the replica is told
type remoteCall struct {
	remoteRef

	next  int // number of the next message it emits
	lease *time.Timer
}

// beginRemote takes a call in that replica from runs.
func (s *Server) beginRemote(from string, session *session, m peerMessage) peerReply {
	session.tenant.extend(m.Expiry, m.TokenID)
	if m.Data != nil {
		if initialize, failure := parseMessage(m.Data); failure == nil {
			session.conversation.note(initialize)
		}
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	switch session.room(m.ID) {
	case sessionEnding:
		return peerReply{Outcome: outcomeEnding}
	case tooManyCalls:
		return peerReply{Outcome: outcomeTooMany}
	case idInUse:
		return peerReply{Outcome: outcomeIDInUse}
	case begun:
	}
	session.note(m.ID, &flight{
		cancel: func() { s.bus.Tell(from, encode(peerMessage{Op: opCancel, Call: m.Call})) },
		remote: &remoteCall{
			remoteRef: remoteRef{Replica: from, Call: m.Call},
			lease:     time.AfterFunc(remoteLease, func() { session.giveUp(m.Call) }),
		},
	})
	return peerReply{Outcome: outcomeDone, Capabilities: session.conversation.declared()}
}

// declared returns what the client said it can do.
func (v *conversation) declared() map[string]bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.capabilities)
}

// remote returns the call of that name. The lock is held.
func (s *session) remote(call string) (id string, f *flight) {
	for id, f := range s.calls {
		if f.remote != nil && f.remote.Call == call {
			return id, f
		}
	}
	return "", nil
}

// alive renews the lease of a call.
func (s *session) alive(call string) outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, f := s.remote(call)
	if f == nil {
		return outcomeUnknown
	}
	f.remote.lease.Reset(remoteLease)
	return outcomeDone
}

// emit queues what a call says. What was queued before is not queued again.
func (s *session) emit(m peerMessage) outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, f := s.remote(m.Call)
	if f == nil {
		return outcomeUnknown
	}
	f.remote.lease.Reset(remoteLease)
	if m.Number < f.remote.next {
		return outcomeDone
	}
	if m.Data != nil && !s.offer(m.Data) {
		return outcomeBusy
	}
	f.remote.next = m.Number + 1
	if m.Final {
		s.forget(id)
		s.closeIfIdle()
	}
	return outcomeDone
}

// giveUp answers a call whose replica is silent.
func (s *session) giveUp(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, f := s.remote(call)
	if f == nil {
		return
	}
	failure := errorObject{
		Code:    http.StatusServiceUnavailable,
		Message: "The replica that ran this call cannot be reached; whether the call had an effect is not known.",
		Data:    map[string]any{"status": http.StatusServiceUnavailable, "error": oauth.CodeTemporarilyUnavailable},
	}
	if !s.offer(encodeError(Rev20241105, json.RawMessage(id), failure)) {
		f.remote.lease.Reset(retryLease)
		return
	}
	f.cancel()
	s.forget(id)
	s.closeIfIdle()
}

// forget takes a call off the book. The lock is held.
func (s *session) forget(id string) {
	if f := s.calls[id]; f != nil && f.remote != nil {
		f.remote.lease.Stop()
	}
	delete(s.calls, id)
	if len(s.calls) == 0 {
		s.calls = nil // most sessions are idle most of the time
	}
}

// remoteCalls returns the calls that other replicas run for this session.
func (s *session) remoteCalls() []remoteRef {
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []remoteRef
	for _, f := range s.calls {
		if f.remote != nil {
			calls = append(calls, f.remote.remoteRef)
		}
	}
	return calls
}
