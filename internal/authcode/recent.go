package authcode

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/generations"
	"tecrolabs.dev/oauth-mcp-server/internal/seal"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// How long the result of a refresh answers the same refresh token again.
const (
	// idempotentWindow covers clients that refresh from two processes at once
	// and retries of a request whose answer was lost. A second use after it
	// goes to the authorization server, whose reuse detection then works.
	idempotentWindow = 10 * time.Second
	// unverifiedWindow covers an outage of the key server right after the
	// authorization server has rotated the token: the new tokens must not be
	// lost, or the person has to sign in again.
	unverifiedWindow = 2 * time.Minute
	maxRecent        = 2048 // results per replica, twice
)

// recentPurpose separates this use of a refresh token from every other.
const recentPurpose = "oauth-mcp-server/authcode/refresh-result/v1"

// redemption is the result of one use of a refresh token.
type redemption struct {
	tokens   tokens
	verified bool // shown to somebody once: the idempotent window runs
}

// recentResults remembers redemptions for a short while, in this replica's
// memory. Each one is sealed under a key derived from the refresh token it
// replaced, which is itself kept nowhere: a dump of the memory opens nothing.
type recentResults struct {
	results *generations.Map[recentResult]
}

type recentResult struct {
	sealed  string
	expires time.Time
}

func newRecentResults() *recentResults {
	return &recentResults{results: generations.New[recentResult](maxRecent, unverifiedWindow)}
}

// sealedRedemption is a redemption inside the seal.
type sealedRedemption struct {
	Access   string    `json:"a"`
	Refresh  string    `json:"r"`
	Scope    string    `json:"s"`
	Expires  time.Time `json:"e"`
	Verified bool      `json:"v"`
}

// tokenKey names a refresh token in memory: SHA-256, in hexadecimal.
func tokenKey(refreshToken secret.Value) string {
	sum := sha256.Sum256([]byte(refreshToken.Reveal()))
	return hex.EncodeToString(sum[:])
}

// find returns what refreshToken gave a moment ago.
func (c *recentResults) find(now time.Time, refreshToken secret.Value) (redemption, bool) {
	key := tokenKey(refreshToken)
	result, ok := c.results.Get(now, key)
	if !ok || !now.Before(result.expires) {
		return redemption{}, false
	}
	s, err := seal.New([]byte(refreshToken.Reveal()), recentPurpose)
	if err != nil {
		return redemption{}, false
	}
	plain, ok := s.Open(result.sealed, key)
	if !ok {
		return redemption{}, false
	}
	var sealed sealedRedemption
	if json.Unmarshal(plain, &sealed) != nil {
		return redemption{}, false
	}
	return redemption{
		tokens: tokens{
			access: secret.New(sealed.Access), refresh: secret.New(sealed.Refresh),
			scope: sealed.Scope, expires: sealed.Expires,
		},
		verified: sealed.Verified,
	}, true
}

// keep remembers what refreshToken gave. Failing to is no error: the tokens are
// in hand, only a retry would not find them.
func (c *recentResults) keep(now time.Time, refreshToken secret.Value, r redemption) {
	plain, err := json.Marshal(sealedRedemption{
		Access: r.tokens.access.Reveal(), Refresh: r.tokens.refresh.Reveal(),
		Scope: r.tokens.scope, Expires: r.tokens.expires, Verified: r.verified,
	})
	if err != nil {
		return
	}
	s, err := seal.New([]byte(refreshToken.Reveal()), recentPurpose)
	if err != nil {
		return
	}
	window := unverifiedWindow
	if r.verified {
		window = idempotentWindow
	}
	key := tokenKey(refreshToken)
	c.results.Put(now, key, recentResult{sealed: s.Seal(plain, key), expires: now.Add(window)})
}
