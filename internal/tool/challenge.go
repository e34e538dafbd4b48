package tool

import (
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Bounds of what is read of an upstream's WWW-Authenticate.
const (
	maxChallenges     = 8
	maxChallengeBytes = 4 << 10
	maxNeededScopes   = 32
)

// neededScopes returns the scopes that a Bearer challenge with the error
// insufficient_scope names (RFC 6750 section 3.1), nil when there is none. It
// is the only thing of the header that is ever passed on, and only when it is
// made of valid scope tokens.
func neededScopes(values []string) oauth.Scopes {
	for _, value := range values[:min(len(values), maxChallenges)] {
		if len(value) > maxChallengeBytes {
			continue
		}
		for _, challenge := range challenges(value) {
			scopes := oauth.ParseScopes(challenge.params["scope"])
			if challenge.scheme == "bearer" && challenge.params["error"] == oauth.CodeInsufficientScope &&
				len(scopes) > 0 && len(scopes) <= maxNeededScopes && scopes.Validate() == nil {
				return scopes
			}
		}
	}
	return nil
}

// challenge is one challenge of a WWW-Authenticate field; scheme and parameter
// names are in lower case.
type challenge struct {
	scheme string
	params map[string]string
}

// challenges splits a field value into its challenges (RFC 9110 section
// 11.6.1). It is lenient: what it cannot read it skips.
func challenges(value string) []challenge {
	var list []challenge
	for _, part := range splitQuoted(value) {
		name, text, isParam := strings.Cut(part, "=")
		// "Bearer error=..." starts a challenge, "error=..." goes on with it.
		if scheme, first, found := strings.Cut(strings.TrimSpace(name), " "); found || !isParam {
			list = append(list, challenge{scheme: strings.ToLower(scheme), params: map[string]string{}})
			name = first
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if len(list) == 0 || name == "" || !isParam {
			continue
		}
		params := list[len(list)-1].params
		if _, repeated := params[name]; !repeated {
			params[name] = unquote(strings.TrimSpace(text))
		}
	}
	return list
}

// splitQuoted splits at commas outside of quoted strings.
func splitQuoted(value string) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			parts = append(parts, value[start:i])
			start = i + 1
		}
	}
	return append(parts, value[start:])
}

// unquote returns the content of a quoted string (RFC 9110 section 5.6.4), or
// the text as it is.
func unquote(text string) string {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return text
	}
	var b strings.Builder
	for i := 1; i < len(text)-1; i++ {
		if text[i] == '\\' && i < len(text)-2 {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
