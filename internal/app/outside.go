package app

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
)

// outsideTransport is the way out of a command that a person points at a URL.
// What that URL's host resolves to is meant, even if it is not public; where its
// server sends the command from there is not, unless allow has it.
func outsideTransport(ctx context.Context, rawURL string, allow []netip.Prefix) *http.Transport {
	policy := egress.Policy{Allow: allow}
	if u, err := url.Parse(rawURL); err == nil && u.Hostname() != "" {
		addresses, _ := new(net.Resolver).LookupNetIP(ctx, "ip", u.Hostname()) // dialling reports what does not resolve
		for _, address := range addresses {
			address = address.Unmap().WithZone("")
			policy.AllowLoopback = policy.AllowLoopback || address.IsLoopback()
			policy.Allow = append(policy.Allow, netip.PrefixFrom(address, address.BitLen()))
		}
	}
	return egress.NewTransport(policy, nil)
}
