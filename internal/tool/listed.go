package tool

import (
	"context"
	"slices"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Listed returns the tools to show p, sorted by name: those p may call, and with
// [RunnerConfig.ListObtainable] those that only more scopes or another sign-in
// stand before. A rule that needs arguments counts as passed. The same
// authorisation always gives the same list.
func (r *Runner) Listed(ctx context.Context, p oauth.Principal) []Definition {
	a := r.applicant(p)
	listed := make([]Definition, 0, len(r.catalogue.tools))
	for _, t := range r.catalogue.tools {
		if r.shows(ctx, a, t) {
			listed = append(listed, t.definition)
		}
	}
	return listed
}

// ListedResources returns the resources and templates to show p, sorted by URI.
// What p may read is decided as [Runner.Listed] decides it for tools; where a
// resource is what a tool answers, p has to be shown that tool too.
func (r *Runner) ListedResources(ctx context.Context, p oauth.Principal) []Resource {
	a := r.applicant(p)
	hidden := func(resource Resource) bool { return !r.showsResource(ctx, a, resource) }
	return slices.DeleteFunc(slices.Clone(r.catalogue.resources), hidden)
}

// ListedPrompts returns the prompts to show p, sorted by name, decided as
// [Runner.Listed] decides it for tools.
func (r *Runner) ListedPrompts(p oauth.Principal) []Prompt {
	a := r.applicant(p)
	hidden := func(prompt Prompt) bool { return !r.showsPrompt(a, prompt) }
	return slices.DeleteFunc(slices.Clone(r.catalogue.prompts), hidden)
}

// shows reports whether a caller is shown a tool or an operation.
func (r *Runner) shows(ctx context.Context, a *applicant, t *declaredTool) bool {
	_, refusal := a.judge(ctx, t)
	return r.listable(refusal)
}

func (r *Runner) showsResource(ctx context.Context, a *applicant, resource Resource) bool {
	return r.listable(a.lacking(resource.Scopes)) && (resource.Tool == "" || r.shows(ctx, a, r.tools[resource.Tool]))
}

func (r *Runner) showsPrompt(a *applicant, prompt Prompt) bool {
	return r.listable(a.lacking(prompt.Scopes))
}

// listable reports whether a list has what a caller is refused; nil is no refusal.
// A challenge says that there is a way.
func (r *Runner) listable(refusal *oauth.Refusal) bool {
	return refusal == nil || r.listObtainable && refusal.Challenge
}
