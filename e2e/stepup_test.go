package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// stepUpCatalogue has tools that ask for more than a valid token: the scenario
// that the conformance suite plans for one tool, and its neighbours.
const stepUpCatalogue = `
default: deny
upstreams:
  otus: {url: "${OTUS_URL}", credential: forward}
tools:
  - name: otus_teams
    description: For everybody.
    upstream: otus
    method: GET
    path: /teams
    input: {type: object, additionalProperties: false}
    rule: "true"
  - name: admin_action
    description: Needs a scope that nobody asks for at first.
    upstream: otus
    method: GET
    path: /teams
    input: {type: object, additionalProperties: false}
    scopes: [teams:read]
  - name: fresh_action
    description: Needs a recent and strong sign-in.
    upstream: otus
    method: GET
    path: /teams
    input: {type: object, additionalProperties: false}
    rule: '"teams:read" in claims.permissions'
    acr: [urn:dev:mfa]
    max_age: 10m
  - name: closed_action
    description: Says nothing about who may call it.
    upstream: otus
    method: GET
    path: /teams
    input: {type: object, additionalProperties: false}
`

func startStepUp(t *testing.T) *apptest.System {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tools.yaml")
	if err := os.WriteFile(file, []byte(stepUpCatalogue), 0o600); err != nil {
		t.Fatal(err)
	}
	return apptest.Start(t, apptest.WithConfig(func(c *config.Config) { c.ToolsFile = file }))
}

func callOf(tool string) string { return strings.Replace(callTeams, "otus_teams", tool, 1) }

// TestReq054_Req056_StepUpForOneTool is the scenario of the conformance suite's
// pull request 386: 403 with everything that is needed, then success with the
// bigger token.
func TestReq054_Req056_StepUpForOneTool(t *testing.T) {
	t.Parallel()
	system := startStepUp(t)
	small := system.Mint(devstack.Mint{Scope: "openid profile"})
	want := `Bearer resource_metadata="` + system.URL + `/.well-known/oauth-protected-resource/mcp", ` +
		`scope="openid profile teams:read", error="insufficient_scope", error_description="This operation needs the scopes: teams:read"`
	for range 3 {
		refused := post(t, system, "/mcp", small, callOf("admin_action"))
		if refused.status != http.StatusForbidden || refused.header.Get("WWW-Authenticate") != want ||
			refused.header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %q %s", refused.status, refused.header.Get("WWW-Authenticate"), refused.body)
		}
	}
	if again := post(t, system, "/mcp", small, callOf("admin_action")); again.status != http.StatusForbidden || !strings.Contains(again.body, "Asking again will not help") {
		t.Errorf("the fourth time: %d %s", again.status, again.body)
	}
	if n := len(system.Stack.OtusRequests()); n != 0 {
		t.Errorf("Otus saw %d requests, want none", n)
	}
	wantResult(t, post(t, system, "/mcp", small, callTeams).message(t).Result)
	bigger := system.Mint(devstack.Mint{Scope: "openid profile teams:read"})
	wantResult(t, post(t, system, "/mcp", bigger, callOf("admin_action")).message(t).Result)
	if log := system.Logs.String(); !strings.Contains(log, `"event":"elevation"`) || !strings.Contains(log, `"scopes_granted":"teams:read"`) {
		t.Error("the elevation is not on record")
	}
	if closed := post(t, system, "/mcp", bigger, callOf("closed_action")); closed.status != http.StatusForbidden || closed.header.Get("WWW-Authenticate") != "" {
		t.Errorf("a tool that nothing opens: %d %q", closed.status, closed.header.Get("WWW-Authenticate"))
	}
	list := post(t, system, "/mcp", small, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).body
	for tool, listed := range map[string]bool{"otus_teams": true, "admin_action": true, "fresh_action": true, "closed_action": false} {
		if strings.Contains(list, `"name":"`+tool+`"`) != listed {
			t.Errorf("%s is listed: %v; %s", tool, !listed, list)
		}
	}

	// On HTTP+SSE the POST is taken and the refusal comes on the stream.
	s := openStream(t, system, small)
	if taken := post(t, system, s.endpoint, small, callOf("admin_action")); taken.status != http.StatusAccepted {
		t.Fatalf("%d %s", taken.status, taken.body)
	}
	refused := parseResponse(t, (<-s.events).data)
	if refused.Error == nil || refused.Error.Code != http.StatusForbidden || !strings.Contains(string(refused.Error.Data), `"scope":"openid profile teams:read"`) {
		t.Errorf("%+v", refused.Error)
	}
}

// TestReq037_StepUpOfTheSignIn follows RFC 9470: the challenge says how and how
// recently the person has to sign in, the authorization server does that, and
// the token tells.
func TestReq037_StepUpOfTheSignIn(t *testing.T) {
	t.Parallel()
	system := startStepUp(t)
	for name, weak := range map[string]devstack.Mint{
		"nothing said": {},
		"weak":         {ACR: "urn:dev:password", AuthTime: time.Now()},
		"long ago":     {ACR: "urn:dev:mfa", AuthTime: time.Now().Add(-time.Hour)},
	} {
		refused := post(t, system, "/mcp", system.Mint(weak), callOf("fresh_action"))
		header := refused.header.Get("WWW-Authenticate")
		if refused.status != http.StatusUnauthorized || !strings.Contains(refused.body, `"error":"insufficient_user_authentication"`) ||
			!strings.HasPrefix(header, `Bearer resource_metadata="`) || !strings.Contains(header, `error="insufficient_user_authentication"`) ||
			!strings.HasSuffix(header, `, acr_values="urn:dev:mfa", max_age="600"`) {
			t.Errorf("%s: %d %q %s", name, refused.status, header, refused.body)
		}
	}
	strong := system.Mint(devstack.Mint{ACR: "urn:dev:mfa", AuthTime: time.Now().Add(-time.Minute)})
	wantResult(t, post(t, system, "/mcp", strong, callOf("fresh_action")).message(t).Result)
	// Bruno has signed in as well as anybody, and his rule says no.
	bruno := system.Mint(devstack.Mint{User: "bruno", ACR: "urn:dev:mfa", AuthTime: time.Now()})
	if ruled := post(t, system, "/mcp", bruno, callOf("fresh_action")); ruled.status != http.StatusForbidden || ruled.header.Get("WWW-Authenticate") != "" {
		t.Errorf("a rule that denies: %d %q", ruled.status, ruled.header.Get("WWW-Authenticate"))
	}
}

// TestTypeScriptSDKStepsUp lets the SDK do it: its second sign-in asks for the
// scopes of the challenge, and its person never sees the 403.
func TestTypeScriptSDKStepsUp(t *testing.T) {
	t.Parallel()
	system := startStepUp(t)
	for name, version := range map[string]string{"2025-11-25": "", "2026-07-28": "auto"} {
		t.Run(name, func(t *testing.T) {
			got := walk(t, system, "sdk-v2.mjs", walkInput{
				URL: endpoint(system, "http"), Transport: "http", Mode: "step-up", Version: version, Tool: "admin_action",
			})
			if got.Error != nil {
				t.Fatalf("the walk failed: %s: %s\n%+v", got.Error.Name, got.Error.Message, got.Requests)
			}
			wantResult(t, got.Result)
			if strings.Contains(got.ScopeBefore, "teams:read") || !strings.Contains(got.Granted.Scope, "teams:read") || !strings.Contains(got.Granted.Scope, "openid") {
				t.Errorf("scopes %q, then %q", got.ScopeBefore, got.Granted.Scope)
			}
			if n := got.count(func(r sent) bool { return r.Status == http.StatusForbidden }); n != 1 {
				t.Errorf("%d answers were 403, want one: %+v", n, got.Requests)
			}
		})
	}
}
