package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fetcher() *Fetcher { return NewFetcher(http.DefaultTransport) }

func TestMetadataURLs(t *testing.T) {
	for issuer, want := range map[string][]string{
		"https://h":      {"https://h/.well-known/oauth-authorization-server", "https://h/.well-known/openid-configuration"},
		"https://h/":     {"https://h/.well-known/oauth-authorization-server", "https://h/.well-known/openid-configuration"},
		"https://h/ares": {"https://h/.well-known/oauth-authorization-server/ares", "https://h/.well-known/openid-configuration/ares", "https://h/ares/.well-known/openid-configuration"},
		"https://h/a/b/": {"https://h/.well-known/oauth-authorization-server/a/b", "https://h/.well-known/openid-configuration/a/b", "https://h/a/b/.well-known/openid-configuration"},
	} {
		got, err := MetadataURLs(issuer)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", issuer, err, diff)
		}
	}
	for _, bad := range []string{"", "x", "https://h?q", "https://h#f", "%"} {
		if _, err := MetadataURLs(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// idp publishes metadata at one path and counts requests.
type idp struct {
	*httptest.Server
	mu       sync.Mutex
	document map[string]any
	status   int
	requests atomic.Int32
}

func newIDP(t *testing.T, path string) *idp {
	t.Helper()
	p := &idp{status: http.StatusOK}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(p.status)
		_ = json.NewEncoder(w).Encode(p.document)
	}))
	t.Cleanup(p.Close)
	p.document = map[string]any{
		"issuer": p.URL + "/ares", "authorization_endpoint": p.URL + "/a", "token_endpoint": p.URL + "/t", "jwks_uri": p.URL + "/k",
		"code_challenge_methods_supported": []string{"S256"},
	}
	return p
}

func (p *idp) set(status int, change func(map[string]any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
	if change != nil {
		change(p.document)
	}
}

func TestReq041_MetadataInEveryForm(t *testing.T) {
	for _, path := range []string{
		"/.well-known/oauth-authorization-server/ares", "/.well-known/openid-configuration/ares", "/ares/.well-known/openid-configuration",
	} {
		p := newIDP(t, path)
		metadata, err := fetcher().Metadata(t.Context(), p.URL+"/ares")
		if err != nil || metadata.JWKSURI != p.URL+"/k" || !metadata.SupportsS256() {
			t.Errorf("%s: %v %+v", path, err, metadata)
		}
		if _, err := fetcher().Metadata(t.Context(), p.URL+"/ares/"); err != nil {
			t.Errorf("%s: the other slash form: %v", path, err)
		}
	}
}

func TestReq041_MetadataOfAnotherIssuerIsRefused(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"other issuer":            func(d map[string]any) { d["issuer"] = "https://evil.example/ares" },
		"no issuer":               func(d map[string]any) { delete(d, "issuer") },
		"prefix":                  func(d map[string]any) { d["issuer"] = fmt.Sprint(d["issuer"], "2") },
		"insecure keys":           func(d map[string]any) { d["jwks_uri"] = "http://evil.example/keys" },
		"insecure token endpoint": func(d map[string]any) { d["token_endpoint"] = "http://evil.example/token" },
		"insecure introspection":  func(d map[string]any) { d["introspection_endpoint"] = "http://evil.example/introspect" },
		"wrong type":              func(d map[string]any) { d["jwks_uri"] = 1 },
	} {
		p := newIDP(t, "/.well-known/oauth-authorization-server/ares")
		p.set(http.StatusOK, change)
		if metadata, err := fetcher().Metadata(t.Context(), p.URL+"/ares"); err == nil {
			t.Errorf("%s: %+v", name, metadata)
		}
	}
}

func TestReq040_CheckURL(t *testing.T) {
	for raw, ok := range map[string]bool{
		"https://h/x": true, "http://localhost:1/x": true, "http://127.0.0.1/x": true, "http://[::1]:2/x": true,
		"http://h/x": false, "http://localhost.evil/x": false, "ftp://localhost/x": false, "/x": false, "": false, "https://": false, "http://127.0.0.2/": false,
	} {
		if err := CheckURL(raw); (err == nil) != ok {
			t.Errorf("CheckURL(%q) = %v", raw, err)
		}
	}
}

func TestReq045_DocumentBounds(t *testing.T) {
	var foreign atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		foreign.Add(1)
		_, _ = w.Write([]byte("{}"))
	}))
	defer evil.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"a":1}`)) })
	mux.HandleFunc("/set", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write([]byte(`{}`))
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(strings.Repeat(" ", MaxDocument+1)))
	})
	mux.HandleFunc("/exact", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(strings.Repeat(" ", MaxDocument)))
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	mux.HandleFunc("/gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("body-canary"))
	})
	mux.HandleFunc("/hop/{n}", func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscan(r.PathValue("n"), &n)
		if n == 0 {
			http.Redirect(w, r, "/set", http.StatusFound)
			return
		}
		http.Redirect(w, r, fmt.Sprint("/hop/", n-1), http.StatusFound)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, evil.URL, http.StatusFound) })
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, want := range map[string]error{
		"/set": nil, "/exact": nil, "/hop/2": nil, "/hop/3": errors.New("any"), "/away": errors.New("any"),
		"/big": ErrTooLarge, "/html": ErrNotPublished, "/gone": ErrNotPublished, "/none": ErrNotPublished, "/down": errors.New("any"),
	} {
		_, err := fetcher().Document(t.Context(), server.URL+path)
		if (err == nil) != (want == nil) {
			t.Errorf("%s: %v", path, err)
		}
		if (errors.Is(want, ErrTooLarge) || errors.Is(want, ErrNotPublished)) && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "body-canary") {
			t.Errorf("%s: the error repeats the body", path)
		}
	}
	if foreign.Load() != 0 {
		t.Error("a redirect to another origin was followed")
	}
	if _, err := fetcher().Document(t.Context(), "http://h.example/x"); !errors.Is(err, ErrInsecureURL) {
		t.Errorf("plain http: %v", err)
	}
}

// clock is a wall clock that a test moves.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(c.Load(), 0) }
func (c *clock) pass(d time.Duration) { c.Add(int64(d / time.Second)) }

func TestSourceKeepsAndRefreshes(t *testing.T) {
	p := newIDP(t, "/.well-known/oauth-authorization-server/ares")
	time := new(clock)
	time.Store(1_000_000)
	source := NewSource(fetcher(), p.URL+"/ares", time.now)
	if _, known := source.Known(); known {
		t.Fatal("known before it was fetched")
	}
	p.set(http.StatusServiceUnavailable, nil)
	if _, err := source.Metadata(t.Context()); err == nil {
		t.Fatal("an outage gave metadata")
	}
	failed := p.requests.Load()
	if _, err := source.Metadata(t.Context()); err == nil || p.requests.Load() != failed {
		t.Errorf("asked again at once: %v", err)
	}
	p.set(http.StatusOK, nil)
	time.pass(2e9)
	if _, err := source.Metadata(t.Context()); err != nil {
		t.Fatalf("after the outage: %v", err)
	}
	after := p.requests.Load()
	for range 5 {
		if _, err := source.Metadata(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if p.requests.Load() != after {
		t.Error("fresh metadata was fetched again")
	}
	p.set(http.StatusOK, func(d map[string]any) { d["jwks_uri"] = p.URL + "/k2" })
	time.pass(metadataLifetime)
	if metadata, _ := source.Metadata(t.Context()); metadata.JWKSURI != p.URL+"/k2" {
		t.Errorf("old metadata was not refreshed: %+v", metadata)
	}
	p.set(http.StatusServiceUnavailable, nil)
	time.pass(2 * metadataLifetime)
	if metadata, err := source.Metadata(t.Context()); err != nil || metadata.JWKSURI != p.URL+"/k2" {
		t.Errorf("the last good metadata is not used in an outage: %v", err)
	}
	if metadata, known := source.Known(); !known || metadata.Issuer != source.Issuer() {
		t.Errorf("Known: %+v", metadata)
	}
}

func TestSourceFetchesOnceForMany(t *testing.T) {
	p := newIDP(t, "/.well-known/oauth-authorization-server/ares")
	source := NewSource(fetcher(), p.URL+"/ares", nil)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if _, err := source.Metadata(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := p.requests.Load(); n != 1 {
		t.Errorf("%d requests for one document", n)
	}
}

// A caller that goes away does not take the fetch with it.
func TestSourceOutlivesItsFirstCaller(t *testing.T) {
	release := make(chan struct{})
	p := newIDP(t, "/.well-known/oauth-authorization-server/ares")
	p.Config.Handler = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-release
			next.ServeHTTP(w, r)
		})
	}(p.Config.Handler)
	source := NewSource(fetcher(), p.URL+"/ares", nil)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := source.Metadata(ctx)
		first <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first caller got %v", err)
	}
	close(release)
	if _, err := source.Metadata(t.Context()); err != nil {
		t.Errorf("the second caller got %v", err)
	}
	if n := p.requests.Load(); n > 1 {
		t.Errorf("%d requests", n)
	}
}
