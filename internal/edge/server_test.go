package edge

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/pipenet"
)

// TestReq086_HeadersAreBounded: a client that takes its time with the headers,
// or sends too many of them, does not get to a handler.
func TestReq086_HeadersAreBounded(t *testing.T) {
	large := "X: " + strings.Repeat("x", 1024) + "\r\n"
	for name, tc := range map[string]struct {
		sent   string
		want   string // the beginning of the answer
		within time.Duration
	}{
		"whole":     {"\r\n", "HTTP/1.1 204 ", 0},
		"unended":   {"", "", headerTimeout},
		"many":      {strings.Repeat(large, maxHeaderBytes>>10) + "\r\n", "HTTP/1.1 204 ", 0},
		"too many":  {strings.Repeat(large, maxHeaderBytes>>10+8) + "\r\n", "HTTP/1.1 431 ", time.Second},
		"one large": {"X: " + strings.Repeat("x", 2*maxHeaderBytes) + "\r\n\r\n", "HTTP/1.1 431 ", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := pipenet.Listen()
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					ended <- Serve(ctx, ServerConfig{
						Listener: network, Logger: slog.New(slog.DiscardHandler), Timeout: time.Second,
						Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
					})
				}()
				conn, err := network.DialContext(t.Context(), "tcp", "server:80")
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				go func() { _, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: server\r\n"+tc.sent) }()
				line, _ := bufio.NewReader(conn).ReadString('\n')
				if took := time.Since(began); !strings.HasPrefix(line, tc.want) || tc.want == "" && line != "" || took > tc.within {
					t.Errorf("%q after %s, want %q within %s", line, took, tc.want, tc.within)
				}
				_ = conn.Close()
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
