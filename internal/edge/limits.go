package edge

import (
	"context"
	"net/http"
	"net/netip"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Limits says how often an address may fail to authenticate; *ratelimit.Limiter
// is one.
type Limits interface {
	// AdmitAddress refuses an address that has failed too often, with an
	// *oauth.Refusal. It does not count.
	AdmitAddress(ctx context.Context, address netip.Addr) error
	// CountFailure counts a request that did not authenticate.
	CountFailure(ctx context.Context, address netip.Addr)
}

// limited is the gate with a bound on failures in front of it: an address that
// has used its up is refused before its token costs a signature check. A request
// that fails for another reason than its own credentials does not count, nor does
// one that lacks a nonce and nothing else: that is how clients get theirs (RFC 9449
// section 9).
func (e *Edge) limited(next Handler) Handler {
	if e.cfg.Limits == nil {
		return e.gate(next)
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		address := client(r)
		if err := e.cfg.Limits.AdmitAddress(r.Context(), address); err != nil {
			return err
		}
		passed := false
		err := e.gate(func(w http.ResponseWriter, r *http.Request) error {
			passed = true
			return next(w, r)
		})(w, r)
		if err == nil || passed {
			return err
		}
		if refusal := oauth.AsRefusal(err); refusal.Status < http.StatusInternalServerError && refusal.Code != oauth.CodeUseDPoPNonce {
			e.cfg.Limits.CountFailure(r.Context(), address)
		}
		return err
	}
}
