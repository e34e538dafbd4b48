package oauth

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Principal is who a verified access token speaks for and what it may do. It
// holds no credential. Identity is (Issuer, Subject), never an e-mail or a name
// (RFC 9068 section 5).
type Principal struct {
	Issuer   string
	Subject  string
	ClientID string // "client_id", else "azp"; empty when the token names none
	Scopes   Scopes
	Audience []string
	IssuedAt time.Time // "iat"; zero when the token does not tell
	Expiry   time.Time
	TokenID  string // "jti"; empty when the token has none

	Confirmation Confirmation // keys the token is bound to; proven by whoever presented it

	// How and when the person signed in (RFC 9470 section 6.1, OpenID Connect
	// Core section 2). Zero means that nobody vouches for it, never that it does
	// not matter.
	ACR      string   // "acr", the authentication context class
	AMR      []string // "amr", the methods
	AuthTime time.Time

	// Claims are all claims of the token as one JSON object, verified, with
	// unique keys and no longer than a token can be. Read-only: everybody who
	// has this principal shares them.
	Claims json.RawMessage
}

// Binding identifies the party a stream belongs to: (issuer, subject, client),
// not the token, so that a refreshed token goes on with the same stream.
type Binding struct {
	Issuer, Subject, ClientID string
}

// Binding returns the party this principal is.
func (p Principal) Binding() Binding {
	return Binding{Issuer: p.Issuer, Subject: p.Subject, ClientID: p.ClientID}
}

// SubjectHash is a short stable pseudonym of (issuer, subject) for logs: 64
// bits of SHA-256, in hexadecimal.
func (p Principal) SubjectHash() string {
	return shortHash(p.Issuer + "\x00" + p.Subject)
}

// TokenIDHash is a short stable pseudonym of the token's jti for audit records,
// empty when the token has none.
func (p Principal) TokenIDHash() string {
	if p.TokenID == "" {
		return ""
	}
	return shortHash(p.TokenID)
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
