package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// clientCertificate makes a self-signed certificate with its key.
func clientCertificate(t *testing.T) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, parsed
}

// A server with TLS of its own takes a token that is bound to a certificate, self-signed
// as it is, over a connection with that certificate only. The metadata says so.
func TestReq007_Req052_CertificateOfOwnTLS(t *testing.T) {
	certFile, keyFile, trust := certificate(t)
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
		c.ServerURL = strings.Replace(c.ServerURL, "http://", "https://", 1)
		c.TLSCertFile, c.TLSKeyFile, c.MTLS = certFile, keyFile, "allowed"
	}))
	own, parsed := clientCertificate(t)
	other, _ := clientCertificate(t)
	audience := []string{system.Config.ServerURL}
	bound := system.Mint(devstack.Mint{Audience: audience, CertHash: bearer.Thumbprint(parsed)})
	plain := system.Mint(devstack.Mint{Audience: audience})
	do := func(method, path, token string, certificates ...tls.Certificate) (int, string) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs: trust, ServerName: publicName, Certificates: certificates, MinVersion: tls.VersionTLS12,
		}}
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), method, system.Config.ServerURL+path, strings.NewReader(list))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	for _, tc := range []struct {
		name, token  string
		certificates []tls.Certificate
		status       int
		says         string
	}{
		{"its certificate", bound, []tls.Certificate{own}, 200, "otus_teams"},
		{"another certificate", bound, []tls.Certificate{other}, 401, "another client certificate"},
		{"no certificate", bound, nil, 401, "this connection has none"},
		{"a plain token with a certificate", plain, []tls.Certificate{own}, 200, "otus_teams"},
		{"a plain token", plain, nil, 200, "otus_teams"},
	} {
		if status, body := do(http.MethodPost, "/mcp", tc.token, tc.certificates...); status != tc.status || !strings.Contains(body, tc.says) {
			t.Errorf("%s: %d %s", tc.name, status, body)
		}
	}
	var metadata map[string]any
	_, body := do(http.MethodGet, "/.well-known/oauth-protected-resource/mcp", "")
	if err := json.Unmarshal([]byte(body), &metadata); err != nil || metadata["tls_client_certificate_bound_access_tokens"] != true {
		t.Errorf("%v, %v", metadata, err)
	}
}

// The same behind a proxy that ends TLS and passes the certificate on.
func TestReq052_CertificateFromATrustedProxy(t *testing.T) {
	_, parsed := clientCertificate(t)
	header := ":" + base64.StdEncoding.EncodeToString(parsed.Raw) + ":"
	for name, tc := range map[string]struct {
		proxy  string
		status int
	}{"a trusted proxy": {"127.0.0.1/32", 200}, "somebody": {"10.0.0.0/8", 401}} {
		system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
			c.MTLS, c.ClientCertHeader, c.TrustedProxies = "required", "Client-Cert", []netip.Prefix{netip.MustParsePrefix(tc.proxy)}
		}))
		post := func(token, certificate string) int {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, system.URL+"/mcp", strings.NewReader(list))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+token)
			if certificate != "" {
				r.Header.Set("Client-Cert", certificate)
			}
			response, err := system.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			return response.StatusCode
		}
		bound := system.Mint(devstack.Mint{CertHash: bearer.Thumbprint(parsed)})
		if status := post(bound, header); status != tc.status {
			t.Errorf("%s: %d", name, status)
		}
		if status := post(bound, ""); status != 401 {
			t.Errorf("%s, without the certificate: %d", name, status)
		}
		if status := post(system.Token("ana"), header); status != 401 {
			t.Errorf("%s, a plain token: %d", name, status)
		}
	}
}

// Two replicas and a real store: a proof that one has seen, the other refuses.
func TestReq050_AProofIsUsedOnceOnAllReplicas(t *testing.T) {
	first := apptest.Start(t, withStore(teststore.Start(t)), apptest.WithConfig(func(c *config.Config) { c.DPoP, c.DPoPNonce = "allowed", "on" }))
	second := anotherReplica(t, first, app.Features{})
	token := first.Mint(devstack.Mint{DPoPKey: "dev"})
	post := func(url, proof string) (int, string, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/mcp", strings.NewReader(list))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header.Set("DPoP", proof)
		response, err := first.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text), response.Header.Get("DPoP-Nonce")
	}
	prove := func(nonce string) string {
		proofs, err := first.Stack.Prove(devstack.Proof{Token: token, Nonce: nonce})
		if err != nil {
			t.Fatal(err)
		}
		return proofs[0]
	}
	_, _, nonce := post(second, prove(""))
	apptest.Eventually(t, "the second replica has heard of a proof", func() bool {
		proof := prove(nonce) // with the other replica's nonce
		if status, body, _ := post(first.URL, proof); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		status, body, _ := post(second, proof)
		return status == http.StatusUnauthorized && strings.Contains(body, "used before")
	})
}
