package devstack

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// proofDefect is one way to spoil a DPoP proof that is good otherwise.
type proofDefect struct {
	name  string
	about string
	spoil func(d *proofDraft)
}

// ProofDefects returns the names that [Proof].Defect may have. The list is
// closed; GET /dev/proofs explains each.
func ProofDefects() []string {
	names := make([]string, 0, len(proofDefects))
	for _, d := range proofDefects {
		names = append(names, d.name)
	}
	return names
}

func proofClaim(name string, value any) func(*proofDraft) {
	return func(d *proofDraft) { d.claims.set(name, value) }
}

func proofWithout(name string) func(*proofDraft) {
	return func(d *proofDraft) { d.claims.drop(name) }
}

func proofHeader(name string, value any) func(*proofDraft) {
	return func(d *proofDraft) { d.header.set(name, value) }
}

var proofDefects = []proofDefect{
	// Their number.
	{"no-proof", "there is no DPoP header", func(d *proofDraft) { d.count = 0 }},
	{"two-proofs", "there are two DPoP headers", func(d *proofDraft) { d.count = 2 }},

	// Header and key.
	{"wrong-typ", "typ is JWT", proofHeader("typ", "JWT")},
	{"crit", "crit names an extension nobody knows", proofHeader("crit", []string{"http://example.com/unknown"})},
	{"alg-none", "alg is none and there is no signature", func(d *proofDraft) {
		d.header.set("alg", "none")
		d.sign = func(*proofDraft, []byte) ([]byte, error) { return nil, nil }
	}},
	{"symmetric-alg", "alg is HS256, and jwk is the secret", func(d *proofDraft) {
		secret := []byte(rand.Text())
		d.header.set("alg", "HS256")
		d.header.set("jwk", jose.JSONWebKey{Key: secret})
		d.sign = func(_ *proofDraft, input []byte) ([]byte, error) {
			mac := hmac.New(sha256.New, secret)
			mac.Write(input)
			return mac.Sum(nil), nil
		}
	}},
	{"no-jwk", "there is no jwk", func(d *proofDraft) { d.header.drop("jwk") }},
	{"private-jwk", "jwk holds a private key", func(d *proofDraft) { d.header.set("jwk", jose.JSONWebKey{Key: d.stranger}) }},
	{"bad-signature", "another key than jwk signed", func(d *proofDraft) { d.signer = d.stranger }},
	{"wrong-key", "a key that the token is not bound to signed, and stands in jwk", func(d *proofDraft) {
		d.signer = d.stranger
		d.header.set("jwk", publicJWK(d.stranger))
	}},

	// What it was made for.
	{"wrong-htm", "htm is DELETE", proofClaim("htm", "DELETE")},
	{"wrong-htu", "htu is another path", func(d *proofDraft) { d.claims.set("htu", fmt.Sprint(d.claims.value("htu"), "/other")) }},
	{"foreign-htu", "htu is another server", proofClaim("htu", "https://resource.example/mcp")},
	{"wrong-ath", "ath is the hash of another token", func(d *proofDraft) {
		sum := sha256.Sum256([]byte(rand.Text()))
		d.claims.set("ath", segment(sum[:]))
	}},
	{"no-ath", "there is no ath", proofWithout("ath")},
	{"no-jti", "there is no jti", proofWithout("jti")},
	{"oversize", "10 KiB of padding in a claim", proofClaim("padding", strings.Repeat("x", 10<<10))},

	// When.
	{"old-iat", "iat is two hours ago", func(d *proofDraft) { d.claims.set("iat", ago(outside)) }},
	{"future-iat", "iat is two hours ahead", func(d *proofDraft) { d.claims.set("iat", ago(-outside)) }},
	{"replayed-jti", "jti is that of the proof made before", func(d *proofDraft) { d.claims.set("jti", d.previous) }},
	{"wrong-nonce", "the nonce is made up", func(d *proofDraft) { d.claims.set("nonce", rand.Text()) }},
}
