package bearer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

func TestReq026_Req042_OneOddKeyNeverSpoilsTheRest(t *testing.T) {
	good := rsaKey().named("good").jwk()
	weak := signingKey{"weak", rs256, must(rsa.GenerateKey(rand.Reader, 1024))}.jwk()
	wrongCurve := signingKey{"p384", "", must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))}.jwk()
	edit := func(base map[string]any, name string, value any) map[string]any {
		return with(base, map[string]any{name: value})
	}
	rsaBase := with(rsaKey().named("odd").jwk(), nil)
	ecBase := ecKey().named("odd").jwk()
	for _, tc := range []struct {
		name string
		odd  any
		kept bool
	}{
		{"text", "hello", false},
		{"null", nil, false},
		{"unknown kty", map[string]any{"kty": "AKP-2030", "kid": "odd"}, false},
		{"no kty", map[string]any{"kid": "odd"}, false},
		{"symmetric", map[string]any{"kty": "oct", "k": "c2VjcmV0", "kid": "odd"}, false},
		{"private", with(rsaBase, map[string]any{"d": "AQAB", "p": "AQAB", "q": "AQAB"}), false},
		{"RSA of 1024 bits", weak, false},
		{"RSA with exponent 1", edit(rsaBase, "e", "AQ"), false},
		{"RSA with an even exponent", edit(rsaBase, "e", "BA"), false},
		{"RSA of 4104 bits", edit(rsaBase, "n", b64(strings.Repeat("\xff", 513))), false},
		{"RSA without modulus", edit(rsaBase, "n", ""), false},
		{"EC off the curve", edit(ecBase, "x", ecBase["y"]), false},
		{"EC of another curve", wrongCurve, false},
		{"Ed25519 of wrong length", map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "odd"}, false},
		{"X25519", map[string]any{"kty": "OKP", "crv": "X25519", "x": b64(strings.Repeat("x", 32)), "kid": "odd"}, false},
		{"use enc", edit(rsaBase, "use", "enc"), false},
		{"use is a list", edit(rsaBase, "use", []string{"sig"}), false},
		{"key_ops without verify", edit(rsaBase, "key_ops", []string{"encrypt"}), false},
		{"key_ops with verify", edit(rsaBase, "key_ops", []string{"verify"}), true},
		{"alg for encryption", edit(rsaBase, "alg", "RSA-OAEP-256"), false},
		{"alg of another type", edit(rsaBase, "alg", es256), false},
		{"alg the issuer may not use", edit(rsaBase, "alg", ps256), false},
		{"long kid", edit(rsaBase, "kid", strings.Repeat("k", maxKeyID+1)), false},
		{"kid is a number", edit(rsaBase, "kid", 1), false},
		{"repeated member", json.RawMessage(strings.Replace(string(must(json.Marshal(rsaBase))), "{", `{"kid":"x",`, 1)), false},
		{"broken certificates", with(rsaBase, map[string]any{"x5c": []string{"nonsense"}, "x5t": "!", "x5u": "::"}), true},
		{"unknown member", edit(rsaBase, "iat", 1), true},
		{"EC", ecBase, true},
		{"Ed25519", edKey().named("odd").jwk(), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw := must(json.Marshal(map[string]any{"keys": []any{tc.odd, good}}))
			set, err := parseKeySet(raw, []string{rs256, es256, edDSA})
			if err != nil {
				t.Fatal(err)
			}
			if _, known := set.candidates("good", rs256); !known {
				t.Error("the good key is gone")
			}
			if kept := len(set.keys) == 2; kept != tc.kept {
				t.Errorf("odd key kept: %v, want %v", kept, tc.kept)
			}
		})
	}
}

func TestReq042_EmptyAndBrokenKeySets(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		unusable   bool // otherwise unreadable
	}{
		{"empty", `{"keys":[]}`, true},
		{"null", `{"keys":null}`, true},
		{"only others", `{"keys":[{"kty":"oct","k":"AAAA"}]}`, true},
		{"no keys", `{}`, false},
		{"keys is an object", `{"keys":{}}`, false},
		{"list", `[]`, false},
		{"HTML", `<html>`, false},
		{"twice", `{"keys":[],"keys":[]}`, false},
		{"deep", `{"keys":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parseKeySet([]byte(tc.body), []string{rs256})
			if err == nil || errors.Is(err, errNoUsableKeys) != tc.unusable {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestReq045_KeySetsAreBounded(t *testing.T) {
	var list []any
	for n := range 3 * maxKeys {
		list = append(list, rsaKey().named(fmt.Sprint("k", n)).jwk())
	}
	set, err := parseKeySet(must(json.Marshal(map[string]any{"keys": list})), []string{rs256})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.keys) != maxKeys || set.ignored != 2*maxKeys {
		t.Errorf("%d keys, %d ignored", len(set.keys), set.ignored)
	}
	if keys, known := set.candidates("", rs256); len(keys) != maxCandidates || known {
		t.Errorf("%d candidates, known %v", len(keys), known)
	}
}

func TestReq040_NewRefusesHalfConfigurations(t *testing.T) {
	provider := startIDP(t, rsaKey())
	fetcher := provider.fetcher(t)
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"nothing is missing", func(*Config) {}, ""},
		{"no issuer", func(c *Config) { c.Issuers = nil }, "Issuers: at least one"},
		{"empty issuer", func(c *Config) { c.Issuers[0] = IssuerConfig{} }, "Issuers[0]: without Source"},
		{"issuer twice", func(c *Config) {
			c.Issuers = append(c.Issuers, IssuerConfig{Issuer: "https://idp.example/", JWKSURL: "https://idp.example/j"})
		}, "listed twice"},
		{"key set over http", func(c *Config) { c.Issuers[0].JWKSURL = "http://idp.example/jwks" }, "neither https"},
		{"HS256", func(c *Config) { c.Issuers[0].Algorithms = []string{"HS256"} }, `algorithm "HS256" is not one of`},
		{"none", func(c *Config) { c.Issuers[0].Algorithms = []string{rs256, "none"} }, `"none" is not one of`},
		{"no audience", func(c *Config) { c.Audiences = nil }, "Audiences"},
		{"empty audience", func(c *Config) { c.Audiences = []string{""} }, "Audiences"},
		{"long leeway", func(c *Config) { c.Leeway = maxLeeway + 1 }, "Leeway"},
		{"negative leeway", func(c *Config) { c.Leeway = -1 }, "Leeway"},
		{"impossible scope", func(c *Config) { c.RequiredScopes = oauth.Scopes{"a b"} }, "RequiredScopes"},
		{"empty audience of an issuer", func(c *Config) { c.Issuers[0].Audiences = []string{""} }, "Issuers[0]: Audiences"},
		{"long leeway of an issuer", func(c *Config) { c.Issuers[0].Leeway = maxLeeway + 1 }, "Issuers[0]: Leeway"},
		{"empty client", func(c *Config) { c.Issuers[0].Clients = []string{""} }, "Clients"},
		{"unknown policy for typ", func(c *Config) { c.Issuers[0].Types = "any" }, `"any" is neither`},
		{"negative age", func(c *Config) { c.Issuers[0].MaxAge = -1 }, "MaxAge"},
		{"no fetcher", func(c *Config) { c.Fetcher = nil }, "Fetcher"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := Config{
				Issuers:   []IssuerConfig{{Issuer: "https://idp.example", JWKSURL: "https://idp.example/jwks"}},
				Audiences: []string{testAudience},
				Fetcher:   fetcher,
			}
			tc.change(&cfg)
			v, err := New(cfg)
			if tc.want == "" {
				if err != nil || v.issuers[0].config.Leeway != defaultLeeway {
					t.Fatalf("%v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
