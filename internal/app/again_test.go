package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

// TestReq079_ACatalogueIsTriedAgainWhenItsURLWasDown changes a catalogue while the
// document that it imports cannot be had: no file changes when it can again.
func TestReq079_ACatalogueIsTriedAgainWhenItsURLWasDown(t *testing.T) {
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/x":{"get":{"operationId":"x","responses":{}}}}}`))
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "tools.yaml")
	write := func(prefix string) {
		text := "upstreams: {api: {url: 'https://api.example', credential: none}}\nimports: [{from: '" + server.URL + "', upstream: api, prefix: " + prefix + "}]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := config.Default()
	cfg.ToolsFile = file
	write("a_")
	tools, err := newLiveTools(t.Context(), Options{Config: cfg, Logger: slog.New(slog.DiscardHandler)}, egressPolicy(cfg))
	if err != nil {
		t.Fatal(err)
	}
	if tools.outdated() {
		t.Error("what was read well is to be read again")
	}
	down.Store(true)
	write("longer_")
	if tools.reload(t.Context()); !tools.outdated() || tools.Definitions()[0].Name != "a_x" {
		t.Errorf("outdated %v, tools %v", tools.outdated(), tools.Definitions())
	}
	down.Store(false)
	if tools.reload(t.Context()); tools.outdated() || tools.Definitions()[0].Name != "longer_x" {
		t.Errorf("outdated %v, tools %v", tools.outdated(), tools.Definitions())
	}
}
