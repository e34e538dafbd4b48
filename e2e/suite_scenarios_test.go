package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// TestSuiteResourceServerScenarios plays what the official suite's proposals for
// resource servers describe (pull requests 64, 106, 155 and 386 of
// modelcontextprotocol/conformance): every run has a new signing key under the
// same key id, and the first token of a run is good at once.
func TestSuiteResourceServerScenarios(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	for run := range 2 {
		if run > 0 {
			old := system.Token("ana")
			system.Stack.ReplaceKey()
			wantResult(t, post(t, system, "/mcp", system.Token("ana"), callTeams).message(t).Result)
			wantRefused(t, post(t, system, "/mcp", old, callTeams), "signature")
		}
		suiteRun(t, system)
	}
	// Last, because looking for newer keys is allowed once in half a minute.
	wantRefused(t, post(t, system, "/mcp", system.Mint(devstack.Mint{Defect: "wrong-key"}), callTeams), "signature")
	wantRefused(t, post(t, system, "/mcp", system.Mint(devstack.Mint{Defect: "unknown-kid"}), callTeams), "does not publish")
	wantResult(t, post(t, system, "/mcp", system.Token("ana"), callTeams).message(t).Result)
}

// suiteRun is one run: challenge, metadata, authorization server, a call, and
// the tokens that are no good.
func suiteRun(t *testing.T, system *apptest.System) {
	t.Helper()
	got := post(t, system, "/mcp", "", callTeams)
	challenge := got.header.Get("WWW-Authenticate")
	_, rest, found := strings.Cut(challenge, `resource_metadata="`)
	where, _, _ := strings.Cut(rest, `"`)
	if got.status != http.StatusUnauthorized || !found || !strings.HasPrefix(challenge, "Bearer ") || strings.Contains(challenge, "error=") {
		t.Fatalf("without a token: %d, challenge %q", got.status, challenge)
	}
	var resource struct {
		Resource             string
		AuthorizationServers []string `json:"authorization_servers"`
	}
	document := send(t, system, newRequest(t.Context(), t, http.MethodGet, where, "", ""))
	if err := json.Unmarshal([]byte(document.body), &resource); err != nil || document.status != http.StatusOK {
		t.Fatalf("%s: %d %v", where, document.status, err)
	}
	if resource.Resource != system.URL+"/mcp" || len(resource.AuthorizationServers) != 1 || resource.AuthorizationServers[0] != system.Stack.URLs().AuthorizationServer {
		t.Errorf("%+v", resource)
	}
	token := system.Mint(devstack.Mint{Resource: []string{resource.Resource}})
	wantResult(t, post(t, system, "/mcp", token, callTeams).message(t).Result)
	for defect, says := range map[string]string{
		"wrong-audience": "The token is for https://other-api.example",
		"no-audience":    "names no audience",
		"expired":        "The token expired at",
	} {
		refused := post(t, system, "/mcp", system.Mint(devstack.Mint{Defect: defect}), callTeams)
		wantRefused(t, refused, says)
		if !strings.Contains(refused.header.Get("WWW-Authenticate"), `resource_metadata="`+where+`"`) {
			t.Errorf("%s: challenge %q", defect, refused.header.Get("WWW-Authenticate"))
		}
	}
}
