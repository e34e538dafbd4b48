package app_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// openLines opens an HTTP+SSE stream. The channel is closed at its end.
func openLines(t *testing.T, system *apptest.System, url, token string) <-chan string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/mcp/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := system.Client().Do(request) //nolint:bodyclose // the reader below closes it
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 16)
	go func() { // ends with the stream, which the end of the system ends
		defer close(lines)
		defer response.Body.Close()
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	if line := <-lines; line != "event: endpoint" {
		t.Fatalf("the stream began with %q", line)
	}
	return lines
}

func ended(lines <-chan string, within time.Duration) bool {
	limit := time.After(within)
	for {
		select {
		case _, open := <-lines:
			if !open {
				return true
			}
		case <-limit:
			return false
		}
	}
}

// Two replicas and a real store: what the command revokes is refused on both within a
// second, its streams and calls end, and nobody else notices.
func TestReq039_RevokedEverywhereWithinASecond(t *testing.T) {
	first := apptest.Start(t, withStore(teststore.Start(t)))
	second := anotherReplica(t, first, app.Features{})
	ana, bruno := first.Token("ana"), first.Token("bruno")
	hers, hersToo, his := openLines(t, first, first.URL, ana), openLines(t, first, second, ana), openLines(t, first, first.URL, bruno)
	first.Stack.SetOtusFault(devstack.OtusFault{Delay: time.Minute, Count: 1})
	inFlight := make(chan string, 1)
	go func() {
		_, body := request(t, http.MethodPost, first.URL+"/mcp", ana, call)
		inFlight <- body
	}()
	apptest.Eventually(t, "the call has reached the API", func() bool { return len(first.Stack.OtusRequests()) == 1 })
	revoke := func(undo bool) app.RevokeResult {
		t.Helper()
		result, err := app.Revoke(t.Context(), app.RevokeOptions{
			Config: first.Config, Revocation: bearer.Revocation{Subject: "auth0|ana"}, For: time.Hour, Undo: undo,
		})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	refused := func(url string) bool {
		status, body := request(t, http.MethodPost, url+"/mcp", ana, list)
		return status == http.StatusUnauthorized && strings.Contains(body, "was revoked")
	}
	apptest.Eventually(t, "both replicas listen", func() bool { return revoke(false).Replicas == 2 })
	began := time.Now()
	apptest.Eventually(t, "both refuse", func() bool { return refused(first.URL) && refused(second) })
	if took := time.Since(began); took > time.Second {
		t.Errorf("that took %s", took)
	}
	if !ended(hers, 5*time.Second) || !ended(hersToo, 5*time.Second) {
		t.Error("a stream of hers is still open")
	}
	select {
	case body := <-inFlight:
		if strings.Contains(body, "Albatros") {
			t.Errorf("her call went on: %s", body)
		}
	case <-time.After(5 * time.Second):
		t.Error("her call is still in flight")
	}
	if status, _ := request(t, http.MethodPost, second+"/mcp", bruno, list); status != http.StatusOK || ended(his, 100*time.Millisecond) {
		t.Errorf("Bruno is hit too: %d", status)
	}
	if !strings.Contains(first.Logs.String(), `"decision":"deny","reason":"revoked"`) || !strings.Contains(first.Logs.String(), `"stream_end":"revoked"`) {
		t.Error("the logs do not say why")
	}
	revoke(true)
	apptest.Eventually(t, "it is taken back", func() bool {
		status, _ := request(t, http.MethodPost, first.URL+"/mcp", ana, list)
		return status == http.StatusOK
	})
}

// One token, and a stream that goes on with a newer one.
func TestReq039_OneTokenIsRevoked(t *testing.T) {
	system := apptest.Start(t, withStore(teststore.Start(t)))
	id := func(token string) string {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var claims struct{ JTI string }
		if err := json.Unmarshal(raw, &claims); err != nil || claims.JTI == "" {
			t.Fatal(err)
		}
		return claims.JTI
	}
	old, newer := system.Token("ana"), system.Token("ana")
	if _, err := app.Revoke(t.Context(), app.RevokeOptions{Config: system.Config, Revocation: bearer.Revocation{TokenID: id(old)}, For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	apptest.Eventually(t, "the old token is refused", func() bool {
		status, _ := request(t, http.MethodPost, system.URL+"/mcp", old, list)
		return status == http.StatusUnauthorized
	})
	if status, body := request(t, http.MethodPost, system.URL+"/mcp", newer, list); status != http.StatusOK {
		t.Errorf("the newer token: %d %s", status, body)
	}
}

func TestRevokeSaysWhatIsMissing(t *testing.T) {
	system := apptest.Start(t)
	revoke := func(cfg config.Config, r bearer.Revocation) error {
		_, err := app.Revoke(t.Context(), app.RevokeOptions{Config: cfg, Revocation: r, For: time.Hour})
		return err
	}
	alone, shared := system.Config, system.Config
	shared.ClusterURL, shared.SessionKey = secret.New("redis://127.0.0.1:1"), secret.New(strings.Repeat("k", 32))
	for says, err := range map[string]error{
		"CLUSTER_URL is not set":        revoke(alone, bearer.Revocation{TokenID: "x"}),
		"CLUSTER_URL: cluster: not rea": revoke(shared, bearer.Revocation{TokenID: "x"}),
		"either a token":                revoke(shared, bearer.Revocation{TokenID: "x", Subject: "y"}),
	} {
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q, want %q", err, says)
		}
	}
}
