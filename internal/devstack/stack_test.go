package devstack

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
)

// open checks a token's signature against the published keys and returns its
// header and claims.
func open(t *testing.T, s *Stack, token string) (header, claims map[string]any) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t, s)
	var set jose.JSONWebKeySet
	decode(t, v.do(http.MethodGet, s.URLs().JWKS, nil).body, &set)
	payload, err := signed.Verify(&set)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	decode(t, string(payload), &claims)
	return segmentOf(t, token, 0), claims
}

func segmentOf(t *testing.T, token string, n int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[n])
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	decode(t, string(raw), &values)
	return values
}

func number(t *testing.T, claims map[string]any, name string) int64 {
	t.Helper()
	value, ok := claims[name].(float64)
	if !ok {
		t.Fatalf("%s is %v", name, claims[name])
	}
	return int64(value)
}

func TestMetadata(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	issuer := stack.URLs().AuthorizationServer
	if !strings.HasPrefix(issuer, "http://localhost:") || !strings.HasSuffix(issuer, "/ares") {
		t.Errorf("issuer %s", issuer)
	}
	var documents []map[string]any
	for _, path := range []string{"/.well-known/oauth-authorization-server/ares", "/.well-known/openid-configuration/ares", "/ares/.well-known/openid-configuration"} {
		got := v.do(http.MethodGet, stack.broker.origin+path, nil)
		if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" || got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%s: %d %v", path, got.status, got.header)
		}
		var document map[string]any
		decode(t, got.body, &document)
		documents = append(documents, document)
	}
	if cmp.Diff(documents[0], documents[1]) != "" || cmp.Diff(documents[0], documents[2]) != "" {
		t.Error("the documents differ")
	}
	want := map[string]any{
		"issuer":                           issuer,
		"jwks_uri":                         stack.URLs().JWKS,
		"code_challenge_methods_supported": []any{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"client_id_metadata_document_supported":          true,
		"scopes_supported":                               []any{"openid", "profile", "email", "offline_access"},
		"grant_types_supported":                          []any{"authorization_code", "refresh_token", grantExchange, grantOnBehalfOf, grantCredentials},
	}
	for name, value := range want {
		if diff := cmp.Diff(value, documents[0][name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	fetcher := discovery.NewFetcher(egress.NewTransport(egress.Policy{AllowLoopback: true}, nil))
	signer, err := fetcher.Metadata(t.Context(), stack.URLs().TokenIssuer)
	if err != nil || signer.Issuer != stack.URLs().TokenIssuer || signer.JWKSURI != stack.URLs().JWKS || !strings.HasSuffix(signer.Issuer, "/auth0/") {
		t.Errorf("token signer: %+v %v", signer, err)
	}
	if _, err := fetcher.Metadata(t.Context(), issuer); err != nil {
		t.Errorf("authorization server: %v", err)
	}
}

func TestBrowserClientsMayUseTheEndpoints(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	for _, path := range []string{"/.well-known/oauth-authorization-server/ares", tokenPath, registerPath, jwksPath} {
		got := v.do(http.MethodOptions, stack.broker.origin+path, nil, "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
		if got.status != http.StatusNoContent || got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	for _, path := range []string{authorizePath, signInPath, forgePath} {
		got := v.do(http.MethodGet, stack.broker.origin+path, nil, "Origin", "https://app.example")
		if got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s is open to every origin", path)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := func() Config {
		return Config{AuthListener: listen(t), OtusListener: listen(t), ServerURL: testServer}
	}
	everywhere := addressed{listen(t), &net.TCPAddr{IP: net.IPv4zero, Port: 8001}}
	for name, change := range map[string]func(*Config){
		"public auth":    func(c *Config) { c.AuthListener = everywhere },
		"public otus":    func(c *Config) { c.OtusListener = everywhere },
		"private":        func(c *Config) { c.AuthListener = addressed{everywhere, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}} },
		"not TCP":        func(c *Config) { c.AuthListener = addressed{everywhere, &net.UnixAddr{}} },
		"no listener":    func(c *Config) { c.AuthListener = nil },
		"no server":      func(c *Config) { c.ServerURL = "" },
		"unknown SignIn": func(c *Config) { c.SignIn = "mallory" },
	} {
		cfg := good()
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := New(good()); err != nil {
		t.Error(err)
	}
}

type addressed struct {
	net.Listener
	address net.Addr
}

func (a addressed) Addr() net.Addr { return a.address }

func TestForeignHostIsRefused(t *testing.T) {
	stack := start(t)
	for _, base := range []string{stack.broker.origin + forgePath, stack.URLs().Otus + "/teams"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "rebound.evil.example"
		response, err := newVisitor(t, stack).client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", base, response.StatusCode)
		}
	}
}

func TestKeyRotation(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	teamsWith := func(token string) int {
		return v.do(http.MethodGet, stack.URLs().Otus+"/teams", nil, "Authorization", "Bearer "+token).status
	}
	before := stack.JWKSFetches()
	old := mint(t, stack, Mint{})
	open(t, stack, old)
	stack.RotateKeys(true)
	fresh := mint(t, stack, Mint{})
	if segmentOf(t, old, 0)["kid"] == segmentOf(t, fresh, 0)["kid"] {
		t.Error("the key did not change")
	}
	if teamsWith(old) != http.StatusOK || teamsWith(fresh) != http.StatusOK {
		t.Error("an overlapping rotation broke a token")
	}
	stack.RotateKeys(false)
	if teamsWith(fresh) != http.StatusUnauthorized {
		t.Error("a key outlived a hard rotation")
	}
	for range 2 * maxPublishedKeys {
		stack.broker.storage.keys.mu.Lock()
		stack.broker.storage.keys.keys = append(stack.broker.storage.keys.keys, stack.broker.storage.keys.keys[0])
		stack.broker.storage.keys.mu.Unlock()
	}
	stack.RotateKeys(true)
	var set jose.JSONWebKeySet
	decode(t, v.do(http.MethodGet, stack.URLs().JWKS, nil).body, &set)
	if len(set.Keys) != maxPublishedKeys {
		t.Errorf("%d keys are published", len(set.Keys))
	}
	for _, key := range set.Keys {
		if !key.IsPublic() || key.Use != "sig" || key.Algorithm != "RS256" {
			t.Errorf("published %v", key.KeyID)
		}
	}
	if got := stack.JWKSFetches() - before; got != 2 {
		t.Errorf("%d fetches counted", got)
	}
}

func TestIssuedListsEverySecret(t *testing.T) {
	stack := start(t, func(c *Config) { c.SignIn = "ana" })
	v := newVisitor(t, stack)
	code := v.authorize(request()).callback.Get("code")
	tokens, _ := v.tokens(redeeming(code))
	forged := mint(t, stack, Mint{Defect: "opaque"})
	for _, secret := range []string{code, tokens.AccessToken, tokens.RefreshToken, tokens.IDToken, forged} {
		if secret == "" || !slices.Contains(stack.Issued(), secret) {
			t.Error("something issued is not listed")
		}
	}
}

func TestJournalAndBoundedForgetTheOldest(t *testing.T) {
	j := journal[int]{max: 2}
	b := newBounded[int, string](2)
	for i := range 3 {
		j.add(i)
		b.put(i, "x")
	}
	if diff := cmp.Diff([]int{1, 2}, j.list()); diff != "" {
		t.Error(diff)
	}
	if _, ok := b.get(0); ok || len(b.items) != 2 || len(b.order) != 2 {
		t.Errorf("%v", b.items)
	}
	b.remove(1)
	b.remove(7)
	b.put(2, "y")
	if value, _ := b.get(2); value != "y" || len(b.order) != 1 {
		t.Errorf("%v", b.items)
	}
}

func TestIdPFaults(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	status := func(target string) int { return v.do(http.MethodGet, target, nil).status }
	metadata := stack.broker.origin + "/.well-known/oauth-authorization-server/ares"
	stack.SetIdPFault(IdPFault{Status: http.StatusServiceUnavailable})
	if status(metadata) != 503 || status(stack.URLs().JWKS) != 503 || status(stack.broker.origin+userinfoPath) != 401 {
		t.Error("the fault is not on metadata and keys only")
	}
	stack.SetIdPFault(IdPFault{Status: http.StatusServiceUnavailable, Everything: true})
	if status(stack.broker.origin+userinfoPath) != 503 || status(stack.URLs().TokenForge) != 200 {
		t.Error("the fault is not on everything but the forge")
	}
	stack.SetIdPFault(IdPFault{Close: true})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, metadata, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := v.client.Do(request); err == nil {
		_ = response.Body.Close()
		t.Errorf("got %d from a closed connection", response.StatusCode)
	}
	stack.SetIdPFault(IdPFault{})
	if status(metadata) != 200 {
		t.Error("not healed")
	}
}

func mint(t *testing.T, s *Stack, m Mint) string {
	t.Helper()
	answer, err := s.Mint(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(answer); err != nil {
		t.Fatal(err)
	}
	return answer.AccessToken
}
