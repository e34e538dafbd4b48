package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// must returns a function that unwraps what cannot fail.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestReq066_ClientAuthentication(t *testing.T) {
	const id, clientSecret = "gate way", "s%cr:t/+"
	path := tokenFile(t, "federated-1\n")
	for name, tc := range map[string]struct {
		client       ClientConfig
		basic        bool
		secret, kind string // of the form
		assertion    string
	}{
		"basic":     {client: ClientConfig{Auth: SecretBasic, Secret: secret.New(clientSecret)}, basic: true},
		"post":      {client: ClientConfig{Auth: SecretPost, Secret: secret.New(clientSecret)}, secret: clientSecret},
		"mTLS":      {client: ClientConfig{Auth: TLSClient}},
		"federated": {client: ClientConfig{Auth: FederatedToken, TokenFile: path}, kind: assertionType, assertion: "federated-1"},
	} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, good)
			tc.client.ID = id
			e := server.exchange(t, func(c *ExchangeConfig) { c.Endpoint = server.endpoint(t, tc.client) })
			apply(t, e)
			request, form := server.last(t)
			user, password, basic := request.BasicAuth()
			if basic != tc.basic || basic && (user != "gate+way" || password != "s%25cr%3At%2F%2B") {
				t.Errorf("basic: %v %q %q", basic, user, password)
			}
			if form.Get("client_secret") != tc.secret || form.Get("client_assertion_type") != tc.kind || form.Get("client_assertion") != tc.assertion {
				t.Errorf("form %v", form)
			}
			if form.Has("client_id") == tc.basic { // one way only
				t.Errorf("client_id in the form: %v", form["client_id"])
			}
		})
	}
}

// A federated token is read for each request: whoever issues it replaces it.
func TestReq066_FederatedTokenIsReadAgain(t *testing.T) {
	server, path := startServer(t, good), tokenFile(t, "federated-1")
	self, err := NewSelf(SelfConfig{Upstream: "billing", Endpoint: server.endpoint(t, ClientConfig{ID: "gateway", Auth: FederatedToken, TokenFile: path})})
	if err != nil {
		t.Fatal(err)
	}
	header, _ := apply(t, self)
	if err := os.WriteFile(path, []byte("federated-2"), 0o600); err != nil {
		t.Fatal(err)
	}
	self.Rejected(header, ana(), secret.Value{})
	apply(t, self)
	if _, form := server.last(t); server.count() != 2 || form.Get("client_assertion") != "federated-2" {
		t.Errorf("%d requests, assertion %q", server.count(), form.Get("client_assertion"))
	}
}

func TestReq066_PrivateKeyJWT(t *testing.T) {
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[jose.SignatureAlgorithm]crypto.Signer{
		jose.RS256: must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048)),
		jose.ES256: must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		jose.ES384: must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		jose.EdDSA: edKey,
	}
	for algorithm, key := range keys {
		for _, audience := range []string{"", "https://idp.example/"} {
			server := startServer(t, good)
			client := ClientConfig{ID: "gateway", Auth: PrivateKeyJWT, Key: key, KeyID: "k1", Audience: audience}
			self, err := NewSelf(SelfConfig{Upstream: "billing", Endpoint: server.endpoint(t, client)})
			if err != nil {
				t.Fatal(err)
			}
			apply(t, self)
			_, form := server.last(t)
			signed, err := jwt.ParseSigned(form.Get("client_assertion"), []jose.SignatureAlgorithm{algorithm})
			if err != nil || signed.Headers[0].KeyID != "k1" || form.Get("client_assertion_type") != assertionType || form.Get("client_id") != "gateway" {
				t.Fatalf("%s: %v in %v", algorithm, err, form)
			}
			var claims jwt.Claims
			if err := signed.Claims(key.Public(), &claims); err != nil {
				t.Fatal(err)
			}
			if audience == "" {
				audience = server.URL + "/token"
			}
			if err := claims.Validate(jwt.Expected{Issuer: "gateway", Subject: "gateway", AnyAudience: jwt.Audience{audience}}); err != nil {
				t.Errorf("%s: %v", algorithm, err)
			}
			if len(claims.Audience) != 1 || claims.ID == "" || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) != time.Minute {
				t.Errorf("%s: claims %+v", algorithm, claims)
			}
		}
	}
}

func TestClientsThatCannotAuthenticate(t *testing.T) {
	small := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	for name, cfg := range map[string]EndpointConfig{
		"no id":         {Client: ClientConfig{Auth: TLSClient}},
		"no way":        {Client: ClientConfig{ID: "gateway"}},
		"no secret":     {Client: ClientConfig{ID: "gateway", Auth: SecretBasic}},
		"no key":        {Client: ClientConfig{ID: "gateway", Auth: PrivateKeyJWT}},
		"a weak key":    {Client: ClientConfig{ID: "gateway", Auth: PrivateKeyJWT, Key: small}},
		"no token file": {Client: ClientConfig{ID: "gateway", Auth: FederatedToken}},
		"plain http":    {URL: "http://idp.example/token", Client: ClientConfig{ID: "gateway", Auth: TLSClient}},
		"no transport":  {Client: ClientConfig{ID: "gateway", Auth: TLSClient}, URL: "https://idp.example/x"},
	} {
		if cfg.URL == "" {
			cfg.URL = "https://idp.example/token"
		}
		if name != "no transport" {
			cfg.Transport = http.NewFileTransport(nil)
		}
		if _, err := NewEndpoint(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
