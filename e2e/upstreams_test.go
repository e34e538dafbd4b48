package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// declaredAPI is one upstream of a catalogue under test, with one tool of the
// same name.
type declaredAPI struct {
	name, url, mode string
	more            string // further lines of the upstream
	audience        string // "" means Otus
	secret          string // where the client's secret is; "" means the right one
	exchange        string // further lines of the block of the mode
}

// serving writes a catalogue with apis into TOOLS_FILE.
func serving(t *testing.T, apis ...declaredAPI) apptest.Option {
	t.Helper()
	return apptest.WithConfig(func(c *config.Config) {
		var upstreams, tools strings.Builder
		for _, api := range apis {
			if api.url == "" {
				api.url = "${OTUS_URL}"
			}
			fmt.Fprintf(&upstreams, "  %s:\n    url: %s\n    credential: %s\n%s", api.name, api.url, api.mode, api.more)
			switch api.mode {
			case "exchange", "client_credentials":
				if api.audience == "" {
					api.audience = "${OTUS_URL}"
				}
				if !strings.Contains(api.exchange, "on_behalf_of") {
					fmt.Fprintf(&upstreams, "    audience: %s\n", api.audience)
				}
				if api.secret == "" {
					api.secret = "secret_env: " + apptest.ServiceSecretEnv
				}
				fmt.Fprintf(&upstreams, "    %s:\n      token_url: %s/oauth/token\n      client: {id: %s, auth: client_secret_basic, %s}\n%s",
					api.mode, c.AuthorizationServers[0], devstack.ServiceClientID, api.secret, api.exchange)
			case "static":
				fmt.Fprintf(&upstreams, "    static: {header: X-Api-Key, secret_env: %s}\n", apptest.ServiceSecretEnv)
			}
			fmt.Fprintf(&tools, "  - {name: %s, description: d, upstream: %s, method: GET, path: /teams, input: {type: object, additionalProperties: false}}\n", api.name, api.name)
		}
		c.ToolsFile = filepath.Join(t.TempDir(), "tools.yaml")
		text := strings.ReplaceAll("upstreams:\n"+upstreams.String()+"tools:\n"+tools.String(), "${OTUS_URL}", c.OtusURL)
		if err := os.WriteFile(c.ToolsFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// useTool calls the tool name as whom token speaks for.
func useTool(t *testing.T, system *apptest.System, token, name string) answer {
	t.Helper()
	return post(t, system, "/mcp", token, strings.Replace(callTeams, "otus_teams", name, 1))
}

// outcome says what an answer is, in the words of docs/upstreams.md.
func outcome(t *testing.T, got answer) string {
	t.Helper()
	if strings.Contains(got.body, "a-cookie-of-otus") || got.header.Get("Set-Cookie") != "" || strings.Contains(got.header.Get("WWW-Authenticate"), "otus") {
		t.Errorf("something of the API was passed on: %v %s", got.header, got.body)
	}
	switch {
	case got.status != http.StatusOK:
		code := regexp.MustCompile(`"error":"(\w+)"`).FindStringSubmatch(got.body)
		if code == nil {
			return fmt.Sprint(got.status)
		}
		if challenged, sent := code[1] != "access_denied", got.header.Get("WWW-Authenticate") != ""; challenged != sent {
			t.Errorf("%d %s with the challenge %q", got.status, code[1], got.header.Get("WWW-Authenticate"))
		}
		return fmt.Sprintf("%d `%s`", got.status, code[1])
	case strings.Contains(got.body, `"isError":true`):
		return "tool error"
	default:
		return "result"
	}
}

// outcomes reads the table of docs/upstreams.md whose first column is head: for
// each row and each mode, what the caller sees.
func outcomes(t *testing.T, head string) (modes, rows []string, cells map[string]map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../docs/upstreams.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n| "+head+" | ")
	if !found {
		t.Fatalf("docs/upstreams.md has no table %q", head)
	}
	lines := strings.Split(table, "\n")
	for cell := range strings.SplitSeq(strings.TrimSuffix(lines[0], " |"), " | ") {
		modes = append(modes, strings.Trim(cell, "`"))
	}
	cells = map[string]map[string]string{}
	for _, line := range lines[2:] {
		if !strings.HasPrefix(line, "| ") {
			break
		}
		row := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |"), " | ")
		if len(row) != len(modes)+1 {
			t.Fatalf("%q has %d cells", line, len(row))
		}
		rows, cells[row[0]] = append(rows, row[0]), map[string]string{}
		for i, mode := range modes {
			cells[row[0]][mode] = row[i+1]
		}
	}
	return modes, rows, cells
}

// TestReq070_Req077_EveryFaultInEveryMode has the API fail in every way for every
// credential mode, as the table in docs/upstreams.md says.
func TestReq070_Req077_EveryFaultInEveryMode(t *testing.T) {
	t.Parallel()
	faults := map[string]devstack.OtusFault{
		"answers 200 with JSON":            {Status: 200},
		"answers 200 with something else":  {ContentType: "text/html"},
		"answers more than `max_response`": {BodyBytes: 20_000},
		"answers 302":                      {Status: 302, Redirect: "/elsewhere"},
		"answers 400":                      {Status: 400},
		"answers 401":                      {Status: 401},
		"answers 403":                      {Status: 403},
		"answers 403 and names a scope that the caller lacks": {Status: 403, Challenge: `Bearer realm="otus", error="insufficient_scope", scope="teams:admin"`},
		"answers 404":             {Status: 404},
		"answers 409":             {Status: 409},
		"answers 429":             {Status: 429},
		"answers 500":             {Status: 500},
		"answers 503":             {Status: 503},
		"does not answer in time": {Delay: time.Minute},
		"closes the connection":   {Close: true},
		"takes no connection":     {},
	}
	modes, rows, cells := outcomes(t, "The API")
	if len(modes) != 5 || len(rows) != len(faults) {
		t.Fatalf("the table has %d modes and %d rows; there are 5 and %d", len(modes), len(rows), len(faults))
	}
	var apis []declaredAPI
	for _, mode := range modes {
		more := "    retries: 0\n    response_timeout: 400ms\n    max_response: 10000\n"
		apis = append(apis, declaredAPI{name: mode, mode: mode, more: more}, declaredAPI{name: mode + "_gone", mode: mode, url: "http://localhost:1", more: more})
	}
	system := apptest.Start(t, serving(t, apis...))
	token := system.Token("ana")
	for _, row := range rows {
		fault, known := faults[row]
		if !known {
			t.Errorf("nobody knows how an API %q", row)
			continue
		}
		for _, mode := range modes {
			name := mode
			if row == "takes no connection" {
				name += "_gone"
			}
			fault.Count = 5 // a credential that is kept gets a second try
			if fault == (devstack.OtusFault{Count: 5}) {
				fault.Count = 0
			}
			system.Stack.SetOtusFault(fault)
			if got, want := outcome(t, useTool(t, system, token, name)), cells[row][mode]; got != want {
				t.Errorf("%s: the API %s, the caller sees %s, the table says %s", mode, row, got, want)
			}
			system.Stack.SetOtusFault(devstack.OtusFault{})
		}
	}
}

// TestReq067_WhatTheTokenEndpointSays does the same for the token endpoint.
func TestReq067_WhatTheTokenEndpointSays(t *testing.T) {
	t.Parallel()
	wrong := filepath.Join(t.TempDir(), "wrong") // as a token and as a secret
	if err := os.WriteFile(wrong, []byte("no-good-for-anything"), 0o600); err != nil {
		t.Fatal(err)
	}
	var apis []declaredAPI
	for _, mode := range []string{"exchange", "client_credentials"} {
		apis = append(apis, declaredAPI{name: mode, mode: mode},
			declaredAPI{name: mode + "_target", mode: mode, audience: "https://unknown.example"},
			declaredAPI{name: mode + "_client", mode: mode, secret: "secret_file: " + wrong},
			declaredAPI{name: mode + "_scope", mode: mode, exchange: "      scopes: [teams:write]\n"})
	}
	apis = append(apis, declaredAPI{name: "exchange_actor", mode: "exchange", exchange: "      actor_token_file: " + wrong + "\n"})
	system := apptest.Start(t, serving(t, apis...))
	spoil := map[string]struct {
		tool  string
		fault devstack.IdPFault
		keys  bool // the caller's token is signed with a key that the provider has dropped
	}{
		"says `invalid_grant`": {keys: true},
		"says `invalid_grant` where an actor's token came along": {tool: "_actor"},
		"says `invalid_target`":                                  {tool: "_target"},
		"says `invalid_client`":                                  {tool: "_client"},
		"says `invalid_scope`":                                   {tool: "_scope"},
		"does not answer":                                        {fault: devstack.IdPFault{Close: true, Everything: true}},
	}
	modes, rows, cells := outcomes(t, "The token endpoint")
	if len(rows) != len(spoil) || len(modes) != 2 {
		t.Fatalf("the table has %d rows, want %d", len(rows), len(spoil))
	}
	for _, row := range rows {
		for _, mode := range modes {
			if cells[row][mode] == "–" {
				continue
			}
			how := spoil[row]
			token := system.Mint(devstack.Mint{User: "ana"}) // a new one has nothing kept
			if how.keys {
				if got := useTool(t, system, token, "exchange"); got.status != http.StatusOK {
					t.Fatal(got.body) // the server knows the key now
				}
				token = system.Mint(devstack.Mint{User: "ana"})
				system.Stack.RotateKeys(false)
			}
			system.Stack.SetIdPFault(how.fault)
			before := len(system.Stack.OtusRequests())
			got := useTool(t, system, token, mode+how.tool)
			if want := cells[row][mode]; outcome(t, got) != want {
				t.Errorf("%s: the token endpoint %s, the caller sees %s, the table says %s: %s", mode, row, outcome(t, got), want, got.body)
			}
			if n := len(system.Stack.OtusRequests()) - before; n != 0 {
				t.Errorf("%s: the token endpoint %s, and the API got %d requests", mode, row, n)
			}
			system.Stack.SetIdPFault(devstack.IdPFault{})
		}
	}
}

// claimsOf reads what a token says.
func claimsOf(t *testing.T, header http.Header) map[string]any {
	t.Helper()
	parts := strings.Split(header.Get("Authorization"), ".")
	if len(parts) != 3 {
		t.Fatalf("Authorization is no bearer JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// TestReq066_ExchangeThroughTheWholeSystem has an Otus that accepts nothing but
// tokens for Otus alone.
func TestReq066_ExchangeThroughTheWholeSystem(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t, serving(t,
		declaredAPI{name: "forward", mode: "forward"},
		declaredAPI{name: "exchange", mode: "exchange", exchange: "      scopes: [teams:read]\n"},
		declaredAPI{name: "whole", mode: "exchange"},
		declaredAPI{name: "entra", mode: "exchange", exchange: "      form: on_behalf_of\n      scopes: [${OTUS_URL}/.default]\n"},
		declaredAPI{name: "client_credentials", mode: "client_credentials"},
	))
	system.Stack.DemandExchanged(true)
	token := system.Token("ana")
	if got := outcome(t, useTool(t, system, token, "forward")); got != "401 `invalid_token`" {
		t.Errorf("the caller's own token: %s", got)
	}
	otus := system.Stack.URLs().Otus
	for _, tc := range []struct{ tool, subject, scope string }{
		{"exchange", "auth0|ana", "teams:read"},
		{"entra", "auth0|ana", ""},
		{"client_credentials", devstack.ServiceClientID + "@clients", ""},
	} {
		for range 2 {
			wantResult(t, useTool(t, system, token, tc.tool).message(t).Result)
		}
		requests := system.Stack.OtusRequests()
		first, second := requests[len(requests)-2].Header, requests[len(requests)-1].Header
		if first.Get("Authorization") != second.Get("Authorization") || strings.Contains(first.Get("Authorization"), token) {
			t.Errorf("%s: the token is not kept, or it is the caller's", tc.tool)
		}
		claims := claimsOf(t, first)
		if fmt.Sprint(claims["aud"]) != "["+otus+"]" || claims["sub"] != tc.subject || claims["scope"] != tc.scope || len(first.Values("Authorization")) != 1 {
			t.Errorf("%s: Otus got %v", tc.tool, claims)
		}
	}
	// Bruno's token is exchanged for Bruno's, and Otus says no to him.
	if got := outcome(t, useTool(t, system, system.Token("bruno"), "whole")); got != "tool error" {
		t.Errorf("Bruno: %s", got)
	}
	requests := system.Stack.OtusRequests()
	if claims := claimsOf(t, requests[len(requests)-1].Header); claims["sub"] != "auth0|bruno" {
		t.Errorf("Otus took Bruno for %v", claims["sub"])
	}
}

// TestReq069_DelegationIsOnRecord exchanges a token that somebody acts with
// already, for one that this server's actor acts with.
func TestReq069_DelegationIsOnRecord(t *testing.T) {
	t.Parallel()
	actor := filepath.Join(t.TempDir(), "actor")
	system := apptest.Start(t, serving(t,
		declaredAPI{name: "delegated", mode: "exchange", exchange: "      actor_token_file: " + actor + "\n"},
		declaredAPI{name: "impersonated", mode: "exchange"},
	))
	actorToken := system.Mint(devstack.Mint{Subject: "gateway", ClientID: "gateway-client"})
	if err := os.WriteFile(actor, []byte(actorToken), 0o600); err != nil {
		t.Fatal(err)
	}
	const support = "person:[0-9a-f]{16}" // a pseudonym that takes a key
	for _, tc := range []struct {
		tool  string
		mint  devstack.Mint
		actor string // on record
	}{
		{"delegated", devstack.Mint{Actor: "support"}, "gateway-client < " + support},
		{"delegated", devstack.Mint{MayAct: "gateway"}, "gateway-client"},
		{"impersonated", devstack.Mint{Actor: "support"}, support},
		{"impersonated", devstack.Mint{MayAct: devstack.ServiceClientID + "@clients"}, ""},
	} {
		wantResult(t, useTool(t, system, system.Mint(tc.mint), tc.tool).message(t).Result)
		records := regexp.MustCompile(`"event":"tool_call".*`).FindAllString(system.Logs.String(), -1)
		record := records[len(records)-1]
		actor := regexp.MustCompile(`"actor":"([^"]*)"`).FindStringSubmatch(record)
		if named := actor != nil; named != (tc.actor != "") || named && !regexp.MustCompile("^"+tc.actor+"$").MatchString(actor[1]) {
			t.Errorf("%+v: want %q in %s", tc.mint, tc.actor, record)
		}
	}
	// Whoever may not act gets no token, and the API hears nothing.
	for _, tool := range []string{"delegated", "impersonated"} {
		before := len(system.Stack.OtusRequests())
		got := useTool(t, system, system.Mint(devstack.Mint{MayAct: "somebody-else"}), tool)
		if outcome(t, got) != "tool error" || len(system.Stack.OtusRequests()) != before {
			t.Errorf("%s: %s, and %d requests", tool, got.body, len(system.Stack.OtusRequests())-before)
		}
	}
	if !strings.Contains(system.Logs.String(), "invalid_request") {
		t.Error("the operator does not hear why")
	}
}

// TestReq077_RevokedKeptTokenIsReplaced has the API reject a token that was kept
// from an earlier call: the caller notices nothing.
func TestReq077_RevokedKeptTokenIsReplaced(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t, serving(t, declaredAPI{name: "exchange", mode: "exchange"}, declaredAPI{name: "client_credentials", mode: "client_credentials"}))
	token := system.Token("ana")
	for _, mode := range []string{"exchange", "client_credentials"} {
		for range 2 {
			wantResult(t, useTool(t, system, token, mode).message(t).Result)
		}
		system.Stack.SetOtusFault(devstack.OtusFault{Status: http.StatusUnauthorized})
		wantResult(t, useTool(t, system, token, mode).message(t).Result)
		requests := system.Stack.OtusRequests()
		last := requests[len(requests)-2:]
		if last[0].Header.Get("Authorization") == last[1].Header.Get("Authorization") {
			t.Errorf("%s: the rejected token was sent again", mode)
		}
	}
}
