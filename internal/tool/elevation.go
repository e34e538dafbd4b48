package tool

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/generations"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// Bounds of what is remembered of challenges for more scopes, on each replica.
const (
	maxElevations   = 8192 // pairs of a person and a tool, twice
	elevationWindow = 10 * time.Minute
	maxChallenged   = 3 // challenges in the window before they say that asking again will not help
)

// Elevations remembers who was asked for more scopes by which tool: to tell when
// they come, and when they will not. Catalogues come and go, it stays. Use
// [NewElevations]. It is safe for concurrent use.
type Elevations struct {
	mu     sync.Mutex // makes a look and the note that follows one step
	recent *generations.Map[*elevation]
}

// elevation is one person's way to the scopes of one tool.
type elevation struct {
	id      string       // correlates the records of it
	asked   oauth.Scopes // what the tool needs
	missing oauth.Scopes // what of it the token did not have
	began   time.Time
	times   int
}

// NewElevations returns an empty memory.
func NewElevations() *Elevations {
	return &Elevations{recent: generations.New[*elevation](maxElevations, elevationWindow)}
}

// note records one judgement: missing of asked, nothing meaning enough. It
// returns the elevation that is under way, nil for none, and which of the
// scopes that were missing before the token has now.
func (e *Elevations) note(now time.Time, key string, asked, missing oauth.Scopes) (under *elevation, gained oauth.Scopes) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before, _ := e.recent.Get(now, key)
	if before != nil && now.Sub(before.began) > elevationWindow {
		before = nil
	}
	if before != nil {
		gained = missing.Missing(before.missing)
	}
	switch {
	case before == nil && len(missing) == 0:
		return nil, nil
	case before == nil:
		under = &elevation{id: rand.Text(), began: now, times: 1}
	case len(gained) > 0: // a step forward: what is missing now was not asked for in vain
		under = &elevation{id: before.id, began: now, times: 1}
	default:
		under = &elevation{id: before.id, began: before.began, times: before.times + 1}
	}
	under.asked, under.missing = asked, missing
	if len(missing) == 0 {
		e.recent.Put(now, key, nil)
		return under, gained
	}
	e.recent.Put(now, key, under)
	return under, gained
}

// noteElevation keeps the book on challenges for more scopes. One that comes
// again and again says so, in the same words each time: a client in a circle
// must be able to stop (MCP 2026-07-28, Authorization, "Runtime Insufficient
// Scope Errors").
func (r *Runner) noteElevation(ctx context.Context, c *call, refusal *oauth.Refusal) {
	need := c.tool.definition.Access.Scopes
	if len(need) == 0 || refusal != nil && refusal.Code != oauth.CodeInsufficientScope {
		return
	}
	missing := c.applicant.scopes.Missing(need)
	key := c.caller.Principal.SubjectHash() + " " + c.tool.definition.Name
	under, gained := r.elevations.note(time.Now(), key, need, missing)
	if under == nil {
		return
	}
	if len(gained) > 0 {
		audit := c.audit(telemetry.EventElevation)
		audit.Decision, audit.Reason = "allow", "scopes_granted"
		audit.ScopesAsked, audit.ScopesGranted, audit.Correlation = need.String(), gained.String(), under.id
		audit.Write(ctx, r.logger)
	}
	if refusal == nil {
		return
	}
	c.asked, c.correlation = need, under.id
	if under.times > maxChallenged {
		refusal.Description = "Asking again will not help: the scopes this operation needs were asked for and not granted. " +
			"They have to be allowed to this account, or this client has to request them: " + need.String()
		telemetry.Annotate(ctx, slog.Bool("challenge_repeats", true))
	}
}
