package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Bounds of calls that run here for streams of other replicas.
const (
	maxAwayCalls   = 8192
	aliveEvery     = 5 * time.Second  // a quarter of remoteLease
	deliverTimeout = 30 * time.Second // longer than remoteLease: then the holder has given up
	deliverRetry   = 250 * time.Millisecond
)

// away is a session on another replica.
type away struct {
	holder, session string
	owner           oauth.Binding
}

func (a away) message(op operation) peerMessage {
	return peerMessage{Op: op, Session: a.session, Owner: ownerDigest(a.session, a.owner)}
}

// maxAwayQueued bounds the messages of one call that wait for their delivery.
const maxAwayQueued = 64

// awayQueue is where a call says things while they are delivered one by one.
type awayQueue struct {
	messages chan []byte
	gone     chan struct{} // closed when nobody delivers any more
}

func (q awayQueue) send(message []byte) {
	select {
	case q.messages <- message:
	case <-q.gone:
	}
}

func (q awayQueue) offer(message []byte) bool {
	select {
	case q.messages <- message:
		return true
	default:
		return false
	}
}

// awayCall is one call that runs here for such a session. The session in it
// stands for the real one: what the call says goes to its queue, and from there
// to the holder, one by one and each until it is acknowledged.
type awayCall struct {
	away

	name      string
	queue     awayQueue
	session   *session
	stop      context.CancelFunc
	withdrawn atomic.Bool // the client wants no answer
	number    int         // of the next message
	heard     time.Time   // when the holder replied last
}

// awayCalls is the book of them.
type awayCalls struct {
	running sync.WaitGroup
	quit    chan struct{} // closed when delivering is to end

	mu    sync.Mutex
	ended bool
	calls map[string]*awayCall
}

func newAwayCalls() *awayCalls {
	return &awayCalls{quit: make(chan struct{}), calls: map[string]*awayCall{}}
}

// add reports whether there is room. After it, remove must be called.
func (a *awayCalls) add(c *awayCall) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || len(a.calls) >= maxAwayCalls {
		return false
	}
	a.calls[c.name] = c
	a.running.Add(1)
	return true
}

func (a *awayCalls) remove(c *awayCall) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.calls, c.name)
	a.running.Done()
}

// cancel ends a call at the client's wish.
func (a *awayCalls) cancel(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.calls[name]; ok {
		c.withdrawn.Store(true)
		c.stop()
	}
}

// respond hands a response of the client to the call that may wait for it;
// unknown means that it does not.
func (a *awayCalls) respond(m peerMessage) outcome {
	a.mu.Lock()
	c, ok := a.calls[m.Call]
	a.mu.Unlock()
	response, failure := parseMessage(m.Data)
	if !ok || failure != nil || !c.session.conversation.answered(response) {
		return outcomeUnknown
	}
	return outcomeDone
}

// finish is [Server.Finish].
func (a *awayCalls) finish(ctx context.Context) {
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.running.Wait()
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	close(a.quit)
	a.mu.Lock()
	for _, c := range a.calls {
		c.stop()
	}
	a.mu.Unlock()
	<-done
}

// postAway takes a message for a session on another replica.
func (s *Server) postAway(w http.ResponseWriter, r *http.Request, to away, c call, raw json.RawMessage) error {
	if c.message.response || c.message.notification() {
		return s.noteAway(w, r, to, c, raw)
	}
	return s.acceptAway(w, r, to, c, raw)
}

// noteAway hands a notification or response to the holder, and a response to
// the replicas that run calls of the session too.
func (s *Server) noteAway(w http.ResponseWriter, r *http.Request, to away, c call, raw json.RawMessage) error {
	m := to.message(opNote)
	m.Expiry, m.TokenID = c.caller.Principal.Expiry, c.caller.Principal.TokenID
	if id, ok := cancelled(c.message); ok {
		m.ID = id
	}
	if c.message.response {
		m.Data = raw
	}
	reply, err := s.askPeer(r.Context(), to.holder, m)
	switch {
	case err != nil:
		return holderAway(err)
	case reply.Outcome != outcomeDone:
		return s.unknownSession()
	}
	if err := s.spread(r.Context(), reply.Calls, raw); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// spread hands a response to the replicas that run calls of the session, one
// after the other until one has waited for it. When none has, and one cannot be
// reached, it may be that one's: the client is to send it again. The error is an
// *oauth.Refusal.
func (s *Server) spread(ctx context.Context, calls []remoteRef, raw json.RawMessage) error {
	silent := map[string]error{}
	for _, ref := range calls {
		if silent[ref.Replica] != nil {
			continue // it is not waited for twice
		}
		reply, err := s.askPeer(ctx, ref.Replica, peerMessage{Op: opResponse, Call: ref.Call, Data: raw})
		switch {
		case err != nil:
			silent[ref.Replica] = err
		case reply.Outcome == outcomeDone:
			return nil
		}
	}
	for _, err := range silent {
		return holderAway(err)
	}
	return nil
}

// acceptAway starts a call, with the token of this request, whose answer goes
// to a stream on another replica. That replica knows of the call before the
// client is told that it is accepted.
func (s *Server) acceptAway(w http.ResponseWriter, r *http.Request, to away, c call, raw json.RawMessage) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	queue := awayQueue{messages: make(chan []byte, maxAwayQueued), gone: make(chan struct{})}
	running := &awayCall{
		away: to, name: rand.Text(), queue: queue, session: newSession(to.owner, queue), stop: cancel, heard: time.Now(),
	}
	if !s.away.add(running) {
		cancel()
		return oauth.Unavailable("This replica takes no more calls; send the message again.", time.Second, nil)
	}
	m := to.message(opBegin)
	m.Call, m.ID = running.name, c.message.id
	m.Expiry, m.TokenID = c.caller.Principal.Expiry, c.caller.Principal.TokenID
	if c.message.method == "initialize" {
		m.Data = raw // the holder keeps the capabilities
	}
	reply, err := s.askPeer(r.Context(), to.holder, m)
	if err != nil || reply.Outcome != outcomeDone {
		s.away.remove(running)
		cancel()
		if err != nil { // the holder may have it on its book
			forget := to.message(opEmit)
			forget.Call, forget.Final = running.name, true
			s.bus.Tell(to.holder, encode(forget))
		}
		return s.notBegunAway(w, reply.Outcome, err, c)
	}
	running.session.conversation.capabilities = reply.Capabilities
	running.session.converse(&c)
	go func() { // awayCalls owns it: Finish waits for it
		defer s.away.remove(running)
		defer cancel()
		s.runAway(ctx, running, c)
	}()
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (s *Server) notBegunAway(w http.ResponseWriter, why outcome, err error, c call) error {
	if err != nil {
		return holderAway(err)
	}
	switch why {
	case outcomeEnding:
		return notBegun(w, sessionEnding, c)
	case outcomeTooMany:
		return notBegun(w, tooManyCalls, c)
	case outcomeIDInUse:
		return notBegun(w, idInUse, c)
	case outcomeDone, outcomeBusy, outcomeUnknown:
	}
	return s.unknownSession()
}

// errGone ends a call whose stream is gone.
var errGone = errors.New("the stream is gone")

// runAway runs a call and delivers what it says.
func (s *Server) runAway(ctx context.Context, running *awayCall, c call) {
	outside := context.WithoutCancel(ctx) // to say that a call was cancelled
	answered := make(chan json.RawMessage, 1)
	go func() { answered <- s.answerRecovered(ctx, c) }()
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	for {
		var err error
		select {
		case data := <-running.queue.messages:
			err = s.deliver(outside, running, data, false)
		case <-ticker.C:
			err = s.sayAlive(outside, running)
		case answer := <-answered:
			s.deliverLast(outside, running, answer)
			return
		}
		if err != nil {
			running.stop()
			close(running.queue.gone)
			<-answered
			s.logger.WarnContext(ctx, "a call for a stream on another replica was given up", slog.String("error", err.Error()))
			return
		}
	}
}

// deliverLast delivers what is left and the answer.
func (s *Server) deliverLast(ctx context.Context, running *awayCall, answer json.RawMessage) {
	for {
		select {
		case data := <-running.queue.messages:
			if s.deliver(ctx, running, data, false) != nil {
				return
			}
			continue
		default:
		}
		break
	}
	if running.withdrawn.Load() {
		answer = nil // a cancelled call is not answered
	}
	if err := s.deliver(ctx, running, answer, true); err != nil {
		s.logger.WarnContext(ctx, "an answer did not reach its stream on another replica", slog.String("error", err.Error()))
	}
}

// sayAlive renews the holder's lease. A holder that cannot be reached may be
// back soon; after its lease it has given the call up, or it is gone and the
// stream with it.
func (s *Server) sayAlive(ctx context.Context, running *awayCall) error {
	m := running.message(opAlive)
	m.Call = running.name
	reply, err := s.askPeer(ctx, running.holder, m)
	switch {
	case err == nil && reply.Outcome == outcomeUnknown:
		return errGone
	case err == nil:
		running.heard = time.Now()
	case time.Since(running.heard) > remoteLease:
		return errors.Join(errGone, err)
	}
	return nil
}

// deliver hands one message to the holder, again until it has it. The number
// keeps it from being written twice.
func (s *Server) deliver(ctx context.Context, running *awayCall, data json.RawMessage, final bool) error {
	m := running.message(opEmit)
	m.Call, m.Number, m.Data, m.Final = running.name, running.number, data, final
	running.number++
	limit := time.NewTimer(deliverTimeout)
	defer limit.Stop()
	for {
		reply, err := s.askPeer(ctx, running.holder, m)
		if err == nil && reply.Outcome == outcomeDone {
			running.heard = time.Now()
			return nil
		}
		if err == nil && reply.Outcome == outcomeUnknown {
			return errGone // or an earlier try of the answer did arrive
		}
		retry := time.NewTimer(deliverRetry)
		select {
		case <-retry.C:
		case <-limit.C:
			retry.Stop()
			return errors.Join(errors.New("not delivered in time"), err)
		case <-s.away.quit:
			retry.Stop()
			return errors.Join(errors.New("shutting down"), err)
		}
	}
}
