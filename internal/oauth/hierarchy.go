package oauth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Hierarchy says which scopes stand for others: whoever was granted the higher
// one need not ask for the lower ones (MCP 2026-07-28, Authorization, "Step-Up
// Authorization Flow"). It never widens what a token says beyond what the
// operator declared. The zero Hierarchy knows no such relation. Use
// [ParseHierarchy].
type Hierarchy struct {
	below map[string]Scopes // every scope a scope stands for, itself not among them
}

// ParseHierarchy reads chains such as "admin>write>read", highest first; a
// scope may be part of several. It returns an error, one sentence, for a chain
// that says nothing, for a scope that RFC 6749 section 3.3 does not allow and
// for a scope that would stand above itself.
func ParseHierarchy(chains []string) (Hierarchy, error) {
	direct := map[string]Scopes{}
	for _, chain := range chains {
		links := Scopes(strings.Split(chain, ">"))
		if len(links) < 2 {
			return Hierarchy{}, fmt.Errorf("%q relates no scopes; write the higher one first, such as admin>read", chain)
		}
		if err := links.Validate(); err != nil {
			return Hierarchy{}, fmt.Errorf("in %q %w", chain, err)
		}
		for i, lower := range links[1:] {
			direct[links[i]] = direct[links[i]].Union(Scopes{lower})
		}
	}
	below := map[string]Scopes{}
	for _, scope := range slices.Sorted(maps.Keys(direct)) {
		reached := reachable(direct, scope)
		if reached.Has(scope) {
			return Hierarchy{}, fmt.Errorf("the scope %q stands above itself; remove one relation of the circle", scope)
		}
		below[scope] = reached
	}
	return Hierarchy{below: below}, nil
}

// reachable returns every scope below scope, nearest first.
func reachable(direct map[string]Scopes, scope string) Scopes {
	found := slices.Clone(direct[scope])
	for i := 0; i < len(found); i++ {
		found = found.Union(direct[found[i]])
	}
	return found
}

// Expand returns granted followed by what those scopes stand for.
func (h Hierarchy) Expand(granted Scopes) Scopes {
	expanded := slices.Clone(granted)
	for _, scope := range granted {
		expanded = expanded.Union(h.below[scope])
	}
	return expanded
}

// Missing returns the scopes of need that granted neither holds nor stands for,
// in need's order.
func (h Hierarchy) Missing(granted, need Scopes) Scopes {
	return h.Expand(granted).Missing(need)
}
