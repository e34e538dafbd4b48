package edge

import (
	"context"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// threeFailures refuses an address after its third.
type threeFailures struct{ failed atomic.Int32 }

func (l *threeFailures) AdmitAddress(_ context.Context, address netip.Addr) error {
	if l.failed.Load() < 3 || !address.IsLoopback() {
		return nil
	}
	return &oauth.Refusal{
		Status: http.StatusTooManyRequests, Code: oauth.CodeTooManyRequests, Reason: "rate_address",
		Description: "Try again in 2 seconds.", RetryAfter: 2 * time.Second,
	}
}

func (l *threeFailures) CountFailure(context.Context, netip.Addr) { l.failed.Add(1) }

func TestReq062_AddressesAreRefusedBeforeTheirTokenCostsAnything(t *testing.T) {
	limits := &threeFailures{}
	var verified atomic.Int32
	e := start(t, func(c *Config) {
		c.Limits = limits
		authenticate := c.Authenticate
		c.Authenticate = func(ctx context.Context, p bearer.Presented) (oauth.Principal, error) {
			verified.Add(1)
			if p.Token.Reveal() == "no-nonce" {
				return oauth.Principal{}, oauth.InvalidProof(oauth.CodeUseDPoPNonce, "proof_nonce", "Take the nonce.", nil)
			}
			return authenticate(ctx, p)
		}
	})
	for _, token := range []string{goodToken, "outage", "no-nonce", goodToken} { // none is the address's fault
		e.do("POST", "/mcp", authorized, "Bearer "+token)
	}
	if n := limits.failed.Load(); n != 0 {
		t.Errorf("%d failures counted, want none", n)
	}
	e.do("POST", "/mcp")
	e.do("GET", "/mcp/sse", authorized, "Bearer expired")
	e.do("POST", "/mcp", authorized, "Bearer a b")
	if n := limits.failed.Load(); n != 3 {
		t.Errorf("%d failures counted, want three", n)
	}
	before := verified.Load()
	got := e.do("POST", "/mcp", authorized, "Bearer "+goodToken)
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "2" || got.header.Get("WWW-Authenticate") != "" ||
		got.body != `{"error":"too_many_requests","error_description":"Try again in 2 seconds."}` {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
	if verified.Load() != before {
		t.Error("the token was looked at")
	}
	for _, path := range []string{"/healthz", "/", "/.well-known/oauth-protected-resource/mcp", "/auth/start"} {
		if got := e.do("GET", path); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}
