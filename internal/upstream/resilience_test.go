package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/pipenet"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// bubble runs test with fake time against an API that handler is.
func bubble(t *testing.T, handler http.HandlerFunc, change func(*Config), test func(t *testing.T, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := pipenet.Listen()
		server := &http.Server{Handler: handler}
		done := make(chan error, 1)
		go func() { done <- server.Serve(listener) }()
		transport := &http.Transport{DialContext: listener.DialContext}
		defer func() { // also when test ends early: a bubble waits for all of it
			transport.CloseIdleConnections()
			_ = server.Close()
			synctest.Wait() // for the handlers
			if err := <-done; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		}()
		test(t, client(t, "http://localhost", func(cfg *Config) {
			cfg.Transport = transport
			change(cfg)
		}))
	})
}

// sendAs sends one request and returns the status, 0 for a failure.
func sendAs(t *testing.T, c *Client, method string, change func(*outbound.Request)) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "/teams", nil)
	if method == http.MethodPost {
		r, err = http.NewRequestWithContext(t.Context(), method, "/teams", strings.NewReader("{}"))
	}
	if err != nil {
		t.Fatal(err)
	}
	request := outbound.Request{HTTP: r}
	if change != nil {
		change(&request)
	}
	response, _, err := c.Send(t.Context(), request, oauth.Principal{}, secret.New("the-token"))
	if err != nil {
		return 0, err
	}
	_ = response.Body.Close()
	return response.StatusCode, nil
}

func TestReq075_RetriesOfIdempotentCallsOnly(t *testing.T) {
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	closing := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	idempotent := func(r *outbound.Request) { r.Idempotent = true }
	for name, tc := range map[string]struct {
		method  string
		change  func(*outbound.Request)
		handler http.HandlerFunc
		want    int32
	}{
		"GET 503":                   {http.MethodGet, nil, status(503), 3},
		"HEAD 502":                  {http.MethodHead, nil, status(502), 3},
		"PUT 504":                   {http.MethodPut, nil, status(504), 3},
		"DELETE 429":                {http.MethodDelete, nil, status(429), 3},
		"GET that breaks off":       {http.MethodGet, nil, closing, 3},
		"GET 500":                   {http.MethodGet, nil, status(500), 1},
		"GET 404":                   {http.MethodGet, nil, status(404), 1},
		"GET 401":                   {http.MethodGet, nil, status(401), 1},
		"GET 302":                   {http.MethodGet, nil, status(302, "Location", "/x"), 1},
		"POST 503":                  {http.MethodPost, nil, status(503), 1},
		"PATCH 503":                 {http.MethodPatch, nil, status(503), 1},
		"POST that breaks off":      {http.MethodPost, nil, closing, 1},
		"POST declared idempotent":  {http.MethodPost, idempotent, status(503), 3},
		"GET, back in 2 s":          {http.MethodGet, nil, status(503, "Retry-After", "2"), 3},
		"GET, back in a minute":     {http.MethodGet, nil, status(503, "Retry-After", "60"), 1},
		"GET, back at a later date": {http.MethodGet, nil, status(503, "Retry-After", "Mon, 02 Jan 2090 15:04:05 GMT"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			var bodies sync.Map
			bubble(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				body, _ := io.ReadAll(r.Body)
				bodies.Store(string(body), true)
				if r.Header["Idempotency-Key"] != nil {
					t.Error("the mark was sent")
				}
				tc.handler(w, r)
			}, func(cfg *Config) { cfg.Retries = 2 }, func(t *testing.T, c *Client) {
				t.Helper()
				_, _ = sendAs(t, c, tc.method, tc.change)
			})
			if requests.Load() != tc.want {
				t.Errorf("%d requests, want %d", requests.Load(), tc.want)
			}
			if _, ok := bodies.Load("{}"); ok != (tc.method == http.MethodPost) {
				t.Error("the body is not the same in every attempt")
			}
		})
	}
}

// The waits grow, are partly chance, and are never shorter than the API asked
// for; the whole call keeps its time, and its last answer counts.
func TestReq075_WaitsBetweenAttempts(t *testing.T) {
	for _, tc := range []struct {
		retryAfter  string
		least, most time.Duration
		timeout     time.Duration
	}{
		{"", 150 * time.Millisecond, 300 * time.Millisecond, time.Minute},
		{"3", 6 * time.Second, 6*time.Second + 2*firstBackoff, time.Minute},
		{"3", time.Second, time.Second, time.Second},
	} {
		var status int
		var took time.Duration
		bubble(t, func(w http.ResponseWriter, _ *http.Request) {
			if tc.retryAfter != "" {
				w.Header().Set("Retry-After", tc.retryAfter)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}, func(cfg *Config) { cfg.Retries, cfg.Timeout = 2, tc.timeout }, func(t *testing.T, c *Client) {
			t.Helper()
			began := time.Now()
			var err error
			if status, err = sendAs(t, c, http.MethodGet, nil); err != nil {
				t.Error(err)
			}
			took = time.Since(began)
		})
		if status != http.StatusServiceUnavailable || took < tc.least || took > tc.most {
			t.Errorf("%+v: status %d after %s", tc, status, took)
		}
	}
}

func TestReq075_CircuitBreaker(t *testing.T) {
	var requests atomic.Int32
	var broken atomic.Bool
	broken.Store(true)
	var log bytes.Buffer
	bubble(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}, func(cfg *Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) }, func(t *testing.T, c *Client) {
		t.Helper()
		for range breakerCalls {
			if status, err := sendAs(t, c, http.MethodGet, nil); status != 500 || err != nil {
				t.Fatalf("%d, %v", status, err)
			}
		}
		_, err := sendAs(t, c, http.MethodGet, nil)
		wantKind(t, err, CircuitOpen)
		if failure, _ := errors.AsType[*Failure](err); !strings.Contains(failure.Safe(), "in 10 seconds") {
			t.Errorf("no hint: %s", failure.Safe())
		}
		if requests.Load() != breakerCalls {
			t.Errorf("%d requests, want %d: an API that is down is left alone", requests.Load(), breakerCalls)
		}
		time.Sleep(breakerPause) // one trial fails
		if status, _ := sendAs(t, c, http.MethodGet, nil); status != 500 {
			t.Errorf("the trial got %d", status)
		}
		_, err = sendAs(t, c, http.MethodGet, nil)
		wantKind(t, err, CircuitOpen)
		broken.Store(false)
		time.Sleep(breakerPause) // one trial succeeds
		for range 3 {
			if status, err := sendAs(t, c, http.MethodGet, nil); status != 200 {
				t.Errorf("after the outage: %d, %v", status, err)
			}
		}
	})
	// The operator is told twice: not again for the trial that failed.
	if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); len(lines) != 2 ||
		!strings.Contains(lines[0], "is left alone") || !strings.Contains(lines[1], "is well again") || !strings.Contains(lines[1], "upstream=") {
		t.Errorf("log:\n%s", log.String())
	}
}

// What a caller or a person did wrong says nothing about the API.
func TestReq075_CircuitBreakerCountsOutagesOnly(t *testing.T) {
	for _, status := range []int{200, 302, 400, 401, 403, 404, 409, 429, 501} {
		bubble(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }, func(*Config) {}, func(t *testing.T, c *Client) {
			t.Helper()
			for range 2 * breakerCalls {
				if got, err := sendAs(t, c, http.MethodGet, nil); got != status {
					t.Fatalf("%d: %d, %v", status, got, err)
				}
			}
		})
	}
}

func TestReq075_QueueIsBounded(t *testing.T) {
	const concurrent, queue, more = 2, 3, 4
	var arrived atomic.Int32
	release := make(chan struct{})
	server := start(t, func(http.ResponseWriter, *http.Request) {
		arrived.Add(1)
		<-release
	})
	c := client(t, server.URL, func(cfg *Config) { cfg.MaxConcurrent, cfg.MaxQueue = concurrent, queue })
	results := make(chan error, concurrent+queue+more)
	for range concurrent + queue + more {
		go func() {
			_, _, err := send(t, c, "the-token")
			results <- err
		}()
	}
	for range more { // refused at once, while the others wait
		wantKind(t, <-results, Busy)
	}
	if n := arrived.Load(); n > concurrent {
		t.Errorf("%d requests arrived, want at most %d", n, concurrent)
	}
	close(release)
	for range concurrent + queue {
		if err := <-results; err != nil {
			t.Errorf("a call that waited: %v", err)
		}
	}
}

func TestFollowsRedirectsOnlyWhereDeclared(t *testing.T) {
	evil := start(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect left the origin") })
	var token atomic.Value
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		location, status := r.URL.Query().Get("to"), http.StatusTemporaryRedirect
		switch {
		case r.URL.Path == "/api/there":
			token.Store(r.Header.Get("Authorization"))
			_, _ = io.WriteString(w, r.URL.RawQuery)
			return
		case !strings.HasPrefix(r.URL.Path, "/api/"):
			t.Errorf("the redirect left the base path: %s", r.URL.Path)
		case r.URL.Path == "/api/loop":
			location = "/api/loop"
		}
		w.Header().Set("Location", location)
		w.WriteHeader(status)
	})
	for _, tc := range []struct {
		to, method string
		follow     bool
		want       int
	}{
		{"/api/there?x=1", http.MethodGet, true, 200},
		{server.URL + "/api/there", http.MethodGet, true, 200},
		{"there", http.MethodGet, true, 200},
		{"/api/there", http.MethodHead, true, 200},
		{"/api/there", http.MethodGet, false, 307},
		{"/api/there", http.MethodDelete, true, 307},
		{"/api/loop", http.MethodGet, true, 307},
		{"/other", http.MethodGet, true, 307},
		{"/apiary", http.MethodGet, true, 307},
		{"/api/../other", http.MethodGet, true, 307},
		{"/api/%2e%2e/other", http.MethodGet, true, 307},
		{evil.URL + "/api/there", http.MethodGet, true, 307},
		{strings.Replace(server.URL, "http://", "http://user@", 1) + "/api/there", http.MethodGet, true, 307},
		{"https" + strings.TrimPrefix(server.URL, "http") + "/api/there", http.MethodGet, true, 307},
		{"", http.MethodGet, true, 307},
		{"::", http.MethodGet, true, 307},
	} {
		c := client(t, server.URL+"/api", func(cfg *Config) { cfg.FollowRedirects = tc.follow })
		got, err := sendAs(t, c, tc.method, func(r *outbound.Request) { r.HTTP.URL.RawQuery = "to=" + strings.ReplaceAll(tc.to, "%", "%25") })
		if err != nil || got != tc.want {
			t.Errorf("%s to %q: %d, %v, want %d", tc.method, tc.to, got, err, tc.want)
		}
	}
	if token.Load() != "Bearer the-token" {
		t.Errorf("the credential that followed: %v", token.Load())
	}
}

func TestFixedHeadersCannotBeReplaced(t *testing.T) {
	var got atomic.Value
	server := start(t, func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Header.Values("X-Tenant")) })
	c := client(t, server.URL, func(cfg *Config) { cfg.Header = http.Header{"X-Tenant": {"acme"}} })
	if _, err := sendAs(t, c, http.MethodGet, func(r *outbound.Request) { r.HTTP.Header.Set("X-Tenant", "evil") }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Load()) != "[acme]" {
		t.Errorf("X-Tenant = %v", got.Load())
	}
	for _, name := range []string{"Authorization", "cookie", "Proxy-X", "X-Forwarded-For", "Host"} {
		if _, err := New(Config{Name: "otus", URL: "https://x.example", Header: http.Header{name: {"x"}}}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
