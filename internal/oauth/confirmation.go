package oauth

// Authentication schemes of an access token, as they stand in Authorization and
// in challenges. They are compared without regard to case (RFC 9110 section 11.1).
const (
	SchemeBearer = "Bearer" // RFC 6750
	SchemeDPoP   = "DPoP"   // RFC 9449 section 7.1
)

// Confirmation names the keys that an access token is bound to ("cnf", RFC 7800
// section 3.1). Whoever presents the token has to prove that they hold every one
// of them. The zero Confirmation binds to nothing: a plain bearer token.
type Confirmation struct {
	// KeyThumbprint is "jkt": the RFC 7638 SHA-256 thumbprint of a DPoP key, in
	// base64url (RFC 9449 section 6.1).
	KeyThumbprint string
	// CertificateThumbprint is "x5t#S256": the SHA-256 of a client certificate's
	// DER, in base64url (RFC 8705 section 3.1).
	CertificateThumbprint string
	// Other says that the token is bound in a way this server cannot check, so
	// that nobody can prove it.
	Other bool
}

// Bound reports whether the token is bound to any key.
func (c Confirmation) Bound() bool { return c != Confirmation{} }
