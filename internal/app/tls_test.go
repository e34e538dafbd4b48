package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

const publicName = "mcp.example.com"

// certificate writes a certificate for publicName with its key, and returns
// the pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, trust *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: publicName}, DNSNames: []string{publicName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	certFile, keyFile = filepath.Join(directory, "cert.pem"), filepath.Join(directory, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trust.AddCert(parsed)
	return certFile, keyFile, trust
}

// answer is an HTTP answer that has been read.
type answer struct {
	status, http int
	header       http.Header
	body         string
}

// A production server that ends TLS itself: HTTP/2, TLS 1.2 at least, every URL
// https, and nothing for who comes in the clear.
func TestReq087_OwnTLS(t *testing.T) {
	certFile, keyFile, trust := certificate(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logger, err := telemetry.NewLogger(t.Output(), "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.ServerURL = "https://" + publicName
	cfg.TLSCertFile, cfg.TLSKeyFile = certFile, keyFile
	server, err := app.New(t.Context(), app.Options{Config: cfg, Logger: logger, Version: "1", Listener: listener})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	address := listener.Addr().String()
	client := func(version uint16) *http.Client {
		return &http.Client{Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: trust, MinVersion: version, MaxVersion: version},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", address)
			},
		}}
	}
	get := func(version uint16, url string) (answer, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := client(version)
		defer c.CloseIdleConnections()
		response, err := c.Do(request)
		if err != nil {
			return answer{}, err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return answer{response.StatusCode, response.ProtoMajor, response.Header, string(body)}, err
	}
	got, err := get(tls.VersionTLS13, "https://"+publicName+"/mcp")
	if err != nil {
		t.Fatal(err)
	}
	want := `Bearer resource_metadata="https://` + publicName + `/.well-known/oauth-protected-resource/mcp"`
	if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), want) {
		t.Errorf("%d %s", got.status, got.header.Get("WWW-Authenticate"))
	}
	if got.http != 2 || got.header.Get("Strict-Transport-Security") == "" {
		t.Errorf("HTTP/%d, HSTS %q", got.http, got.header.Get("Strict-Transport-Security"))
	}
	if _, err := get(tls.VersionTLS12, "https://"+publicName+"/healthz"); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	if _, err := get(tls.VersionTLS11, "https://"+publicName+"/healthz"); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if got, err := get(tls.VersionTLS13, "http://"+publicName+"/mcp"); err != nil || got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
		t.Errorf("in the clear: %v %s", err, got.body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
