package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// Bounds of a published key set.
const (
	maxKeys       = 100 // further keys are passed over
	maxCandidates = 16  // keys tried for one token: those without kid, or with the same
	minRSABits    = 2048
	maxRSABits    = 4096 // a larger one makes every verification slow; go-jose takes none either
	maxJWKDepth   = 8
)

// The algorithms an issuer may be configured for. All are signatures with a
// public key: a shared-secret or "none" entry cannot exist (RFC 8725 section
// 3.1).
const (
	rs256 = string(jose.RS256)
	ps256 = string(jose.PS256)
	es256 = string(jose.ES256)
	edDSA = string(jose.EdDSA)
)

var possibleAlgorithms = []string{rs256, ps256, es256, edDSA}

// errNoUsableKeys means that a key set was fetched and has no key for any of
// the issuer's algorithms.
var errNoUsableKeys = errors.New("the key set has no key that is usable for the issuer's algorithms")

// keySet is what one issuer published at one time. It is never changed.
type keySet struct {
	issuer     string // exact "iss" of the tokens these keys sign
	keys       []publicKey
	ignored    int // published keys that are of no use here
	loadedAt   time.Time
	generation uint64 // grows when a load brings other keys than the one before
}

// publicKey is one usable key of a set.
type publicKey struct {
	id         string // "kid"; may be empty
	key        verificationKey
	algorithms []string
}

// verificationKey is *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey.
type verificationKey interface {
	Equal(other crypto.PublicKey) bool
}

// candidates returns the keys that may have signed a token with this key id and
// algorithm, at most [maxCandidates]. known reports whether the set has the key
// id at all; a token without one is never known, and every key of its algorithm
// is a candidate.
func (s *keySet) candidates(keyID, algorithm string) (keys []publicKey, known bool) {
	for _, key := range s.keys {
		if keyID != "" && key.id != keyID {
			continue
		}
		known = keyID != ""
		if slices.Contains(key.algorithms, algorithm) && len(keys) < maxCandidates {
			keys = append(keys, key)
		}
	}
	return keys, known
}

// same reports whether two sets let the same tokens pass: the issuer's name, the
// keys in their order, and what each may be used for.
func (s *keySet) same(other *keySet) bool {
	return other != nil && s.issuer == other.issuer && slices.EqualFunc(s.keys, other.keys, publicKey.same)
}

func (k publicKey) same(other publicKey) bool {
	return k.id == other.id && slices.Equal(k.algorithms, other.algorithms) && k.key.Equal(other.key)
}

// parseKeySet reads a JWK Set (RFC 7517 section 5) key by key, so that one
// unknown or broken key costs nothing but itself. It returns an error wrapping
// [errNoUsableKeys] when nothing is left.
func parseKeySet(body []byte, algorithms []string) (*keySet, error) {
	if err := strictjson.Check(body, maxJWKDepth); err != nil {
		return nil, fmt.Errorf("the key set is unreadable: %w", err)
	}
	document, err := strictjson.ParseObject(body)
	if err != nil {
		return nil, fmt.Errorf("the key set is unreadable: %w", err)
	}
	list, _ := document.Get("keys")
	var raws []json.RawMessage
	if err := json.Unmarshal(list, &raws); err != nil {
		return nil, errors.New(`the key set has no list "keys"`)
	}
	set := &keySet{}
	for _, raw := range raws[:min(len(raws), maxKeys)] {
		if key, err := parseKey(raw, algorithms); err == nil {
			set.keys = append(set.keys, key)
		}
	}
	set.ignored = len(raws) - len(set.keys)
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("%w (%d published, wanted %v)", errNoUsableKeys, len(raws), algorithms)
	}
	return set, nil
}

// parseKey reads one JWK and what it may be used for: the algorithms of its key
// type that the issuer may use, narrowed by "alg", "use" and "key_ops" (RFC
// 7517 section 4). Private and symmetric keys are no use.
func parseKey(raw json.RawMessage, algorithms []string) (publicKey, error) {
	members, err := strictjson.ParseObject(raw)
	if err != nil {
		return publicKey{}, err
	}
	if err := checkUse(members); err != nil {
		return publicKey{}, err
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(withoutCertificates(members)); err != nil {
		return publicKey{}, fmt.Errorf("jwk: %w", err)
	}
	if len(jwk.KeyID) > maxKeyID {
		return publicKey{}, errors.New("its kid is too long")
	}
	verifies, ok := jwk.Key.(verificationKey)
	if !ok {
		return publicKey{}, errors.New("it is no public key")
	}
	key := publicKey{id: jwk.KeyID, key: verifies}
	for _, algorithm := range algorithmsOf(jwk.Key) {
		if slices.Contains(algorithms, algorithm) && (jwk.Algorithm == "" || jwk.Algorithm == algorithm) {
			key.algorithms = append(key.algorithms, algorithm)
		}
	}
	if len(key.algorithms) == 0 {
		return publicKey{}, errors.New("it is for none of the issuer's algorithms")
	}
	return key, nil
}

// checkUse takes keys for verifying only, as far as they say.
func checkUse(members strictjson.Object) error {
	if _, present := members.Get("use"); present {
		if use, _ := members.Text("use"); use != "sig" {
			return errors.New(`its use is not "sig"`)
		}
	}
	if raw, present := members.Get("key_ops"); present {
		var operations []string
		if json.Unmarshal(raw, &operations) != nil || !slices.Contains(operations, "verify") {
			return errors.New(`its key_ops lack "verify"`)
		}
	}
	return nil
}

// withoutCertificates writes members again without the x5* ones. Nothing here
// uses certificates (RFC 8725 section 3.10), so an odd one must not cost the key.
func withoutCertificates(members strictjson.Object) []byte {
	rest := make(map[string]json.RawMessage, len(members))
	for _, member := range members {
		switch member.Key {
		case "x5c", "x5u", "x5t", "x5t#S256":
		default:
			rest[member.Key] = member.Value
		}
	}
	raw, _ := json.Marshal(rest) // cannot fail: the values are valid JSON
	return raw
}

// algorithmsOf returns the algorithms that a public key of sufficient strength
// is good for (RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1). That an EC
// or Ed25519 key is a point of its curve, go-jose has checked.
func algorithmsOf(key any) []string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		if bits >= minRSABits && bits <= maxRSABits && key.E >= 3 && key.E%2 == 1 {
			return []string{rs256, ps256}
		}
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return []string{es256}
		}
	case ed25519.PublicKey:
		return []string{edDSA}
	}
	return nil
}
