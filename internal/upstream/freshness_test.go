package upstream

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
)

// given is a request for an answer that the tool allows to be given again.
func given(ttl time.Duration) func(*outbound.Request) {
	return func(r *outbound.Request) { r.TTL = ttl }
}

// TestTTL asks three times: at once, within the TTL of a minute, and after it.
// The answer changes each time, but where it is to be confirmed.
func TestTTL(t *testing.T) {
	at := func(later time.Duration) []string {
		return []string{time.Now().Add(later).UTC().Format(http.TimeFormat)}
	}
	for name, tc := range map[string]struct {
		header        http.Header
		second, third string
		confirmed     bool // the third
	}{
		"the API says nothing":        {http.Header{}, "v0", "v2", false},
		"the API says for whom only":  {http.Header{"Cache-Control": {"private, must-revalidate"}}, "v0", "v2", false},
		"the API says longer":         {http.Header{"Cache-Control": {"max-age=300"}}, "v0", "v2", false},
		"the API says shorter":        {http.Header{"Cache-Control": {"max-age=10"}}, "v1", "v2", false},
		"the API says never":          {http.Header{"Cache-Control": {"no-store"}}, "v1", "v2", false},
		"the API wants to be asked":   {http.Header{"Cache-Control": {"no-cache"}}, "v1", "v2", false},
		"the API says zero":           {http.Header{"Cache-Control": {"private, max-age=0"}}, "v1", "v2", false},
		"the API says two things":     {http.Header{"Cache-Control": {"max-age=300, max-age=0"}}, "v1", "v2", false},
		"the API says no number":      {http.Header{"Cache-Control": {"max-age=soon"}}, "v1", "v2", false},
		"the API says until later":    {http.Header{"Date": at(0), "Expires": at(time.Hour)}, "v0", "v2", false},
		"the API says until soon":     {http.Header{"Date": at(0), "Expires": at(10 * time.Second)}, "v1", "v2", false},
		"the API says until before":   {http.Header{"Expires": at(-time.Hour)}, "v1", "v2", false},
		"the API says until no date":  {http.Header{"Expires": {"0"}}, "v1", "v2", false},
		"max-age before Expires":      {http.Header{"Cache-Control": {"max-age=300"}, "Expires": {"0"}}, "v0", "v2", false},
		"the answer is older already": {http.Header{"Age": {"50"}}, "v1", "v2", false},
		"the answer has an old date":  {http.Header{"Date": at(-50 * time.Second)}, "v1", "v2", false},
		"and the API says longer":     {http.Header{"Date": at(-50 * time.Second), "Cache-Control": {"max-age=60"}}, "v1", "v2", false},
		"the clock of the API is off": {http.Header{"Date": at(time.Hour)}, "v0", "v2", false},
		"varies with all":             {http.Header{"Vary": {"*"}}, "v1", "v2", false},
		"varies with all besides":     {http.Header{"Vary": {"Accept, *"}}, "v1", "v2", false},
		"varies with all in a line":   {http.Header{"Vary": {"Accept", "*"}}, "v1", "v2", false},
		"the API can be asked":        {http.Header{"Etag": {`"v0"`}}, "v0", "v0", true},
	} {
		t.Run(name, func(t *testing.T) {
			api := &cachingAPI{header: tc.header}
			c := client(t, start(t, api.serve).URL, func(cfg *Config) { cfg.Cache = true })
			now := time.Now()
			c.memory.now = func() time.Time { return now }
			ana := person{"ana", "a"}
			var got []string
			for _, later := range []time.Duration{0, 20 * time.Second, time.Minute} {
				now = now.Add(later)
				got = append(got, ana.ask(t, c, http.MethodGet, "/teams", given(time.Minute)))
				if !tc.confirmed {
					api.version.Add(1)
				}
			}
			for i, want := range []string{"v0", tc.second, tc.third} {
				if want = "200 Bearer a " + want; got[i] != want {
					t.Errorf("answer %d is %q, want %q", i, got[i], want)
				}
			}
			if confirmed := api.unchanged.Load() == 1; confirmed != tc.confirmed {
				t.Errorf("%d were confirmed", api.unchanged.Load())
			}
		})
	}
}

// An answer that the API confirms may be given again for another TTL, unless the
// API said otherwise when it gave it, and it need not say so again (RFC 9111
// section 3.2).
func TestTTLAfterAConfirmation(t *testing.T) {
	for said, want := range map[string]int32{"": 2, "max-age=10": 4, "no-cache": 4} {
		var requests atomic.Int32
		server := start(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			w.Header().Set("Etag", `"v0"`)
			w.Header()["Date"] = nil // the test has a time of its own
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Header().Set("Cache-Control", said)
		})
		c := client(t, server.URL, func(cfg *Config) { cfg.Cache = true })
		now := time.Now()
		c.memory.now = func() time.Time { return now }
		for range 4 {
			person{"ana", "a"}.ask(t, c, http.MethodGet, "/teams", given(time.Minute))
			now = now.Add(40 * time.Second)
		}
		if requests.Load() != want {
			t.Errorf("%q: %d requests of 4 calls, want %d", said, requests.Load(), want)
		}
	}
}

func TestTTLOfOtherMethods(t *testing.T) {
	for method, want := range map[string]int32{http.MethodHead: 1, http.MethodPost: 2, http.MethodOptions: 2} {
		api := &cachingAPI{}
		c := client(t, start(t, api.serve).URL, func(cfg *Config) { cfg.Cache = true })
		for range 2 {
			person{"ana", "a"}.ask(t, c, method, "/teams", given(time.Minute))
		}
		if api.requests.Load() != want {
			t.Errorf("%s: %d requests of 2 calls, want %d", method, api.requests.Load(), want)
		}
	}
}

func TestFreshnessIsBounded(t *testing.T) {
	for _, said := range []string{"max-age=99999999999", "max-age=31536000", ""} {
		lifetime, _ := freshness(http.Header{"Cache-Control": {said}}, http.Header{}, time.Hour, time.Now())
		if lifetime != 5*time.Minute {
			t.Errorf("%q: fresh for %s", said, lifetime)
		}
	}
}
