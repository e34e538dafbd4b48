package mcp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Bus is how replicas find each other's HTTP+SSE sessions and talk about them.
// Messages and replies are this package's own; no token is ever in one.
type Bus interface {
	// Hold records that session is on this replica until Release.
	Hold(ctx context.Context, session string, owner []byte)
	Release(ctx context.Context, session string)
	// Locate returns who holds session; no replica means there is none.
	Locate(ctx context.Context, session string) (replica string, owner []byte, err error)
	// Ask returns the reply of replica, an error when none came in a bounded
	// time. The message may have arrived all the same.
	Ask(ctx context.Context, replica string, message []byte) (reply []byte, err error)
	// Tell sends message if it can, without waiting.
	Tell(replica string, message []byte)
}

// operation is what one replica wants of another.
type operation string

const (
	opBegin    operation = "begin"    // to the holder: a call begins
	opAlive    operation = "alive"    // to the holder: it goes on
	opEmit     operation = "emit"     // to the holder: a message for the stream
	opNote     operation = "note"     // to the holder: a notification or response came
	opResponse operation = "response" // to who runs a call: a response of the client
	opCancel   operation = "cancel"   // to who runs a call: end it
)

// peerMessage is what replicas send each other.
type peerMessage struct {
	Op      operation       `json:"op"`
	Session string          `json:"session,omitempty"`
	Owner   []byte          `json:"owner,omitempty"`
	Call    string          `json:"call,omitempty"`   // names a call across replicas
	ID      json.RawMessage `json:"id,omitempty"`     // JSON-RPC, of the call
	Number  int             `json:"number,omitempty"` // counts what a call emits
	Data    json.RawMessage `json:"data,omitempty"`   // for the stream, or from the client
	Final   bool            `json:"final,omitempty"`  // it is the answer; without data there is none
	Expiry  time.Time       `json:"expiry,omitzero"`  // of the token used
	TokenID string          `json:"token_id,omitempty"`
}

// outcome is how it went.
type outcome string

const (
	outcomeDone    outcome = "done"
	outcomeBusy    outcome = "busy"    // the stream's queue is full; again soon
	outcomeUnknown outcome = "unknown" // no such session, or no such call
	outcomeEnding  outcome = "ending"
	outcomeTooMany outcome = "too_many"
	outcomeIDInUse outcome = "id_in_use"
)

// peerReply answers a peerMessage.
type peerReply struct {
	Outcome      outcome         `json:"outcome"`
	Capabilities map[string]bool `json:"capabilities,omitempty"` // of the client
	Calls        []remoteRef     `json:"calls,omitempty"`        // who may wait for a response
}

// remoteRef names a call and the replica that runs it.
type remoteRef struct {
	Replica string `json:"replica"`
	Call    string `json:"call"`
}

// ownerDigest is what a store may know of who a session belongs to. The session
// is in it so that two sessions of one party do not look alike.
func ownerDigest(session string, owner oauth.Binding) []byte {
	sum := sha256.Sum256(encode([]string{session, owner.Issuer, owner.Subject, owner.ClientID}))
	return sum[:]
}

// locate returns the replica that holds a session of owner. The error is an
// *oauth.Refusal.
func (s *Server) locate(ctx context.Context, session string, owner oauth.Binding) (replica string, err error) {
	if s.bus == nil {
		return "", s.unknownSession()
	}
	replica, digest, err := s.bus.Locate(ctx, session)
	if err != nil {
		return "", holderAway(err)
	}
	if replica == "" || !bytes.Equal(digest, ownerDigest(session, owner)) {
		return "", s.unknownSession()
	}
	return replica, nil
}

// holderAway refuses a message whose stream cannot be reached.
func holderAway(cause error) *oauth.Refusal {
	return oauth.Unavailable("This session's stream is on another replica, which cannot be reached now; send the message again.", time.Second, cause)
}

// askPeer sends a message and reads the reply.
func (s *Server) askPeer(ctx context.Context, replica string, m peerMessage) (peerReply, error) {
	var reply peerReply
	text, err := s.bus.Ask(ctx, replica, encode(m))
	if err != nil {
		return reply, err
	}
	return reply, json.Unmarshal(text, &reply)
}

// HandlePeer does what another replica asks for and returns the reply. It does
// not wait for anything.
func (s *Server) HandlePeer(ctx context.Context, from string, text []byte) (reply []byte) {
	var m peerMessage
	if err := json.Unmarshal(text, &m); err != nil {
		s.logger.WarnContext(ctx, "a message of another replica cannot be read; do all run the same version?", slog.String("replica", from))
		return encode(peerReply{Outcome: outcomeUnknown})
	}
	switch m.Op {
	case opResponse:
		return encode(peerReply{Outcome: s.away.respond(m)})
	case opCancel:
		s.away.cancel(m.Call)
		return encode(peerReply{Outcome: outcomeDone})
	case opBegin, opAlive, opEmit, opNote:
	}
	session := s.streams.held(m.Session, m.Owner)
	if session == nil {
		return encode(peerReply{Outcome: outcomeUnknown})
	}
	return encode(s.handleForSession(from, session, m))
}

// handleForSession is HandlePeer for a session that is held here.
func (s *Server) handleForSession(from string, session *session, m peerMessage) peerReply {
	switch m.Op {
	case opBegin:
		return s.beginRemote(from, session, m)
	case opAlive:
		return peerReply{Outcome: session.alive(m.Call)}
	case opEmit:
		return peerReply{Outcome: session.emit(m)}
	case opNote:
		session.tenant.extend(m.Expiry, m.TokenID)
		if m.ID != nil {
			session.cancel(m.ID)
		}
		if m.Data == nil {
			return peerReply{Outcome: outcomeDone}
		}
		if response, failure := parseMessage(m.Data); failure == nil && session.conversation.answered(response) {
			return peerReply{Outcome: outcomeDone}
		}
		return peerReply{Outcome: outcomeDone, Calls: session.remoteCalls()}
	case opResponse, opCancel: // not about a session that is held
	}
	return peerReply{Outcome: outcomeUnknown}
}
