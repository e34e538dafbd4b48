package upstream

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/credential"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// start runs handler as an API.
func start(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// client returns a client for url as change makes it.
func client(t *testing.T, url string, change func(*Config)) *Client {
	t.Helper()
	transport := egress.NewTransport(egress.Policy{AllowLoopback: true}, nil)
	t.Cleanup(transport.CloseIdleConnections)
	cfg := Config{Name: "otus", URL: url, Credentials: credential.Forward{Upstream: "otus"}, Timeout: 5 * time.Second, Transport: transport}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// send sends GET /teams and returns status and body.
func send(t *testing.T, c *Client, token string) (int, string, error) {
	t.Helper()
	response, _, err := c.Send(t.Context(), outbound.Request{HTTP: get(t, "/teams")}, oauth.Principal{}, secret.New(token))
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("a body that is in memory cannot fail: %v", err)
	}
	return response.StatusCode, string(body), nil
}

func wantKind(t *testing.T, err error, kind Kind) {
	t.Helper()
	failure, ok := errors.AsType[*Failure](err)
	if !ok || failure.Kind != kind {
		t.Fatalf("got %v, want a failure of kind %v", err, kind)
	}
	if safe := failure.Safe(); safe == "" || strings.Contains(safe, "127.0.0.1") {
		t.Errorf("Safe() = %q", safe)
	}
}

func TestReq065_TokenIsForwardedByteForByte(t *testing.T) {
	var got atomic.Value
	server := start(t, func(_ http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Values("Authorization"))
	})
	c := client(t, server.URL, nil)
	for _, token := range []string{
		"a.b.c",
		"-._~+/==",
		"%2F%00+",
		`!"#$&'()*,:;<>?@[\]^{|}`,
		"Bearer",
		strings.Repeat(rand.Text(), 300),
	} {
		if _, _, err := send(t, c, token); err != nil {
			t.Fatalf("token %q: %v", token, err)
		}
		if diff := cmp.Diff([]string{"Bearer " + token}, got.Load()); diff != "" {
			t.Errorf("Authorization (-want +got):\n%s", diff)
		}
	}
}

func TestReq064_NoneSendsNoCredential(t *testing.T) {
	var got atomic.Value
	server := start(t, func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Header.Clone()) })
	c := client(t, server.URL, func(cfg *Config) { cfg.Credentials = credential.None{} })
	r := get(t, "/teams")
	r.Header.Set("Authorization", "Bearer smuggled")
	response, _, err := c.Send(t.Context(), outbound.Request{HTTP: r}, oauth.Principal{}, secret.New("the-token"))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if header, _ := got.Load().(http.Header); header == nil || header["Authorization"] != nil {
		t.Errorf("Authorization = %q, want none", header["Authorization"])
	}
}

func TestReq065_RedirectsAreNeverFollowed(t *testing.T) {
	var evilHits, hits atomic.Int32
	evil := start(t, func(http.ResponseWriter, *http.Request) { evilHits.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, target := range []string{evil.URL + "/steal", "//" + strings.TrimPrefix(evil.URL, "http://"), "/elsewhere"} {
			hits.Store(0)
			server := start(t, func(w http.ResponseWriter, _ *http.Request) {
				hits.Add(1)
				w.Header().Set("Location", target)
				w.WriteHeader(status)
			})
			got, _, err := send(t, client(t, server.URL, nil), "the-token")
			if err != nil || got != status {
				t.Errorf("%d to %s: got %d, %v", status, target, got, err)
			}
			if hits.Load() != 1 || evilHits.Load() != 0 {
				t.Fatalf("%d to %s: the API got %d requests, the target %d", status, target, hits.Load(), evilHits.Load())
			}
		}
	}
}

func TestReq070_HeadersOfOtherConnectionsDoNotLeave(t *testing.T) {
	var got atomic.Value
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Clone())
		w.Header().Set("Set-Cookie", "session=1")
		w.Header().Set("X-Internal", "1")
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	})
	c := client(t, server.URL, nil)
	r := get(t, "/teams")
	for _, name := range []string{
		"Authorization", "Cookie2", "Proxy-Authorization", "Proxy-Connection", "Te", "Upgrade", "Keep-Alive",
		"Trailer", "Mcp-Session-Id", "Mcp-Protocol-Version", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded",
		"Via", "X-Real-Ip", "X-Hop", "Expect", "Origin", "Referer", "User-Agent",
	} {
		r.Header.Set(name, "smuggled")
	}
	r.Header["mcp-lower"] = []string{"smuggled"}
	r.Header.Set("Connection", "close, X-Hop")
	r.Header.Set("Accept-Encoding", "br")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("X-Declared", "1")
	r.Header.Set("Cookie", "lang=en")
	r.Host = "evil.example"
	response, _, err := c.Send(t.Context(), outbound.Request{HTTP: r}, oauth.Principal{}, secret.New("the-token"))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	want := http.Header{
		"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "Authorization": {"Bearer the-token"},
		"Cookie": {"lang=en"}, "User-Agent": {userAgent}, "X-Declared": {"1"},
	}
	if diff := cmp.Diff(want, got.Load()); diff != "" {
		t.Errorf("sent header (-want +got):\n%s", diff)
	}
	wantBack := http.Header{"Content-Type": {"application/json"}, "Www-Authenticate": {"Bearer"}}
	if diff := cmp.Diff(wantBack, response.Header); diff != "" {
		t.Errorf("returned header (-want +got):\n%s", diff)
	}
	if response.Request != nil {
		t.Error("the response leads back to the request, which holds the token")
	}
}

func TestReq075_AnswersAreBounded(t *testing.T) {
	const limit = 1000
	zeros := strings.Repeat("0", limit+1)
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		kind    Kind // 0: the answer is fine
	}{
		"exactly the limit": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, zeros[:limit]) }, 0},
		"one byte over":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, zeros) }, TooLarge},
		"declared huge": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99999999999")
			_, _ = io.WriteString(w, "{")
		}, TooLarge},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := io.WriteString(w, zeros); err != nil {
					return
				}
			}
		}, TooLarge},
		"gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 10_000 {
				if _, err := io.WriteString(z, zeros); err != nil {
					return
				}
			}
			_ = z.Close()
		}, TooLarge},
		"gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, zeros[:limit])
			_ = z.Close()
		}, 0},
		"broken gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "not gzip at all")
		}, ClosedEarly},
		"closed in the body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, "{")
			panic(http.ErrAbortHandler)
		}, ClosedEarly},
		"closed before the header": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ClosedEarly},
		"huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Huge", strings.Repeat("x", 1<<20))
		}, ClosedEarly},
		"no HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			hijack(w, func(conn net.Conn, buffer *bufio.ReadWriter) {
				_, _ = buffer.WriteString("the-token\r\n\r\n")
				_ = buffer.Flush()
				_ = conn.Close()
			})
		}, ClosedEarly},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, tc.handler)
			_, body, err := send(t, client(t, server.URL, func(cfg *Config) { cfg.MaxResponse = limit }), "the-token")
			if tc.kind == 0 {
				if err != nil || body != zeros[:limit] {
					t.Fatalf("got %d bytes, %v", len(body), err)
				}
				return
			}
			wantKind(t, err, tc.kind)
			if strings.Contains(err.Error(), "the-token") {
				t.Errorf("the error repeats what the API sent: %v", err)
			}
		})
	}
}

func hijack(w http.ResponseWriter, use func(net.Conn, *bufio.ReadWriter)) {
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err == nil {
		use(conn, buffer)
	}
}

// The length in an answer to HEAD is not that of its own body, and 204 has none.
func TestAnswersWithoutABody(t *testing.T) {
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Length", "99999999999")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	c := client(t, server.URL, nil)
	for method, want := range map[string]int{http.MethodHead: http.StatusOK, http.MethodDelete: http.StatusNoContent} {
		if status, err := sendAs(t, c, method, nil); status != want || err != nil {
			t.Errorf("%s: %d, %v", method, status, err)
		}
	}
}

// A status is an answer even when the body that comes with it never ends.
func TestErrorBodiesAreNotWaitedFor(t *testing.T) {
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	status, body, err := send(t, client(t, server.URL, nil), "the-token")
	if err != nil || status != http.StatusUnauthorized || body != "" {
		t.Errorf("got %d %q, %v", status, body, err)
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	plain := start(t, func(http.ResponseWriter, *http.Request) {})
	unknown := httptest.NewTLSServer(http.NotFoundHandler())
	defer unknown.Close()
	for name, url := range map[string]string{
		"refused":             "http://" + listener.Addr().String(),
		"unknown certificate": unknown.URL,
		"no TLS":              strings.Replace(plain.URL, "http:", "https:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := send(t, client(t, url, nil), "the-token")
			wantKind(t, err, Unreachable)
		})
	}
}

func TestReq074_ForbiddenAddressIsNamed(t *testing.T) {
	server := start(t, func(http.ResponseWriter, *http.Request) { t.Error("the request arrived") })
	c := client(t, server.URL, func(cfg *Config) { cfg.Transport = egress.NewTransport(egress.Policy{}, nil) })
	_, _, err := send(t, c, "the-token")
	wantKind(t, err, ForbiddenAddress)
}

func TestConcurrencyIsCapped(t *testing.T) {
	const limit = 3
	var running, most atomic.Int32
	release := make(chan struct{})
	server := start(t, func(http.ResponseWriter, *http.Request) {
		now := running.Add(1)
		defer running.Add(-1)
		for {
			before := most.Load()
			if now <= before || most.CompareAndSwap(before, now) {
				break
			}
		}
		<-release
	})
	c := client(t, server.URL, func(cfg *Config) { cfg.MaxConcurrent = limit })
	var calls sync.WaitGroup
	for range 4 * limit {
		calls.Go(func() {
			if _, _, err := send(t, c, "the-token"); err != nil {
				t.Error(err)
			}
		})
	}
	for range 4 * limit {
		release <- struct{}{}
	}
	calls.Wait()
	if most.Load() > limit {
		t.Errorf("%d calls at a time, want at most %d", most.Load(), limit)
	}
}

func TestBusyAndCanceledWhileWaiting(t *testing.T) {
	c := client(t, "http://127.0.0.1:1", func(cfg *Config) {
		cfg.MaxConcurrent, cfg.Timeout = 1, time.Millisecond
	})
	if !c.resilience.slots.TryAcquirePermit() { // somebody else's call
		t.Fatal("no slot")
	}
	_, _, err := send(t, c, "the-token")
	wantKind(t, err, Busy)

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = c.Send(gone, outbound.Request{HTTP: get(t, "/teams")}, oauth.Principal{}, secret.New("the-token")) //nolint:bodyclose // there is no answer
	wantKind(t, err, Canceled)
}

func TestCallerGoingAwayCancelsTheCall(t *testing.T) {
	arrived, gone := make(chan struct{}), make(chan struct{})
	server := start(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, _, err := client(t, server.URL, nil).Send(ctx, outbound.Request{HTTP: get(t, "/teams")}, oauth.Principal{}, secret.New("the-token")) //nolint:bodyclose // there is no answer
	wantKind(t, err, Canceled)
	<-gone // the API sees it too
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := New(Config{URL: "ftp://x", Timeout: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"name", "absolute", "credential", "negative", "transport"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in: %v", want, err)
		}
	}
}

func TestNewChecksTheURL(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://api.example.com":          true,
		"https://api.example.com/v1/":      true,
		"http://localhost:8002":            true,
		"http://[::1]:8002/otus":           true,
		"http://api.example.com":           false,
		"http://127.0.0.1.example.com":     false,
		"https://user:hunter2@example.com": false,
		"https://example.com/?a=b":         false,
		"https://example.com/?":            false,
		"https://example.com/#":            false,
		"https://example.com/a/../b":       false,
		"https://example.com/a%2fb":        false,
		"https:///path":                    false,
		"https:example.com":                false,
		"/otus":                            false,
		"":                                 false,
	} {
		_, err := New(Config{Name: "otus", URL: url, Credentials: credential.None{}, Transport: http.NewFileTransport(nil)})
		if (err == nil) != ok {
			t.Errorf("New(%q) = %v, want ok=%v", url, err, ok)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats a password: %v", err)
		}
	}
}

func TestKindsAndSentencesAreDistinct(t *testing.T) {
	words, sentences := map[string]bool{}, map[string]bool{}
	for kind := range CircuitOpen + 1 {
		failure := &Failure{Kind: kind, Upstream: "otus", Detail: "10s"}
		if words[kind.String()] || sentences[failure.Safe()] {
			t.Errorf("kind %d repeats %q or %q", int(kind), kind, failure.Safe())
		}
		words[kind.String()], sentences[failure.Safe()] = true, true
	}
	if got, want := fmt.Sprint(Kind(99)), "unknown"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
