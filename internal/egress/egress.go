// Package egress is the one way out of the process: the HTTP transport that
// every outgoing connection uses, to identity providers and to APIs alike.
//
// It defends against server-side request forgery at the only place that cannot
// be fooled by DNS: the address that is about to be dialled. Loopback, private,
// link-local (cloud metadata) and other special ranges are refused unless the
// operator declared them.
package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Bounds of one outgoing connection.
const (
	dialTimeout         = 5 * time.Second
	tlsHandshakeTimeout = 5 * time.Second
	idleConnTimeout     = 90 * time.Second
	maxIdlePerHost      = 64
	maxResponseHeaders  = 64 << 10
)

// ErrForbiddenAddress is returned by a dial to an address outside the policy.
var ErrForbiddenAddress = errors.New("address not allowed for outgoing connections")

// Policy says which special addresses may be dialled. The zero Policy allows
// public addresses only.
type Policy struct {
	// AllowLoopback allows 127.0.0.0/8 and ::1: development on one machine.
	AllowLoopback bool
	// Allow lists further special ranges that the operator declared, such as
	// 10.0.0.0/8 where the API lives on a private network.
	Allow []netip.Prefix
}

// special lists ranges that are not the public internet and that
// netip's own predicates do not name.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarking, RFC 2544
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"),   // NAT64 could reach private IPv4
	netip.MustParsePrefix("64:ff9b:1::/48"), // RFC 8215
}

// Check returns an error wrapping [ErrForbiddenAddress] when addr may not be
// dialled, with what to do about it.
func (p Policy) Check(addr netip.Addr) error {
	addr = addr.Unmap()
	if addr.IsLoopback() && p.AllowLoopback {
		return nil
	}
	for _, prefix := range p.Allow {
		if prefix.Contains(addr) {
			return nil
		}
	}
	forbidden := !addr.IsGlobalUnicast() || addr.IsPrivate() || addr.IsLoopback()
	for _, prefix := range special {
		forbidden = forbidden || prefix.Contains(addr)
	}
	if forbidden {
		return fmt.Errorf("%w: %s is not a public address; add its range to EGRESS_ALLOW if it is meant", ErrForbiddenAddress, addr)
	}
	return nil
}

// Limits are the times of one transport. The zero value is the usual.
type Limits struct {
	Connect  time.Duration // of a connection, and of its TLS handshake; 0 means 5 s each
	Response time.Duration // from the end of a request to the header of its answer; 0 means no limit
}

// NewTransport returns a transport with the usual limits: see
// [NewTransportWithin].
func NewTransport(policy Policy, tlsConfig *tls.Config) *http.Transport {
	return NewTransportWithin(policy, tlsConfig, Limits{})
}

// NewTransportWithin returns a transport that checks every address against
// policy at dial time, after DNS. It follows no proxy settings: a proxy would
// hide the address. It speaks HTTP/2 where the server does. A nil tlsConfig means
// TLS 1.2 or newer and the system's certificate authorities.
func NewTransportWithin(policy Policy, tlsConfig *tls.Config, limits Limits) *http.Transport {
	connect, handshake := dialTimeout, tlsHandshakeTimeout
	if limits.Connect > 0 {
		connect, handshake = limits.Connect, limits.Connect
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	dialer := &net.Dialer{
		Timeout: connect,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			addrPort, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %s", ErrForbiddenAddress, address)
			}
			return policy.Check(addrPort.Addr())
		},
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    handshake,
		ResponseHeaderTimeout:  limits.Response,
		IdleConnTimeout:        idleConnTimeout,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		MaxResponseHeaderBytes: maxResponseHeaders,
		ForceAttemptHTTP2:      true,
	}
}

// IsLoopbackHost reports whether a host of a URL is this machine, which alone may
// be spoken to over http: by name (RFC 6761 section 6.3) or by address.
func IsLoopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}
