package upstream

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/pipenet"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// pause waits for d or for the end of the request.
func pause(r *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

func TestReq075_SlowAnswersEndAtTheTimeout(t *testing.T) {
	const timeout = 10 * time.Second
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		kind    Kind
		after   time.Duration
	}{
		"slow header": {func(_ http.ResponseWriter, r *http.Request) {
			pause(r, time.Hour)
		}, Timeout, timeout},
		"slow drip": {func(w http.ResponseWriter, r *http.Request) {
			for range 3600 {
				if _, err := io.WriteString(w, "x"); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
				pause(r, time.Second)
			}
		}, Timeout, timeout},
		"slow but in time": {func(w http.ResponseWriter, r *http.Request) {
			pause(r, timeout-time.Second)
			_, _ = io.WriteString(w, "{}")
		}, 0, timeout - time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := pipenet.Listen()
				server := &http.Server{Handler: tc.handler}
				done := make(chan error, 1)
				go func() { done <- server.Serve(listener) }()
				transport := &http.Transport{DialContext: listener.DialContext}
				c := client(t, "http://localhost", func(cfg *Config) { cfg.Timeout, cfg.Transport = timeout, transport })

				started := time.Now()
				response, _, err := c.Send(t.Context(), outbound.Request{HTTP: get(t, "/teams")}, oauth.Principal{}, secret.New("the-token"))
				if tc.kind == 0 {
					if err != nil {
						t.Fatal(err)
					}
					_ = response.Body.Close()
				} else {
					wantKind(t, err, tc.kind)
				}
				if took := time.Since(started); took != tc.after {
					t.Errorf("took %v, want %v", took, tc.after)
				}
				transport.CloseIdleConnections()
				_ = server.Close()
				synctest.Wait() // for the handlers
				if err := <-done; !errors.Is(err, http.ErrServerClosed) {
					t.Error(err)
				}
			})
		})
	}
}
