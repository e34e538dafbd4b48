// Package teststore runs a real redis-server for tests. It is for tests only
// and imports nothing of this module, so that the tests of every package may
// use it.
package teststore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Store is a server that a test can stop and start again. Use [Start] or
// [StartTLS].
type Store struct {
	// URL is what CLUSTER_URL takes; the port stays the same.
	URL string
	// CAFile is what CLUSTER_CA_FILE takes; empty without TLS.
	CAFile string

	tb        testing.TB
	arguments []string
	command   *exec.Cmd
}

// Start runs a store until the test ends. Without redis-server the test is
// skipped, and fails in CI.
func Start(tb testing.TB) *Store {
	tb.Helper()
	port := freePort(tb)
	return run(tb, &Store{tb: tb, URL: "redis://127.0.0.1:" + port, arguments: []string{"--port", port}})
}

// StartTLS does the same with a store that takes TLS connections only. Its
// certificate is for localhost, and signed by nobody that a system trusts.
func StartTLS(tb testing.TB) *Store {
	tb.Helper()
	port := freePort(tb)
	certFile, keyFile := certificate(tb)
	return run(tb, &Store{tb: tb, URL: "rediss://localhost:" + port, CAFile: certFile, arguments: []string{
		"--port", "0", "--tls-port", port, "--tls-cert-file", certFile, "--tls-key-file", keyFile,
		"--tls-ca-cert-file", certFile, "--tls-auth-clients", "no",
	}})
}

func run(tb testing.TB, s *Store) *Store {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" { //nolint:forbidigo // a test kit asks whether it runs in CI
			tb.Fatal("redis-server is not installed")
		}
		tb.Skip("redis-server is not installed")
	}
	s.Start()
	tb.Cleanup(s.Stop)
	return s
}

// freePort returns a port that nobody listened on a moment ago.
func freePort(tb testing.TB) string {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	_ = listener.Close() // only its port was wanted
	return port
}

// certificate writes a certificate for localhost that is its own authority.
func certificate(tb testing.TB) (certFile, keyFile string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	folder := tb.TempDir()
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return certFile, keyFile
}

// Start runs the server again, empty.
func (s *Store) Start() {
	s.tb.Helper()
	//nolint:gosec // the arguments are this package's own
	s.command = exec.CommandContext(context.WithoutCancel(s.tb.Context()), "redis-server", append([]string{
		"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.tb.TempDir(),
	}, s.arguments...)...)
	if err := s.command.Start(); err != nil {
		s.tb.Fatal(err)
	}
}

// Stop kills the server.
func (s *Store) Stop() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait() // killed, or stopped before
}
