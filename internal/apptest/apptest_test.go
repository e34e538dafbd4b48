package apptest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestStartIsReady(t *testing.T) {
	system := Start(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, system.URL+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := system.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("GET /readyz = %d, want 200", response.StatusCode)
	}
	system.Stop()
	if response, err := system.Client().Do(request); err == nil {
		response.Body.Close()
		t.Error("the server still answers after Stop")
	}
}

// The judge hears what a system says; that it can object is a test of its own.
func TestEveryMessageIsJudged(t *testing.T) {
	system := Start(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, system.URL+"/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+system.Token("ana"))
	response, err := system.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	system.Stop()
	if judged := system.Judge.Verdict(); judged != 1 || response.StatusCode != http.StatusOK {
		t.Errorf("%d messages were judged, and the answer was %d", judged, response.StatusCode)
	}
}

func TestLeaksFindsPartsOfSecrets(t *testing.T) {
	secret := "abcdefghijklmnopqrstuvwxyz"
	for name, test := range map[string]struct {
		logs string
		want int
	}{
		"nothing":            {"nothing to see\nhere\n", 0},
		"whole":              {"x " + secret + " y\n", 1},
		"twelve in a row":    {"ok\n{\"m\":\"" + secret[7:19] + "\"}\n", 1},
		"eleven in a row":    {secret[7:18] + "\n", 0},
		"across a new line":  {secret[:8] + "\n" + secret[8:16] + "\n", 0},
		"two lines":          {secret + "\n" + secret + "\n", 2},
		"without a new line": {secret[14:], 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := Leaks(test.logs, []string{"short", secret})
			if len(got) != test.want {
				t.Errorf("got %d leaks, want %d: %q", len(got), test.want, got)
			}
			for _, leak := range got {
				if strings.Contains(leak, secret[7:19]) {
					t.Errorf("the report repeats the secret: %s", leak)
				}
			}
		})
	}
}

func TestRemainingSeesInheritedGoroutines(t *testing.T) {
	label := t.Name()
	end := make(chan struct{})
	started := make(chan struct{})
	labelled(label, func() {
		go func() { // outlives its parent, as a leak would
			close(started)
			<-end
		}()
	})
	<-started
	if stacks(label) == "" {
		t.Error("a goroutine that is still there was not found")
	}
	close(end)
	if left := remaining(label); left != "" {
		t.Errorf("still there: %s", left)
	}
}

// TestAnswersAreSearched shows that the tap sees what any client is answered,
// and that only the answers that have to hold a token are left out.
func TestAnswersAreSearched(t *testing.T) {
	secret := "abcdefghijklmnopqrstuvwxyz"
	for name, test := range map[string]struct {
		path   string
		status int
		header bool
		want   int
	}{
		"a body":                {"/x", http.StatusOK, false, 1},
		"a header":              {"/x", http.StatusFound, true, 1},
		"the page with a token": {"/auth/callback?code=1", http.StatusOK, false, 0},
		"a failed sign-in":      {"/auth/callback?code=1", http.StatusBadRequest, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			tap := &wire{}
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/first" {
					return // so that the answer is not the first of its connection
				}
				if test.header {
					w.Header().Set("Location", "/?code="+secret)
				}
				w.WriteHeader(test.status)
				if !test.header {
					_, _ = io.WriteString(w, secret)
				}
			}))
			server.Listener = tap.tap(server.Listener)
			server.Start()
			client := newClient()
			for _, path := range []string{"/first", test.path} {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				response, err := client.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			client.CloseIdleConnections()
			server.Close()
			if got := Leaks(tap.answers(), []string{secret}); len(got) != test.want {
				t.Errorf("%d leaks, want %d, in\n%s", len(got), test.want, tap.answers())
			}
		})
	}
}

func TestRecordsAreHeldAgainstTheSchema(t *testing.T) {
	good := `{"time":"2026-01-02T03:04:05Z","level":"AUDIT","msg":"audit","audit":true,"event":"authentication","decision":"deny","reason":"expired","request_id":"r1"}`
	for name, test := range map[string]struct{ from, to string }{
		"good":            {"", ""},
		"unknown member":  {`"request_id"`, `"token"`},
		"unknown event":   {`"authentication"`, `"other"`},
		"no decision":     {`"decision":"deny",`, ``},
		"other decision":  {`"deny"`, `"perhaps"`},
		"a sentence":      {`"expired"`, `"The token expired"`},
		"a hash too long": {`"request_id":"r1"`, `"subject_hash":"0123456789abcdef0"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := ValidateRecord(strings.Replace(good, test.from, test.to, 1))
			if (err == nil) != (name == "good") {
				t.Error(err)
			}
		})
	}
}
