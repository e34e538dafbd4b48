package teststore

import (
	"net"
	"strings"
	"testing"
)

// A stopped store is gone from its port.
func TestStopEndsTheServer(t *testing.T) {
	s := Start(t)
	s.Stop()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "redis://"))
	if err == nil {
		_ = conn.Close()
		t.Error("the store still answers")
	}
}
