package oauth

import (
	"fmt"
	"slices"
	"strings"
)

// Scopes is a list of OAuth scope tokens in the order they were declared.
type Scopes []string

// ParseScopes splits a scope string at spaces (RFC 6749 section 3.3) and drops
// repetitions. Invalid tokens are kept: see [Scopes.Validate].
func ParseScopes(text string) Scopes {
	var scopes Scopes
	for token := range strings.FieldsSeq(text) {
		if !slices.Contains(scopes, token) {
			scopes = append(scopes, token)
		}
	}
	return scopes
}

// String joins the scopes with single spaces, as they stand on the wire.
func (s Scopes) String() string { return strings.Join(s, " ") }

// Has reports whether scope is in the list. Scope tokens are case-sensitive.
func (s Scopes) Has(scope string) bool { return slices.Contains(s, scope) }

// Missing returns the scopes of want that are not in s, in want's order.
func (s Scopes) Missing(want Scopes) Scopes {
	var missing Scopes
	for _, scope := range want {
		if !s.Has(scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// Union returns s followed by the scopes of more that s lacks.
func (s Scopes) Union(more Scopes) Scopes {
	return append(slices.Clone(s), s.Missing(more)...)
}

// Validate returns an error naming the first token that RFC 6749 section 3.3
// does not allow (scope-token = 1*( %x21 / %x23-5B / %x5D-7E )).
func (s Scopes) Validate() error {
	for _, scope := range s {
		if scope == "" {
			return fmt.Errorf("a scope is empty")
		}
		for _, r := range scope {
			if r < 0x21 || r > 0x7e || r == '"' || r == '\\' {
				return fmt.Errorf("scope %q has the character %q, which scopes may not have", scope, r)
			}
		}
	}
	return nil
}
