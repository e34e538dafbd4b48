package devstack

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// defect is one way to spoil a token that is good otherwise.
type defect struct {
	name  string
	about string
	spoil func(d *draft)
}

// Defects returns the names that [Mint].Defect may have. The list is closed;
// GET /dev/tokens explains each.
func Defects() []string {
	names := make([]string, 0, len(defects))
	for _, d := range defects {
		names = append(names, d.name)
	}
	return names
}

// outside is how far a spoilt time lies outside any leeway.
const outside = 2 * time.Hour

// oversize is the length of the padding in a token that is too long, in bytes.
const oversize = 24 << 10

func ago(d time.Duration) int64 { return time.Now().Add(-d).Unix() }

func claim(name string, value func(d *draft) any) func(*draft) {
	return func(d *draft) { d.claims.set(name, value(d)) }
}

func constant(value any) func(*draft) any { return func(*draft) any { return value } }

func without(name string) func(*draft) { return func(d *draft) { d.claims.drop(name) } }

func header(name string, value any) func(*draft) {
	return func(d *draft) { d.header.set(name, value) }
}

func finished(finish func(*draft, string) (string, error)) func(*draft) {
	return func(d *draft) { d.finish = finish }
}

var defects = []defect{
	// Time.
	{"expired", "exp is two hours ago", func(d *draft) {
		d.claims.set("iat", ago(2*outside))
		d.claims.set("nbf", ago(2*outside))
		d.claims.set("exp", ago(outside))
	}},
	{"not-yet-valid", "nbf is two hours ahead", func(d *draft) { d.claims.set("nbf", ago(-outside)) }},
	{"issued-in-future", "iat and nbf are two hours ahead", func(d *draft) {
		d.claims.set("iat", ago(-outside))
		d.claims.set("nbf", ago(-outside))
		d.claims.set("exp", ago(-2*outside))
	}},
	{"no-expiry", "there is no exp", without("exp")},
	{"expiry-as-text", "exp is a string", func(d *draft) { d.claims.set("exp", fmt.Sprint(d.claims.value("exp"))) }},
	{"expiry-overflow", "exp is 1e300", claim("exp", constant(1e300))},

	// Issuer, audience, subject.
	{"wrong-issuer", "iss is another provider", claim("iss", constant("https://issuer.example/"))},
	{"issuer-slash", "iss lacks the trailing slash", func(d *draft) { d.claims.set("iss", strings.TrimSuffix(d.issuer, "/")) }},
	{"no-issuer", "there is no iss", without("iss")},
	{"wrong-audience", "aud is another API", claim("aud", constant("https://other-api.example"))},
	{"no-audience", "there is no aud", without("aud")},
	{"empty-audience", "aud is an empty list", claim("aud", constant([]string{}))},
	{"audience-as-number", "aud is a number", claim("aud", constant(42))},
	{"no-subject", "there is no sub", without("sub")},
	{"empty-subject", "sub is the empty string", claim("sub", constant(""))},

	// Signature and keys.
	{"bad-signature", "one bit of the signature is flipped", finished(flipSignature)},
	{"no-signature", "the signature is empty though alg is RS256", func(d *draft) { d.sign = signNothing }},
	{"unknown-kid", "the key id is not published, and neither is the key", func(d *draft) {
		d.header.set("kid", rand.Text())
		d.sign = signAsStranger
	}},
	{"wrong-key", "the kid is published, the key that signed is another", func(d *draft) { d.sign = signAsStranger }},
	{"alg-none", "alg is none and there is no signature", func(d *draft) {
		d.header.set("alg", "none")
		d.sign = signNothing
	}},
	{"hs256-with-public-key", "alg is HS256 with the public key as the secret", func(d *draft) {
		d.header.set("alg", "HS256")
		d.sign = signHS256
	}},
	{"ps256", "alg is PS256 with the right key, which is published for RS256", func(d *draft) {
		d.header.set("alg", "PS256")
		d.sign = signPS256
	}},
	{"embedded-key", "a stranger's key signed and stands in the header as jwk", func(d *draft) {
		d.prepare = embedStranger
		d.header.drop("kid")
		d.sign = signAsStranger
	}},
	{"key-url", "jku points at a stranger's key set", func(d *draft) {
		d.header.set("jku", "http://localhost:9/jwks.json")
		d.header.set("kid", rand.Text())
		d.sign = signAsStranger
	}},

	// Kind of token.
	{"id-token", "an ID token: for the client, with nonce and at_hash", func(d *draft) {
		d.claims.set("aud", d.clientID)
		d.claims.set("nonce", rand.Text())
		sum := sha256.Sum256([]byte(rand.Text()))
		d.claims.set("at_hash", segment(sum[:16]))
		for _, name := range []string{"scope", "permissions", "client_id", "nbf", "jti"} {
			d.claims.drop(name)
		}
	}},
	{"id-token-for-api", "an ID token whose aud lists the API too", func(d *draft) {
		d.claims.set("nonce", rand.Text())
		d.claims.set("aud", []any{d.clientID, d.claims.value("aud")})
	}},
	{"wrong-typ", "typ is logout+jwt", header("typ", "logout+jwt")},
	{"jwe", "encrypted, as when the request named no API", finished(encrypt)},
	{"opaque", "a random string, no JWT", finished(func(*draft, string) (string, error) { return rand.Text() + rand.Text(), nil })},
	{"sender-constrained", "cnf binds it to a DPoP key", claim("cnf", func(*draft) any {
		sum := sha256.Sum256([]byte(rand.Text()))
		return map[string]string{"jkt": segment(sum[:])}
	})},

	// Structure.
	{"crit", "crit names an extension nobody knows", func(d *draft) {
		d.header.set("crit", []string{"http://example.com/unknown"})
		d.header.set("http://example.com/unknown", true)
	}},
	{"b64-false", "crit and b64:false (RFC 7797)", func(d *draft) {
		d.header.set("crit", []string{"b64"})
		d.header.set("b64", false)
	}},
	{"duplicate-claim", "sub is there twice, with two people", func(d *draft) { d.claims.add("sub", "auth0|mallory") }},
	{"folded-claim", "beside sub there is one spelled with a long s, which folds to it", func(d *draft) { d.claims.add("\u017fub", "auth0|mallory") }},
	{"upper-case-claim", "there is SUB instead of sub", func(d *draft) { d.claims.rename("sub", "SUB") }},
	{"oversize", "24 KiB of padding in a claim", claim("padding", constant(strings.Repeat("x", oversize)))},
	{"four-segments", "a further segment at the end", finished(func(_ *draft, token string) (string, error) { return token + ".e30", nil })},
	{"padded-base64", "the signature has base64 padding", finished(func(_ *draft, token string) (string, error) { return token + "==", nil })},
}
