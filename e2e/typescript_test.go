package e2e

import (
	"net/http"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
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

// TestTypeScriptSDKRefreshes takes the access token of a signed-in client out
// of service between two calls: the client must get 401, refresh and repeat the
// call, without the person noticing.
func TestTypeScriptSDKRefreshes(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	for name, test := range map[string]struct{ script, transport, defect string }{
		"v1 http": {"sdk-v1.mjs", "http", "expired"},
		"v1 sse":  {"sdk-v1.mjs", "sse", "expired"},
		"v2 http": {"sdk-v2.mjs", "http", "expired"},
		"v2 sse":  {"sdk-v2.mjs", "sse", "wrong-audience"},
	} {
		t.Run(name, func(t *testing.T) {
			version := ""
			if test.script == "sdk-v2.mjs" && test.transport == "http" {
				version = "auto"
			}
			got := walk(t, system, test.script, walkInput{
				URL: endpoint(system, test.transport), Transport: test.transport, Mode: "refresh", Version: version,
				BadToken: system.Mint(devstack.Mint{Defect: test.defect, Resource: []string{endpoint(system, test.transport)}}),
			})
			if got.Error != nil {
				t.Fatalf("the walk failed: %s: %s\n%+v", got.Error.Name, got.Error.Message, got.Requests)
			}
			wantTeams(t, got.Tools, got.Result)
			if !got.Granted.Refresh {
				t.Error("the client has no refresh token after it refreshed")
			}
			if n := got.count(func(r sent) bool { return strings.HasSuffix(r.Path, "/token") }); n != 2 {
				t.Errorf("%d token requests, want 2 (code, refresh): %+v", n, got.Requests)
			}
			if n := got.count(func(r sent) bool { return r.Path == "/ares/authorize" || r.Path == "/ares/register" }); n != 1 {
				t.Errorf("%d registrations, want one: %+v", n, got.Requests)
			}
		})
	}
}

// TestTypeScriptSDKShowsWhyATokenIsRefused connects with a fixed token that is
// not acceptable. There is nothing the client could do about it, so what
// matters is that its person reads why.
func TestTypeScriptSDKShowsWhyATokenIsRefused(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	for _, script := range []string{"sdk-v1.mjs", "sdk-v2.mjs"} {
		for defect, want := range map[string]string{
			"wrong-audience": "audience",
			"expired":        "expired",
			"bad-signature":  "signature",
		} {
			t.Run(script+" "+defect, func(t *testing.T) {
				got := walk(t, system, script, walkInput{
					URL: endpoint(system, "http"), Transport: "http", Mode: "token", BadToken: system.Mint(devstack.Mint{Defect: defect}),
				})
				if got.Error == nil || !strings.Contains(got.Error.Message, want) {
					t.Fatalf("error = %+v, want one that says %q", got.Error, want)
				}
				if n := len(got.Requests); n != 1 || got.Requests[0].Status != http.StatusUnauthorized {
					t.Errorf("requests = %+v, want one with 401", got.Requests)
				}
			})
		}
	}
	if n := len(system.Stack.OtusRequests()); n != 0 {
		t.Errorf("Otus saw %d requests, want none", n)
	}
}
