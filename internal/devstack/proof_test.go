package devstack

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// prove returns the one proof that p describes.
func prove(t *testing.T, stack *Stack, p Proof) string {
	t.Helper()
	proofs, err := stack.Prove(p)
	if err != nil || len(proofs) != 1 {
		t.Fatalf("%d proofs, %v", len(proofs), err)
	}
	return proofs[0]
}

func TestTokenRequestsWithAProofGiveBoundTokens(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	endpoint := stack.broker.origin + tokenPath
	bound, got := v.tokens(redeeming(v.signIn("ana", request())), "DPoP", prove(t, stack, Proof{URL: endpoint}))
	if got.status != http.StatusOK || bound.TokenType != "DPoP" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	_, claims := open(t, stack, bound.AccessToken)
	if diff := cmp.Diff(map[string]any{"jkt": stack.DPoPKey()}, claims["cnf"]); diff != "" {
		t.Error(diff)
	}
	again, _ := v.tokens(refreshing(bound.RefreshToken), "DPoP", prove(t, stack, Proof{URL: endpoint}))
	if _, claims := open(t, stack, again.AccessToken); again.TokenType != "DPoP" || claims["cnf"] == nil {
		t.Errorf("refreshed: %s, %v", again.TokenType, claims)
	}
	for name, proof := range map[string]string{
		"no proof at all":  "x",
		"another endpoint": prove(t, stack, Proof{}),
		"another method":   prove(t, stack, Proof{URL: endpoint, Method: "GET"}),
		"old":              prove(t, stack, Proof{URL: endpoint, Defect: "old-iat"}),
		"wrong typ":        prove(t, stack, Proof{URL: endpoint, Defect: "wrong-typ"}),
		"private key":      prove(t, stack, Proof{URL: endpoint, Defect: "private-jwk"}),
		"wrong signature":  prove(t, stack, Proof{URL: endpoint, Defect: "bad-signature"}),
		"no jti":           prove(t, stack, Proof{URL: endpoint, Defect: "no-jti"}),
	} {
		_, got := v.tokens(redeeming(v.signIn("ana", request("prompt", "login"))), "DPoP", proof)
		t.Run(name, func(t *testing.T) { got.wantError(t, http.StatusBadRequest, "invalid_dpop_proof") })
	}
}

func TestForgeBindsTokens(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	for _, tc := range []struct {
		form url.Values
		kind string
		want any
	}{
		{url.Values{"dpop_jkt": {"dev"}}, "DPoP", map[string]any{"jkt": stack.DPoPKey()}},
		{url.Values{"dpop_jkt": {"mine"}, "x5t": {"hash"}}, "DPoP", map[string]any{"jkt": "mine", "x5t#S256": "hash"}},
		{url.Values{"x5t": {"hash"}}, "Bearer", map[string]any{"x5t#S256": "hash"}},
		{url.Values{"user": {"ana"}}, "Bearer", nil},
	} {
		var answer TokenResponse
		decode(t, v.do(http.MethodPost, stack.URLs().TokenForge, tc.form).body, &answer)
		_, claims := open(t, stack, answer.AccessToken)
		if diff := cmp.Diff(tc.want, claims["cnf"]); diff != "" || answer.TokenType != tc.kind {
			t.Errorf("%v: %s %s", tc.form, answer.TokenType, diff)
		}
	}
}

func TestProofForge(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	var answer struct {
		Proofs []string
		JKT    string
	}
	got := v.do(http.MethodPost, stack.URLs().ProofForge, url.Values{"token": {"t"}, "method": {"GET"}, "url": {"https://h/x"}, "nonce": {"n"}})
	decode(t, got.body, &answer)
	if len(answer.Proofs) != 1 || answer.JKT != stack.DPoPKey() {
		t.Fatalf("%d %s", got.status, got.body)
	}
	claims := proofPart(t, answer.Proofs[0], 1)
	if claims["htm"] != "GET" || claims["htu"] != "https://h/x" || claims["nonce"] != "n" || claims["ath"] == nil {
		t.Errorf("%v", claims)
	}
	var help struct{ Defects map[string]string }
	decode(t, v.do(http.MethodGet, stack.URLs().ProofForge, nil).body, &help)
	if len(help.Defects) != len(ProofDefects()) {
		t.Errorf("%v", help.Defects)
	}
	for _, form := range []url.Values{{"typo": {"1"}}, {"defect": {"typo"}}} {
		v.do(http.MethodPost, stack.URLs().ProofForge, form).wantError(t, http.StatusBadRequest, "invalid_request")
	}
}

// proofPart decodes the header (0) or the claims (1) of a proof.
func proofPart(t *testing.T, proof string, part int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(proof, ".")[part])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	decode(t, string(raw), &members)
	return members
}

// TestEachProofDefectSpoilsWhatItSays opens every spoilt proof by hand. A defect
// without a check here fails.
func TestEachProofDefectSpoilsWhatItSays(t *testing.T) {
	stack := start(t)
	want := Proof{Token: "token", URL: "https://h/mcp", Nonce: "n"}
	good := prove(t, stack, want)
	before, _ := proofPart(t, good, 1)["jti"].(string)
	read := func(proof string) (string, error) { // as the token endpoint does
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("DPoP", proof)
		return provenKey(r, want.URL)
	}
	if key, err := read(good); err != nil || key != stack.DPoPKey() {
		t.Fatalf("the good one: %s, %v", key, err)
	}
	claims := func(name string, differs bool) func([]string) bool {
		return func(proofs []string) bool {
			value := proofPart(t, proofs[0], 1)[name]
			return (value != proofPart(t, good, 1)[name]) == differs
		}
	}
	lacks := func(name string) func([]string) bool {
		return func(proofs []string) bool { return proofPart(t, proofs[0], 1)[name] == nil }
	}
	head := func(name string, value any) func([]string) bool {
		return func(proofs []string) bool { return cmp.Equal(value, proofPart(t, proofs[0], 0)[name]) }
	}
	jwk := func(member string) func([]string) bool {
		return func(proofs []string) bool {
			key, _ := proofPart(t, proofs[0], 0)["jwk"].(map[string]any)
			return key[member] != nil
		}
	}
	at := func(direction float64) func([]string) bool {
		return func(proofs []string) bool {
			made, _ := proofPart(t, proofs[0], 1)["iat"].(float64)
			return direction*(made-float64(time.Now().Unix())) > 3600
		}
	}
	checks := map[string]func([]string) bool{
		"no-proof":      func(proofs []string) bool { return len(proofs) == 0 },
		"two-proofs":    func(proofs []string) bool { return len(proofs) == 2 },
		"wrong-typ":     head("typ", "JWT"),
		"crit":          head("crit", []any{"http://example.com/unknown"}),
		"alg-none":      head("alg", "none"),
		"symmetric-alg": jwk("k"),
		"no-jwk":        head("jwk", nil),
		"private-jwk":   jwk("d"),
		"bad-signature": func(proofs []string) bool { _, err := read(proofs[0]); return err != nil },
		"wrong-key": func(proofs []string) bool {
			key, err := read(proofs[0])
			return err == nil && key != stack.DPoPKey()
		},
		"wrong-htm":   claims("htm", true),
		"wrong-htu":   claims("htu", true),
		"foreign-htu": claims("htu", true),
		"wrong-ath":   claims("ath", true),
		"no-ath":      lacks("ath"),
		"no-jti":      lacks("jti"),
		"oversize":    func(proofs []string) bool { return len(proofs[0]) > 10<<10 },
		"old-iat":     at(-1),
		"future-iat":  at(1),
		"replayed-jti": func(proofs []string) bool {
			return proofPart(t, proofs[0], 1)["jti"] != nil && proofPart(t, proofs[0], 1)["jti"] != ""
		},
		"wrong-nonce": claims("nonce", true),
	}
	for _, d := range proofDefects {
		check, ok := checks[d.name]
		if !ok || d.about == "" {
			t.Errorf("%s: no check, or no description", d.name)
			continue
		}
		spoiled := want
		spoiled.Defect = d.name
		proofs, err := stack.Prove(spoiled)
		if err != nil || !check(proofs) {
			t.Errorf("%s: not spoilt: %v, %v", d.name, proofs, err)
		}
	}
	if len(checks) != len(proofDefects) {
		t.Errorf("%d checks for %d defects", len(checks), len(proofDefects))
	}
	first := prove(t, stack, want)
	if proofPart(t, prove(t, stack, Proof{Defect: "replayed-jti"}), 1)["jti"] != proofPart(t, first, 1)["jti"] || before == "" {
		t.Error("the jti is not that of the proof before")
	}
}
