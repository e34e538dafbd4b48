package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// ChallengeMethodS256 is the only PKCE method this server uses (RFC 7636
// section 4.2, RFC 9700 section 2.1.1).
const ChallengeMethodS256 = "S256"

// NewVerifier returns a fresh PKCE code verifier of 256 bits (RFC 7636 section
// 4.1), in base64url, 43 characters.
func NewVerifier() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand aborts the program instead)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// S256 returns the code challenge of verifier (RFC 7636 section 4.2).
func S256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
