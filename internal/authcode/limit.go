package authcode

import (
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"tecrolabs.dev/oauth-mcp-server/internal/generations"
	"tecrolabs.dev/oauth-mcp-server/internal/site"
)

// Limits of /auth/refresh per replica. The one per token stops a client that
// goes round in circles; the one per address, generous because an office or a
// proxy may stand behind it, stops guessing; the one for everybody protects the
// authorization server.
const (
	refreshesPerSecond = 50
	refreshBurst       = 100

	refreshesPerAddress = 2 // a second
	addressBurst        = 60

	tokenInterval = 5 * time.Second // between requests with one refresh token
	tokenBurst    = 10

	maxLimiters     = 8192 // of each kind, twice
	limiterLifetime = 5 * time.Minute
)

type refreshLimits struct {
	everybody *rate.Limiter
	addresses *generations.Map[*rate.Limiter]
	tokens    *generations.Map[*rate.Limiter]
}

func newRefreshLimits() *refreshLimits {
	return &refreshLimits{
		everybody: rate.NewLimiter(refreshesPerSecond, refreshBurst),
		addresses: generations.New[*rate.Limiter](maxLimiters, limiterLifetime),
		tokens:    generations.New[*rate.Limiter](maxLimiters, limiterLifetime),
	}
}

// admit counts one request against its address and then against everybody's
// limit, so that a caller over its own limit takes nothing from the others.
func (l *refreshLimits) admit(now time.Time, remoteAddr string) error {
	peer, _ := netip.ParseAddrPort(remoteAddr) // what cannot be read shares a limit
	address, _ := l.addresses.Claim(now, site.Key(peer.Addr()), func() *rate.Limiter {
		return rate.NewLimiter(refreshesPerAddress, addressBurst)
	})
	if err := take(address, now); err != nil {
		return err
	}
	return take(l.everybody, now)
}

// admitToken counts one request with the refresh token of that key.
func (l *refreshLimits) admitToken(now time.Time, key string) error {
	limiter, _ := l.tokens.Claim(now, key, func() *rate.Limiter {
		return rate.NewLimiter(rate.Every(tokenInterval), tokenBurst)
	})
	return take(limiter, now)
}

func take(limiter *rate.Limiter, now time.Time) error {
	reservation := limiter.ReserveN(now, 1)
	delay := reservation.DelayFrom(now)
	if delay == 0 {
		return nil
	}
	reservation.CancelAt(now)
	refusal := refuse(reasonRateLimited, nil)
	refusal.RetryAfter = max(delay.Round(time.Second), time.Second)
	return refusal
}

// sameOrigin refuses what a browser sends from another site. Nothing here is
// authenticated by cookies, so such a request could not use anybody's session;
// it could only make a browser redeem a token that the other site already has.
// Programs send neither header.
func (f *Flow) sameOrigin(r *http.Request) error {
	for _, origin := range r.Header.Values("Origin") {
		if origin != f.origin {
			return refuse(reasonCrossSite, nil)
		}
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return refuse(reasonCrossSite, nil)
		}
	}
	return nil
}
