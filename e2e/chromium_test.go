package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

// pageDeadline bounds one visit, start of the browser included, on a busy
// machine.
const pageDeadline = 60 * time.Second

// seen is what a script on a page got to see of one attempt. Status 0 is an
// error of fetch, which tells a script nothing more.
type seen struct {
	Status    int    `json:"status"`
	Challenge string `json:"challenge"`
	Text      string `json:"text"`
}

// TestReq085_PagesInChromium lets a real browser decide who may call: pages on
// loopback and of ALLOWED_ORIGINS can do everything a client needs, other pages
// nothing, and no page with cookies.
func TestReq085_PagesInChromium(t *testing.T) {
	t.Parallel()
	chromium := findChromium(t)
	site := newSite(t)
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
		c.AllowedOrigins = []string{"http://client.example:" + site.port}
	}))
	token := system.Token("ana")
	system.Secret(token)
	site.start(t, map[string]string{"server": system.URL, "token": token})

	for name, host := range map[string]string{"loopback": "127.0.0.1", "configured": "client.example"} {
		t.Run(name, func(t *testing.T) {
			report := site.visit(t, chromium, host)
			if got := report["call"]; got.Status != http.StatusOK || !strings.Contains(got.Text, "Albatros") {
				t.Errorf("a call: %+v", got)
			}
			if got := report["refused"]; got.Status != http.StatusUnauthorized || !strings.Contains(got.Challenge, "resource_metadata=") {
				t.Errorf("without a token a script sees %+v, want the challenge", got)
			}
			if got := report["stream"]; got.Status != http.StatusAccepted || got.Text != `{"jsonrpc":"2.0","id":1,"result":{}}` {
				t.Errorf("a stream: %+v", got)
			}
			if got := report["cookies"]; got.Status != 0 {
				t.Errorf("with credentials of the browser: %+v", got)
			}
		})
	}
	t.Run("foreign", func(t *testing.T) {
		for attempt, got := range site.visit(t, chromium, "foreign.example") {
			if got.Status != 0 || strings.Contains(got.Text, "Albatros") {
				t.Errorf("%s: a script sees %+v", attempt, got)
			}
		}
		if !strings.Contains(system.Logs.String(), "unknown_origin") {
			t.Error("the server did not refuse anything")
		}
	})
}

// findChromium returns the path of a Chromium. What is missing on somebody's
// machine may not be missing in CI.
func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("CI must have Chromium")
	}
	t.Skip("there is no Chromium; install chromium")
	return ""
}

// site is where the pages come from: one server that answers for any host.
type site struct {
	server  *httptest.Server
	port    string
	reports chan map[string]seen
}

// newSite returns a site that has its port but does not answer yet: the server
// its pages call has to know the port first.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{server: httptest.NewUnstartedServer(nil), reports: make(chan map[string]seen, 1)}
	t.Cleanup(s.server.Close)
	_, s.port, _ = net.SplitHostPort(s.server.Listener.Addr().String())
	return s
}

// start serves the page, and tells it the settings.
func (s *site) start(t *testing.T, settings map[string]string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "clients/page.html") })
	mux.HandleFunc("GET /settings", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(settings) })
	mux.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		var report map[string]seen
		if err := json.NewDecoder(r.Body).Decode(&report); err == nil {
			s.reports <- report
		}
	})
	s.server.Config.Handler = mux
	s.server.Start()
}

// visit opens the page of a host in a browser of its own and returns what it
// reports. The browser takes every host for this machine, and reaches no other.
func (s *site) visit(t *testing.T, chromium, host string) map[string]seen {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pageDeadline)
	defer cancel()
	home := t.TempDir()
	command := exec.CommandContext(ctx, chromium,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
		"--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
		"--user-data-dir="+home, "--host-resolver-rules=MAP * 127.0.0.1", "http://"+host+":"+s.port+"/")
	command.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + home}
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) } // its own children end with it
	command.WaitDelay = 10 * time.Second
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var failure error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failure = command.Wait()
	}()
	var report map[string]seen
	select {
	case report = <-s.reports:
		cancel()
		<-ended
	case <-ended:
		t.Fatalf("Chromium ended without a report: %v\n%s", failure, output.Bytes())
	}
	if len(report) == 0 {
		t.Fatalf("the page reports nothing\n%s", output.Bytes())
	}
	return report
}
