package bearer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// Keys of clients, as opposed to those of issuers in kit_test.go.
var (
	clientKey = sync.OnceValue(func() signingKey {
		return signingKey{"", es256, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	})
	otherClientKey = sync.OnceValue(func() signingKey {
		return signingKey{"", es256, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	})
	weakKey = sync.OnceValue(func() signingKey {
		return signingKey{"", rs256, must(rsa.GenerateKey(rand.Reader, 1024))}
	})
)

// thumbprint is the key's RFC 7638 thumbprint, from go-jose.
func (k signingKey) thumbprint() string {
	jwk := jose.JSONWebKey{Key: k.private.Public()}
	return b64(string(must(jwk.Thumbprint(crypto.SHA256))))
}

// proofForge is a DPoP proof in the making: good until a test spoils it.
type proofForge struct {
	header, claims         map[string]any
	headerText, claimsText string // replace the maps
	key                    signingKey
	after                  func(string) string
}

func newProof(key signingKey, token secret.Value, now time.Time) *proofForge {
	sum := sha256.Sum256([]byte(token.Reveal()))
	jwk := key.jwk()
	delete(jwk, "use")
	delete(jwk, "kid")
	delete(jwk, "alg")
	return &proofForge{
		header: map[string]any{"typ": "dpop+jwt", "alg": key.alg, "jwk": jwk},
		claims: map[string]any{
			"jti": rand.Text(), "htm": http.MethodPost, "htu": testAudience + "/mcp",
			"iat": now.Unix(), "ath": b64(string(sum[:])),
		},
		key: key,
	}
}

func (f *proofForge) text() string {
	header, claims := f.headerText, f.claimsText
	if header == "" {
		header = string(must(json.Marshal(f.header)))
	}
	if claims == "" {
		claims = string(must(json.Marshal(f.claims)))
	}
	raw := f.key.sign(header, claims)
	if f.after != nil {
		raw = f.after(raw)
	}
	return raw
}

// boundToken is a good token with that cnf.
func boundToken(p *idp, cnf any) secret.Value {
	f := newForge(p.issuer, edKey(), noon)
	f.claims["cnf"] = cnf
	return f.token()
}

// bindingVerifier takes tokens of p under the policy of change: DPoP-bound ones
// unless it says otherwise.
func bindingVerifier(tb testing.TB, p *idp, change func(*BindingConfig)) *Verifier {
	tb.Helper()
	return p.verifier(tb, func(c *Config) {
		c.Issuers[0].Algorithms = []string{edDSA}
		c.Binding = BindingConfig{DPoP: Allowed, ServerURL: testAudience}
		if change != nil {
			change(&c.Binding)
		}
	})
}

func presentedWith(token secret.Value, proofs ...string) Presented {
	return Presented{Token: token, Scheme: oauth.SchemeDPoP, Proofs: proofs, Method: http.MethodPost, Path: "/mcp"}
}

// proofRow is one spoiled detail of a good proof, and the reason it is refused
// for; "" means it is not.
type proofRow struct {
	name  string
	spoil func(*proofForge)
	want  Reason
}

func proofHeader(name string, value any) func(*proofForge) {
	return func(f *proofForge) { f.header[name] = value }
}

func proofClaim(name string, value any) func(*proofForge) {
	return func(f *proofForge) { f.claims[name] = value }
}

func withoutProofClaim(name string) func(*proofForge) {
	return func(f *proofForge) { delete(f.claims, name) }
}

// proofJWK changes the public key in the header.
func proofJWK(more map[string]any) func(*proofForge) {
	return func(f *proofForge) {
		jwk, _ := f.header["jwk"].(map[string]any)
		merged := maps.Clone(jwk)
		maps.Copy(merged, more)
		f.header["jwk"] = merged
	}
}

var proofRows = []proofRow{
	{"good", func(*proofForge) {}, ""},
	{"media type in full", proofHeader("typ", "application/DPoP+JWT"), ""},
	{"unknown members are ignored", func(f *proofForge) { f.header["x"], f.claims["x"] = 1, 2 }, ""},
	{"a kid is ignored", proofHeader("kid", "../../etc/passwd"), ""},

	{"not a JWT", func(f *proofForge) { f.after = func(string) string { return "abc" } }, ProofMalformed},
	{"empty", func(f *proofForge) { f.after = func(string) string { return "" } }, ProofMalformed},
	{"two in one header", func(f *proofForge) { f.after = func(raw string) string { return raw + ", " + raw } }, ProofMalformed},
	{"padded", func(f *proofForge) { f.after = func(raw string) string { return raw + "=" } }, ProofMalformed},
	{"too long", proofClaim("padding", strings.Repeat("x", maxProof)), ProofMalformed},
	{"a member twice", func(f *proofForge) {
		f.headerText = strings.Replace(string(must(json.Marshal(f.header))), `{`, `{"typ":"dpop+jwt",`, 1)
	}, ProofMalformed},
	{"a claim twice", func(f *proofForge) {
		f.claimsText = strings.Replace(string(must(json.Marshal(f.claims))), `{`, `{"htm":"POST",`, 1)
	}, ProofMalformed},
	{"a claim in other letters", proofClaim("HTM", "GET"), ProofMalformed},

	{"an access token's typ", proofHeader("typ", "at+jwt"), ProofType},
	{"no typ", func(f *proofForge) { delete(f.header, "typ") }, ProofType},
	{"crit", proofHeader("crit", []string{"x"}), ProofExtension},
	{"b64", proofHeader("b64", true), ProofExtension},
	{"alg none", proofHeader("alg", "none"), ProofAlgorithm},
	{"alg HS256", proofHeader("alg", "HS256"), ProofAlgorithm},
	{"alg ES384", proofHeader("alg", "ES384"), ProofAlgorithm},
	{"no alg", func(f *proofForge) { delete(f.header, "alg") }, ProofAlgorithm},
	{"no jwk", func(f *proofForge) { delete(f.header, "jwk") }, ProofKey},
	{"a text for jwk", proofHeader("jwk", "x"), ProofKey},
	{"private jwk", proofJWK(map[string]any{"d": b64(strings.Repeat("d", 32))}), ProofKey},
	{"symmetric jwk", proofHeader("jwk", map[string]any{"kty": "oct", "k": b64("secret")}), ProofKey},
	{"weak jwk", func(f *proofForge) { *f = *newProof(weakKey(), secret.Value{}, noon) }, ProofKey},
	{"jwk of another algorithm", proofHeader("alg", edDSA), ProofKey},
	{"jwk off the curve", proofJWK(map[string]any{"x": b64(strings.Repeat("x", 32))}), ProofKey},
	{"jwk for encryption", proofJWK(map[string]any{"use": "enc"}), ProofKey},
	{"signed with another key", func(f *proofForge) { f.key = otherClientKey() }, ProofSignature},
	{"signature of nothing", func(f *proofForge) {
		f.after = func(raw string) string { return raw[:strings.LastIndex(raw, ".")+1] }
	}, ProofSignature},
	{"claims exchanged", func(f *proofForge) {
		f.after = func(raw string) string {
			parts := strings.Split(raw, ".")
			f.claims["jti"] = rand.Text()
			return parts[0] + "." + b64(string(must(json.Marshal(f.claims)))) + "." + parts[2]
		}
	}, ProofSignature},

	{"no jti", withoutProofClaim("jti"), ProofClaim},
	{"no htm", withoutProofClaim("htm"), ProofClaim},
	{"no htu", withoutProofClaim("htu"), ProofClaim},
	{"no iat", withoutProofClaim("iat"), ProofClaim},
	{"no ath", withoutProofClaim("ath"), ProofClaim},
	{"empty jti", proofClaim("jti", ""), ProofClaim},
	{"endless jti", proofClaim("jti", strings.Repeat("j", maxProofClaim+1)), ProofClaim},
	{"iat as text", proofClaim("iat", "1"), ProofClaim},
	{"htm as a list", proofClaim("htm", []string{"POST"}), ProofClaim},

	{"another method", proofClaim("htm", "GET"), ProofMethod},
	{"method in lower case", proofClaim("htm", "post"), ProofMethod},
	{"another path", proofClaim("htu", testAudience+"/mcp/sse"), ProofURL},
	{"another host", proofClaim("htu", "https://evil.example/mcp"), ProofURL},
	{"another scheme", proofClaim("htu", "http://mcp.example/mcp"), ProofURL},
	{"another port", proofClaim("htu", testAudience+":8443/mcp"), ProofURL},
	{"a slash more", proofClaim("htu", testAudience+"/mcp/"), ProofURL},
	{"a path only", proofClaim("htu", "/mcp"), ProofURL},
	{"user information", proofClaim("htu", "https://u@mcp.example/mcp"), ProofURL},
	{"not a URL", proofClaim("htu", "%zz"), ProofURL},
	{"query and fragment do not count", proofClaim("htu", testAudience+"/mcp?x=1#y"), ""},
	{"default port and upper case", proofClaim("htu", "HTTPS://MCP.example:443/mcp"), ""},
	{"escaped letters and dots", proofClaim("htu", testAudience+"/x/../%6Dcp"), ""},

	{"another token", proofClaim("ath", b64(strings.Repeat("h", 32))), ProofToken},
	{"the token for its hash", func(f *proofForge) { f.claims["ath"] = f.claims["jti"] }, ProofToken},
	{"another key", func(f *proofForge) {
		other := newProof(otherClientKey(), secret.Value{}, noon)
		other.claims = f.claims
		*f = *other
	}, ProofBinding},
	{"a minute old", proofClaim("iat", noon.Add(-proofWindow).Unix()), ""},
	{"older", proofClaim("iat", noon.Add(-proofWindow-time.Second).Unix()), ProofTime},
	{"a minute ahead", proofClaim("iat", noon.Add(proofWindow).Unix()), ""},
	{"further ahead", proofClaim("iat", noon.Add(proofWindow+time.Second).Unix()), ProofTime},
}

func TestReq049_Req051_EveryDetailOfAProof(t *testing.T) {
	provider := startIDP(t, edKey())
	v := bindingVerifier(t, provider, nil)
	token := boundToken(provider, map[string]string{"jkt": clientKey().thumbprint()})
	for _, row := range proofRows {
		t.Run(row.name, func(t *testing.T) {
			f := newProof(clientKey(), token, noon)
			row.spoil(f)
			principal, err := v.Authenticate(t.Context(), presentedWith(token, f.text()))
			if row.want == "" {
				if err != nil || principal.Subject != "auth0|alice" || principal.Confirmation.KeyThumbprint != clientKey().thumbprint() {
					t.Fatalf("%+v, %v", principal, err)
				}
				return
			}
			code := oauth.CodeInvalidDPoPProof
			if row.want == ProofBinding {
				code = oauth.CodeInvalidToken // RFC 9449 section 7.1, in the example
			}
			refusal := refusalOf(t, err, row.want, token)
			if refusal.Status != http.StatusUnauthorized || refusal.Code != code || refusal.Scheme != oauth.SchemeDPoP || !refusal.Challenge {
				t.Errorf("%+v", refusal)
			}
		})
	}
}

func TestReq049_EveryAlgorithmOfAProof(t *testing.T) {
	provider := startIDP(t, edKey())
	v := bindingVerifier(t, provider, nil)
	for _, key := range []signingKey{clientKey(), otherRSAKey(), otherRSAKey().as(ps256), edKey()} {
		token := boundToken(provider, map[string]string{"jkt": key.thumbprint()})
		if _, err := v.Authenticate(t.Context(), presentedWith(token, newProof(key, token, noon).text())); err != nil {
			t.Errorf("%s: %v", key.alg, err)
		}
	}
}

func TestReq049_OneProofHeader(t *testing.T) {
	provider := startIDP(t, edKey())
	v := bindingVerifier(t, provider, nil)
	token := boundToken(provider, map[string]string{"jkt": clientKey().thumbprint()})
	_, err := v.Authenticate(t.Context(), presentedWith(token))
	wantRefusal(t, err, ProofMissing, token)
	_, err = v.Authenticate(t.Context(), presentedWith(token, newProof(clientKey(), token, noon).text(), newProof(clientKey(), token, noon).text()))
	wantRefusal(t, err, SeveralProofs, token)
}

// The examples of RFC 7638 section 3.1 and RFC 9449 sections 4.1 and 6.1.
func TestReq049_ThumbprintVectors(t *testing.T) {
	for want, key := range map[string]string{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`,
		"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I": `{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}`,
	} {
		header := strictjson.Object{{Key: "jwk", Value: json.RawMessage(key)}}
		if _, got, err := proofKey(header); err != nil || got != want {
			t.Errorf("%s, want %s: %v", got, want, err)
		}
	}
}

func TestReq050_AProofIsGoodOnce(t *testing.T) {
	provider := startIDP(t, edKey())
	now := noon
	v := provider.verifier(t, func(c *Config) {
		c.Issuers[0].Algorithms = []string{edDSA}
		c.Binding = BindingConfig{DPoP: Allowed, ServerURL: testAudience}
		c.Now = func() time.Time { return now }
	})
	token := boundToken(provider, map[string]string{"jkt": clientKey().thumbprint()})
	// As far ahead as a proof may be: it stays good for two minutes.
	proof := newProof(clientKey(), token, noon.Add(proofWindow))
	again := func() error {
		_, err := v.Authenticate(t.Context(), presentedWith(token, proof.text()))
		return err
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{0, time.Second, proofWindow, 2 * proofWindow} {
		now = noon.Add(later)
		wantRefusal(t, again(), ProofReplayed, token)
	}
	now = noon.Add(2*proofWindow + time.Second)
	wantRefusal(t, again(), ProofTime, token)
}

// A proof that was refused is not used up, and another client's jti is another.
func TestReq050_OnlyWhatWasAcceptedIsUsed(t *testing.T) {
	provider := startIDP(t, edKey())
	v := bindingVerifier(t, provider, nil)
	token := boundToken(provider, map[string]string{"jkt": clientKey().thumbprint()})
	proof := newProof(clientKey(), token, noon)
	p := presentedWith(token, proof.text())
	p.Method = http.MethodGet
	_, err := v.Authenticate(t.Context(), p)
	wantRefusal(t, err, ProofMethod, token)
	if _, err := v.Authenticate(t.Context(), presentedWith(token, proof.text())); err != nil {
		t.Error(err)
	}
	theirs := boundToken(provider, map[string]string{"jkt": otherClientKey().thumbprint()})
	same := newProof(otherClientKey(), theirs, noon)
	same.claims["jti"] = proof.claims["jti"]
	if _, err := v.Authenticate(t.Context(), presentedWith(theirs, same.text())); err != nil {
		t.Error(err)
	}
}

func TestReq050_AFullMemoryForgetsNothing(t *testing.T) {
	provider := startIDP(t, edKey())
	v := bindingVerifier(t, provider, nil)
	v.binding.used.limit = 1
	token := boundToken(provider, map[string]string{"jkt": clientKey().thumbprint()})
	first := newProof(clientKey(), token, noon).text()
	if _, err := v.Authenticate(t.Context(), presentedWith(token, first)); err != nil {
		t.Fatal(err)
	}
	_, err := v.Authenticate(t.Context(), presentedWith(token, newProof(clientKey(), token, noon).text()))
	if refusal := refusalOf(t, err, ProofsFull, token); refusal.Status != http.StatusServiceUnavailable || refusal.RetryAfter <= 0 {
		t.Errorf("%+v", refusal)
	}
	_, err = v.Authenticate(t.Context(), presentedWith(token, first))
	wantRefusal(t, err, ProofReplayed, token)
}

// sharedProofs is a memory that two verifiers share, and that can be away.
type sharedProofs struct {
	mu   sync.Mutex
	seen map[string]time.Duration
	away bool
}

func (s *sharedProofs) Claim(_ context.Context, name string, life time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return false, errors.New("away")
	}
	_, seen := s.seen[name]
	s.seen[name] = life
	return !seen, nil
}

func TestReq050_ReplicasShareWhatWasUsed(t *testing.T) {
	provider := startIDP(t, edKey())
	shared := &sharedProofs{seen: map[string]time.Duration{}}
	share := func(c *BindingConfig) { c.Shared = shared }
	one, two := bindingVerifier(t, provider, share), bindingVerifier(t, provider, share)
	token := boundToken(provider, map[string]string{"jkt": clientKey().thumbprint()})
	proof := newProof(clientKey(), token, noon).text()
	if _, err := one.Authenticate(t.Context(), presentedWith(token, proof)); err != nil {
		t.Fatal(err)
	}
	_, err := two.Authenticate(t.Context(), presentedWith(token, proof))
	wantRefusal(t, err, ProofReplayed, token)
	for name, life := range shared.seen {
		if life < 2*proofWindow || strings.Contains(proof, name) {
			t.Errorf("%s is remembered for %s", name, life)
		}
	}
	shared.away = true
	other := newProof(clientKey(), token, noon).text()
	if _, err := one.Authenticate(t.Context(), presentedWith(token, other)); err != nil {
		t.Errorf("without the shared memory: %v", err)
	}
	_, err = one.Authenticate(t.Context(), presentedWith(token, other))
	wantRefusal(t, err, ProofReplayed, token)
}

func TestReq051_NonceChallenge(t *testing.T) {
	provider := startIDP(t, edKey())
	now := noon
	start := func(key string) *Verifier {
		return provider.verifier(t, func(c *Config) {
			c.Issuers[0].Algorithms = []string{edDSA}
			c.Binding = BindingConfig{DPoP: Allowed, ServerURL: testAudience, Nonces: true, Key: secret.New(key)}
			c.Now = func() time.Time { return now }
		})
	}
	v, replica, stranger := start("key"), start("key"), start("another key")
	token := boundToken(provider, map[string]string{"jkt": clientKey().thumbprint()})
	try := func(v *Verifier, nonce any) error {
		f := newProof(clientKey(), token, now)
		if nonce != nil {
			f.claims["nonce"] = nonce
		}
		_, err := v.Authenticate(t.Context(), presentedWith(token, f.text()))
		return err
	}
	nonce := v.Nonce()
	if strings.Trim(nonce, unreserved) != "" || nonce == "" {
		t.Fatalf("nonce %q", nonce) // the syntax of RFC 9449 section 8.1 and more
	}
	for name, wrong := range map[string]any{
		"none": nil, "made up": rand.Text(), "of another key": stranger.Nonce(), "changed": nonce[:len(nonce)-1] + "_",
		"too old": v.binding.nonces.at(v.binding.nonces.step() - nonceSteps - 1), "ahead": v.binding.nonces.at(v.binding.nonces.step() + 2),
	} {
		refusal := refusalOf(t, try(v, wrong), ProofNonce, token)
		if refusal.Code != oauth.CodeUseDPoPNonce || refusal.Scheme != oauth.SchemeDPoP || refusal.Status != http.StatusUnauthorized {
			t.Errorf("%s: %+v", name, refusal)
		}
	}
	for name, err := range map[string]error{"here": try(v, nonce), "on another replica": try(replica, nonce)} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	now = noon.Add(nonceSteps * nonceStep)
	if err := try(v, nonce); err != nil || v.Nonce() == nonce {
		t.Errorf("after five minutes: %v", err)
	}
	now = now.Add(nonceStep)
	wantRefusal(t, try(v, nonce), ProofNonce, token)
	if off := bindingVerifier(t, provider, nil); off.Nonce() != "" {
		t.Error("a nonce is offered where none is wanted")
	}
}

// FuzzProof signs any header and claims with a client's key: what is accepted, an
// independent reader accepts too, item by item of RFC 9449 section 4.3. The raw
// text is tried as it is, too.
func FuzzProof(f *testing.F) {
	provider := startIDP(f, edKey())
	token := boundToken(provider, map[string]string{"jkt": edKey().thumbprint()})
	v := bindingVerifier(f, provider, nil)
	for _, row := range proofRows {
		forge := newProof(edKey(), token, noon)
		row.spoil(forge)
		f.Add(string(must(json.Marshal(forge.header))), string(must(json.Marshal(forge.claims))), forge.text())
	}
	f.Fuzz(func(t *testing.T, header, claims, raw string) {
		for _, text := range []string{edKey().sign(header, claims), raw} {
			_, err := v.Authenticate(t.Context(), presentedWith(token, text))
			if err != nil {
				wantRefusal(t, err, Reason(oauth.AsRefusal(err).Reason), token)
				continue
			}
			if problem := recheckProof(text, token.Reveal()); problem != "" {
				t.Errorf("accepted %s: %s", text, problem)
			}
			if _, err := v.Authenticate(t.Context(), presentedWith(token, text)); err == nil {
				t.Error("accepted twice")
			}
		}
	})
}

// recheckProof reads a proof with encoding/json and go-jose's own idea of an
// embedded key.
func recheckProof(text, token string) string {
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA})
	if err != nil || len(signed.Signatures) != 1 {
		return "not one signature"
	}
	protected := signed.Signatures[0].Protected
	jwk := protected.JSONWebKey
	if jwk == nil || !jwk.IsPublic() || !jwk.Valid() {
		return "no public key"
	}
	payload, err := signed.Verify(jwk)
	if err != nil {
		return "wrong signature"
	}
	if sum, err := jwk.Thumbprint(crypto.SHA256); err != nil || b64(string(sum)) != edKey().thumbprint() {
		return "another key"
	}
	typ, _ := protected.ExtraHeaders[jose.HeaderType].(string)
	if !strings.HasSuffix(strings.ToLower(typ), "dpop+jwt") {
		return "another type"
	}
	var claims struct {
		ID, Method, URL, Token string
		At                     float64
	}
	var all map[string]any
	if json.Unmarshal(payload, &all) != nil {
		return "claims are unreadable"
	}
	claims.ID, _ = all["jti"].(string)
	claims.Method, _ = all["htm"].(string)
	claims.URL, _ = all["htu"].(string)
	claims.Token, _ = all["ath"].(string)
	claims.At, _ = all["iat"].(float64)
	sum := sha256.Sum256([]byte(token))
	bare, _, _ := strings.Cut(strings.ToLower(claims.URL), "?")
	bare, _, _ = strings.Cut(bare, "#")
	switch {
	case claims.ID == "":
		return "no jti"
	case claims.Method != http.MethodPost:
		return "another method"
	case !strings.HasPrefix(bare, "https://mcp.example/") && !strings.HasPrefix(bare, "https://mcp.example:443/"):
		return "another server"
	case claims.Token != b64(string(sum[:])):
		return "another token"
	case claims.At < float64(noon.Add(-proofWindow).Unix()) || claims.At > float64(noon.Add(proofWindow).Unix()):
		return "another time"
	}
	return ""
}
