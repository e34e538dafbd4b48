package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/policy"
)

// Reasons of refusals by rules, besides those of package policy.
const (
	reasonDefault = "default_deny"
	reasonRule    = "rule"
)

// applicant is a caller whose claims are read once, for any number of rules.
type applicant struct {
	principal oauth.Principal
	scopes    oauth.Scopes // granted ones, and those they stand for
	facts     *policy.Facts
	unread    error // why there are no facts
}

func (r *Runner) applicant(p oauth.Principal) *applicant {
	return &applicant{principal: p, scopes: r.hierarchy.Expand(p.Scopes)}
}

// decide asks a rule. Claims that cannot be read deny, like everything that goes
// wrong.
func (a *applicant) decide(ctx context.Context, t *declaredTool, arguments map[string]json.RawMessage) (policy.Verdict, error) {
	rule := t.definition.Access.Rule
	if rule == nil {
		return policy.Allow, nil
	}
	if a.facts == nil && a.unread == nil {
		p := a.principal
		a.facts, a.unread = policy.NewFacts(policy.Caller{
			Issuer: p.Issuer, Subject: p.Subject, ClientID: p.ClientID, Scopes: a.scopes, Claims: p.Claims,
		})
	}
	if a.unread != nil {
		return policy.Deny, a.unread
	}
	return rule.Decide(ctx, a.facts, t.definition.Name, arguments)
}

// judge says whether a may call t, as far as that does not depend on arguments;
// undecided means that those decide. What cannot be changed by signing in again
// is told first: nobody should be sent through a consent that will not help.
func (a *applicant) judge(ctx context.Context, t *declaredTool) (undecided bool, refusal *oauth.Refusal) {
	access := t.definition.Access
	if access.Nobody {
		return false, forbidden(reasonDefault)
	}
	verdict, err := a.decide(ctx, t, nil)
	if refusal := refusalOfRule(verdict, err); refusal != nil {
		return false, refusal
	}
	if refusal := a.lacking(access.Scopes); refusal != nil {
		return false, refusal
	}
	if !signedInAs(a.principal, access) {
		refusal := oauth.InsufficientAuthentication(access.ACR, access.MaxAge)
		refusal.Scope = a.principal.Scopes.Union(access.Scopes)
		return false, refusal
	}
	return verdict == policy.Undecided, nil
}

// lacking refuses a caller who has not all of need, nor scopes that stand for them.
func (a *applicant) lacking(need oauth.Scopes) *oauth.Refusal {
	if len(a.scopes.Missing(need)) == 0 {
		return nil
	}
	return oauth.InsufficientScope(need, a.principal.Scopes)
}

// signedInAs reports whether the person signed in the way a tool asks for, and
// recently enough (RFC 9470 section 4). A token that does not tell does not
// pass.
func signedInAs(p oauth.Principal, access Access) bool {
	if len(access.ACR) > 0 && !slices.Contains(access.ACR, p.ACR) {
		return false
	}
	return access.MaxAge == 0 || !p.AuthTime.IsZero() && time.Since(p.AuthTime) <= access.MaxAge
}

// refusalOfRule is what a caller is told of a rule's verdict: the same, whether
// it denied or failed. Undecided is no refusal yet.
func refusalOfRule(verdict policy.Verdict, err error) *oauth.Refusal {
	if failed, ok := errors.AsType[*policy.EvaluationError](err); ok {
		return forbidden(failed.Reason)
	}
	if err != nil || verdict == policy.Deny {
		return forbidden(reasonRule)
	}
	return nil
}

func forbidden(reason string) *oauth.Refusal {
	return &oauth.Refusal{
		Status: http.StatusForbidden, Code: oauth.CodeForbidden, Reason: reason,
		Description: "The rules of this server do not allow you this call; ask its operator if they should.",
	}
}

// authorize refuses a caller before anything is sent: for what the tool asks of
// its callers, and for a token that was not issued for the API it would go to.
func (r *Runner) authorize(ctx context.Context, c *call) error {
	undecided, refusal := c.applicant.judge(ctx, c.tool)
	c.undecided = undecided
	if refusal != nil {
		r.explain(ctx, c, refusal)
	}
	r.noteElevation(ctx, c, refusal)
	if refusal != nil {
		return refusal
	}
	if c.upstream.Personal() && !c.caller.Token.IsSet() {
		return oauth.NoToken()
	}
	if c.upstream.Credential == CredentialForward && c.caller.Principal.Confirmation.Bound() {
		// The API would get the token without the proof, which nobody but the
		// client can make (RFC 9449 section 7.2).
		return &oauth.Refusal{
			Status: http.StatusForbidden, Code: oauth.CodeForbidden, Reason: "upstream_bound_token",
			Description: fmt.Sprintf("This access token is bound to a key of the client, so it cannot be forwarded to the API %q; use a bearer token for this tool", c.upstream.Name),
		}
	}
	if want := c.upstream.Audience; want != "" {
		names := func(audience string) bool { return oauth.SameResource(audience, want) }
		if !slices.ContainsFunc(c.caller.Principal.Audience, names) {
			// Signing in again would bring the same audiences: no challenge.
			return &oauth.Refusal{
				Status: http.StatusForbidden, Code: oauth.CodeForbidden, Reason: "upstream_audience",
				Description: fmt.Sprintf("This access token was not issued for the API %q, so it was not sent there", c.upstream.Name),
			}
		}
	}
	return nil
}

// authorizeArguments asks a rule that looks at the arguments, now that they are
// checked.
func (r *Runner) authorizeArguments(ctx context.Context, c *call, arguments map[string]json.RawMessage) error {
	if !c.undecided {
		return nil
	}
	if arguments == nil {
		arguments = map[string]json.RawMessage{} // known to be none
	}
	verdict, err := c.applicant.decide(ctx, c.tool, arguments)
	refusal := refusalOfRule(verdict, err)
	if refusal == nil {
		return nil
	}
	refusal.Description = "The rules of this server do not allow you this call with these arguments."
	r.explain(ctx, c, refusal)
	return refusal
}

// explain tells the operator of a rule that failed rather than denied: it may be
// wrong.
func (r *Runner) explain(ctx context.Context, c *call, refusal *oauth.Refusal) {
	if refusal.Code == oauth.CodeForbidden && refusal.Reason != reasonRule && refusal.Reason != reasonDefault {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "a tool's rule failed, which denies",
			slog.String("tool", c.tool.definition.Name), slog.String("reason", refusal.Reason))
	}
}

// refuseReading is what a caller is told who lacks a scope of the resource: a no of
// the tool that answers, which no consent would change, or else every scope that
// reading takes.
func (r *Runner) refuseReading(ctx context.Context, caller Caller, a *applicant, resource Resource) *oauth.Refusal {
	if resource.Tool == "" {
		return a.lacking(resource.Scopes)
	}
	c := &call{caller: caller, applicant: a, tool: r.tools[resource.Tool], started: time.Now()}
	c.upstream = r.upstreams[c.tool.upstream]
	if _, refusal := a.judge(ctx, c.tool); refusal != nil && !refusal.Challenge {
		r.explain(ctx, c, refusal)
		r.record(ctx, c, refusal)
		return refusal
	}
	return a.lacking(resource.Scopes.Union(c.tool.definition.Access.Scopes))
}
