package bearer

import (
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Reason says which check turned a request down. It is a closed list, so that
// logs, metric labels and tests share it; see [Reasons].
type Reason string

// Reasons of a request whose credentials cannot be read.
const (
	NoToken         Reason = "no_token"         // no credentials at all
	OtherScheme     Reason = "other_scheme"     // Basic, or DPoP where it is not taken
	MalformedHeader Reason = "malformed_header" // not "Bearer <b64token>"
	SeveralTokens   Reason = "several_tokens"   // more than one Authorization header
	TokenInQuery    Reason = "token_in_query"
	TokenInForm     Reason = "token_in_form"
)

// Reasons of a token that is not a JWT this server can read.
const (
	TooLarge        Reason = "token_too_large"
	EncryptedToken  Reason = "encrypted_token"
	OpaqueToken     Reason = "opaque_token" //nolint:gosec // a word for logs, no credential
	MalformedToken  Reason = "malformed_token"
	AmbiguousMember Reason = "ambiguous_member" // a JSON member twice, or again in other letters
)

// Reasons of a token that was read and is not acceptable.
const (
	WrongAlgorithm    Reason = "wrong_algorithm"
	CriticalHeader    Reason = "critical_header"
	WrongType         Reason = "wrong_type"
	WrongIssuer       Reason = "wrong_issuer"
	UnknownKey        Reason = "unknown_key"
	BadSignature      Reason = "bad_signature"
	InvalidClaim      Reason = "invalid_claim" // a claim of the wrong JSON type or range
	IDToken           Reason = "id_token"
	WrongUse          Reason = "wrong_use" // a refresh or an ID token by its own word
	SenderConstrained Reason = "sender_constrained"
	WrongAudience     Reason = "wrong_audience"
	WrongClient       Reason = "wrong_client"
	NoExpiry          Reason = "no_expiry"
	Expired           Reason = "expired"
	NotYetValid       Reason = "not_yet_valid"
	IssuedInFuture    Reason = "issued_in_future"
	TooOld            Reason = "token_too_old"  // the issuer's MaxAge
	LivesTooLong      Reason = "lives_too_long" // the issuer's MaxLifetime
	NoSubject         Reason = "no_subject"
	RevokedToken      Reason = "revoked"
	InsufficientScope Reason = "insufficient_scope"
	InactiveToken     Reason = "inactive_token" // its issuer says so (RFC 7662)
)

// Reasons of a token that is bound to a key, or is not, against what was
// presented with it.
const (
	UnboundToken       Reason = "unbound_token"       // bound to no key where one is wanted
	DowngradedToken    Reason = "downgraded_token"    // bound to a DPoP key, presented as a bearer token
	CertificateMissing Reason = "certificate_missing" // bound to a certificate, and the connection has none
	CertificateWrong   Reason = "certificate_wrong"   // bound to another certificate
)

// Reasons of a DPoP proof that does not hold (RFC 9449 section 4.3).
const (
	ProofMissing   Reason = "proof_missing"
	SeveralProofs  Reason = "several_proofs"
	ProofMalformed Reason = "proof_malformed" // not a JWT that can be read in one way only
	ProofType      Reason = "proof_type"      // its "typ" is not dpop+jwt
	ProofExtension Reason = "proof_extension" // it demands "crit" or "b64"
	ProofAlgorithm Reason = "proof_algorithm" // not an asymmetric one of the list
	ProofKey       Reason = "proof_key"       // its "jwk" is missing, private, symmetric or weak
	ProofSignature Reason = "proof_signature"
	ProofClaim     Reason = "proof_claim" // one is missing or of the wrong type
	ProofMethod    Reason = "proof_method"
	ProofURL       Reason = "proof_url"
	ProofToken     Reason = "proof_token"   // made for another token ("ath")
	ProofBinding   Reason = "proof_binding" // signed with another key than the token's
	ProofTime      Reason = "proof_time"
	ProofNonce     Reason = "proof_nonce"
	ProofReplayed  Reason = "proof_replayed"
)

// ProofsFull is the reason of a request whose proof cannot be remembered: too
// many came within its lifetime (503).
const ProofsFull Reason = "proofs_full"

// Reasons that are not the token's fault (503): the issuer's keys, or its word
// on the token, cannot be had.
const (
	KeysUnavailable          Reason = "keys_unavailable"
	IntrospectionUnavailable Reason = "introspection_unavailable"
)

// Reasons returns every Reason, for metrics and for the test that wants each to
// be produced.
func Reasons() []Reason {
	return []Reason{
		NoToken, OtherScheme, MalformedHeader, SeveralTokens, TokenInQuery, TokenInForm,
		TooLarge, EncryptedToken, OpaqueToken, MalformedToken, AmbiguousMember,
		WrongAlgorithm, CriticalHeader, WrongType, WrongIssuer, UnknownKey, BadSignature,
		InvalidClaim, IDToken, WrongUse, SenderConstrained, WrongAudience, WrongClient, NoExpiry, Expired,
		NotYetValid, IssuedInFuture, TooOld, LivesTooLong, NoSubject, RevokedToken, InsufficientScope, InactiveToken,
		KeysUnavailable, IntrospectionUnavailable,
		UnboundToken, DowngradedToken, CertificateMissing, CertificateWrong,
		ProofMissing, SeveralProofs, ProofMalformed, ProofType, ProofExtension, ProofAlgorithm,
		ProofKey, ProofSignature, ProofClaim, ProofMethod, ProofURL, ProofToken, ProofBinding,
		ProofTime, ProofNonce, ProofReplayed, ProofsFull,
	}
}

// refuse turns a token down with one sentence for the person. The sentence is
// ours; values of the token come into it through [echo] only.
func (r Reason) refuse(sentence string, cause error) *oauth.Refusal {
	return oauth.InvalidToken(string(r), oauth.SafeText(sentence), cause)
}

// refuseProof turns a DPoP proof down (RFC 9449 section 7.1).
func (r Reason) refuseProof(sentence string, cause error) *oauth.Refusal {
	return oauth.InvalidProof(oauth.CodeInvalidDPoPProof, string(r), oauth.SafeText(sentence), cause)
}

// underScheme puts a refusal on the challenge of the scheme that the token was
// presented with.
func underScheme(scheme string, refusal *oauth.Refusal) *oauth.Refusal {
	presented := *refusal
	presented.Scheme = scheme
	return &presented
}

// badRequest refuses a request that does not present its token as RFC 6750
// wants it (section 3.1, invalid_request).
func (r Reason) badRequest(sentence string) *oauth.Refusal {
	return oauth.BadRequest(string(r), sentence)
}

// unavailable refuses a request because something of the issuer's cannot be had.
// Retry-After counts whole seconds, so the wait is rounded up.
func (r Reason) unavailable(sentence string, wait time.Duration, cause error) *oauth.Refusal {
	wait = max((wait + time.Second - 1).Truncate(time.Second), time.Second)
	refusal := oauth.Unavailable(sentence+" The token was not refused; try again shortly.", wait, cause)
	refusal.Reason = string(r)
	return refusal
}

// unavailable is the refusal when the issuer's keys cannot be had.
func unavailable(wait time.Duration, cause error) *oauth.Refusal {
	return KeysUnavailable.unavailable("The identity provider's signing keys cannot be loaded at the moment.", wait, cause)
}

// forbidden refuses a good token without the scopes that every request needs.
func forbidden(need, granted oauth.Scopes) *oauth.Refusal {
	refusal := oauth.InsufficientScope(need, granted)
	refusal.Reason = string(InsufficientScope)
	return refusal
}

// Bounds of what a sentence repeats of a token.
const (
	maxEcho     = 80 // bytes of one value
	maxEchoList = 3  // values of one list
)

// echo makes a value of a token or of the configuration fit for a sentence in a
// header: short, of the characters RFC 6749 section 5.2 allows, and without "=",
// because clients look for scope= and error= with regular expressions.
func echo(value string) string {
	if value == "" {
		return "(empty)"
	}
	if len(value) > maxEcho {
		value = value[:maxEcho] + "..."
	}
	return strings.ReplaceAll(oauth.SafeText(value), "=", "?")
}

// echoList is echo for a list: "a, b and 4 more".
func echoList(values []string) string {
	shown := make([]string, 0, maxEchoList)
	for _, value := range values[:min(len(values), maxEchoList)] {
		shown = append(shown, echo(value))
	}
	text := strings.Join(shown, ", ")
	if len(values) > maxEchoList {
		text += ", ..."
	}
	return text
}

// sameButSlash reports whether two issuers differ by nothing but a trailing
// slash: the commonest misconfiguration there is.
func sameButSlash(a, b string) bool {
	return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/")
}
