package devstack

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// How long codes and refresh tokens are good for.
const (
	codeLifetime = time.Minute
	// refreshGrace is how long a refresh token that was just used goes on
	// working: two processes of one client refresh at the same moment, and the
	// slower one must not lose the sign-in.
	refreshGrace     = 10 * time.Second
	maxRefreshTokens = 10000
)

// grant is what a person allowed a client: the source of every token.
type grant struct {
	authorization
	person   person
	granted  oauth.Scopes
	authTime time.Time
}

// authCode is a code with its grant. A used code is remembered, so that its
// second use revokes what the first one gave (RFC 6749 section 4.1.2).
type authCode struct {
	grant   grant
	expires time.Time
	used    bool
	family  *family
}

// family is all refresh tokens that stem from one grant (RFC 9700 section
// 4.14.2).
type family struct {
	grant   grant
	revoked bool
}

// refreshToken is one member of a family.
//
//	state     | when                       | presented again
//	----------|----------------------------|---------------------------------
//	live      | rotated is zero            | rotated, a new one is handed out
//	in grace  | rotated within 10 s        | another new one is handed out
//	spent     | rotated earlier            | the whole family is revoked
type refreshToken struct {
	family  *family
	rotated time.Time
}

// grants keeps codes and refresh tokens.
type grants struct {
	now func() time.Time

	mu      sync.Mutex
	codes   *bounded[string, *authCode]
	refresh *bounded[string, *refreshToken]
}

func newGrants(now func() time.Time) *grants {
	return &grants{
		now:     now,
		codes:   newBounded[string, *authCode](maxCodes),
		refresh: newBounded[string, *refreshToken](maxRefreshTokens),
	}
}

// newCode returns a code for g, good once and for a minute.
func (s *grants) newCode(g grant) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := rand.Text()
	s.codes.put(code, &authCode{grant: g, expires: s.now().Add(codeLifetime)})
	return code
}

// redeem uses a code up, whatever becomes of the request: a code that was seen
// by somebody else is worth nothing.
func (s *grants) redeem(code string) (*authCode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry, ok := s.codes.get(code)
	switch {
	case !ok:
		return nil, oidc.ErrInvalidGrant().WithDescription("unknown code")
	case entry.used:
		if entry.family != nil {
			entry.family.revoked = true
		}
		return nil, oidc.ErrInvalidGrant().WithDescription("the code was used already")
	}
	entry.used = true
	if s.now().After(entry.expires) {
		return nil, oidc.ErrInvalidGrant().WithDescription("the code is expired")
	}
	return entry, nil
}

// start opens the family of a redeemed code and returns its first refresh
// token.
func (s *grants) start(entry *authCode) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry.family = &family{grant: entry.grant}
	return s.mint(entry.family)
}

func (s *grants) mint(f *family) string {
	token := rand.Text() + rand.Text()
	s.refresh.put(token, &refreshToken{family: f})
	return token
}

// lookup returns the grant behind a refresh token of that client without using
// it. Presenting a spent token revokes its family.
func (s *grants) lookup(token, clientID string) (grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry, err := s.usable(token, clientID)
	if err != nil {
		return grant{}, err
	}
	return entry.family.grant, nil
}

// rotate uses a refresh token and returns its successor.
func (s *grants) rotate(token, clientID string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry, err := s.usable(token, clientID)
	if err != nil {
		return "", err
	}
	if entry.rotated.IsZero() {
		entry.rotated = s.now()
	}
	return s.mint(entry.family), nil
}

func (s *grants) usable(token, clientID string) (*refreshToken, error) {
	entry, ok := s.refresh.get(token)
	switch {
	case !ok || entry.family.grant.clientID != clientID:
		return nil, oidc.ErrInvalidGrant().WithDescription("unknown refresh token")
	case entry.family.revoked:
		return nil, oidc.ErrInvalidGrant().WithDescription("the authorization was revoked")
	case !entry.rotated.IsZero() && s.now().Sub(entry.rotated) > refreshGrace:
		entry.family.revoked = true
		return nil, oidc.ErrInvalidGrant().WithDescription("the refresh token was used already, so the authorization is revoked")
	}
	return entry, nil
}

// revoke ends the family of a refresh token, if it is one of that client's (RFC
// 7009 section 2.1).
func (s *grants) revoke(token, clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry, ok := s.refresh.get(token); ok && entry.family.grant.clientID == clientID {
		entry.family.revoked = true
	}
}
