package upstream

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// person is a caller of an API whose answers may be kept.
type person struct{ subject, token string }

// ask sends a request of p's and returns the body.
func (p person) ask(t *testing.T, c *Client, method, path string, change func(*outbound.Request)) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request := outbound.Request{HTTP: r}
	if change != nil {
		change(&request)
	}
	response, _, err := c.Send(t.Context(), request, oauth.Principal{Issuer: "https://idp.example", Subject: p.subject}, secret.New(p.token))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	for _, name := range looked {
		if response.Header.Get(name) != "" {
			t.Errorf("%s leaves the package", name)
		}
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}

// cachingAPI answers with who asked and a version; header is what it allows.
type cachingAPI struct {
	header    http.Header
	version   atomic.Int32
	requests  atomic.Int32
	unchanged atomic.Int32 // answered with 304
}

func (a *cachingAPI) serve(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	maps.Copy(w.Header(), a.header.Clone())
	tag := fmt.Sprintf(`"v%d"`, a.version.Load())
	if w.Header().Get("Etag") == "auto" {
		w.Header().Set("Etag", tag)
	}
	if r.Header.Get("If-None-Match") == tag || r.Header.Get("If-Modified-Since") != "" {
		a.unchanged.Add(1)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = fmt.Fprintf(w, "%s v%d", r.Header.Get("Authorization"), a.version.Load())
}

func TestKeptAnswers(t *testing.T) {
	ana := person{"ana", "a"}
	for name, tc := range map[string]struct {
		header              http.Header
		off                 bool
		requests, unchanged int32 // of three calls, the answer changing before the third
		last                string
	}{
		"nothing allowed":       {http.Header{}, false, 3, 0, "v1"},
		"validator":             {http.Header{"Etag": {"auto"}}, false, 3, 1, "v1"},
		"date":                  {http.Header{"Last-Modified": {"Mon, 02 Jan 2006 15:04:05 GMT"}}, false, 3, 2, "v0"},
		"fresh":                 {http.Header{"Cache-Control": {"private, max-age=60"}}, false, 1, 0, "v0"},
		"fresh for too short":   {http.Header{"Cache-Control": {"max-age=60"}, "Age": {"60"}}, false, 3, 0, "v1"},
		"fresh, but ask":        {http.Header{"Cache-Control": {"max-age=60, no-cache"}, "Etag": {"auto"}}, false, 3, 1, "v1"},
		"not to be kept":        {http.Header{"Cache-Control": {"max-age=60", "no-cache, no-store"}, "Etag": {"auto"}}, false, 3, 0, "v1"},
		"varies with all":       {http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"*"}}, false, 3, 0, "v1"},
		"varies with the token": {http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"Authorization"}}, false, 1, 0, "v0"},
		"not declared":          {http.Header{"Cache-Control": {"max-age=60"}, "Etag": {"auto"}}, true, 3, 0, "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			api := &cachingAPI{header: tc.header}
			server := start(t, api.serve)
			c := client(t, server.URL, func(cfg *Config) { cfg.Cache = !tc.off })
			first := ana.ask(t, c, http.MethodGet, "/teams", nil)
			second := ana.ask(t, c, http.MethodGet, "/teams", nil)
			api.version.Add(1)
			third := ana.ask(t, c, http.MethodGet, "/teams", nil)
			if first != "200 Bearer a v0" || second != first || third != "200 Bearer a "+tc.last {
				t.Errorf("got %q, %q, %q", first, second, third)
			}
			if api.requests.Load() != tc.requests || api.unchanged.Load() != tc.unchanged {
				t.Errorf("%d requests, %d unchanged, want %d and %d", api.requests.Load(), api.unchanged.Load(), tc.requests, tc.unchanged)
			}
		})
	}
}

// What was given to one token is for nobody else, and not even for the same
// person with another token, which may have other rights.
func TestKeptAnswersBelongToOneToken(t *testing.T) {
	api := &cachingAPI{}
	c := client(t, start(t, api.serve).URL, func(cfg *Config) { cfg.Cache = true })
	everybody := []person{{"ana", "a"}, {"ana", "a2"}, {"bruno", "b"}, {"bruno", "a"}}
	for _, allowed := range []struct {
		byAPI http.Header
		ttl   time.Duration // by the tool
	}{
		{http.Header{}, time.Minute},
		{http.Header{"Cache-Control": {"public, max-age=60"}, "Etag": {"auto"}}, 0},
	} {
		api.header = allowed.byAPI
		api.requests.Store(0)
		for range 2 {
			for _, p := range everybody {
				if got := p.ask(t, c, http.MethodGet, "/teams", given(allowed.ttl)); got != "200 Bearer "+p.token+" v0" {
					t.Errorf("%v got %q", p, got)
				}
			}
		}
		if n := int(api.requests.Load()); n != len(everybody) {
			t.Errorf("%d requests, want one for each of %d", n, len(everybody))
		}
	}
	for _, other := range []func(*outbound.Request){
		func(r *outbound.Request) { r.HTTP.URL.RawQuery = "page=2" },
		func(r *outbound.Request) { r.HTTP.Header.Set("Accept-Language", "es") },
		func(r *outbound.Request) { r.HTTP.Method = http.MethodHead },
		func(r *outbound.Request) { r.TTL = time.Second },
	} {
		before := api.requests.Load()
		everybody[0].ask(t, c, http.MethodGet, "/teams", other)
		if api.requests.Load() != before+1 {
			t.Error("another request was answered from memory")
		}
	}
}

// A person who changes something sees it at once.
func TestWritesForgetWhatThePersonHadSeen(t *testing.T) {
	api := &cachingAPI{header: http.Header{"Cache-Control": {"max-age=60"}}}
	server := start(t, api.serve)
	c := client(t, server.URL, func(cfg *Config) { cfg.Cache = true })
	ana, bruno := person{"ana", "a"}, person{"bruno", "b"}
	ana.ask(t, c, http.MethodGet, "/teams", nil)
	bruno.ask(t, c, http.MethodGet, "/teams", nil)
	api.version.Add(1)
	ana.ask(t, c, http.MethodDelete, "/teams/1", nil)
	if got := ana.ask(t, c, http.MethodGet, "/teams", nil); !strings.HasSuffix(got, "v1") {
		t.Errorf("Ana still sees %q", got)
	}
	if got := bruno.ask(t, c, http.MethodGet, "/teams", nil); !strings.HasSuffix(got, "v0") {
		t.Errorf("Bruno's own answer is gone: %q", got)
	}
}

// An answer that is under way while the person changes something may be older than
// the change.
func TestAnswersUnderWayDuringAChangeAreNotKept(t *testing.T) {
	api := &cachingAPI{}
	asked, changed := make(chan bool, 1), make(chan bool)
	release := sync.OnceFunc(func() { close(changed) })
	defer release()
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		api.serve(w, r)
		if r.URL.RawQuery == "slow" && api.version.Load() == 0 {
			asked <- true
			<-changed
		}
	})
	c := client(t, server.URL, func(cfg *Config) { cfg.Cache = true })
	ana := person{"ana", "a"}
	slow, old := outbound.Request{HTTP: get(t, "/teams?slow"), TTL: time.Minute}, make(chan error, 1)
	go func() {
		response, _, err := c.Send(t.Context(), slow, oauth.Principal{Issuer: "https://idp.example", Subject: ana.subject}, secret.New(ana.token))
		if err == nil {
			err = response.Body.Close()
		}
		old <- err
	}()
	<-asked
	ana.ask(t, c, http.MethodDelete, "/teams/1", nil)
	api.version.Add(1)
	release()
	if err := <-old; err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := ana.ask(t, c, http.MethodGet, "/teams?slow", given(time.Minute)); got != "200 Bearer a v1" {
			t.Errorf("Ana still sees %q", got)
		}
	}
	if n := api.requests.Load(); n != 3 {
		t.Errorf("%d requests, want 3: what is asked for after a change is kept", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	for i := range 2 * maxKept {
		m.put(lookup{key: sum(fmt.Sprint(i))}, &keptAnswer{body: make([]byte, 1<<10)})
	}
	if len(m.entries) > maxKept || m.bytes != len(m.entries)<<10 {
		t.Errorf("%d entries with %d bytes", len(m.entries), m.bytes)
	}
	for i := range 100 {
		m.put(lookup{key: sum("big", fmt.Sprint(i))}, &keptAnswer{body: make([]byte, maxKeptBody)})
	}
	if m.bytes > maxKeptBytes {
		t.Errorf("%d bytes", m.bytes)
	}
	big := &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, ContentLength: maxKeptBody + 1}
	if _, err := m.keep(lookup{key: sum("too big")}, big); err != nil || //nolint:bodyclose // it has none
		m.get(&lookup{key: sum("too big")}) != nil {
		t.Errorf("an answer that is too big was kept: %v", err)
	}
}
