package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// guarded is a catalogue whose tools differ in what they ask of their callers.
const guarded = `
default: deny
upstreams:
  otus: {url: "https://otus.example", credential: forward}
tools:
  - {name: open, rule: "true", ` + rest + `}
  - {name: unmentioned, ` + rest + `}
  - {name: scoped, scopes: [write], ` + rest + `}
  - {name: admin, scopes: [admin, write], ` + rest + `}
  - {name: sales, rule: 'claims.department == "sales"', ` + rest + `}
  - {name: by_team, rule: 'claims.department == "sales" && arguments.team == "red"', ` + rest + `}
  - {name: fresh, rule: "true", acr: [mfa, phr], max_age: 10m, ` + rest + `}
  - {name: both, rule: 'claims.department == "sales"', scopes: [admin], acr: [mfa], ` + rest + `}
  - {name: broken, rule: 'claims.no_such_claim', ` + rest + `}
`

const rest = `description: d, upstream: otus, method: GET, path: /x, query: {team: team}, input: {type: object, properties: {team: {type: string}}, additionalProperties: false}`

// hierarchy stands for SCOPE_HIERARCHY=write>read,superuser>admin>write.
func hierarchy(tb testing.TB) oauth.Hierarchy {
	tb.Helper()
	h, err := oauth.ParseHierarchy([]string{"write>read", "superuser>admin>write"})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func guardedRunner(tb testing.TB, change func(*RunnerConfig)) (*Runner, *bytes.Buffer) {
	tb.Helper()
	log := &bytes.Buffer{}
	cfg := RunnerConfig{
		Catalogue: mustLoad(tb, guarded), Senders: map[string]Sender{"otus": &stubSender{status: 200, body: "{}"}},
		Logger: slog.New(slog.NewJSONHandler(log, nil)), Hierarchy: hierarchy(tb),
	}
	if change != nil {
		change(&cfg)
	}
	r, err := NewRunner(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return r, log
}

func with(scopes, claims string) Caller {
	who := caller()
	who.Principal.Scopes = oauth.ParseScopes(scopes)
	who.Principal.Claims = json.RawMessage(claims)
	return who
}

func TestReq037_Req053_Req055_Req057_Req059_WhoMayCallWhat(t *testing.T) {
	const (
		allowed    = ""
		scope      = "403 insufficient_scope insufficient_scope"
		sign       = "401 insufficient_user_authentication insufficient_user_authentication"
		ruled      = "403 forbidden rule"
		byDefault  = "403 forbidden default_deny"
		missingKey = "403 forbidden rule_missing_key"
		unreadable = "403 forbidden rule_error"
	)
	signedIn := func(acr string, ago time.Duration) func(*Caller) {
		return func(c *Caller) { c.Principal.ACR, c.Principal.AuthTime = acr, time.Now().Add(-ago) }
	}
	for _, tc := range []struct {
		name, tool, scopes, claims, arguments string
		change                                func(*Caller)
		want                                  string
	}{
		{"a rule that is always true", "open", "", `{}`, `{}`, nil, allowed},
		{"neither scopes nor a rule", "unmentioned", "superuser", `{}`, `{}`, nil, byDefault},
		{"scope there", "scoped", "write", `{}`, `{}`, nil, allowed},
		{"scope missing", "scoped", "read", `{}`, `{}`, nil, scope},
		{"higher scope", "scoped", "superuser", `{}`, `{}`, nil, allowed},
		{"one of two scopes", "admin", "write", `{}`, `{}`, nil, scope},
		{"two scopes for one", "admin", "admin", `{}`, `{}`, nil, allowed},
		{"claim fits", "sales", "", `{"department":"sales"}`, `{}`, nil, allowed},
		{"claim does not", "sales", "superuser", `{"department":"it"}`, `{}`, nil, ruled},
		{"claim missing", "sales", "", `{}`, `{}`, nil, missingKey},
		{"claims cannot be read", "sales", "", `[]`, `{}`, nil, unreadable},
		{"no claims at all", "sales", "", ``, `{}`, nil, missingKey},
		{"arguments fit", "by_team", "", `{"department":"sales"}`, `{"team":"red"}`, nil, allowed},
		{"arguments do not", "by_team", "", `{"department":"sales"}`, `{"team":"blue"}`, nil, ruled},
		{"argument missing", "by_team", "", `{"department":"sales"}`, `{}`, nil, missingKey},
		{"no arguments", "by_team", "", `{"department":"sales"}`, ``, nil, missingKey},
		{"arguments are not asked where the claim denies", "by_team", "", `{"department":"it"}`, `{"team":1}`, nil, ruled},
		{"strong and fresh", "fresh", "", `{}`, `{}`, signedIn("phr", time.Minute), allowed},
		{"not strong", "fresh", "", `{}`, `{}`, signedIn("pwd", time.Minute), sign},
		{"not fresh", "fresh", "", `{}`, `{}`, signedIn("mfa", 11*time.Minute), sign},
		{"the token does not tell when", "fresh", "", `{}`, `{}`, func(c *Caller) { c.Principal.ACR = "mfa" }, sign},
		{"the token tells nothing", "fresh", "", `{}`, `{}`, nil, sign},
		{"a rule that denies comes before a consent that would not help", "both", "", `{"department":"it"}`, `{}`, nil, ruled},
		{"scopes before the sign-in", "both", "", `{"department":"sales"}`, `{}`, nil, scope},
		{"the sign-in at last", "both", "admin", `{"department":"sales"}`, `{}`, nil, sign},
		{"a rule that fails", "broken", "superuser", `{}`, `{}`, nil, missingKey},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sender := &stubSender{status: 200, body: "{}"}
			r, log := guardedRunner(t, func(c *RunnerConfig) { c.Senders = map[string]Sender{"otus": sender} })
			who := with(tc.scopes, tc.claims)
			if tc.change != nil {
				tc.change(&who)
			}
			_, err := r.Call(t.Context(), who, tc.tool, json.RawMessage(tc.arguments))
			got := ""
			if err != nil {
				refusal := refusalOf(t, err)
				got = strings.Join([]string{map[int]string{401: "401", 403: "403"}[refusal.Status], refusal.Code, refusal.Reason}, " ")
				if challenge := tc.want == scope || tc.want == sign; challenge != refusal.Challenge {
					t.Errorf("challenge = %v", refusal.Challenge)
				}
				if !strings.Contains(log.String(), `"decision":"deny","reason":"`+refusal.Reason+`"`) {
					t.Errorf("no audit record of the denial: %s", log)
				}
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if (sender.calls == 1) != (tc.want == allowed) {
				t.Errorf("%d requests were sent", sender.calls)
			}
			if failed := strings.HasPrefix(tc.want, "403 forbidden rule_"); failed != strings.Contains(log.String(), "a tool's rule failed") {
				t.Errorf("the operator is told of rules that fail, and of no others: %s", log)
			}
		})
	}
}

func TestReq057_UnknownToolsAreRefused(t *testing.T) {
	r, _ := guardedRunner(t, nil)
	_, err := r.Call(t.Context(), with("superuser", `{}`), "nothing", nil)
	if _, ok := errors.AsType[*UnknownToolError](err); !ok {
		t.Errorf("got %v", err)
	}
}

// TestReq060_ListsDependOnAuthorisationAlone: what is listed is what could be
// called, in one order, whoever asks again. Where a claim is missing, arguments
// might still decide by_team.
func TestReq060_ListsDependOnAuthorisationAlone(t *testing.T) {
	strong := with("superuser", `{"department":"sales"}`)
	strong.Principal.ACR, strong.Principal.AuthTime = "mfa", time.Now()
	for name, tc := range map[string]struct {
		who                  Caller
		callable, obtainable string
	}{
		"nothing":       {with("", `{"department":"it"}`), "open", "admin fresh open scoped"},
		"a scope":       {with("write", `{}`), "by_team open scoped", "admin by_team fresh open scoped"},
		"a claim":       {with("", `{"department":"sales"}`), "by_team open sales", "admin both by_team fresh open sales scoped"},
		"another claim": {with("superuser", `{"department":"it"}`), "admin open scoped", "admin fresh open scoped"},
		"everything":    {strong, "admin both by_team fresh open sales scoped", "admin both by_team fresh open sales scoped"},
	} {
		for obtainable, want := range map[bool]string{false: tc.callable, true: tc.obtainable} {
			r, _ := guardedRunner(t, func(c *RunnerConfig) { c.ListObtainable = obtainable })
			for range 3 {
				var names []string
				for _, d := range r.Listed(t.Context(), tc.who.Principal) {
					names = append(names, d.Name)
				}
				if diff := cmp.Diff(strings.Fields(want), names); diff != "" {
					t.Errorf("%s, obtainable %v (-want +got):\n%s", name, obtainable, diff)
				}
				if !slices.IsSorted(names) {
					t.Errorf("not sorted: %v", names)
				}
			}
		}
	}
}

// TestReq053_WithoutDenyAToolThatSaysNothingIsOpen: what the built-in catalogue
// relies on.
func TestReq053_WithoutDenyAToolThatSaysNothingIsOpen(t *testing.T) {
	for _, word := range []string{"", "default: allow\n"} {
		text := strings.Replace(guarded, "default: deny\n", word, 1)
		r, err := NewRunner(RunnerConfig{
			Catalogue: mustLoad(t, text), Senders: map[string]Sender{"otus": &stubSender{status: 200, body: "{}"}},
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Call(t.Context(), with("", `{}`), "unmentioned", nil); err != nil {
			t.Errorf("%q: %v", word, err)
		}
	}
}

// TestReq057_BrokenAccessIsALoadError: a server does not start with rules that
// would only fail.
func TestReq057_BrokenAccessIsALoadError(t *testing.T) {
	for change, want := range map[string]string{
		`rule: 'claims.department = "sales"'`: "line 10: tools[4].rule: line 1, column",
		`rule: 'clams.department == "sales"'`: "undeclared reference to 'clams'",
		`rule: 'claims.size() + 1'`:           "it must give true or false",
		`rule: ''`:                            "tools[4].rule: empty; write an expression",
		`rule: true`:                          "tools[4].rule: want a text",
		`acr: ["a b"]`:                        "tools[4].acr: want at most 8 values",
		`acr: mfa`:                            "tools[4].acr: want a list of texts",
		`max_age: 0s`:                         "tools[4].max_age: want a length of time",
		`max_age: 1500ms`:                     "tools[4].max_age: want whole seconds",
		`max_age: 9000h`:                      "tools[4].max_age: want a length of time",
		`scopes: ["a b"]`:                     "tools[4].scopes: scope",
	} {
		text := strings.Replace(guarded, `rule: 'claims.department == "sales"'`, change, 1)
		_, err := Load([]byte(text), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", change, err, want)
		}
	}
	_, err := Load([]byte(strings.Replace(guarded, "default: deny", "default: denied", 1)), nil)
	if err == nil || !strings.Contains(err.Error(), "line 2: default: write deny") {
		t.Errorf("got %v", err)
	}
}

// BenchmarkAuthorize is what judging a caller costs, per call.
func BenchmarkAuthorize(b *testing.B) {
	r, _ := guardedRunner(b, func(c *RunnerConfig) { c.Logger = slog.New(slog.DiscardHandler) })
	for name, who := range map[string]struct {
		tool string
		Caller
	}{
		"scopes":           {"scoped", with("superuser", `{"department":"sales"}`)},
		"rule":             {"sales", with("write", `{"department":"sales"}`)},
		"rule, real token": {"sales", with("write", `{"iss":"https://as.example/","sub":"auth0|ana","aud":["https://mcp.example","https://otus.example"],"iat":1790000000,"exp":1790003600,"scope":"openid profile email write","azp":"client","permissions":["teams:read","teams:write"],"department":"sales"}`)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, refusal := r.applicant(who.Principal).judge(b.Context(), r.tools[who.tool]); refusal != nil {
					b.Fatal(refusal)
				}
			}
		})
	}
}
