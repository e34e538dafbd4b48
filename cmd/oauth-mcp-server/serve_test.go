package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// output is a buffer that the test reads while the program writes.
type output struct {
	written chan struct{} // holds one element after a write; nil when nobody waits

	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.written <- struct{}{}:
	default:
	}
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

func TestReq087_ServeRefusesABadConfiguration(t *testing.T) {
	got := invoke(t, map[string]string{"SERVER_URL": "http://mcp.example.com", "JWT_LEEWAY": "1h"}, "serve")
	if got.code != exitFailed || got.stdout != "" {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"SERVER_URL", "JWT_LEEWAY", "TRUSTED_PROXIES"} {
		if !strings.Contains(got.stderr, name+"\n  found: ") {
			t.Errorf("%s is not reported:\n%s", name, got.stderr)
		}
	}
}

// TestServe runs the server on a free port, asks it whether it is alive and
// ends it as a signal would.
func TestServe(t *testing.T) {
	idp := httptest.NewServer(http.NotFoundHandler()) // up, and publishes nothing
	defer idp.Close()
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdout, stderr := &output{}, &output{written: make(chan struct{}, 1)}
	settings := map[string]string{"LISTEN_ADDR": "127.0.0.1:0", "AUTHORIZATION_SERVERS": idp.URL, "OAUTH_AUDIENCE": "x"}
	lookup := func(name string) (string, bool) { value, ok := settings[name]; return value, ok }
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"serve", "--log-format=text"}, lookup, strings.NewReader(""), stdout, stderr)
	}()

	address := ""
	for address == "" {
		select {
		case got := <-code:
			t.Fatalf("ended with %d:\n%s", got, stderr)
		case <-stderr.written:
		}
		if _, after, found := strings.Cut(stderr.String(), "listen_addr="); found {
			address, _, _ = strings.Cut(after, " ")
		}
	}
	if got := invokeHere(t.Context(), nil, "healthcheck", "--listen-addr="+address); got.code != exitOK {
		t.Errorf("healthcheck of %q: %+v", address, got)
	}
	stop()
	if got := <-code; got != exitOK {
		t.Errorf("exit code %d", got)
	}
	if text := stderr.String(); !strings.Contains(text, "configuration warning") || !strings.Contains(text, "setting=OAUTH_AUDIENCE") {
		t.Errorf("the warning is not in the log:\n%s", text)
	}
}
