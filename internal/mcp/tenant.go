package mcp

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/eventstream"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// drainTimeout is for calls in flight when a stream has to end.
const drainTimeout = 15 * time.Second

// Why a stream ends, as the access line has it.
const (
	endGone     = "client_gone"
	endExpired  = "token_expired"
	endAge      = "max_age"
	endShutdown = "shutdown"
	endRevoked  = "revoked"
	endAnswered = "answered"
)

// tenant is one open stream on the book: whose it is, how long it may stay, and
// how it ends. It outlives the handler that opened it, and has no goroutine
// until it ends.
//
//	entered ──open──► opened ──stay──► open ──end──► concluding ──► left
type tenant struct {
	book   *streams
	owner  oauth.Binding
	stream *eventstream.Stream
	line   func(...slog.Attr) // ends the access line

	ending sync.Once

	mu       sync.Mutex
	conclude func(why string) // ends the stream and waits for that; nil before stay
	wanted   string           // why it has to end as soon as it stays
	expiry   time.Time        // of the newest token used on the stream
	tokenID  string           // of that token
	oldest   time.Time        // when the stream has to end whatever the token
	timer    *time.Timer
}

func newTenant(book *streams, p oauth.Principal) *tenant {
	return &tenant{book: book, owner: p.Binding(), expiry: p.Expiry, tokenID: p.TokenID}
}

// open starts the response. The tenant must [tenant.stay] after it.
func (t *tenant) open(w http.ResponseWriter, r *http.Request, maxAge time.Duration) *eventstream.Stream {
	t.line = telemetry.Detach(r.Context())
	t.stream = eventstream.Open(w, r)
	t.oldest = time.Now().Add(streamAge(maxAge))
	return t.stream
}

// stay returns when the handler may. The stream goes on until its client has
// gone, its newest token expires, its age is reached or the server shuts down;
// then conclude ends it, in a goroutine that the book waits for.
func (t *tenant) stay(conclude func(why string)) {
	t.mu.Lock()
	t.conclude = conclude
	t.timer = time.AfterFunc(t.left(), t.tick)
	wanted := t.wanted
	t.mu.Unlock()
	if wanted != "" {
		t.end(wanted)
	}
	t.stream.Hold(func() { t.end(endGone) })
}

// left returns how long the stream may stay. The lock is held.
func (t *tenant) left() time.Duration {
	return min(time.Until(t.expiry), time.Until(t.oldest))
}

// tick ends the stream when its time is over.
func (t *tenant) tick() {
	t.mu.Lock()
	left, aged := t.left(), time.Until(t.oldest) <= 0
	if left > 0 {
		t.timer.Reset(left)
	}
	t.mu.Unlock()
	switch {
	case left > 0:
	case aged:
		t.end(endAge)
	default:
		t.end(endExpired)
	}
}

// end ends the stream; the first reason counts. It does not wait. A stream that
// does not stay yet ends as soon as it does.
func (t *tenant) end(why string) {
	t.mu.Lock()
	conclude := t.conclude
	if conclude == nil && t.wanted == "" {
		t.wanted = why
	}
	t.mu.Unlock()
	if conclude == nil {
		return
	}
	t.ending.Do(func() {
		go func() { // the book waits for it
			conclude(why)
			t.timer.Stop()
			t.line(slog.Int("status", http.StatusOK), slog.Int64("bytes", t.stream.Written()), slog.String("stream_end", why))
			t.book.leave(t)
		}()
	})
}

// cut closes the connection of a stream that does not end in time.
func (t *tenant) cut() {
	t.mu.Lock()
	stays := t.conclude != nil
	t.mu.Unlock()
	if stays {
		t.stream.Cut()
	}
}

// extend lets the stream live as long as the newest token that was used on it.
func (t *tenant) extend(expiry time.Time, tokenID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if expiry.After(t.expiry) {
		t.expiry, t.tokenID = expiry, tokenID
	}
}

func (t *tenant) matches(match func(owner oauth.Binding, tokenID string) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return match(t.owner, t.tokenID)
}

// streamAge returns maxAge less a random tenth, so that streams opened together
// do not end together.
func streamAge(maxAge time.Duration) time.Duration {
	return maxAge - time.Duration(rand.Int64N(int64(maxAge)/10+1)) //nolint:gosec // jitter, not security
}

// tooManyStreams refuses one stream more.
func tooManyStreams(detail string) *oauth.Refusal {
	return &oauth.Refusal{
		Status: http.StatusTooManyRequests, Code: oauth.CodeTooManyRequests,
		Description: detail, Reason: "too_many_streams", RetryAfter: eventstream.KeepAlive,
	}
}

// draining refuses work while the server shuts down.
func draining() *oauth.Refusal {
	return oauth.Unavailable("The server is shutting down; connect again, another replica will answer.", time.Second, nil)
}
