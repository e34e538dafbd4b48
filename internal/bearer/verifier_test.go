package bearer

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// spoiled is one detail of a good token, and what becomes of it. An empty want
// means that the token is still good.
type spoiled struct {
	name  string
	spoil func(*forge)
	want  Reason
	says  string // part of the description
}

func claim(name string, value any) func(*forge) {
	return func(f *forge) { f.claims[name] = value }
}

func header(name string, value any) func(*forge) {
	return func(f *forge) { f.header[name] = value }
}

func without(names ...string) func(*forge) {
	return func(f *forge) {
		for _, name := range names {
			delete(f.claims, name)
			delete(f.header, name)
		}
	}
}

// text spoils the claims as text: it puts more before the closing brace.
func text(more string) func(*forge) {
	return func(f *forge) {
		f.claimsText = fmt.Sprintf(`{"iss":%q,"aud":%q,"exp":%d,"sub":"alice"%s}`,
			f.claims["iss"], testAudience, noon.Add(time.Hour).Unix(), more)
	}
}

func after(change func(token string) string) func(*forge) {
	return func(f *forge) { f.after = change }
}

var shapeRows = []spoiled{
	{"good", func(*forge) {}, "", ""},
	{"empty", after(func(string) string { return "" }), OpaqueToken, "resource parameter"},
	{"opaque", after(func(string) string { return "2YotnFZFEjr1zCsicMWpAA" }), OpaqueToken, "named no API"},
	{"JWE dir A256GCM", after(func(string) string {
		return b64(`{"alg":"dir","enc":"A256GCM","iss":"https://tenant.auth0.com/"}`) + "..aXYxMjM0NTY3ODkw.Y2lwaGVydGV4dA.dGFn"
	}), EncryptedToken, "encrypted or opaque"},
	{"three parts that are no JSON", after(func(string) string { return b64("a") + "." + b64("b") + "." + b64("c") }), OpaqueToken, ""},
	{"two parts", after(func(s string) string { return s[:strings.LastIndex(s, ".")] }), OpaqueToken, ""},
	{"four parts", after(func(s string) string { return s + ".x" }), OpaqueToken, ""},
	{"oversized", claim("padding", strings.Repeat("x", MaxToken)), TooLarge, "16 KiB"},
	{"padded base64", after(func(s string) string { return s + "=" }), MalformedToken, ""},
	{"line break in base64", after(func(s string) string { return s[:len(s)-4] + "\n" + s[len(s)-4:] }), MalformedToken, ""},
	{"carriage return in claims", after(func(s string) string { return strings.Replace(s, ".", ".\r", 1) }), MalformedToken, ""},
	{"standard base64 alphabet", after(func(s string) string { return s[:len(s)-1] + "+" }), MalformedToken, ""},
	{"stray bits at the end", after(strayBits), MalformedToken, ""},
	{"claims are a list", func(f *forge) { f.claimsText = `["iss"]` }, MalformedToken, ""},
	{"claims are null", func(f *forge) { f.claimsText = `null` }, MalformedToken, ""},
	{"claims are not UTF-8", func(f *forge) { f.claimsText = "{\"sub\":\"\xff\"}" }, MalformedToken, ""},
	{"text after the claims", func(f *forge) { f.claimsText = `{} {}` }, MalformedToken, ""},
	{"deep claims", text(`,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), MalformedToken, ""},
	{"duplicate claim", text(`,"sub":"mallory"`), AmbiguousMember, "twice"},
	{"duplicate claim by escape", text(`,"\u0073ub":"mallory"`), AmbiguousMember, ""},
	{"folded claim", text(`,"ſub":"mallory"`), AmbiguousMember, ""},
	{"upper-case claim", text(`,"AUD":"https://evil.example"`), AmbiguousMember, ""},
	{"duplicate header", func(f *forge) { f.headerText = `{"alg":"RS256","kid":"rsa-1","alg":"none"}` }, AmbiguousMember, ""},
	{"folded header", func(f *forge) { f.headerText = `{"alg":"RS256","Alg":"none","kid":"rsa-1"}` }, AmbiguousMember, ""},
	{"alg is a number", header("alg", 5), MalformedToken, ""},
	{"no alg", without("alg"), MalformedToken, ""},
	{"kid is a number", header("kid", 5), MalformedToken, ""},
	{"kid is long", header("kid", strings.Repeat("k", maxKeyID+1)), MalformedToken, ""},
}

// strayBits changes the unused low bits of the last base64 character, which a
// lax decoder passes over.
func strayBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last|1])
}

func TestReq034_Req035_OnlyOneReadingOfAToken(t *testing.T) { verifyRows(t, shapeRows) }

var algorithmRows = []spoiled{
	{"none", func(f *forge) {
		f.header["alg"] = "none"
		f.after = func(s string) string { return s[:strings.LastIndex(s, ".")+1] }
	}, WrongAlgorithm, "the algorithm none; this server accepts RS256"},
	{"None with a signature", header("alg", "None"), WrongAlgorithm, ""},
	{"HS256 with the public key", func(f *forge) {
		f.header["alg"] = "HS256"
		der := must(x509.MarshalPKIXPublicKey(f.key.private.Public()))
		public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		f.after = func(s string) string {
			input := s[:strings.LastIndex(s, ".")]
			return input + "." + hs256(input, public)
		}
	}, WrongAlgorithm, ""},
	{"PS256 where only RS256 is allowed", func(f *forge) {
		f.key = f.key.as(ps256)
		f.header["alg"] = ps256
	}, WrongAlgorithm, "PS256"},
	{"ES256 where only RS256 is allowed", func(f *forge) {
		f.key = ecKey()
		f.header["alg"] = es256
	}, WrongAlgorithm, ""},
	{"RS512", header("alg", "RS512"), WrongAlgorithm, ""},
	{"rs256 in lower case", header("alg", "rs256"), WrongAlgorithm, ""},
	// Known before anything of the claims is looked at.
	{"none from a foreign issuer", func(f *forge) { f.header["alg"], f.claims["iss"] = "none", "https://evil.example/" }, WrongAlgorithm, ""},
}

func TestReq025_AlgorithmAllowList(t *testing.T) { verifyRows(t, algorithmRows) }

var signatureRows = []spoiled{
	{"another key under a known kid", func(f *forge) { f.key = otherRSAKey().named("rsa-1") }, BadSignature, "signature"},
	{"changed claims", after(func(s string) string {
		parts := strings.Split(s, ".")
		return parts[0] + "." + b64(`{"iss":"http://localhost/tenant/","sub":"mallory"}`) + "." + parts[2]
	}), BadSignature, ""},
	{"no signature", after(func(s string) string { return s[:strings.LastIndex(s, ".")+1] }), BadSignature, ""},
	{"unknown kid", header("kid", "rsa-9"), UnknownKey, "does not publish"},
	{"no kid", without("kid"), "", ""},
	{"no kid, another key", func(f *forge) {
		delete(f.header, "kid")
		f.key = otherRSAKey()
	}, BadSignature, ""},
	// A spoiled signature wins over spoiled claims: nothing is said of claims
	// that nobody vouches for.
	{"another key and expired", func(f *forge) {
		f.key = otherRSAKey().named("rsa-1")
		f.claims["exp"] = 1
		f.claims["aud"] = "x"
	}, BadSignature, ""},
}

func TestReq027_SignatureBeforeClaims(t *testing.T) { verifyRows(t, signatureRows) }

var headerRows = []spoiled{
	{"crit", header("crit", []string{"exp"}), CriticalHeader, "crit"},
	{"empty crit", header("crit", []string{}), CriticalHeader, ""},
	{"b64 false", header("b64", false), CriticalHeader, ""},
	{"b64 false in crit", func(f *forge) { f.header["b64"], f.header["crit"] = false, []string{"b64"} }, CriticalHeader, ""},
	{"no typ", without("typ"), "", ""},
	{"typ at+jwt", header("typ", "at+jwt"), "", ""},
	{"typ application/at+jwt", header("typ", "application/at+jwt"), "", ""},
	{"typ in other letters", header("typ", "AT+JWT"), "", ""},
	{"typ dpop+jwt", header("typ", "dpop+jwt"), WrongType, "dpop+jwt"},
	{"typ logout+jwt", header("typ", "logout+jwt"), WrongType, ""},
	{"typ secevent+jwt", header("typ", "secevent+jwt"), WrongType, ""},
	{"typ oauth-id-jag+jwt", header("typ", "oauth-id-jag+jwt"), WrongType, ""},
	{"typ is a number", header("typ", 1), WrongType, ""},
	{"jwk is no key", header("jwk", "x"), MalformedToken, "well-formed"},
	{"another profile, whoever issued it", func(f *forge) {
		f.header["typ"], f.claims["iss"] = "logout+jwt", "https://evil.example/"
	}, WrongType, ""},
	{"typ that looks like a parameter", header("typ", `x", error="invalid_scope", scope="admin`), WrongType, ""},
}

func TestReq031_Req032_TypeAndCriticalHeaders(t *testing.T) { verifyRows(t, headerRows) }

func TestReq033_HeadersNeverChooseTheKey(t *testing.T) {
	verifyRows(t, []spoiled{
		{"jwk of the attacker", func(f *forge) {
			f.key = otherRSAKey()
			f.header["kid"], f.header["jwk"] = "rsa-2", otherRSAKey().jwk()
		}, UnknownKey, ""},
		{"jwk of the attacker, known kid", func(f *forge) {
			f.key = otherRSAKey()
			f.header["jwk"] = otherRSAKey().jwk()
		}, BadSignature, ""},
		{"jku and x5u of the attacker", func(f *forge) {
			f.key = otherRSAKey()
			f.header["kid"], f.header["jku"], f.header["x5u"] = "rsa-2", "http://localhost/evil", "http://localhost/evil"
		}, UnknownKey, ""},
		{"kid that is a path", header("kid", "../../etc/passwd"), UnknownKey, ""},
		{"jku beside a good key", header("jku", "http://localhost/evil"), "", ""},
	})
}

var claimRows = []spoiled{
	{"wrong issuer", claim("iss", "https://evil.example/"), WrongIssuer, "https://evil.example/"},
	{"no issuer", without("iss"), WrongIssuer, ""},
	{"issuer is a list", claim("iss", []string{"http://localhost/tenant/"}), WrongIssuer, ""},
	{"issuer without its slash", claim("iss", "http://localhost/tenant"), WrongIssuer, "trailing slash"},
	{"issuer in upper case", claim("iss", "HTTP://localhost/tenant/"), WrongIssuer, ""},

	{"nonce", claim("nonce", "n"), IDToken, "ID token"},
	{"at_hash", claim("at_hash", "h"), IDToken, ""},
	{"c_hash", claim("c_hash", "h"), IDToken, ""},
	{"audience is the client", claim("aud", "client-1"), IDToken, ""},
	{"audience is the client, in a list", claim("aud", []string{"client-1"}), IDToken, ""},
	{"the API is its own client", func(f *forge) { f.claims["azp"] = testAudience }, "", ""},
	{"an ID token of Cognito", claim("token_use", "id"), WrongUse, "refresh or an ID token"},
	{"an access token of Cognito", claim("token_use", "access"), "", ""},
	{"a refresh token of Keycloak", claim("typ", "Refresh"), WrongUse, ""},
	{"an offline token of Keycloak", claim("typ", "Offline"), WrongUse, ""},
	{"an access token of Keycloak", claim("typ", "Bearer"), "", ""},
	{"use is a number", claim("token_use", 1), "", ""},
	{"cnf", claim("cnf", map[string]any{"jkt": "x"}), SenderConstrained, "bound to a key"},
	{"empty cnf", claim("cnf", nil), SenderConstrained, ""},

	{"audience list", claim("aud", []string{"https://tenant.auth0.com/userinfo", testAudience}), "", ""},
	{"audience is an endpoint", claim("aud", testAudience+"/mcp"), "", ""},
	{"audience with the root slash", claim("aud", testAudience+"/"), "", ""},
	{"audience endpoint with a slash", claim("aud", testAudience+"/mcp/"), WrongAudience, ""},
	{"audience prefix", claim("aud", testAudience+"/mcp/x"), WrongAudience, ""},
	{"audience with our name in front", claim("aud", testAudience+".evil.example"), WrongAudience, ""},
	{"audience with an upper-case host", claim("aud", "https://MCP.example"), WrongAudience, ""},
	{"foreign audience", claim("aud", "https://tenant.auth0.com/userinfo"), WrongAudience, "The token is for https://tenant.auth0.com/userinfo; this server accepts https://mcp.example, https://mcp.example/mcp"},
	{"many audiences", claim("aud", []string{"a", "b", "c", "d"}), WrongAudience, "for a, b, c, ...;"},
	{"no audience", without("aud"), WrongAudience, "names no audience"},
	{"empty audience", claim("aud", ""), WrongAudience, "(empty)"},
	{"empty audience list", claim("aud", []string{}), WrongAudience, ""},
	{"audience that looks like a parameter", claim("aud", "x\", scope=\"admin\r\nerror=\"y"), WrongAudience, ""},
	{"audience is a number", claim("aud", 7), InvalidClaim, "aud is neither"},
	{"audience list with a number", claim("aud", []any{testAudience, 7}), InvalidClaim, ""},

	{"no expiry", without("exp"), NoExpiry, "exp"},
	{"expired", claim("exp", noon.Add(-time.Hour).Unix()), Expired, "expired at 2026-03-04T11:00:00Z"},
	{"expired within the leeway", claim("exp", noon.Add(-29*time.Second).Unix()), "", ""},
	{"expired by the leeway", claim("exp", noon.Add(-30*time.Second).Unix()), Expired, ""},
	{"fractional expiry", claim("exp", float64(noon.Unix())+0.5), "", ""},
	{"expiry zero", claim("exp", 0), Expired, "1970-01-01T00:00:00Z"},
	{"expiry is a string", claim("exp", "1900000000"), InvalidClaim, "exp is not a number"},
	{"expiry is null", claim("exp", nil), InvalidClaim, ""},
	{"expiry is negative", claim("exp", -1), InvalidClaim, ""},
	{"expiry overflows", text(`,"nbf":1e400`), InvalidClaim, "outside the years"},
	{"expiry beyond the calendar", claim("exp", 9e18), InvalidClaim, ""},
	{"nbf in the future", claim("nbf", noon.Add(31*time.Second).Unix()), NotYetValid, "2026-03-04T12:00:31Z"},
	{"nbf within the leeway", claim("nbf", noon.Add(30*time.Second).Unix()), "", ""},
	{"nbf overflows", claim("nbf", 1e300), InvalidClaim, ""},
	{"iat in the future", claim("iat", noon.Add(time.Minute).Unix()), IssuedInFuture, "clocks"},
	{"no iat", without("iat"), "", ""},

	{"no subject", without("sub"), NoSubject, "sub"},
	{"empty subject", claim("sub", ""), NoSubject, ""},
	{"subject is a number", claim("sub", 1), InvalidClaim, ""},
	{"subject with a lone surrogate", func(f *forge) {
		f.claimsText = fmt.Sprintf(`{"iss":%q,"aud":%q,"exp":%d,"sub":"\ud800"}`, f.claims["iss"], testAudience, noon.Add(time.Hour).Unix())
	}, InvalidClaim, "Unicode"},
	{"scope is a number", claim("scope", 1), InvalidClaim, ""},
}

func TestReq028_Req029_Req030_Req031_Req036_Req048_Claims(t *testing.T) { verifyRows(t, claimRows) }

func verifyRows(t *testing.T, rows []spoiled) {
	t.Helper()
	provider := startIDP(t, rsaKey())
	v := provider.verifier(t, nil)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f := newForge(provider.issuer, rsaKey(), noon)
			row.spoil(f)
			token := f.token()
			principal, err := v.Verify(t.Context(), token)
			if row.want == "" {
				if err != nil {
					t.Fatalf("a good token was refused: %v", err)
				}
				return
			}
			refusal := refusalOf(t, err, row.want, token)
			if !strings.Contains(refusal.Description, row.says) {
				t.Errorf("description %q does not say %q", refusal.Description, row.says)
			}
			if refusal.Status != http.StatusUnauthorized || refusal.Code != oauth.CodeInvalidToken || !refusal.Challenge {
				t.Errorf("REQ016: %d %s, challenge %v", refusal.Status, refusal.Code, refusal.Challenge)
			}
			if diff := cmp.Diff(oauth.Principal{}, principal); diff != "" {
				t.Errorf("a refused token has a principal:\n%s", diff)
			}
		})
	}
}

// Whatever a token says comes back short and harmless: the challenge has the
// parameters that we wrote and no others.
func TestReq020_HostileClaimsInTheChallenge(t *testing.T) {
	hostile := "\", error=\"none\", scope=\"admin\r\nSet-Cookie: a=b\\\u00e9 " + strings.Repeat("x", 4000)
	provider := startIDP(t, rsaKey())
	v := provider.verifier(t, nil)
	for name, reason := range map[string]Reason{"aud": WrongAudience, "iss": WrongIssuer, "typ": WrongType, "alg": WrongAlgorithm} {
		t.Run(name, func(t *testing.T) {
			f := newForge(provider.issuer, rsaKey(), noon)
			if _, inHeader := f.header[name]; inHeader {
				f.header[name] = hostile
			} else {
				f.claims[name] = hostile
			}
			_, err := v.Verify(t.Context(), f.token())
			refusal := refusalOf(t, err, reason, secret.Value{})
			value := oauth.Challenge{Error: refusal.Code, ErrorDescription: refusal.Description}.String()
			if len(value) > 600 || strings.Count(value, "=") != 2 || strings.Count(value, `"`) != 4 || strings.ContainsAny(value, "\r\n\\") {
				t.Errorf("challenge %q", value)
			}
		})
	}
}

// Every Reason of the closed list is produced by some test.
func TestEveryReasonIsProduced(t *testing.T) {
	produced := map[string]bool{
		string(InsufficientScope):        true, // TestRequiredScopes
		string(KeysUnavailable):          true, // TestReq022_...
		string(InactiveToken):            true, // TestReq046_...
		string(IntrospectionUnavailable): true, // TestReq022_Req046_...
		string(RevokedToken):             true, // TestReq039_...
		string(ProofMissing):             true, // TestReq049_OneProofHeader
		string(SeveralProofs):            true, // TestReq049_OneProofHeader
		string(ProofNonce):               true, // TestReq051_NonceChallenge
		string(ProofReplayed):            true, // TestReq050_...
		string(ProofsFull):               true, // TestReq050_AFullMemoryForgetsNothing
	}
	for _, row := range proofRows {
		produced[string(row.want)] = true
	}
	for _, row := range bindingRows {
		produced[string(row.want)] = true
	}
	for _, rows := range [][]spoiled{shapeRows, algorithmRows, signatureRows, headerRows, claimRows} {
		for _, row := range rows {
			produced[string(row.want)] = true
		}
	}
	for _, row := range policyRows {
		produced[string(row.want)] = true
	}
	for _, row := range requestRows {
		produced[string(row.want)] = true
	}
	for _, reason := range Reasons() {
		if !produced[string(reason)] {
			t.Errorf("no test produces %s", reason)
		}
	}
}

func TestReq036_Principal(t *testing.T) {
	provider := startIDP(t, rsaKey())
	v := provider.verifier(t, nil)
	expiry := noon.Add(time.Hour)
	base := map[string]any{
		"iss": provider.issuer, "sub": "auth0|alice", "aud": testAudience, "exp": expiry.Unix(),
		"email": "mallory@example.com", "permissions": []string{"admin"},
	}
	want := oauth.Principal{Issuer: provider.issuer, Subject: "auth0|alice", Audience: []string{testAudience}, Expiry: expiry}
	for _, tc := range []struct {
		name   string
		claims map[string]any
		change func(*oauth.Principal)
	}{
		{"least", nil, func(*oauth.Principal) {}},
		{"azp", map[string]any{"azp": "a"}, func(p *oauth.Principal) { p.ClientID = "a" }},
		{"client_id before azp", map[string]any{"azp": "a", "client_id": "c"}, func(p *oauth.Principal) { p.ClientID = "c" }},
		{"jti", map[string]any{"jti": "j"}, func(p *oauth.Principal) { p.TokenID = "j" }},
		{"scope", map[string]any{"scope": " a  b a ", "scp": "z"}, func(p *oauth.Principal) { p.Scopes = oauth.Scopes{"a", "b"} }},
		{"scp text", map[string]any{"scp": "a b"}, func(p *oauth.Principal) { p.Scopes = oauth.Scopes{"a", "b"} }},
		{"scp list", map[string]any{"scp": []string{"a", "b"}}, func(p *oauth.Principal) { p.Scopes = oauth.Scopes{"a", "b"} }},
		{"scope list", map[string]any{"scope": []string{"a", "b"}}, func(p *oauth.Principal) { p.Scopes = oauth.Scopes{"a", "b"} }},
		{"scope tokens that cannot be", map[string]any{"scope": "a b\"c \u00e9"}, func(p *oauth.Principal) { p.Scopes = oauth.Scopes{"a"} }},
		{"audiences", map[string]any{"aud": []string{"x", testAudience}}, func(p *oauth.Principal) { p.Audience = []string{"x", testAudience} }},
		{"issued at", map[string]any{"iat": noon.Unix()}, func(p *oauth.Principal) { p.IssuedAt = noon }},
		{"sign-in", map[string]any{"acr": "urn:mfa", "amr": []string{"pwd", "otp"}, "auth_time": noon.Unix()}, func(p *oauth.Principal) {
			p.ACR, p.AMR, p.AuthTime = "urn:mfa", []string{"pwd", "otp"}, noon
		}},
		{"sign-in that proves nothing", map[string]any{"acr": 3, "amr": []any{"pwd", 1}, "auth_time": "2026-03-04T12:00:00Z"}, func(*oauth.Principal) {}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newForge(provider.issuer, rsaKey(), noon)
			f.claims = with(base, tc.claims)
			got, err := v.Verify(t.Context(), f.token())
			if err != nil {
				t.Fatal(err)
			}
			want := want
			want.Claims = must(json.Marshal(f.claims))
			tc.change(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("principal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequiredScopes(t *testing.T) {
	provider := startIDP(t, rsaKey())
	v := provider.verifier(t, func(c *Config) { c.RequiredScopes = oauth.Scopes{"profile", "teams"} })
	f := newForge(provider.issuer, rsaKey(), noon)
	token := f.token()
	_, err := v.Verify(t.Context(), token)
	refusal := refusalOf(t, err, InsufficientScope, token)
	if refusal.Status != http.StatusForbidden || refusal.Scope.String() != "openid profile teams" {
		t.Errorf("%d, scope %q", refusal.Status, refusal.Scope)
	}
	f.claims["scope"] = "teams profile"
	if _, err := v.Verify(t.Context(), f.token()); err != nil {
		t.Error(err)
	}
}

func TestReq055_RequiredScopesHonourTheHierarchy(t *testing.T) {
	hierarchy, err := oauth.ParseHierarchy([]string{"admin>profile>teams"})
	if err != nil {
		t.Fatal(err)
	}
	provider := startIDP(t, rsaKey())
	v := provider.verifier(t, func(c *Config) {
		c.RequiredScopes, c.Hierarchy = oauth.Scopes{"profile", "teams"}, hierarchy
	})
	f := newForge(provider.issuer, rsaKey(), noon)
	for scope, enough := range map[string]bool{"admin": true, "profile": true, "teams": false} {
		f.claims["scope"] = scope
		principal, err := v.Verify(t.Context(), f.token())
		if enough != (err == nil) {
			t.Errorf("%s: %v", scope, err)
		}
		if enough && principal.Scopes.String() != scope {
			t.Errorf("the principal of a token with %q has %q: it says what was granted", scope, principal.Scopes)
		}
	}
}

func TestReq025_EveryAlgorithmThatCanBeAllowed(t *testing.T) {
	for _, key := range []signingKey{rsaKey(), rsaKey().as(ps256), ecKey(), edKey()} {
		t.Run(key.alg, func(t *testing.T) {
			provider := startIDP(t, key)
			v := provider.verifier(t, func(c *Config) { c.Issuers[0].Algorithms = []string{key.alg} })
			if _, err := v.Verify(t.Context(), newForge(provider.issuer, key, noon).token()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A key that is published for one algorithm verifies no other, even where the
// issuer may use both and the key could.
func TestReq026_KeyIsForItsAlgorithmOnly(t *testing.T) {
	provider := startIDP(t, rsaKey(), ecKey())
	v := provider.verifier(t, func(c *Config) { c.Issuers[0].Algorithms = []string{rs256, ps256, es256} })
	token := newForge(provider.issuer, rsaKey().as(ps256), noon).token()
	_, err := v.Verify(t.Context(), token)
	wantRefusal(t, err, WrongAlgorithm, token)

	f := newForge(provider.issuer, ecKey(), noon)
	f.header["kid"] = rsaKey().id
	_, err = v.Verify(t.Context(), f.token())
	wantRefusal(t, err, WrongAlgorithm, secret.Value{})
}

func TestReq028_KeysNeverCrossIssuers(t *testing.T) {
	first, second := startIDP(t, rsaKey()), startIDP(t, otherRSAKey().named("rsa-1"))
	// Both are on one in-memory network here, at two paths.
	combined := http.NewServeMux()
	combined.Handle("/one", rewrite(first))
	combined.Handle("/two", rewrite(second))
	v := serve(t, combined, func(c *Config) {
		c.Issuers = []IssuerConfig{
			{Issuer: "https://one.example", JWKSURL: "http://localhost/one"},
			{Issuer: "https://two.example", JWKSURL: "http://localhost/two", Algorithms: []string{rs256, es256}},
		}
	})
	good := func(issuer string, key signingKey) secret.Value { return newForge(issuer, key, noon).token() }
	for _, tc := range []struct {
		name  string
		token secret.Value
		want  Reason
	}{
		{"one", good("https://one.example", rsaKey()), ""},
		{"two", good("https://two.example", otherRSAKey().named("rsa-1")), ""},
		{"one with two's key", good("https://one.example", otherRSAKey().named("rsa-1")), BadSignature},
		{"two with one's key", good("https://two.example", rsaKey()), BadSignature},
		{"two's algorithm for one", good("https://one.example", ecKey()), WrongAlgorithm},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := v.Verify(t.Context(), tc.token)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantRefusal(t, err, tc.want, tc.token)
		})
	}
}

// The issuer that chose the keys and the one of the keys that verified can
// differ only when the issuer renames itself in between; then the token loses.
func TestReq028_IssuerIsComparedAgainAfterTheSignature(t *testing.T) {
	v := startIDP(t, rsaKey()).verifier(t, nil)
	for _, tc := range []struct{ token, keys string }{{"https://a", "https://b"}, {"", ""}} {
		renamed := &token{issuer: tc.token, keys: &keySet{issuer: tc.keys}}
		wantRefusal(t, v.pass(claimChecks, renamed), WrongIssuer, secret.Value{})
	}
}

// rewrite serves p's key set whatever the path.
func rewrite(p *idp) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/jwks"
		p.ServeHTTP(w, r)
	})
}
