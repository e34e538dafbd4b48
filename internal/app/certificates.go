package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

// loadTLS reads the certificate of a server that ends TLS itself; nil without
// one.
func loadTLS(cfg config.Config) (*tls.Config, error) {
	if cfg.TLSCertFile == "" {
		return nil, nil //nolint:nilnil // no TLS is an answer
	}
	certificate, err := tls.LoadX509KeyPair(cfg.TLSCertFile, cfg.TLSKeyFile)
	if err != nil {
		return nil, errors.Join(errors.New("TLS_CERT_FILE, TLS_KEY_FILE: they must be a PEM certificate chain and its key"), err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, ClientAuth: clientAuth(cfg)}, nil
}

// loadAuthorities reads PEM certificates of authorities; no path means those of
// the system, which a nil pool stands for. That the file is there and not too
// large is checked with the configuration.
func loadAuthorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // the system's authorities are an answer
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("there is no PEM certificate in it; name a file of the authorities that sign the store's certificate")
	}
	return pool, nil
}
