package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
)

// Bounds of the one request.
const (
	healthTimeout = 3 * time.Second
	maxHealthBody = 4 << 10
)

type healthcheckCommand struct {
	settings
}

// Help returns the examples under --help.
func (healthcheckCommand) Help() string {
	return `It reads LISTEN_ADDR as the server does, and asks /healthz there. The exit code is 0 when the server answers 200, else 1.

Examples:

    oauth-mcp-server healthcheck
    oauth-mcp-server healthcheck --listen-addr 127.0.0.1:9000
    HEALTHCHECK CMD ["/oauth-mcp-server", "healthcheck"]`
}

// Run asks once.
func (c *healthcheckCommand) Run(ctx context.Context, p process) error {
	// Problems are not looked at: the server would not run with them, and what
	// is asked here is whether it does.
	loaded, _ := c.load(p)
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if err := askHealth(ctx, loaded.Config); err != nil {
		return fmt.Errorf("not healthy: %w", err)
	}
	_, err := fmt.Fprintln(p.stdout, "healthy")
	return err
}

// askHealth gets /healthz from the server that listens as c says.
func askHealth(ctx context.Context, c config.Config) error {
	host, port, err := net.SplitHostPort(c.ListenAddr)
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	policy := egress.Policy{AllowLoopback: true}
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "127.0.0.1" // it listens on every interface, and needs no resolver here
	} else if err == nil {
		policy.Allow = []netip.Prefix{netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())}
	}
	scheme := "http"
	if c.TLSCertFile != "" {
		scheme = "https"
	}
	transport := egress.NewTransport(policy, &tls.Config{
		MinVersion: tls.VersionTLS12,
		// The certificate names the public host, not this address. Nothing secret
		// is sent, and only a status is read.
		InsecureSkipVerify: true, //nolint:gosec // see above
	})
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	_, readErr := io.Copy(io.Discard, io.LimitReader(response.Body, maxHealthBody))
	if err := errors.Join(readErr, response.Body.Close()); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: status %d", request.URL.Path, response.StatusCode)
	}
	return nil
}
