package bearer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

const tooLargeHint = "The token is longer than 16 KiB; ask the identity provider for a smaller one."

// Bounds of what is read of a token, besides [MaxToken].
const (
	maxDepth = 16  // nested arrays and objects of its header or claims
	maxKeyID = 256 // bytes of its "kid", and of a published key's
)

// registered lists the members that this package reads. A member that differs
// from one of them only by case could be taken for it by another reader of the
// same token, so such a token is refused.
var registered = []string{
	"alg", "typ", "kid", "crit", "b64",
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "scp",
	"client_id", "azp", "nonce", "at_hash", "c_hash", "cnf",
	"acr", "amr", "auth_time",
}

// token is a JWT on its way through verification. Nothing but issuer may be
// used of its claims before the signature was verified (RFC 8725 section 3.3),
// and issuer only to choose whose keys decide.
type token struct {
	raw     string
	payload []byte

	header    strictjson.Object
	algorithm string
	keyID     string // opaque; empty when the header has none

	members strictjson.Object // claims as they came
	issuer  string

	signer *issuer // who vouches for it, once the signature was verified
	keys   *keySet // signer's keys

	claims claims    // decoded after the signature was verified
	heard  time.Time // when the issuer was asked about it; zero when it was not
	now    time.Time
}

const (
	opaqueHint    = "The token is encrypted or opaque, not a signed JWT: the authorization request named no API. Send the resource parameter, or set a default audience at the identity provider."
	malformedHint = "The token is not a well-formed JWT; pass it on whole and unchanged, or sign in again."
)

// size is about what a remembered token takes, in bytes: its claims as text, and
// decoded.
func (t *token) size() int {
	const overhead = 1 << 10
	return len(t.payload) + overhead
}

// memorable is until when a token may be remembered: while its expiry allows,
// and as long as its issuer's word counts if that was asked.
func (t *token) memorable() time.Time {
	until := t.claims.expiry.Add(t.signer.config.Leeway)
	if t.heard.IsZero() {
		return until
	}
	if spoken := t.heard.Add(t.signer.config.Introspection.CacheFor); spoken.Before(until) {
		return spoken
	}
	return until
}

// parseToken reads the shape of a compact JWS (RFC 7515 section 7.1) strictly:
// whatever two readers could see differently is refused. Errors are
// [*oauth.Refusal].
func parseToken(raw string) (*token, error) {
	if len(raw) > MaxToken {
		return nil, TooLarge.refuse(tooLargeHint, nil)
	}
	segments := strings.Split(raw, ".")
	switch len(segments) {
	case 3:
	case 5:
		return nil, EncryptedToken.refuse(opaqueHint, nil)
	default:
		return nil, OpaqueToken.refuse(opaqueHint, fmt.Errorf("%d segments", len(segments)))
	}
	t := &token{raw: raw}
	_, header, err := decodeObject(segments[0])
	switch {
	case errors.Is(err, strictjson.ErrDuplicate):
		return nil, AmbiguousMember.refuse(ambiguousHint, fmt.Errorf("header: %w", err))
	case err != nil:
		return nil, OpaqueToken.refuse(opaqueHint, fmt.Errorf("header: %w", err))
	}
	payload, members, err := decodeObject(segments[1])
	switch {
	case errors.Is(err, strictjson.ErrDuplicate):
		return nil, AmbiguousMember.refuse(ambiguousHint, fmt.Errorf("claims: %w", err))
	case err != nil:
		return nil, MalformedToken.refuse(malformedHint, fmt.Errorf("claims: %w", err))
	}
	if _, err := decodeSegment(segments[2]); err != nil {
		return nil, MalformedToken.refuse(malformedHint, fmt.Errorf("signature: %w", err))
	}
	t.header, t.payload, t.members = header, payload, members
	return t, t.readHeader()
}

const ambiguousHint = "The token has a member twice, or one that differs from a registered name only by case; its readers could disagree about it. Report this to who issued it."

// readHeader takes what verification needs of the header. Members that tell
// where to find a key (jku, jwk, x5u, x5c, x5t) are not among it: a token does
// not choose its own key (RFC 8725 section 3.10).
func (t *token) readHeader() error {
	for _, object := range []strictjson.Object{t.header, t.members} {
		if name := object.FoldedCollision(registered...); name != "" {
			return AmbiguousMember.refuse(ambiguousHint, fmt.Errorf("member %q", clip(name)))
		}
	}
	var ok bool
	if t.algorithm, ok = t.header.Text("alg"); !ok {
		return MalformedToken.refuse(malformedHint, errors.New("header: alg is not a string"))
	}
	if _, present := t.header.Get("kid"); present {
		if t.keyID, ok = t.header.Text("kid"); !ok || len(t.keyID) > maxKeyID {
			return MalformedToken.refuse(malformedHint, errors.New("header: kid is not a short string"))
		}
	}
	t.issuer, _ = t.members.Text("iss") // absent or not a string: nobody's issuer
	return nil
}

func clip(text string) string { return text[:min(len(text), maxEcho)] }

// decodeObject decodes one base64url segment that holds a JSON object.
func decodeObject(segment string) ([]byte, strictjson.Object, error) {
	raw, err := decodeSegment(segment)
	if err != nil {
		return nil, nil, err
	}
	if err := strictjson.Check(raw, maxDepth); err != nil {
		return nil, nil, err
	}
	object, err := strictjson.ParseObject(raw)
	return raw, object, err
}

// decodeSegment decodes base64url without padding (RFC 7515 section 2) so that
// one content has one spelling: no line breaks, which the decoder would pass
// over, and no bits after the end.
func decodeSegment(segment string) ([]byte, error) {
	if strings.ContainsAny(segment, "\r\n") {
		return nil, errors.New("line break in base64url")
	}
	return base64.RawURLEncoding.Strict().DecodeString(segment)
}
