package diagnose

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rules for keys that verify tokens (RFC 7518 section 3.3).
const (
	minRSABits = 2048
	maxRSABits = 4096
	maxKeys    = 100 // further keys are passed over
)

// keySet is what a report says of a JWK Set.
type keySet struct {
	kinds  map[string]int // by what the key is for
	usable int            // for the issuer's algorithms
}

// readKeySet counts the keys of a JWK Set (RFC 7517 section 5). It looks at what
// they say, not whether they work; the verifier does.
func readKeySet(body []byte, algorithms []string) (keySet, error) {
	var document struct {
		Keys []jwk `json:"keys"`
	}
	if json.Unmarshal(body, &document) != nil || document.Keys == nil {
		return keySet{}, errors.New(`it is not a JSON object with a list "keys"`)
	}
	set := keySet{kinds: map[string]int{}}
	for _, key := range document.Keys[:min(len(document.Keys), maxKeys)] {
		kind := printable(key.Type)
		if key.Algorithm != "" {
			kind = printable(key.Algorithm)
		}
		if key.Use != "" && key.Use != "sig" {
			kind += " (" + printable(key.Use) + ")"
		}
		bits := key.bits()
		weak := key.Type == "RSA" && (bits < minRSABits || bits > maxRSABits)
		if weak {
			kind += fmt.Sprintf(" of %d bits", bits)
		}
		if !weak && key.fits(algorithms) {
			set.usable++
		}
		set.kinds[kind]++
	}
	return set, nil
}

// jwk is what is read of a published key.
type jwk struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
	Modulus   string `json:"n"`
}

func (k jwk) bits() int {
	modulus, err := base64.RawURLEncoding.DecodeString(k.Modulus)
	if err != nil {
		return 0
	}
	return 8 * len(modulus)
}

// fits reports whether the key is published for one of the algorithms.
func (k jwk) fits(algorithms []string) bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	var possible []string
	switch {
	case k.Type == "RSA":
		possible = []string{"RS256", "PS256"}
	case k.Type == "EC" && k.Curve == "P-256":
		possible = []string{"ES256"}
	case k.Type == "OKP" && k.Curve == "Ed25519":
		possible = []string{"EdDSA"}
	}
	return slices.ContainsFunc(possible, func(algorithm string) bool {
		return slices.Contains(algorithms, algorithm) && (k.Algorithm == "" || k.Algorithm == algorithm)
	})
}

// String lists the keys: "2 RS256, 1 ES256".
func (s keySet) String() string {
	if len(s.kinds) == 0 {
		return "no keys"
	}
	parts := make([]string, 0, len(s.kinds))
	for _, kind := range slices.Sorted(maps.Keys(s.kinds)) {
		parts = append(parts, fmt.Sprintf("%d %s", s.kinds[kind], kind))
	}
	return strings.Join(parts, ", ")
}
