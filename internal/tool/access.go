package tool

import (
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/policy"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// Bounds of what a tool asks of its callers.
const (
	maxScopes    = 32
	maxACR       = 8
	maxSignInAge = 30 * 24 * time.Hour
)

// The words of a catalogue's default.
const (
	defaultAllow = "allow"
	defaultDeny  = "deny"
)

// Access is who may call a tool. The zero Access asks for no more than a valid
// token.
type Access struct {
	Scopes oauth.Scopes  // all of them are needed, or ones that stand for them
	Rule   *policy.Rule  // nil: none
	ACR    []string      // one of them must be the token's "acr"; none: any will do
	MaxAge time.Duration // since the person signed in; 0: any
	// Nobody may call a tool that declares neither scopes nor a rule where the
	// catalogue's default is deny.
	Nobody bool
}

// defaultAccess reads what holds for tools that say nothing, and reports whether
// that is to deny.
func (l *loader) defaultAccess(top strictyaml.Object) (deny bool) {
	switch word := top.Text("default"); {
	case top.Fields["default"] == nil, word == defaultAllow:
		return false
	case word != defaultDeny:
		l.Add(top.Fields["default"], "default", "write deny (a tool needs scopes or a rule to be callable) or allow")
	}
	return true
}

func (l *loader) access(entry strictyaml.Object) Access {
	access := Access{
		Scopes: entry.Texts("scopes"),
		Rule:   l.rule(entry),
		ACR:    entry.Texts("acr"),
		MaxAge: entry.Duration("max_age", 0, maxSignInAge),
	}
	if err := access.Scopes.Validate(); err != nil {
		l.Add(entry.Fields["scopes"], entry.At("scopes"), "%v", err)
	}
	if len(access.Scopes) > maxScopes {
		l.Add(entry.Fields["scopes"], entry.At("scopes"), "there are %d; at most %d are allowed", len(access.Scopes), maxScopes)
	}
	// They travel in one parameter, separated by spaces (RFC 9470 section 3).
	if len(access.ACR) > maxACR || oauth.Scopes(access.ACR).Validate() != nil {
		l.Add(entry.Fields["acr"], entry.At("acr"), "want at most %d values of printable ASCII characters without spaces and quotes", maxACR)
	}
	if access.MaxAge%time.Second != 0 {
		l.Add(entry.Fields["max_age"], entry.At("max_age"), "want whole seconds, such as 90s")
	}
	access.Nobody = l.deny && len(access.Scopes) == 0 && access.Rule == nil
	return access
}

// rule compiles the rule of a tool: one that is wrong must not be found by the
// first call.
func (l *loader) rule(entry strictyaml.Object) *policy.Rule {
	node := entry.Fields["rule"]
	source := entry.Text("rule")
	switch {
	case node == nil:
		return nil
	case source == "":
		if node.ShortTag() == "!!str" {
			l.Add(node, entry.At("rule"), `empty; write an expression, or "true" for everybody with a valid token`)
		}
		return nil
	}
	rule, err := l.compiler.Compile(source)
	if err != nil {
		l.Add(node, entry.At("rule"), "%v", err)
	}
	return rule
}
