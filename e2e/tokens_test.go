package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// wantRefused checks a 401 that says this, in the challenge and in the body.
func wantRefused(t *testing.T, got answer, says string) {
	t.Helper()
	if got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("%d, challenge %q, want 401 invalid_token", got.status, got.header.Get("WWW-Authenticate"))
	}
	if !strings.Contains(got.body, says) || !strings.Contains(got.header.Get("WWW-Authenticate"), says) {
		t.Errorf("%s does not say %q", got.body, says)
	}
}

// audits returns the audit records of decisions about tokens, by reason.
func audits(t *testing.T, system *apptest.System) map[string]int {
	t.Helper()
	found := map[string]int{}
	for line := range strings.Lines(system.Logs.String()) {
		var record struct{ Event, Decision, Reason string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record.Event == "authentication" {
			found[record.Decision+" "+record.Reason]++
		}
	}
	return found
}

// The issuer vouches for tokens that only it can read: what it says is held to
// the same checks, its outage is nobody's fault, and Otus gets the token as it
// came.
func TestReq046_Req047_OpaqueTokens(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t, apptest.WithIntrospection("opaque"))
	opaque := func(m devstack.Mint) string {
		m.Format = "opaque"
		return system.Mint(m)
	}
	good := opaque(devstack.Mint{User: "ana"})
	for range 3 {
		wantResult(t, post(t, system, "/mcp", good, callTeams).message(t).Result)
	}
	session := openStream(t, system, good)
	if got := post(t, system, session.endpoint, good, callTeams); got.status != http.StatusAccepted {
		t.Errorf("a message for a stream: %d %s", got.status, got.body)
	}
	for defect, says := range map[string]string{
		"wrong-audience":     "The token is for https://other-api.example",
		"no-audience":        "names no audience",
		"wrong-issuer":       "The token's issuer is https://issuer.example/",
		"no-issuer":          "The token's issuer is (empty)",
		"expired":            "The token expired at",
		"no-expiry":          "has no expiry",
		"not-yet-valid":      "not valid before",
		"no-subject":         "names nobody",
		"id-token":           "This is an ID token",
		"sender-constrained": "bound to a key",
		"duplicate-claim":    "a member twice",
		"folded-claim":       "a member twice",
	} {
		t.Run(defect, func(t *testing.T) {
			wantRefused(t, post(t, system, "/mcp", opaque(devstack.Mint{Defect: defect}), callTeams), says)
		})
	}
	revoked := opaque(devstack.Mint{})
	system.Stack.Revoke(revoked)
	for _, token := range []string{revoked, "nobody-has-issued-this-token", system.Mint(devstack.Mint{Defect: "jwe"})} {
		wantRefused(t, post(t, system, "/mcp", token, callTeams), "The identity provider says that the token is not active")
	}
	wantResult(t, post(t, system, "/mcp", system.Token("ana"), callTeams).message(t).Result) // JWTs go on as they are

	system.Stack.SetIdPFault(devstack.IdPFault{Status: http.StatusInternalServerError, Everything: true})
	wantUnavailable(t, post(t, system, "/mcp", opaque(devstack.Mint{}), callTeams))
	wantResult(t, post(t, system, "/mcp", good, callTeams).message(t).Result) // within the minute that its word counts
	for _, reason := range []string{"allow ok", "deny inactive_token", "deny introspection_unavailable", "deny wrong_audience"} {
		if audits(t, system)[reason] == 0 {
			t.Errorf("no audit record says %q: %v", reason, audits(t, system))
		}
	}
}

// With introspection of JWTs, a revoked one is refused as soon as the issuer's
// word on it does not count any more.
func TestReq039_Req046_RevocationByIntrospection(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t, apptest.WithStackConfig(func(cfg *config.Config, stack *devstack.Stack) {
		cfg.JWTIssuer = ""
		cfg.Issuers = []config.Issuer{{
			Issuer: stack.URLs().TokenIssuer,
			Introspection: config.Introspection{
				Tokens: "jwt", ClientID: devstack.DevResourceID, ClientSecret: stack.ResourceSecret(), CacheFor: 200 * time.Millisecond,
			},
		}}
	}))
	token, other := system.Token("ana"), system.Token("bruno")
	wantResult(t, post(t, system, "/mcp", token, callTeams).message(t).Result)
	system.Stack.Revoke(token)
	apptest.Eventually(t, "the revoked token is refused", func() bool {
		return post(t, system, "/mcp", token, callTeams).status == http.StatusUnauthorized
	})
	wantRefused(t, post(t, system, "/mcp", token, callTeams), "not active")
	if got := post(t, system, "/mcp", other, listTools); got.status != http.StatusOK {
		t.Errorf("another token: %d %s", got.status, got.body)
	}
	wantRefused(t, post(t, system, "/mcp", system.Mint(devstack.Mint{Format: "opaque"}), callTeams), "encrypted or opaque")
}

func TestReq025_AlgorithmsByChoice(t *testing.T) {
	t.Parallel()
	chosen := apptest.Start(t, apptest.WithConfig(func(cfg *config.Config) { cfg.JWTAlgorithms = devstack.Algorithms() }))
	fixed := apptest.Start(t)
	for _, algorithm := range devstack.Algorithms() {
		wantResult(t, post(t, chosen, "/mcp", chosen.Mint(devstack.Mint{Algorithm: algorithm}), callTeams).message(t).Result)
		got := post(t, fixed, "/mcp", fixed.Mint(devstack.Mint{Algorithm: algorithm}), callTeams)
		if algorithm == "RS256" {
			wantResult(t, got.message(t).Result)
		} else {
			wantRefused(t, got, "signed with the algorithm "+algorithm+"; this server accepts RS256")
		}
	}
}

// A token over the policy is refused, and the audit record says which policy.
func TestReq038_TokensOverThePolicyAreAudited(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t, apptest.WithConfig(func(cfg *config.Config) {
		cfg.JWTMaxLifetime, cfg.JWTMaxAge = 30*time.Minute, time.Hour
	}))
	wantResult(t, post(t, system, "/mcp", system.Mint(devstack.Mint{Lifetime: 30 * time.Minute}), callTeams).message(t).Result)
	wantRefused(t, post(t, system, "/mcp", system.Mint(devstack.Mint{Lifetime: time.Hour}), callTeams), "none that is good for more than 30m0s")
	if found := audits(t, system); found["deny lives_too_long"] != 1 || found["allow ok"] != 1 {
		t.Errorf("audit records %v", found)
	}
}

// Two issuers, each with an audience of its own: neither's token does what the
// other's may.
func TestReq028_TwoIssuers(t *testing.T) {
	t.Parallel()
	second := apptest.Start(t)
	first := apptest.Start(t, apptest.WithStackConfig(func(cfg *config.Config, stack *devstack.Stack) {
		cfg.JWTIssuer = ""
		cfg.Issuers = []config.Issuer{
			{Issuer: stack.URLs().TokenIssuer},
			{Issuer: second.Stack.URLs().TokenIssuer, Audiences: []string{"urn:partners"}, Clients: []string{"partner"}},
		}
	}))
	wantResult(t, post(t, first, "/mcp", first.Token("ana"), callTeams).message(t).Result)
	partner := func(audience, client string) answer {
		token := second.Mint(devstack.Mint{Audience: []string{audience}, ClientID: client})
		first.Secret(token)
		return post(t, first, "/mcp", token, listTools)
	}
	if got := partner("urn:partners", "partner"); got.status != http.StatusOK {
		t.Errorf("the second issuer's token: %d %s", got.status, got.body)
	}
	wantRefused(t, partner(first.URL, "partner"), "this server accepts urn:partners")
	wantRefused(t, partner("urn:partners", "other"), "may not use this server")
	wantRefused(t, post(t, first, "/mcp", first.Mint(devstack.Mint{Audience: []string{"urn:partners"}}), listTools), "The token is for urn:partners")
	wantRefused(t, post(t, second, "/mcp", first.Token("ana"), listTools), "The token's issuer is")
}
