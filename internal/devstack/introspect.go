package devstack

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// spoken is what the token signer knows of tokens beside what stands in them:
// the claims of opaque ones, and which were revoked.
type spoken struct {
	now func() time.Time

	mu      sync.Mutex
	opaque  *bounded[string, opaqueToken]
	revoked *bounded[string, bool]
}

// opaqueToken is a token that says nothing to anybody else.
type opaqueToken struct {
	claims object
	until  time.Time // its real end, whatever a defect made its exp say
}

func newSpoken(now func() time.Time) *spoken {
	return &spoken{now: now, opaque: newBounded[string, opaqueToken](maxOpaque), revoked: newBounded[string, bool](maxRevoked)}
}

// keep returns a new opaque token with these claims.
func (s *spoken) keep(claims object, until time.Time) string {
	token := rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opaque.put(token, opaqueToken{claims, until})
	return token
}

// read returns the claims of an opaque token that is good.
func (s *spoken) read(token string) ([]byte, bool) {
	claims, ok := s.claims(token)
	if !ok {
		return nil, false
	}
	text, err := claims.encode()
	return text, err == nil
}

func (s *spoken) claims(token string) (object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.opaque.get(token)
	if _, revoked := s.revoked.get(token); revoked || !ok || !s.now().Before(found.until) {
		return nil, false
	}
	return found.claims, true
}

func (s *spoken) revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked.put(token, true)
}

func (s *spoken) isRevoked(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	revoked, _ := s.revoked.get(token)
	return revoked
}

// introspect answers POST /ares/oauth/introspect (RFC 7662) to clients with a
// secret. Of a token that is not good it says nothing but that.
func (b *broker) introspect(w http.ResponseWriter, r *http.Request) error {
	form, err := postedForm(w, r)
	if err != nil {
		return err
	}
	asking, err := b.verifyClient(w, r, form)
	if err != nil {
		return err
	}
	if asking.AuthMethod() == oidc.AuthMethodNone {
		w.Header().Set("WWW-Authenticate", `Basic realm="ares"`)
		return &oauth.Refusal{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "Introspection is for clients with a secret", Reason: "invalid_client"}
	}
	claims, active := b.standing(form.Get("token"))
	if !active {
		return writeJSON(w, http.StatusOK, map[string]bool{"active": false})
	}
	claims.set("active", true)
	body, err := claims.encode()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, json.RawMessage(body))
}

// standing returns the claims of a token that is good.
func (b *broker) standing(token string) (object, bool) {
	if claims, ok := b.spoken.claims(token); ok {
		return append(object(nil), claims...), true
	}
	if _, err := b.verifier.verify(token); err != nil || b.spoken.isRevoked(token) {
		return nil, false
	}
	payload, err := b.verifier.payload(token)
	if err != nil {
		return nil, false
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil {
		return nil, false
	}
	var claims object
	for name, value := range members {
		claims.add(name, value)
	}
	return claims, true
}
