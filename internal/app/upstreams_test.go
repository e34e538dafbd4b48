package app

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
	"tecrolabs.dev/oauth-mcp-server/internal/upstream"
)

// secureServer answers over TLS, and wants a certificate of its clients.
func secureServer(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// certificateFiles writes the certificate of server and its key, for both ends.
func certificateFiles(t *testing.T, server *httptest.Server) (certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return writeFile(t, string(certificate)), writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// declare makes the clients of a catalogue with one upstream, "api", in a world
// where only public addresses are allowed.
func declare(t *testing.T, entry string) (*upstreams, error) {
	t.Helper()
	text := "upstreams:\n  api:\n" + entry +
		"tools:\n  - {name: t, description: d, upstream: api, method: GET, path: /, input: {type: object, additionalProperties: false}}\n"
	catalogue, err := tool.Load([]byte(text), nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	u := &upstreams{policy: egress.Policy{}, senders: map[string]tool.Sender{}, lookupEnv: func(name string) (string, bool) {
		return "from-the-environment", name == "API_KEY"
	}}
	t.Cleanup(u.close)
	return u, u.add(catalogue.Upstreams()[0])
}

// send calls the upstream and returns what it answered.
func (u *upstreams) send(t *testing.T) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, _, err := u.senders["api"].Send(t.Context(), outbound.Request{HTTP: r}, oauth.Principal{}, secret.New("the-callers-token"))
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// Everything a catalogue can name in files: a private authority and a client
// certificate, at the API and at the token endpoint, where the certificate is
// how this server authenticates (RFC 8705 section 2).
func TestReq066_Req074_FilesOfACatalogue(t *testing.T) {
	idp := secureServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("client_id") != "gateway" || r.PostForm.Has("client_secret") || len(r.TLS.PeerCertificates) != 1 {
			t.Errorf("the client: %v with %d certificates", r.PostForm["client_id"], len(r.TLS.PeerCertificates))
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"for-%s","token_type":"Bearer","expires_in":60}`, r.PostForm.Get("audience"))
	})
	api := secureServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+" "+r.Header.Get("X-Tenant"))
	})
	idpCert, idpKey := certificateFiles(t, idp)
	apiCert, apiKey := certificateFiles(t, api)
	entry := `    url: ` + api.URL + `
    credential: client_credentials
    audience: billing
    headers: {x-tenant: acme}
    tls: {ca_file: ` + apiCert + `, cert_file: ` + apiCert + `, key_file: ` + apiKey + `}
    client_credentials:
      token_url: ` + idp.URL + `
      tls: {ca_file: ` + idpCert + `, cert_file: ` + idpCert + `, key_file: ` + idpKey + `}
      client: {id: gateway, auth: tls_client_auth}
`
	u, err := declare(t, entry+"    allow_networks: [127.0.0.0/8]\n")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := u.send(t); got != "Bearer for-billing acme" {
		t.Errorf("the API got %q, %v", got, err)
	}
}

// A private address needs a declaration, of this upstream or of the whole
// server; the name of a host says nothing.
func TestReq074_PrivateNetworksMustBeDeclared(t *testing.T) {
	arrived := 0
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived++ }))
	t.Cleanup(api.Close)
	for _, base := range []string{api.URL, strings.Replace(api.URL, "127.0.0.1", "localhost", 1)} {
		entry := "    url: " + base + "\n    credential: none\n    retries: 0\n"
		for networks, allowed := range map[string]bool{
			"": false, "    allow_networks: [10.0.0.0/8]\n": false, "    allow_networks: [127.0.0.0/8, '::1/128']\n": true,
		} {
			arrived = 0
			u, err := declare(t, entry+networks)
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.send(t)
			failure, forbidden := errors.AsType[*upstream.Failure](err)
			if forbidden = forbidden && failure.Kind == upstream.ForbiddenAddress; forbidden == allowed || (arrived == 1) != allowed {
				t.Errorf("%s with %q: %v, %d requests", base, networks, err, arrived)
			}
		}
	}
}

func TestSecretsOfACatalogue(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Api-Key")+r.Header.Get("Authorization"))
	}))
	t.Cleanup(api.Close)
	entry := "    url: " + api.URL + "\n    allow_networks: [127.0.0.0/8]\n    credential: static\n    static: "
	for static, want := range map[string]string{
		"{header: x-api-key, secret_env: API_KEY}":                                             "from-the-environment",
		"{header: Authorization, prefix: 'Token ', secret_file: " + writeFile(t, "k1\n") + "}": "Token k1",
		"{user: svc, secret_file: " + writeFile(t, "pass\r\n") + "}":                           "Basic c3ZjOnBhc3M=",
	} {
		u, err := declare(t, entry+static+"\n")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := u.send(t); got != want {
			t.Errorf("%s: the API got %q, %v", static, got, err)
		}
	}
}

// What is wrong with a file or a variable is said when the catalogue is loaded,
// with its name and without what is in it.
func TestFilesAndVariablesThatAreNoGood(t *testing.T) {
	missing, empty, wrong := filepath.Join(t.TempDir(), "missing"), writeFile(t, "\n"), writeFile(t, "hunter2")
	huge := writeFile(t, strings.Repeat("a", maxCredentialFile+1))
	for entry, want := range map[string]string{
		"credential: static\n    static: {header: X-A, secret_env: OTHER}":                                                                                              "environment variable OTHER is not set",
		"credential: static\n    static: {header: X-A, secret_file: " + missing + "}":                                                                                   missing,
		"credential: static\n    static: {header: X-A, secret_file: " + empty + "}":                                                                                     empty + " is empty",
		"credential: static\n    static: {header: X-A, secret_file: " + huge + "}":                                                                                      "is larger than",
		"credential: none\n    tls: {ca_file: " + wrong + "}":                                                                                                           wrong + " holds no certificate",
		"credential: none\n    tls: {ca_file: " + missing + "}":                                                                                                         missing,
		"credential: none\n    tls: {cert_file: " + wrong + ", key_file: " + wrong + "}":                                                                                "must be a PEM certificate chain and its key",
		"credential: client_credentials\n    client_credentials: {token_url: 'https://idp.example/t', client: {id: g, auth: private_key_jwt, key_file: " + wrong + "}}": wrong,
		"credential: client_credentials\n    client_credentials: {token_url: 'https://idp.example/t', client: {id: g, auth: client_secret_post, secret_env: OTHER}}":    "OTHER is not set",
	} {
		_, err := declare(t, "    url: https://api.example\n    "+entry+"\n")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s:\ngot %v\nwant %q", entry, err, want)
		}
	}
}
