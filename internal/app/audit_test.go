package app_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// TestReq098_EveryDecisionAndEveryCallLeavesOneRecord reads the file that an
// operator would: each line fits the published schema, names the person by the
// policy and has the ids that lead to the log and to the trace.
func TestReq098_EveryDecisionAndEveryCallLeavesOneRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
		c.AuditLog, c.AuditSubject, c.SessionKey = path, telemetry.AuditBySubject, secret.New(strings.Repeat("k", 32))
	}))
	send(t, system, http.MethodPost, "/mcp", system.Token("ana"), callTeams)
	send(t, system, http.MethodPost, "/mcp", "", callTeams)
	system.Stop()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{`"event":"authentication","decision":"allow","reason":"ok"`, `"subject":"auth0|`, `"token_hash":"`, `"client_id":"`},
		{`"event":"tool_call","decision":"allow","reason":"ok"`, `"subject":"auth0|`, `"tool":"otus_teams"`, `"upstream":"otus"`, `"credential":"forward"`, `"upstream_status":200`, `"latency":`},
		{`"event":"authentication","decision":"deny","reason":"no_token"`},
	}
	records := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(records) != len(want) {
		t.Fatalf("%d records, want %d:\n%s", len(records), len(want), text)
	}
	for i, parts := range want {
		if err := apptest.ValidateRecord(records[i]); err != nil {
			t.Errorf("%v in %s", err, records[i])
		}
		for _, part := range append(parts, `"request_id":"`, `"trace_id":"`) {
			if !strings.Contains(records[i], part) {
				t.Errorf("no %s in %s", part, records[i])
			}
		}
	}
	if len(apptest.Records(system.Logs.String())) != 0 {
		t.Error("records are among the log lines too")
	}
}

// TestReq098_FullDiskIsSeenByTheLoadBalancer uses the device that is always full.
func TestReq098_FullDiskIsSeenByTheLoadBalancer(t *testing.T) {
	if runtime.GOOS != "linux" {
		if os.Getenv("CI") != "" {
			t.Fatal("CI runs on Linux")
		}
		t.Skip("there is no /dev/full here")
	}
	t.Parallel()
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) { c.AuditLog = "/dev/full" }))
	if status := send(t, system, http.MethodGet, "/readyz", "", ""); status != http.StatusOK {
		t.Fatal(status)
	}
	if status := send(t, system, http.MethodPost, "/mcp", system.Token("ana"), callTeams); status != http.StatusOK {
		t.Errorf("a call: %d; a record that went to the log is no reason to refuse", status)
	}
	if status := send(t, system, http.MethodGet, "/readyz", "", ""); status != http.StatusServiceUnavailable {
		t.Errorf("ready with %d although records cannot be written", status)
	}
	if records := apptest.Records(system.Logs.String()); len(records) != 2 {
		t.Errorf("%d of 2 records are in the log", len(records))
	}
	if lost := system.Count("oauth_mcp_server.audit.unwritten"); lost != 2 {
		t.Errorf("%d records were counted as unwritten, want 2", lost)
	}
}

// TestHangupOpensTheAuditLogAgain moves the file away under a running server, as
// a rotation does, and sends what SIGHUP sends.
func TestHangupOpensTheAuditLogAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	cfg := config.Default()
	cfg.ListenAddr, cfg.AuditLog = "127.0.0.1:0", path
	ctx, stop := context.WithCancel(t.Context())
	hangups, ended := make(chan os.Signal, 1), make(chan error, 1)
	stderr := &output{wrote: make(chan struct{}, 1)}
	go func() {
		ended <- app.Serve(ctx, app.ServeOptions{Config: cfg, Version: "1", Stderr: stderr, Reload: hangups})
	}()
	started := func() bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), `"event":"start"`)
	}
	apptest.Eventually(t, "the start is on record", started)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	hangups <- os.Interrupt // any signal on the channel counts
	apptest.Eventually(t, "there is a file under the name again", func() bool { return !started() && exists(path) })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if strings.Contains(stderr.String(), `"audit":true`) {
		t.Error("records are among the log lines too")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
