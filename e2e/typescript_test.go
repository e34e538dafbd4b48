package e2e

import (
	"net/http"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// TestTypeScriptSDK walks with both generations of the TypeScript SDK from no
// token at all to the teams, on each transport and revision they speak.
func TestTypeScriptSDK(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	for name, test := range map[string]struct {
		script, transport, version string
		want                       string
	}{
		"v1 http":            {"sdk-v1.mjs", "http", "", "2025-11-25"},
		"v1 sse":             {"sdk-v1.mjs", "sse", "", "2024-11-05"},
		"v2 http":            {"sdk-v2.mjs", "http", "", "2025-11-25"},
		"v2 http auto":       {"sdk-v2.mjs", "http", "auto", "2026-07-28"},
		"v2 http 2026-07-28": {"sdk-v2.mjs", "http", "2026-07-28", "2026-07-28"},
		"v2 http 2025-06-18": {"sdk-v2.mjs", "http", "2025-06-18", "2025-06-18"},
		"v2 http 2025-03-26": {"sdk-v2.mjs", "http", "2025-03-26", "2025-03-26"},
		"v2 sse":             {"sdk-v2.mjs", "sse", "", "2024-11-05"},
	} {
		t.Run(name, func(t *testing.T) {
			got := walk(t, system, test.script, walkInput{
				URL: endpoint(system, test.transport), Transport: test.transport, Mode: "walk", Version: test.version,
			})
			if got.Error != nil {
				t.Fatalf("the walk failed: %s: %s\n%+v", got.Error.Name, got.Error.Message, got.Requests)
			}
			if got.ProtocolVersion != test.want {
				t.Errorf("protocol version %q, want %q", got.ProtocolVersion, test.want)
			}
			wantTeams(t, got.Tools, got.Result)
			first := got.Requests[0]
			if first.Status != http.StatusUnauthorized {
				t.Errorf("the first request got %d, want 401: %+v", first.Status, first)
			}
			if got.count(func(r sent) bool { return r.Status == http.StatusUnauthorized }) != 1 {
				t.Errorf("more than the first request got 401: %+v", got.Requests)
			}
			if got.count(func(r sent) bool { return r.Path == "/ares/register" }) != 1 {
				t.Errorf("it did not register once: %+v", got.Requests)
			}
		})
	}
}
