package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
	"tecrolabs.dev/oauth-mcp-server/internal/mcp"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// situation is one way to bring about a row of the table "What is answered
// when" of docs/architecture.md. old and stateless are what each column must
// say of it, and what is then held against the answer; see says.
type situation struct {
	row            string
	old, stateless string
	// ask sends the request in the old way, with the headers of a revision
	// before 2026-07-28, or in the stateless one.
	ask func(t *testing.T, stateless bool) answer
}

// TestReq081_TheTableOfSituations asks a real system for every row of the table, in
// both columns. A row that nothing here brings about fails, and so does a
// situation that the table does not have.
func TestReq081_TheTableOfSituations(t *testing.T) {
	t.Parallel()
	table := documentedSituations(t)
	asked := map[string]bool{}
	for _, s := range slices.Concat(refusedSituations(t), forbiddenSituations(t), malformedSituations(t), answeredSituations(t), exchangedSituations(t)) {
		asked[s.row] = true
		t.Run(s.row+"/"+s.old+s.stateless, func(t *testing.T) {
			for column, want := range []string{s.old, s.stateless} {
				if want == "" {
					continue // another situation of the row has this column
				}
				if row, known := table[s.row]; !known || !strings.Contains(row[column], want) {
					t.Errorf("the table says %q of %q, not %q", row[column], s.row, want)
				}
				if got := s.ask(t, column == 1); !fits(got, want) {
					t.Errorf("column %d: %d %v %.300s, want %s", column+1, got.status, got.header, got.body, want)
				}
			}
		})
	}
	for row := range table {
		if !asked[row] {
			t.Errorf("nothing brings about %q", row)
		}
	}
}

// documentedSituations returns the two columns of the table by its rows.
func documentedSituations(t *testing.T) map[string][2]string {
	t.Helper()
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## What is answered when\n")
	section, _, _ = strings.Cut(section, "\n## ")
	table := map[string][2]string{}
	for _, match := range regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`).FindAllStringSubmatch(section, -1)[1:] {
		if match[3] == "the same" {
			match[3] = match[2]
		}
		table[match[1]] = [2]string{match[2], match[3]}
	}
	if len(table) < 24 {
		t.Fatalf("found only %d rows", len(table))
	}
	return table
}

var (
	statusAndCode = regexp.MustCompile(`^(\d{3})(?:, (-\d+))?`)
	quoted        = regexp.MustCompile("`([^`]+)`")
)

// fits reports whether an answer is what the table calls it: "400, -32600",
// "403 `insufficient_scope`", "503, `Retry-After`", "tool error", and what is
// "not looked at", or "answered", has a result.
func fits(got answer, says string) bool {
	var message response
	var result struct {
		IsError bool `json:"isError"`
	}
	_ = json.Unmarshal([]byte(strings.Trim(got.body, "[]")), &message) // or it is a refusal of HTTP
	_ = json.Unmarshal(message.Result, &result)                        // or there is none
	match := statusAndCode.FindStringSubmatch(says)
	challenge := got.header.Get("WWW-Authenticate")
	word := quoted.FindStringSubmatch(says)
	switch {
	case strings.HasPrefix(says, "tool error"):
		return got.status == http.StatusOK && result.IsError
	case match == nil: // "not looked at", "answered"
		return got.status == http.StatusOK && message.Result != nil && !result.IsError
	case fmt.Sprint(got.status) != match[1]:
		return false
	case match[2] != "":
		return message.Error != nil && fmt.Sprint(message.Error.Code) == match[2]
	case word == nil:
		return !strings.Contains(got.body, "jsonrpc")
	case strings.Contains(says, "without"):
		return strings.Contains(challenge, "resource_metadata=") && !strings.Contains(challenge, word[1]+"=")
	case word[1] == "Retry-After":
		return got.header.Get(word[1]) != "" && challenge == ""
	}
	return strings.Contains(got.body, `"error":"`+word[1]+`"`)
}

// asker sends one message in either way; change may spoil the request.
func asker(system *apptest.System, token, method, params string, change func(*http.Request)) func(*testing.T, bool) answer {
	return func(t *testing.T, stateless bool) answer {
		t.Helper()
		body, headers := modern(method, params)
		if !stateless {
			body = fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s}}`, method, params)
			headers = []string{"Mcp-Protocol-Version", "2025-06-18"}
		}
		request := newRequest(t.Context(), t, http.MethodPost, system.URL+"/mcp", token, body, headers...)
		if change != nil {
			change(request)
		}
		return send(t, system, request)
	}
}

// written sends a body as it is, under the header of either way.
func written(system *apptest.System, token, body string, headers ...string) func(*testing.T, bool) answer {
	return func(t *testing.T, stateless bool) answer {
		t.Helper()
		version := "2025-06-18"
		if stateless {
			version = "2026-07-28"
		}
		return post(t, system, "/mcp", token, body, append([]string{"Mcp-Protocol-Version", version}, headers...)...)
	}
}

// both is a situation that is answered alike in both ways.
func both(row, says string, ask func(*testing.T, bool) answer) situation {
	return situation{row, says, says, ask}
}

const (
	list = "tools/list"
	call = "tools/call"
)

// refusedSituations end before the body is read.
func refusedSituations(t *testing.T) []situation {
	t.Helper()
	system := apptest.Start(t)
	narrow := apptest.Start(t, apptest.WithConfig(func(c *config.Config) { c.RequiredScopes = oauth.Scopes{"teams:admin"} }))
	keyless := apptest.Start(t, apptest.WithIDPFault(devstack.IdPFault{Status: 503, Everything: true}))
	good := system.Token("ana")
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, value) }
	}
	return []situation{
		both("no token", "401, challenge without `error`", asker(system, "", list, "", nil)),
		both("token not acceptable", "401 `invalid_token`", asker(system, system.Mint(devstack.Mint{Defect: "expired"}), list, "", nil)),
		both("two `Authorization` headers, token in the query", "400 `invalid_request`", asker(system, good, list, "", header("Authorization", "Bearer "+good))),
		both("two `Authorization` headers, token in the query", "400 `invalid_request`", asker(system, good, list, "", func(r *http.Request) { r.URL.RawQuery = "access_token=x" })),
		both("a scope is missing, a required one or one of the tool", "403 `insufficient_scope`", asker(narrow, narrow.Token("ana"), list, "", nil)),
		both("signing keys cannot be had", "503, `Retry-After`", asker(keyless, keyless.Token("ana"), list, "", nil)),
		both("host or origin is not ours", "403", asker(system, good, list, "", func(r *http.Request) { r.Host = "evil.example" })),
		both("host or origin is not ours", "403", asker(system, good, list, "", header("Origin", "https://evil.example"))),
		both("GET, DELETE", "405", asker(system, good, list, "", func(r *http.Request) { r.Method = http.MethodGet })),
		both("GET, DELETE", "405", asker(system, good, list, "", func(r *http.Request) { r.Method = http.MethodDelete })),
		both("GET, DELETE", "401 without a token", asker(system, "", list, "", func(r *http.Request) { r.Method = http.MethodGet })),
	}
}

// forbiddenSituations end with what the tool asks of its callers, or with a limit.
func forbiddenSituations(t *testing.T) []situation {
	t.Helper()
	system := startStepUp(t)
	limited := apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
		c.RateLimitPrincipal = config.Rate{Count: 1, Per: time.Hour}
	}))
	busy := limited.Token("ana")
	post(t, limited, "/mcp", busy, callTeams)
	calling := func(user, tool string) func(*testing.T, bool) answer {
		named := func(r *http.Request) { r.Header.Set("Mcp-Name", tool) }
		return asker(system, system.Token(user), call, `"name":"`+tool+`","arguments":{}`, named)
	}
	return []situation{
		both("a scope is missing, a required one or one of the tool", "403 `insufficient_scope`", calling("ana", "admin_action")),
		both("the tool wants another or a newer sign-in", "401 `insufficient_user_authentication`", calling("ana", "fresh_action")),
		both("a rule denies, or nothing opens the tool", "403 `forbidden`", calling("bruno", "fresh_action")),
		both("a rule denies, or nothing opens the tool", "403 `forbidden`", calling("ana", "closed_action")),
		both("a rate limit is reached", "429, `Retry-After`", asker(limited, busy, list, "", nil)),
	}
}

// exchangedSituations are about tokens that cannot go to the API as they are.
func exchangedSituations(t *testing.T) []situation {
	t.Helper()
	binding := withDPoP(t, "allowed", "off")
	bound := boundToken(binding)
	unproven := func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+bound) }
	proven := func(r *http.Request) {
		proofs, err := binding.Stack.Prove(devstack.Proof{Token: bound})
		if err != nil {
			t.Fatal(err)
		}
		binding.Secret(proofs...)
		unproven(r)
		r.Header["Dpop"] = proofs
	}
	exchanging := apptest.Start(t, serving(t, declaredAPI{name: "exchange", mode: "exchange"}))
	useTool(t, exchanging, exchanging.Token("ana"), "exchange") // the server knows the key now
	old := map[bool]string{false: exchanging.Token("ana"), true: exchanging.Token("ana")}
	exchanging.Stack.RotateKeys(false) // and the provider does not any more
	return []situation{
		both("DPoP proof is missing or does not hold", "401 `invalid_dpop_proof`", asker(binding, "", list, "", unproven)),
		both("bound token for a tool that forwards it", "403", asker(binding, "", call, `"name":"otus_teams","arguments":{}`, proven)),
		both("the identity provider does not exchange the caller's token any more", "401 `invalid_token`", func(t *testing.T, stateless bool) answer {
			t.Helper()
			named := func(r *http.Request) { r.Header.Set("Mcp-Name", "exchange") }
			return asker(exchanging, old[stateless], call, `"name":"exchange","arguments":{}`, named)(t, stateless)
		}),
	}
}

// malformedSituations end with the envelope or its headers.
func malformedSituations(t *testing.T) []situation {
	t.Helper()
	system := apptest.Start(t)
	token := system.Token("ana")
	listBody := `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	noMessage := "not a JSON-RPC 2.0 message, null id, repeated keys"
	return []situation{
		both("body is not JSON", "400, -32700", written(system, token, "{")),
		both(noMessage, "400, -32600", written(system, token, `{"id":1,"method":"tools/list"}`)),
		both(noMessage, "400, -32600", written(system, token, `{"jsonrpc":"2.0","id":null,"method":"tools/list"}`)),
		both(noMessage, "400, -32600", written(system, token, `{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}`)),
		both("`params` is not an object", "400, -32602", written(system, token, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}`)),
		both("body over 1 MiB", "413, -32600", written(system, token, strings.Repeat(" ", mcp.MaxMessage)+listBody)),
		both("content type is not JSON", "415, -32600", asker(system, token, list, "", header("Content-Type", "text/plain"))),
		both("`Accept` rules the answer out", "406, -32600", asker(system, token, list, "", header("Accept", "text/html"))),
		{"unknown revision", "400, -32022", "", asker(system, token, list, "", header("Mcp-Protocol-Version", "1999-01-01"))},
		{"unknown revision", "", "400, -32022", func(t *testing.T, _ bool) answer {
			t.Helper()
			body, headers := modern(list, "")
			headers[1] = "2031-01-01"
			return post(t, system, "/mcp", token, strings.ReplaceAll(body, "2026-07-28", "2031-01-01"), headers...)
		}},
		{"headers and body differ, or are missing", "not looked at", "400, -32020", asker(system, token, list, "", header("Mcp-Method", call))},
		{"headers and body differ, or are missing", "not looked at", "400, -32020", asker(system, token, list, "", func(r *http.Request) { r.Header.Del("Mcp-Method") })},
		{"`_meta` is incomplete", "not looked at", "", written(system, token, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{}}}`)},
		{"`_meta` is incomplete", "", "400, -32602", written(system, token, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{}}}`, "Mcp-Method", list)},
		both("batch", "400, -32600", written(system, token, "["+listBody+"]")),
		{"batch", "answered", "", func(t *testing.T, _ bool) answer {
			t.Helper()
			return post(t, system, "/mcp", token, "["+listBody+"]", "Mcp-Protocol-Version", "2025-03-26")
		}},
		both("notification", "202", written(system, token, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)),
		{"response from the client", "202", "400, -32600", written(system, token, `{"jsonrpc":"2.0","id":1,"result":{}}`)},
		{"unknown method", "200, -32601", "404, -32601", asker(system, token, "resources/list", "", nil)},
	}
}

// answeredSituations end with the tool or with the API behind it.
func answeredSituations(t *testing.T) []situation {
	t.Helper()
	system := apptest.Start(t)
	asking := apptest.Start(t, apptest.WithFeatures(app.Features{Tools: askingTools{}}))
	token := system.Token("ana")
	teams := `"name":"otus_teams","arguments":{}`
	wrong := `"name":"otus_teams","arguments":{"colour":"blue"}`
	faulty := func(fault devstack.OtusFault) func(*testing.T, bool) answer {
		ask := asker(system, token, call, teams, nil)
		return func(t *testing.T, stateless bool) answer {
			t.Helper()
			system.Stack.SetOtusFault(fault)
			defer system.Stack.SetOtusFault(devstack.OtusFault{})
			return ask(t, stateless)
		}
	}
	named := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Mcp-Name", name) }
	}
	return []situation{
		both("unknown tool", "200, -32602", asker(system, token, call, `"name":"other"`, named("other"))),
		{"wrong arguments", "200, -32602", "tool error", asker(system, token, call, wrong, nil)},
		{"wrong arguments", "tool error in 2025-11-25", "", asker(system, token, call, wrong, func(r *http.Request) { r.Header.Set("Mcp-Protocol-Version", "2025-11-25") })},
		{"the call has to ask what the client cannot be asked", "200, -32600", "400, -32021", asker(asking, asking.Token("ana"), call, `"name":"ask"`, named("ask"))},
		both("the API says 401 or 403 to the caller's own token", "401", faulty(devstack.OtusFault{Status: 401})),
		both("the API says 401 or 403 to the caller's own token", "403", faulty(devstack.OtusFault{Status: 403})),
		both("the API or its token endpoint fails otherwise ([all cases](upstreams.md))", "tool error", faulty(devstack.OtusFault{Status: 500, Count: 5})),
	}
}

// askingTools has one tool, which cannot go on without asking.
type askingTools struct{}

func (a askingTools) Definition(name string) (tool.Definition, bool) {
	return tool.Find(a.Definitions(), name)
}

func (askingTools) Definitions() []tool.Definition {
	return []tool.Definition{{Name: "ask", InputSchema: json.RawMessage(`{"type":"object"}`)}}
}

func (a askingTools) Listed(context.Context, oauth.Principal) []tool.Definition {
	return a.Definitions()
}

func (askingTools) Call(context.Context, tool.Caller, string, json.RawMessage) (tool.Result, error) {
	return tool.Result{}, &mcp.InputRequired{Requests: map[string]mcp.InputRequest{
		"name": {Method: "elicitation/create", Params: json.RawMessage(`{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}`)},
	}}
}
