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

// Rules for a key that verifies RS256, the algorithm of the server (RFC 7518
// section 3.3).
const (
	minRSABits = 2048
	maxRSABits = 4096
	maxKeys    = 100 // further keys are passed over
)

// keySet is what a report says of a JWK Set.
type keySet struct {
	kinds  map[string]int // by what the key is for
	usable int            // for RS256
}

// readKeySet counts the keys of a JWK Set (RFC 7517 section 5). It looks at what
// they say, not whether they work; the verifier does.
func readKeySet(body []byte) (keySet, error) {
	var document struct {
		Keys []struct {
			Type      string `json:"kty"`
			Algorithm string `json:"alg"`
			Use       string `json:"use"`
			Modulus   string `json:"n"`
		} `json:"keys"`
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
		modulus, err := base64.RawURLEncoding.DecodeString(key.Modulus)
		bits := 8 * len(modulus)
		switch {
		case key.Type != "RSA" || key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != "RS256":
		case err == nil && bits >= minRSABits && bits <= maxRSABits:
			set.usable++
		default:
			kind += fmt.Sprintf(" of %d bits", bits)
		}
		set.kinds[kind]++
	}
	return set, nil
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
