package app_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// Two whole servers and a real store: a stream on one, its messages POSTed to
// the other, which calls the API with the message's own token.
func TestReq082_MessagesReachAStreamOnAnotherReplica(t *testing.T) {
	first := apptest.Start(t, withStore(teststore.Start(t)))
	second := anotherReplica(t, first, app.Features{})
	stream := openStream(t, first, first.URL)
	endpoint := stream.endpoint
	newer := first.Token("ana")
	apptest.Eventually(t, "the other replica takes a message", func() bool {
		status, _ := postCall(t, first, second+endpoint, newer)
		return status == http.StatusAccepted
	})
	if answer := stream.data(t); !strings.Contains(answer, "Albatros") {
		t.Errorf("answer: %s", answer)
	}
	seen := first.Stack.OtusRequests()
	if got := seen[len(seen)-1].Header.Get("Authorization"); got != "Bearer "+newer {
		t.Error("the API was not called with the message's own token")
	}
	if status, body := postCall(t, first, second+endpoint, first.Token("bruno")); status != http.StatusNotFound {
		t.Errorf("somebody else: %d %s", status, body)
	}
	// Nobody knows yet whether all replicas have recorded their sessions.
	if status, body := postCall(t, first, second+"/mcp/sse?session_id=nobody", newer); status != http.StatusServiceUnavailable {
		t.Errorf("an unknown session, right after the start: %d %s", status, body)
	}
}

func postCall(t *testing.T, system *apptest.System, url, token string) (int, string) {
	t.Helper()
	system.Secret(token)
	return request(t, http.MethodPost, url, token, call)
}

// withStore lets replicas reach each other.
func withStore(store *teststore.Store) apptest.Option {
	return apptest.WithConfig(func(c *config.Config) {
		c.ClusterURL, c.SessionKey = secret.New(store.URL), secret.New(strings.Repeat("k", 32))
	})
}

// anotherReplica runs another server with the same configuration and returns its
// own address.
func anotherReplica(t *testing.T, first *apptest.System, features app.Features) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logger, err := telemetry.NewLogger(first.Logs, "debug", "json")
	if err != nil {
		t.Fatal(err)
	}
	server, err := app.New(t.Context(), app.Options{
		Config: first.Config, Logger: logger, Version: apptest.Version, Listener: first.Judge.Listen(listener), Features: features,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the other replica ended with %v", err)
		}
	})
	apptest.Eventually(t, "the other replica is ready", func() bool { return len(server.Unready()) == 0 })
	return "http://" + listener.Addr().String()
}
