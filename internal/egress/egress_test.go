package egress

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestPolicyRefusesSpecialAddresses(t *testing.T) {
	allowed := Policy{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for _, tc := range []struct {
		addr string
		ok   bool
	}{
		{"93.184.216.34", true},
		{"2606:2800:220:1::1", true},
		{"10.1.2.3", true}, // declared
		{"10.2.0.1", false},
		{"192.168.1.1", false},
		{"172.16.0.1", false},
		{"169.254.169.254", false}, // cloud metadata
		{"100.64.0.1", false},
		{"127.0.0.1", false},
		{"::1", false},
		{"::ffff:127.0.0.1", false},
		{"::ffff:169.254.169.254", false},
		{"fe80::1", false},
		{"fd00::1", false},
		{"0.0.0.0", false},
		{"224.0.0.1", false},
		{"64:ff9b::7f00:1", false},
	} {
		err := allowed.Check(netip.MustParseAddr(tc.addr))
		if (err == nil) != tc.ok {
			t.Errorf("Check(%s) = %v, want ok=%v", tc.addr, err, tc.ok)
		}
		if err != nil && !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("Check(%s) = %v, not ErrForbiddenAddress", tc.addr, err)
		}
	}
}

// The check happens on the dialled address, so a name that resolves to
// loopback is refused as the address itself is.
func TestReq045_TransportChecksTheDialledAddress(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		target := "http://" + host + ":" + port
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		response, err := NewTransport(Policy{}, nil).RoundTrip(request)
		if !errors.Is(err, ErrForbiddenAddress) {
			t.Fatalf("dial %s: %v, want ErrForbiddenAddress", target, err)
		}
		if response != nil {
			_ = response.Body.Close()
		}
		response, err = NewTransport(Policy{AllowLoopback: true}, nil).RoundTrip(request)
		if err != nil {
			t.Errorf("dial %s with loopback allowed: %v", target, err)
			continue
		}
		_ = response.Body.Close()
	}
}

// A server that takes connections and never speaks holds nobody up for longer
// than was declared.
func TestReq075_ConnectAndResponseTimes(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, tc := range map[string]struct {
		scheme string
		limits Limits
	}{
		"handshake": {"https", Limits{Connect: 50 * time.Millisecond}},
		"response":  {"http", Limits{Response: 50 * time.Millisecond}},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tc.scheme+"://"+silent.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		transport := NewTransportWithin(Policy{AllowLoopback: true}, nil, tc.limits)
		began := time.Now()
		response, err := transport.RoundTrip(request)
		if response != nil {
			_ = response.Body.Close()
		}
		if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() || time.Since(began) > dialTimeout {
			t.Errorf("%s: %v after %s", name, err, time.Since(began))
		}
		transport.CloseIdleConnections()
	}
}

// A tool's argument must not choose another method or path than the tool's.
func TestReq071_HeadersThatRerouteAreNotFillable(t *testing.T) {
	for name, want := range map[string]bool{
		"X-HTTP-Method-Override": false, "x_http_method_override": false, "X-HTTP-Method": false, "X-Method-Override": false,
		"X-Original-URL": false, "x-original-host": false, "X-Rewrite-URL": false, "Authorization": false, "Accept": false,
		"X-Method": true, "X-Originals": true, "X-Trace-Id": true,
	} {
		if got := IsFillable(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
