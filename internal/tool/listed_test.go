package tool

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// guardedOffers are resources and prompts beside the tools of guarded. What needs
// no more than a valid token is there for everybody: default is about tools.
const guardedOffers = guarded + `
resources:
  - {uri: "docs://open", name: open, text: t}
  - {uri: "docs://read", name: read, text: t, scopes: [read]}
  - {uri: "docs://admin", name: admin, text: t, scopes: [admin, write]}
  - {uri: "api://unmentioned", name: unmentioned, tool: unmentioned, scopes: [read]}
  - {uri: "api://scoped", name: scoped, tool: scoped}
  - {uri: "api://sales", name: sales, tool: sales, scopes: [read]}
  - {uri: "api://fresh", name: fresh, tool: fresh}
  - {uri: "api://broken", name: broken, tool: broken}
  - {uri: "api://teams/{team}", name: by_team, tool: by_team, scopes: [read]}
prompts:
  - {name: open, description: d, messages: [{role: user, text: t}]}
  - {name: read, description: d, scopes: [read], arguments: [{name: team, values: [red]}], messages: [{role: user, text: "{{team}}"}]}
  - {name: admin, description: d, scopes: [admin], messages: [{role: user, text: t}]}
`

// TestReq060_ResourcesAndPromptsAreListedAsTools: what is listed is what could be
// read, by the rules of the tool that answers too.
func TestReq060_ResourcesAndPromptsAreListedAsTools(t *testing.T) {
	t.Parallel()
	strong := with("superuser", `{"department":"sales"}`)
	strong.Principal.ACR, strong.Principal.AuthTime = "mfa", time.Now()
	const (
		everything = "api://fresh api://sales api://scoped api://teams/{team} docs://admin docs://open docs://read"
		nothing    = "docs://open"
	)
	for name, tc := range map[string]struct {
		who                                Caller
		callable, obtainable               string // resources
		callablePrompts, obtainablePrompts string
	}{
		"nothing": {
			with("", `{"department":"it"}`), nothing, "api://fresh api://scoped docs://admin docs://open docs://read", "open", "admin open read",
		},
		"a scope": {
			with("read", `{"department":"it"}`), "docs://open docs://read", "api://fresh api://scoped docs://admin docs://open docs://read", "open read", "admin open read",
		},
		"a scope that stands for another": {
			with("write", `{"department":"it"}`), "api://scoped docs://open docs://read", "api://fresh api://scoped docs://admin docs://open docs://read", "open read", "admin open read",
		},
		"a claim without the scope": {
			with("", `{"department":"sales"}`), nothing, everything, "open", "admin open read",
		},
		"a claim and a scope": {
			with("read", `{"department":"sales"}`), "api://sales api://teams/{team} docs://open docs://read", everything, "open read", "admin open read",
		},
		"everything": {strong, everything, everything, "admin open read", "admin open read"},
	} {
		for obtainable, want := range map[bool][2]string{false: {tc.callable, tc.callablePrompts}, true: {tc.obtainable, tc.obtainablePrompts}} {
			r, _ := guardedRunner(t, func(c *RunnerConfig) {
				c.Catalogue, c.ListObtainable = mustLoad(t, guardedOffers), obtainable
			})
			for range 3 {
				var resources, prompts []string
				for _, resource := range r.ListedResources(t.Context(), tc.who.Principal) {
					resources = append(resources, resource.URI)
				}
				for _, prompt := range r.ListedPrompts(tc.who.Principal) {
					prompts = append(prompts, prompt.Name)
				}
				if diff := cmp.Diff(want, [2]string{strings.Join(resources, " "), strings.Join(prompts, " ")}); diff != "" {
					t.Errorf("%s, obtainable %v (-want +got):\n%s", name, obtainable, diff)
				}
				if !slices.IsSorted(resources) || !slices.IsSorted(prompts) {
					t.Errorf("not sorted: %v, %v", resources, prompts)
				}
			}
			if !r.HasResources() || !r.HasPrompts() {
				t.Errorf("%s: what the server has depends on the caller", name)
			}
		}
	}
}

// TestReq060_WhatIsNotShownIsNotCompleted: it is answered like what is not there.
func TestReq060_WhatIsNotShownIsNotCompleted(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(guardedOffers, "{type: string}", "{type: string, enum: [red, blue]}")
	for _, tc := range []struct {
		name             string
		who              Caller
		obtainable       bool
		prompt, template []string
	}{
		{"scope and claim", with("write", `{"department":"sales"}`), false, []string{"red"}, []string{"red"}},
		{"no scope", with("", `{"department":"sales"}`), false, nil, nil},
		{"no scope, but obtainable", with("", `{"department":"sales"}`), true, []string{"red"}, []string{"red"}},
		{"the tool's rule denies", with("read", `{"department":"it"}`), true, []string{"red"}, nil},
	} {
		r, _ := guardedRunner(t, func(c *RunnerConfig) {
			c.Catalogue, c.ListObtainable, c.Logger = mustLoad(t, text), tc.obtainable, slog.New(slog.DiscardHandler)
		})
		p := tc.who.Principal
		if diff := cmp.Diff(tc.prompt, r.CompletePrompt(p, "read", "team", "r")); diff != "" {
			t.Errorf("%s, prompt (-want +got):\n%s", tc.name, diff)
		}
		if diff := cmp.Diff(tc.template, r.CompleteResource(t.Context(), p, "api://teams/{team}", "team", "r")); diff != "" {
			t.Errorf("%s, template (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestReq054_NobodyIsSentForScopesInVain: a no of the tool's rule comes before a
// missing scope of the resource, and is on record; one challenge has all scopes that
// reading takes.
func TestReq054_NobodyIsSentForScopesInVain(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(guardedOffers, "tool: scoped}", "tool: scoped, scopes: [admin]}")
	for _, tc := range []struct {
		name, uri   string
		who         Caller
		code, scope string
		recorded    bool
	}{
		{"the rule denies", "api://sales", with("", `{"department":"it"}`), oauth.CodeForbidden, "", true},
		{"the rule fails", "api://sales", with("", `{}`), oauth.CodeForbidden, "", true},
		{"the tool is closed", "api://unmentioned", with("", `{}`), oauth.CodeForbidden, "", true},
		{"the rule allows", "api://sales", with("", `{"department":"sales"}`), oauth.CodeInsufficientScope, "read", false},
		{"arguments decide", "api://teams/red", with("", `{"department":"sales"}`), oauth.CodeInsufficientScope, "read", false},
		{"the tool needs a scope as well", "api://scoped", with("", `{}`), oauth.CodeInsufficientScope, "admin write", false},
		{"a text", "docs://read", with("", `{}`), oauth.CodeInsufficientScope, "read", false},
	} {
		r, log := guardedRunner(t, func(c *RunnerConfig) { c.Catalogue = mustLoad(t, text) })
		_, err := r.ReadResource(t.Context(), tc.who, tc.uri)
		refusal := refusalOf(t, err)
		if refusal.Code != tc.code || refusal.Scope != tc.scope {
			t.Errorf("%s: %s for %q", tc.name, refusal.Code, refusal.Scope)
		}
		if recorded := strings.Contains(log.String(), `"event":"tool_call","decision":"deny","reason":"`+refusal.Reason+`"`); recorded != tc.recorded {
			t.Errorf("%s: on record: %s", tc.name, log)
		}
	}
}
