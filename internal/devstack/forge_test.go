package devstack

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

func TestForgedTokenIsGoodWithoutADefect(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	got := v.do(http.MethodPost, stack.URLs().TokenForge, url.Values{
		"user": {"carla"}, "scope": {"openid a:b"}, "resource": {testServer + "/mcp"}, "audience": {"https://x.example"}, "lifetime": {"90"},
		"acr": {"urn:dev:mfa"}, "auth_time": {"1790000000"},
	})
	var answer TokenResponse
	decode(t, got.body, &answer)
	if got.status != http.StatusOK || answer.TokenType != "Bearer" || answer.ExpiresIn != 90 || answer.Scope != "openid a:b" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	_, claims := open(t, stack, answer.AccessToken)
	if number(t, claims, "exp")-number(t, claims, "iat") != 90 || claims["sub"] != "auth0|carla" || claims["iss"] != stack.URLs().TokenIssuer {
		t.Errorf("claims %v", claims)
	}
	if claims["acr"] != "urn:dev:mfa" || number(t, claims, "auth_time") != 1790000000 {
		t.Errorf("how and when Carla signed in: %v", claims)
	}
	if diff := cmp.Diff([]any{testServer + "/mcp", "https://x.example"}, claims["aud"]); diff != "" {
		t.Error(diff)
	}
	if _, claims := open(t, stack, mint(t, stack, Mint{})); claims["aud"] != testServer {
		t.Errorf("default aud %v", claims["aud"])
	}
}

func TestForgeRefuses(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	unknown := v.do(http.MethodPost, stack.URLs().TokenForge, url.Values{"defect": {"typo"}})
	unknown.wantError(t, http.StatusBadRequest, "invalid_request")
	var listed struct{ Defects []string }
	decode(t, unknown.body, &listed)
	if diff := cmp.Diff(Defects(), listed.Defects); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"user=mallory", "lifetime=x", "lifetime=-5", "lifetime=48h", "auth_time=now", "typo=1", "scope=" + strings.Repeat("x", maxForgedText+1)} {
		values, err := url.ParseQuery(bad)
		if err != nil {
			t.Fatal(err)
		}
		v.do(http.MethodPost, stack.URLs().TokenForge, values).wantError(t, http.StatusBadRequest, "invalid_request")
	}
	if _, err := stack.Mint(Mint{Defect: "typo"}); err == nil || !strings.Contains(err.Error(), "wrong-issuer") {
		t.Errorf("unknown defect: %v", err)
	}
	if got := v.do(http.MethodPost, stack.URLs().TokenForge, url.Values{}, "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("a web page forged a token: %d", got.status)
	}
}

// TestEachDefectSpoilsWhatItSays opens every spoilt token by hand. A defect
// without a check here fails.
func TestEachDefectSpoilsWhatItSays(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	keys := stack.broker.storage.keys
	now := time.Now().Unix()
	key := keys.current()

	claims := func(token string) map[string]any { return segmentOf(t, token, 1) }
	head := func(token string) map[string]any { return segmentOf(t, token, 0) }
	lacks := func(name string) func(string) bool {
		return func(token string) bool { _, there := claims(token)[name]; return !there }
	}
	has := func(name string, value any) func(string) bool {
		return func(token string) bool { return cmp.Equal(claims(token)[name], value) }
	}
	headHas := func(name string, value any) func(string) bool {
		return func(token string) bool { return cmp.Equal(head(token)[name], value) }
	}
	raw := func(token string) string {
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	signedBy := func(token string, public *rsa.PublicKey) bool {
		signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.PS256})
		if err != nil {
			return false
		}
		_, err = signed.Verify(public)
		return err == nil
	}
	foreign, err := keys.stranger()
	if err != nil {
		t.Fatal(err)
	}
	stranger, right := &foreign.PublicKey, &key.private.PublicKey
	published := func(token string) bool {
		kid, _ := head(token)["kid"].(string)
		_, ok := keys.find(kid, "RS256")
		return ok
	}

	checks := map[string]func(token string) bool{
		"expired":       func(k string) bool { return number(t, claims(k), "exp") < now-3600 },
		"not-yet-valid": func(k string) bool { return number(t, claims(k), "nbf") > now+3600 },
		"issued-in-future": func(k string) bool {
			return number(t, claims(k), "iat") > now+3600 && number(t, claims(k), "exp") > now+7200
		},
		"no-expiry":          lacks("exp"),
		"expiry-as-text":     func(k string) bool { text, ok := claims(k)["exp"].(string); return ok && len(text) == 10 },
		"expiry-overflow":    has("exp", 1e300),
		"wrong-issuer":       has("iss", "https://issuer.example/"),
		"issuer-slash":       has("iss", strings.TrimSuffix(stack.URLs().TokenIssuer, "/")),
		"no-issuer":          lacks("iss"),
		"wrong-audience":     has("aud", "https://other-api.example"),
		"no-audience":        lacks("aud"),
		"empty-audience":     has("aud", []any{}),
		"audience-as-number": has("aud", 42.0),
		"no-subject":         lacks("sub"),
		"empty-subject":      has("sub", ""),
		"bad-signature":      func(k string) bool { return !signedBy(k, right) && published(k) && strings.Count(k, ".") == 2 },
		"no-signature":       func(k string) bool { return strings.HasSuffix(k, ".") && headHas("alg", "RS256")(k) },
		"unknown-kid":        func(k string) bool { return !published(k) && signedBy(k, stranger) },
		"wrong-key":          func(k string) bool { return published(k) && signedBy(k, stranger) && !signedBy(k, right) },
		"alg-none":           func(k string) bool { return strings.HasSuffix(k, ".") && headHas("alg", "none")(k) },
		"hs256-with-public-key": func(k string) bool {
			public, err := (&draft{key: key}).publicPEM()
			if err != nil {
				return false
			}
			dot := strings.LastIndex(k, ".")
			mac := hmac.New(sha256.New, public)
			mac.Write([]byte(k[:dot]))
			return k[dot+1:] == segment(mac.Sum(nil)) && headHas("alg", "HS256")(k)
		},
		"ps256":        func(k string) bool { return headHas("alg", "PS256")(k) && signedBy(k, right) },
		"embedded-key": func(k string) bool { return head(k)["jwk"] != nil && signedBy(k, stranger) },
		"key-url":      func(k string) bool { return head(k)["jku"] != nil && signedBy(k, stranger) },
		"id-token": func(k string) bool {
			return has("aud", DevClientID)(k) && !lacks("nonce")(k) && !lacks("at_hash")(k) && lacks("scope")(k) && signedBy(k, right)
		},
		"id-token-for-api":   func(k string) bool { return has("aud", []any{DevClientID, testServer})(k) && !lacks("nonce")(k) },
		"wrong-typ":          headHas("typ", "logout+jwt"),
		"jwe":                func(k string) bool { return strings.Count(k, ".") == 4 && headHas("enc", "A256GCM")(k) },
		"opaque":             func(k string) bool { return k != "" && !strings.Contains(k, ".") },
		"sender-constrained": func(k string) bool { cnf, ok := claims(k)["cnf"].(map[string]any); return ok && cnf["jkt"] != "" },
		"crit":               func(k string) bool { return head(k)["crit"] != nil },
		"b64-false":          headHas("b64", false),
		"duplicate-claim": func(k string) bool {
			return strings.Count(raw(k), `"sub":`) == 2 && strings.Contains(raw(k), "auth0|ana")
		},
		"folded-claim":     func(k string) bool { return has("sub", "auth0|ana")(k) && has("\u017fub", "auth0|mallory")(k) },
		"upper-case-claim": func(k string) bool { return lacks("sub")(k) && has("SUB", "auth0|ana")(k) },
		"oversize":         func(k string) bool { return len(k) > oversize },
		"four-segments":    func(k string) bool { return strings.Count(k, ".") == 3 },
		"padded-base64":    func(k string) bool { return strings.HasSuffix(k, "==") && signedBy(strings.TrimRight(k, "="), right) },
	}
	// Otus reads only what it needs, so it may overlook these.
	otusOverlooks := []string{"issued-in-future", "no-audience", "folded-claim", "duplicate-claim", "upper-case-claim", "id-token-for-api", "wrong-typ", "sender-constrained", "oversize"}
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			check, ok := checks[d.name]
			if !ok {
				t.Fatal("no check")
			}
			token := mint(t, stack, Mint{Defect: d.name})
			if !check(token) {
				t.Errorf("not spoilt: %s", token)
			}
			if d.about == "" {
				t.Error("no description")
			}
			got := v.do(http.MethodGet, stack.URLs().Otus+"/teams", nil, "Authorization", "Bearer "+token)
			if got.status == http.StatusOK && !slices.Contains(otusOverlooks, d.name) {
				t.Errorf("Otus accepted it")
			}
		})
	}
	if len(checks) != len(defects) {
		t.Errorf("%d checks for %d defects", len(checks), len(defects))
	}
}
