package diagnose_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
	"tecrolabs.dev/oauth-mcp-server/internal/diagnose"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// spoiled is one thing that goes wrong between a client and a good server.
type spoiled struct {
	name string
	// request may change what reaches the server, or answer itself.
	request func(w http.ResponseWriter, r *http.Request) (answered bool)
	// response may change what comes back.
	response func(back)
	want     map[string]diagnose.Status // of the checks that must notice
}

// site is our own server behind a proxy that spoils what it is told to.
type site struct {
	url    string
	system *apptest.System

	mu  sync.Mutex
	row spoiled
}

func (s *site) spoil(row spoiled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.row = row
}

func (s *site) current() spoiled {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.row
}

func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{}
	front := httptest.NewUnstartedServer(nil)
	_, port, _ := strings.Cut(front.Listener.Addr().String(), ":")
	s.url = "http://localhost:" + port
	s.system = apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
		c.ServerURL = s.url
		c.ResourceName, c.ResourceDocumentation = "Otus", "https://docs.example.com"
		c.ScopesSupported = []string{"openid", "profile", "email"}
		c.RateLimitAddress = config.Rate{} // one address sends what many would
	}))
	target, err := url.Parse(s.system.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			for _, name := range []string{"Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				r.Out.Header[name] = r.In.Header[name]
			}
		},
		FlushInterval: -1,
		Transport:     transport,
		ModifyResponse: func(r *http.Response) error {
			if change := s.current().response; change != nil {
				change(back{r})
			}
			return nil
		},
	}
	front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if change := s.current().request; change == nil || !change(w, r) {
			proxy.ServeHTTP(w, r)
		}
	})
	front.Start()
	t.Cleanup(front.Close)
	return s
}

func (s *site) verify(t *testing.T, rawURL string) map[string]diagnose.Finding {
	t.Helper()
	token := s.system.Mint(devstack.Mint{Audience: []string{s.url}})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	report, err := diagnose.Verify(t.Context(), diagnose.VerifyConfig{URL: rawURL, Token: secret.New(token), Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if len(apptest.Leaks(text.String(), []string{token})) > 0 {
		t.Error("the report holds the token")
	}
	findings := map[string]diagnose.Finding{}
	for _, finding := range report.Findings {
		if _, twice := findings[finding.Name]; twice {
			t.Errorf("%s is there twice", finding.Name)
		}
		findings[finding.Name] = finding
	}
	return findings
}

func TestVerifyPassesOurOwnServer(t *testing.T) {
	s := startSite(t)
	for _, rawURL := range []string{s.url, s.url + "/mcp"} {
		for name, finding := range s.verify(t, rawURL) {
			want := diagnose.OK
			if name == "plain-http" {
				want = diagnose.Skipped // needs port 443
			}
			if finding.Status != want {
				t.Errorf("%s: %+v", rawURL, finding)
			}
			if len(finding.Requirements) == 0 || finding.Source == "" {
				t.Errorf("%s cites nothing", name)
			}
		}
	}
}

func TestVerifyFindsEachDefect(t *testing.T) {
	s := startSite(t)
	for _, row := range slices.Concat(metadataDefects(s), credentialDefects(), boundaryDefects(), tokenDefects()) {
		t.Run(row.name, func(t *testing.T) {
			s.spoil(row)
			findings := s.verify(t, s.url+"/mcp")
			got := map[string]diagnose.Status{}
			for name, finding := range findings {
				if finding.Status == diagnose.Fail || finding.Status == diagnose.Warning {
					got[name] = finding.Status
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("what was found (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEveryCheckCanFail holds the rows against the checks: one that no defect
// trips proves nothing.
func TestEveryCheckCanFail(t *testing.T) {
	s := startSite(t)
	tripped := map[string]bool{"reachable": true, "plain-http": true} // tests of their own
	for _, row := range slices.Concat(metadataDefects(s), credentialDefects(), boundaryDefects(), tokenDefects()) {
		for name := range row.want {
			tripped[name] = true
		}
	}
	for name := range s.verify(t, s.url) {
		if !tripped[name] {
			t.Errorf("no defect makes %s fail", name)
		}
	}
}

func TestVerifyOfNothing(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	report, err := diagnose.Verify(t.Context(), diagnose.VerifyConfig{URL: gone.URL, Transport: &http.Transport{}})
	if err != nil || report.OK() {
		t.Fatalf("%+v, %v", report, err)
	}
	for i, finding := range report.Findings {
		want := diagnose.Skipped
		if i == 0 {
			want = diagnose.Fail
		}
		if finding.Status != want {
			t.Errorf("%+v", finding)
		}
	}
}

func TestVerifyRefusesWhatItCannotAsk(t *testing.T) {
	token := secret.New("abcdefghijklmnop")
	for _, cfg := range []diagnose.VerifyConfig{
		{URL: ""},
		{URL: "localhost:8000"},
		{URL: "ftp://example.com"},
		{URL: "https://user@example.com/mcp"},
		{URL: "https://example.com/mcp?x=1"},
		{URL: "http://example.com/mcp", Token: token},
	} {
		cfg.Transport = failing{t}
		if _, err := diagnose.Verify(t.Context(), cfg); err == nil {
			t.Errorf("%q was taken", cfg.URL)
		}
	}
}

// failing is a transport that nothing may use.
type failing struct{ t *testing.T }

func (f failing) RoundTrip(r *http.Request) (*http.Response, error) {
	f.t.Errorf("%s was asked", r.URL)
	return nil, http.ErrServerClosed
}

func TestVerifyPlainHTTP(t *testing.T) {
	for _, test := range []struct {
		status int
		want   diagnose.Status
	}{
		{http.StatusForbidden, diagnose.OK},
		{http.StatusMovedPermanently, diagnose.Warning},
		{http.StatusOK, diagnose.Fail},
	} {
		transport := roundTrip(func(r *http.Request) int {
			if r.URL.Scheme == "http" {
				return test.status
			}
			return http.StatusUnauthorized
		})
		report, err := diagnose.Verify(t.Context(), diagnose.VerifyConfig{URL: "https://mcp.example.com/mcp", Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(report.Findings, func(f diagnose.Finding) bool { return f.Name == "plain-http" })
		if got := report.Findings[i]; got.Status != test.want {
			t.Errorf("%d: %+v", test.status, got)
		}
	}
}

// roundTrip answers with a status and nothing else.
type roundTrip func(*http.Request) int

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: f(r), Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

func TestReportsAreSafeToPrint(t *testing.T) {
	hostile := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("WWW-Authenticate", "Bearer realm=\"\x1b[2J\"")
		_ = json.NewEncoder(w).Encode(map[string]any{"resource": "\x1b[2Jok      forged\nok  line" + strings.Repeat("x", 4000)})
	}))
	defer hostile.Close()
	report, err := diagnose.Verify(t.Context(), diagnose.VerifyConfig{URL: hostile.URL + "/mcp", Transport: &http.Transport{}})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "\x1b") || strings.Contains(text.String(), "\nok  line") || text.Len() > 40_000 {
		t.Errorf("the report is not safe:\n%q", text.String())
	}
	if report.OK() {
		t.Error("a server that takes anybody is fine")
	}
}

// A server that takes bound tokens says so in both places.
func TestReq007_BoundTokensAreSeenFromOutside(t *testing.T) {
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) { c.DPoP = "allowed" }))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	report, err := diagnose.Verify(t.Context(), diagnose.VerifyConfig{URL: system.URL, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(report.Findings, func(f diagnose.Finding) bool { return f.Name == "metadata-bound-tokens" })
	if i < 0 || report.Findings[i].Status != diagnose.OK || report.Findings[i].Detail != "DPoP beside bearer tokens" {
		t.Errorf("%+v", report.Findings)
	}
}
