package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/pipenet"
	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

const testAudience = "https://mcp.example"

// noon is the time of tests that do not run on fake time of their own.
var noon = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)

// signingKey is a key pair with its published form.
type signingKey struct {
	id, alg string
	private crypto.Signer
}

func (k signingKey) named(id string) signingKey { k.id = id; return k }
func (k signingKey) as(alg string) signingKey   { k.alg = alg; return k }

func (k signingKey) jwk() map[string]any {
	raw := must(jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: k.alg, Use: "sig"}.MarshalJSON())
	var members map[string]any
	return must(members, json.Unmarshal(raw, &members))
}

// sign makes a compact JWS of any texts, however wrong.
func (k signingKey) sign(header, payload string) string {
	input := b64(header) + "." + b64(payload)
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		if k.alg == ps256 {
			signature, err = rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
		}
	case *ecdsa.PrivateKey:
		r, s, signErr := ecdsa.Sign(rand.Reader, private, digest[:])
		signature, err = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), signErr
	case ed25519.PrivateKey:
		signature = ed25519.Sign(private, []byte(input))
	}
	return input + "." + b64(string(must(signature, err)))
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Keys are slow to make, so the tests of one run share these.
var (
	rsaKey = sync.OnceValue(func() signingKey {
		return signingKey{"rsa-1", rs256, must(rsa.GenerateKey(rand.Reader, 2048))}
	})
	otherRSAKey = sync.OnceValue(func() signingKey {
		return signingKey{"rsa-2", rs256, must(rsa.GenerateKey(rand.Reader, 2048))}
	})
	ecKey = sync.OnceValue(func() signingKey {
		return signingKey{"ec-1", es256, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	})
	edKey = sync.OnceValue(func() signingKey {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return signingKey{"ed-1", edDSA, must(private, err)}
	})
)

// forge is a token in the making: good until a test spoils it.
type forge struct {
	header, claims         map[string]any
	headerText, claimsText string // replace the maps
	key                    signingKey
	after                  func(token string) string
}

func newForge(issuer string, key signingKey, now time.Time) *forge {
	return &forge{
		header: map[string]any{"alg": key.alg, "kid": key.id, "typ": "JWT"},
		claims: map[string]any{
			"iss": issuer, "sub": "auth0|alice", "aud": testAudience, "azp": "client-1",
			"scope": "openid profile", "jti": rand.Text(),
			"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
		},
		key: key,
	}
}

func (f *forge) token() secret.Value {
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
	return secret.New(raw)
}

// idp is an identity provider's public side, with a switchboard to misbehave.
// It is a real HTTP server on an in-memory network, so that it also works in a
// synctest bubble.
type idp struct {
	issuer string // as its metadata has it

	fetches atomic.Int64 // of its key set
	asked   atomic.Int64 // about tokens

	mu       sync.Mutex
	keySet   string
	jwksPath string
	down     bool
	hold     chan struct{}    // when set, key sets and introspection wait for it
	answer   http.HandlerFunc // of introspection; nil: there is none

	listener *pipenet.Listener
}

func startIDP(tb testing.TB, keys ...signingKey) *idp {
	tb.Helper()
	p := &idp{issuer: "http://localhost/tenant/", jwksPath: "/jwks", listener: pipenet.Listen()}
	p.publish(keys...)
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	var group sync.WaitGroup
	group.Go(func() {
		if err := server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("identity provider: %v", err)
		}
	})
	tb.Cleanup(func() {
		_ = server.Close()
		group.Wait()
	})
	return p
}

func (p *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	down, hold, jwksPath, keySet, answer := p.down, p.hold, p.jwksPath, p.keySet, p.answer
	p.mu.Unlock()
	switch r.URL.Path {
	case jwksPath:
		p.fetches.Add(1)
		if hold != nil {
			<-hold
		}
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write([]byte(keySet))
	case "/introspect":
		p.asked.Add(1)
		if hold != nil {
			<-hold
		}
		if down || answer == nil {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		answer(w, r)
	case "/.well-known/oauth-authorization-server/tenant":
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.issuer, "jwks_uri": "http://localhost" + jwksPath, "introspection_endpoint": "http://localhost/introspect"})
	default:
		http.NotFound(w, r)
	}
}

func (p *idp) set(change func(*idp)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *idp) setDown(down bool) { p.set(func(p *idp) { p.down = down }) }

// publish replaces the key set.
func (p *idp) publish(keys ...signingKey) {
	list := []any{}
	for _, key := range keys {
		list = append(list, key.jwk())
	}
	p.publishRaw(string(must(json.Marshal(map[string]any{"keys": list}))))
}

func (p *idp) publishRaw(keySet string) { p.set(func(p *idp) { p.keySet = keySet }) }

func (p *idp) fetcher(tb testing.TB) *discovery.Fetcher {
	tb.Helper()
	return discovery.NewFetcher(p.transport(tb))
}

func (p *idp) transport(tb testing.TB) *http.Transport {
	tb.Helper()
	transport := &http.Transport{DialContext: p.listener.DialContext}
	tb.Cleanup(transport.CloseIdleConnections)
	return transport
}

// verifier returns a Verifier that trusts p by name and key set URL, without
// metadata; change may alter everything.
func (p *idp) verifier(tb testing.TB, change func(*Config)) *Verifier {
	tb.Helper()
	cfg := Config{
		Issuers:   []IssuerConfig{{Issuer: p.issuer, JWKSURL: "http://localhost/jwks"}},
		Audiences: []string{testAudience, testAudience + "/mcp"},
		Fetcher:   p.fetcher(tb),
		Transport: p.transport(tb),
		Logger:    slog.New(slog.NewTextHandler(tb.Output(), nil)),
		Now:       func() time.Time { return noon },
	}
	if change != nil {
		change(&cfg)
	}
	v, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// serve returns a Verifier on a network where handler answers everything.
func serve(tb testing.TB, handler http.Handler, change func(*Config)) *Verifier {
	tb.Helper()
	p := &idp{issuer: "http://localhost/tenant/", listener: pipenet.Listen()}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(p.listener) })
	tb.Cleanup(func() {
		_ = server.Close()
		group.Wait()
	})
	return p.verifier(tb, change)
}

// wantRefusal checks that err is a refusal with this reason, and that whatever
// it says is safe to send: allowed characters, nothing that looks like a
// parameter, nothing of the token.
func wantRefusal(tb testing.TB, err error, want Reason, token secret.Value) {
	tb.Helper()
	_ = refusalOf(tb, err, want, token)
}

// refusalOf is wantRefusal for tests that look closer.
func refusalOf(tb testing.TB, err error, want Reason, token secret.Value) *oauth.Refusal {
	tb.Helper()
	refusal, ok := errors.AsType[*oauth.Refusal](err)
	if !ok {
		tb.Fatalf("got %v, want a refusal with the reason %s", err, want)
	}
	if refusal.Reason != string(want) {
		tb.Errorf("reason %q, want %q (%v)", refusal.Reason, want, err)
	}
	text := refusal.Description
	if text == "" || text != oauth.SafeText(text) {
		tb.Errorf("unsafe description %q", text)
	}
	if strings.Contains(text, "scope=") || strings.Contains(text, "error=") {
		tb.Errorf("the description looks like a parameter: %q", text)
	}
	for segment := range strings.SplitSeq(token.Reveal(), ".") {
		if len(segment) >= 16 && strings.Contains(refusal.Error(), segment[:16]) {
			tb.Errorf("the refusal repeats the token: %v", refusal)
		}
	}
	return refusal
}

func hs256(input string, key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(input))
	return b64(string(mac.Sum(nil)))
}

func with(base map[string]any, more map[string]any) map[string]any {
	merged := maps.Clone(base)
	maps.Copy(merged, more)
	return merged
}
