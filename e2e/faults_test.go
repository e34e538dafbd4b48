package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// get sends a GET without a token.
func get(t *testing.T, system *apptest.System, path string) answer {
	t.Helper()
	return send(t, system, newRequest(t.Context(), t, http.MethodGet, system.URL+path, "", ""))
}

// wantUnavailable checks the answer to a good token that cannot be verified: it
// must not be blamed on the token, or every client would sign in again.
func wantUnavailable(t *testing.T, got answer) {
	t.Helper()
	seconds, err := strconv.Atoi(got.header.Get("Retry-After"))
	if got.status != http.StatusServiceUnavailable || err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("%d, Retry-After %q, want 503 with a wait", got.status, got.header.Get("Retry-After"))
	}
	if got.header.Get("WWW-Authenticate") != "" {
		t.Errorf("503 with the challenge %q", got.header.Get("WWW-Authenticate"))
	}
}

// TestIdentityProviderDownAtStart starts into several kinds of outage.
func TestIdentityProviderDownAtStart(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]struct {
		option apptest.Option
		heal   func(*apptest.System)
	}{
		"answers 503":       {apptest.WithIDPFault(devstack.IdPFault{Status: 503, Everything: true}), healed},
		"closes":            {apptest.WithIDPFault(devstack.IdPFault{Close: true, Everything: true}), healed},
		"answers 404":       {apptest.WithIDPFault(devstack.IdPFault{Status: 404}), healed},
		"accepts and hangs": {apptest.WithoutStack(), (*apptest.System).StartStack},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := apptest.Start(t, outage.option)
			if got := get(t, system, "/healthz"); got.status != http.StatusOK {
				t.Errorf("/healthz = %d: alive does not depend on others", got.status)
			}
			if got := get(t, system, "/readyz"); got.status != http.StatusServiceUnavailable {
				t.Errorf("/readyz = %d, want 503", got.status)
			}
			if got := post(t, system, "/mcp", "", callTeams); got.status != http.StatusUnauthorized {
				t.Errorf("without a token: %d, want 401", got.status)
			}
			if got := get(t, system, "/.well-known/oauth-protected-resource/mcp"); got.status != http.StatusOK {
				t.Errorf("metadata = %d, want 200", got.status)
			}
			wantUnavailable(t, post(t, system, "/mcp", system.Token("ana"), callTeams))
			outage.heal(system)
			apptest.Eventually(t, "the server has recovered", func() bool { return get(t, system, "/readyz").status == http.StatusOK })
			wantResult(t, post(t, system, "/mcp", system.Token("ana"), callTeams).message(t).Result)
		})
	}
}

func healed(system *apptest.System) { system.Stack.SetIdPFault(devstack.IdPFault{}) }

// TestIdentityProviderDownWhileRunning has the provider fail after the keys
// were loaded: nobody who has a token notices.
func TestIdentityProviderDownWhileRunning(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	old := system.Token("ana")
	system.Stack.SetIdPFault(devstack.IdPFault{Status: 500, Everything: true})
	wantResult(t, post(t, system, "/mcp", old, callTeams).message(t).Result)
	if got := get(t, system, "/readyz"); got.status != http.StatusOK {
		t.Errorf("/readyz = %d, want 200: the keys are here", got.status)
	}
	if got := post(t, system, "/mcp", system.Mint(devstack.Mint{Defect: "expired"}), callTeams); got.status != http.StatusUnauthorized {
		t.Errorf("an expired token got %d, want 401 during the outage too", got.status)
	}
	// A key that is not known may be new, and nobody can be asked: not the
	// token's fault.
	system.Stack.RotateKeys(true)
	wantUnavailable(t, post(t, system, "/mcp", system.Token("ana"), callTeams))
	wantResult(t, post(t, system, "/mcp", old, callTeams).message(t).Result)
}

// TestKeyRotationUnderLoad changes the signing key while many call. No call is
// refused, whichever key signed its token.
func TestKeyRotationUnderLoad(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	old := system.Token("ana")
	const workers, calls = 8, 15
	halfway := make(chan struct{})
	var reached, group sync.WaitGroup
	reached.Add(workers)
	fetches := system.Stack.JWKSFetches()
	failures := make(chan string, workers*calls)
	for range workers {
		group.Go(func() {
			for i := range calls {
				token := old
				if i%2 == 0 {
					minted, err := system.Stack.Mint(devstack.Mint{})
					if err != nil {
						failures <- err.Error()
						continue
					}
					token = minted.AccessToken
				}
				if i == calls/2 {
					reached.Done()
					<-halfway
				}
				if err := callOnce(t.Context(), system.Client(), system.URL, token, ""); err != nil {
					failures <- err.Error()
				}
			}
		})
	}
	reached.Wait()
	system.Stack.RotateKeys(true)
	close(halfway)
	group.Wait()
	close(failures)
	for failure := range failures {
		t.Error(failure)
	}
	if n := system.Stack.JWKSFetches() - fetches; n < 1 || n > 2 {
		t.Errorf("the key set was fetched %d times, want once for the new key", n)
	}
}

// TestOtusFaults has the API misbehave in every way; the model reads one
// sentence and the server goes on.
func TestOtusFaults(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) { c.ToolsFile = impatientCatalogue(t) }))
	for name, test := range map[string]struct {
		fault devstack.OtusFault
		want  string
	}{
		"slow":      {devstack.OtusFault{Delay: time.Minute}, "did not answer completely within 300ms"},
		"closing":   {devstack.OtusFault{Close: true, Count: 5}, "broke off"},
		"huge":      {devstack.OtusFault{BodyBytes: 32 << 20}, "sent more than the 1048576 bytes"},
		"not JSON":  {devstack.OtusFault{ContentType: "text/html", BodyBytes: 100}, "something else than JSON"},
		"failing":   {devstack.OtusFault{Status: 500, Count: 5}, "500"},
		"busy":      {devstack.OtusFault{Status: 503, Count: 5}, "503"},
		"limiting":  {devstack.OtusFault{Status: 429, Count: 5}, "429"},
		"not there": {devstack.OtusFault{Status: 404}, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			system.Stack.SetOtusFault(test.fault)
			defer system.Stack.SetOtusFault(devstack.OtusFault{})
			got := post(t, system, "/mcp", system.Token("ana"), callTeams)
			if got.status != http.StatusOK || !strings.Contains(got.body, `"isError":true`) || !strings.Contains(got.body, test.want) {
				t.Errorf("%d %.300s, want a tool error that says %q", got.status, got.body, test.want)
			}
		})
	}
	wantResult(t, post(t, system, "/mcp", system.Token("ana"), callTeams).message(t).Result)
}

// impatientCatalogue is the built-in catalogue with a short timeout.
func impatientCatalogue(t *testing.T) string {
	t.Helper()
	builtIn, err := os.ReadFile("../internal/tool/catalogue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const before = "credential: forward\n"
	changed := strings.Replace(string(builtIn), before, before+"    timeout: 300ms\n    max_response: 1048576\n", 1)
	if changed == string(builtIn) {
		t.Fatal("the built-in catalogue has another shape now")
	}
	path := filepath.Join(t.TempDir(), "catalogue.yaml")
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestClientGoneMidCall hangs up while Otus thinks. The call ends with the
// client and holds nothing up.
func TestClientGoneMidCall(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	system.Stack.SetOtusFault(devstack.OtusFault{Delay: time.Minute})
	ctx, hangUp := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		failed <- callOnce(ctx, system.Client(), system.URL, system.Token("ana"), "gone-mid-call")
	}()
	apptest.Eventually(t, "Otus has the request", func() bool { return len(system.Stack.OtusRequests()) == 1 })
	began := time.Now()
	hangUp()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v, want canceled", err)
	}
	apptest.Eventually(t, "the server has given the call up", func() bool {
		return strings.Contains(system.Logs.String(), `"tool_outcome":"canceled"`)
	})
	system.Stop()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to let go of the call", took)
	}
}

// TestStreamGoneMidCall is the same on HTTP+SSE, where the call runs beside its
// request.
func TestStreamGoneMidCall(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	system.Stack.SetOtusFault(devstack.OtusFault{Delay: time.Minute})
	token := system.Token("ana")
	session := openStream(t, system, token)
	if got := post(t, system, session.endpoint, token, callTeams); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	apptest.Eventually(t, "Otus has the request", func() bool { return len(system.Stack.OtusRequests()) == 1 })
	began := time.Now()
	session.close()
	apptest.Eventually(t, "the stream is over", func() bool {
		return strings.Contains(system.Logs.String(), `"stream_end":"client_gone"`)
	})
	system.Stop()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to let go of the call", took)
	}
}

// callOnce calls otus_teams and returns why the answer is not the teams. A
// request id finds the call in the logs.
func callOnce(ctx context.Context, client *http.Client, server, token, requestID string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/mcp", strings.NewReader(callTeams))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if requestID != "" {
		request.Header.Set("X-Request-Id", requestID)
	}
	got, err := client.Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	body, err := readAll(got.Body)
	if err != nil {
		return &tornError{err}
	}
	if got.StatusCode != http.StatusOK || strings.Count(body, "Albatros") != 2 || !strings.HasSuffix(strings.TrimSpace(body), "}") {
		return fmt.Errorf("status %d: %.200s", got.StatusCode, body)
	}
	return nil
}

// tornError is an answer that began and did not end.
type tornError struct{ cause error }

func (e *tornError) Error() string { return "the answer broke off: " + e.cause.Error() }
func (e *tornError) Unwrap() error { return e.cause }
