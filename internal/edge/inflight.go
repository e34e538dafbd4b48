package edge

import (
	"context"
	"errors"
	"sync"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// errRevoked is why a request that was let in ends early.
var errRevoked = errors.New("the token was revoked")

// inFlight is the book of requests that passed the gate and are being answered. A
// stream that took its connection over is not among them: package mcp has those.
// The zero inFlight is empty.
type inFlight struct {
	mu       sync.Mutex
	requests map[*admitted]struct{}
}

// admitted is one of them.
type admitted struct {
	principal oauth.Principal
	end       context.CancelCauseFunc
}

// admit puts a request of p on the book. The caller must call leave when it is
// answered; the context ends earlier if the token is revoked.
func (f *inFlight) admit(ctx context.Context, p oauth.Principal) (context.Context, func()) {
	ctx, end := context.WithCancelCause(ctx)
	request := &admitted{principal: p, end: end}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.requests == nil {
		f.requests = map[*admitted]struct{}{}
	}
	f.requests[request] = struct{}{}
	return ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.requests, request)
	}
}

// EndRequests ends the requests in flight whose principal match wants ended. It
// does not wait for them.
func (e *Edge) EndRequests(match func(oauth.Principal) bool) {
	e.inFlight.mu.Lock()
	defer e.inFlight.mu.Unlock()
	for request := range e.inFlight.requests {
		if match(request.principal) {
			request.end(errRevoked)
		}
	}
}
