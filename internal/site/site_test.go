package site

import (
	"net/netip"
	"testing"
)

func TestKey(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7",
		"::ffff:192.0.2.7":     "192.0.2.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::":  "2001:db8:1:2::/64",
		"2001:db8:1:3::":       "2001:db8:1:3::/64",
		"fe80::1%eth0":         "fe80::/64",
		"":                     Unknown,
	} {
		address, _ := netip.ParseAddr(text)
		if got := Key(address); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
