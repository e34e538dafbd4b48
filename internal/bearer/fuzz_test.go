package bearer

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// FuzzFromRequest: a token that comes out stood in the one header, alone and in
// the right syntax, and nothing else held one; a refusal is safe to send.
func FuzzFromRequest(f *testing.F) {
	for _, row := range requestRows {
		if len(row.values) <= 1 && len(strings.Join(row.values, "")) < 1000 {
			f.Add(strings.Join(row.values, ""), strings.TrimPrefix(row.query, "?"), row.form)
		}
	}
	f.Fuzz(func(t *testing.T, value, query, form string) {
		r := requestRow{values: []string{value}, form: form}.request()
		r.URL = &url.URL{Path: "/mcp", RawQuery: query}
		got, err := FromRequest(r)
		token := got.Token
		if err != nil {
			refusal := refusalOf(t, err, Reason(oauth.AsRefusal(err).Reason), secret.Value{})
			if refusal.Status != http.StatusBadRequest && refusal.Status != http.StatusUnauthorized || token.IsSet() {
				t.Errorf("status %d", refusal.Status)
			}
			return
		}
		text := token.Reveal()
		if scheme, rest, _ := strings.Cut(value, " "); !strings.EqualFold(scheme, got.Scheme) || strings.TrimLeft(rest, " ") != text {
			t.Errorf("%q gave the token %q", value, text)
		}
		if text == "" || len(text) > MaxToken || strings.ContainsAny(text, " ,;\"\r\n\x00") {
			t.Errorf("token %q", text)
		}
		if values, _ := url.ParseQuery(query); values.Has("access_token") {
			t.Errorf("the query %q has a token too", query)
		}
	})
}

// FuzzVerify signs any header and claims with a trusted key, or leaves them
// unsigned: what is accepted was signed, and another reader of the same claims
// (encoding/json's map, which compares keys exactly) agrees on what was decided.
// The raw text is tried as it is, too: nothing but the token that was minted
// passes.
func FuzzVerify(f *testing.F) {
	provider := startIDP(f, edKey())
	v := provider.verifier(f, func(c *Config) { c.Issuers[0].Algorithms = []string{edDSA} })
	good := newForge(provider.issuer, edKey(), noon)
	header, claims := string(must(json.Marshal(good.header))), string(must(json.Marshal(good.claims)))
	f.Add(header, claims, true, "x")
	f.Add(header, claims, false, "a.b.c")
	f.Add(header, strings.Replace(claims, `"sub"`, `"ſub":"mallory","sub"`, 1), true, "a..b.c.d")
	f.Add(`{"alg":"none"}`, claims, true, b64(`{"alg":"none"}`)+"."+b64(claims)+".")
	f.Add(header, strings.Replace(claims, `"exp":`, `"exp":1e400,"x":`, 1), true, strings.Repeat(".", 100))
	minted := good.key.sign(header, claims)

	f.Fuzz(func(t *testing.T, header, claims string, signed bool, raw string) {
		if _, err := v.Verify(t.Context(), secret.New(raw)); err == nil && raw != minted {
			t.Fatalf("accepted %q", raw)
		}
		token := edKey().sign(header, claims)
		if !signed {
			token = token[:strings.LastIndex(token, ".")+1] + b64(strings.Repeat("s", 64))
		}
		principal, err := v.Verify(t.Context(), secret.New(token))
		if err != nil {
			wantRefusal(t, err, Reason(oauth.AsRefusal(err).Reason), secret.Value{})
			return
		}
		if !signed {
			t.Fatalf("accepted without a signature: %s", claims)
		}
		var reading map[string]any
		if err := json.Unmarshal([]byte(claims), &reading); err != nil {
			t.Fatalf("accepted claims that encoding/json does not read: %v", err)
		}
		if reading["iss"] != principal.Issuer || reading["sub"] != principal.Subject || principal.Subject == "" {
			t.Errorf("read %+v from %s", principal, claims)
		}
		if expiry, ok := reading["exp"].(float64); !ok || expiry <= float64(noon.Add(-defaultLeeway).Unix()) {
			t.Errorf("accepted the expiry %v", reading["exp"])
		}
		if !strings.Contains(claims, "mcp.example") && !strings.Contains(claims, `\`) {
			t.Errorf("accepted without our audience: %s", claims)
		}
	})
}

// FuzzReadIntrospection: nothing makes a token active but the JSON value true,
// read as another reader reads it.
func FuzzReadIntrospection(f *testing.F) {
	for _, seed := range []string{`{"active":true}`, `{"active":false}`, `{"active":"true"}`, `{"Active":true}`, `{"active":true,"active":false}`, `{"\u0061ctive":true}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		members, err := readIntrospection(body)
		if err != nil {
			if members != nil {
				t.Error("members beside an error")
			}
			return
		}
		var reading map[string]any
		if err := json.Unmarshal(body, &reading); err != nil || reading["active"] != true {
			t.Errorf("%q is active: %v", body, err)
		}
	})
}

// BenchmarkVerify: a token that is remembered, and one that has to be verified
// (docs/performance.md).
func BenchmarkVerify(b *testing.B) {
	everything := func(oauth.Principal) bool { return true }
	for _, key := range []signingKey{rsaKey(), rsaKey().as(ps256), ecKey(), edKey()} {
		for _, kind := range []string{"hit", "miss"} {
			b.Run(key.alg+"/"+kind, func(b *testing.B) {
				provider := startIDP(b, key)
				v := provider.verifier(b, func(c *Config) { c.Issuers[0].Algorithms = []string{key.alg} })
				token := newForge(provider.issuer, key, noon).token()
				wantGood(b, v, token)
				b.ReportAllocs()
				for b.Loop() {
					if kind == "miss" {
						v.Forget(everything)
					}
					if _, err := v.Verify(b.Context(), token); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
