// Package site says which network addresses count as one caller. Limits by
// address start here, so that they all mean the same.
package site

import "net/netip"

// Unknown is the key of a caller whose address cannot be read. They share one.
const Unknown = "unknown"

// Key groups addresses as they are handed out: IPv4 one by one, IPv6 by /64,
// which is one site. Behind a proxy whose address the edge did not replace all
// callers share one.
func Key(address netip.Addr) string {
	address = address.Unmap()
	if address.Is4() {
		return address.String()
	}
	prefix, err := address.WithZone("").Prefix(64)
	if err != nil || !prefix.IsValid() {
		return Unknown
	}
	return prefix.String()
}
