package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

const (
	// maxName bounds a tool's name. Clients put a prefix with the server's name
	// before it and allow 64 characters in all.
	maxName = 40
	// maxArgumentName bounds an argument's name. Models' APIs take this many of
	// the characters A-Z, a-z, 0-9, _, . and -.
	maxArgumentName = 64
)

// name gives every operation the name of its tool. A name is made of the
// operation alone; only of several that come out equal all but the first get
// a mark, made of method and path, so that the names stay as they are when
// others come and go.
func (d *Document) name() {
	taken := map[string]bool{}
	for i := range d.Operations {
		operation := &d.Operations[i]
		full := operation.ID
		if full == "" {
			full = strings.ToLower(operation.Method) + " " + operation.Path
		}
		base, identity := snake(full), operation.Method+" "+operation.Path
		if base == "" {
			base = "operation"
		}
		name := base
		if len(base) > maxName {
			name = withMark(base, identity)
		}
		for taken[name] {
			name = withMark(base, identity)
			identity += "+" // for the next try
		}
		taken[name] = true
		operation.Name = name
	}
}

// withMark shortens a name and ends it with a part of the hash of identity.
func withMark(name, identity string) string {
	sum := sha256.Sum256([]byte(identity))
	mark := hex.EncodeToString(sum[:3])
	return strings.TrimRight(name[:min(len(name), maxName-1-len(mark))], "_") + "_" + mark
}

// snake writes a text as words of a-z and 0-9 with _ between them: "listTeamsV2"
// and "list/teams-v2" become "list_teams_v2".
func snake(text string) string {
	var b strings.Builder
	runes := []rune(text)
	for i, r := range runes {
		lower := unicode.ToLower(r)
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			lower = '_'
		}
		begins := unicode.IsUpper(r) && i > 0 && (isLowerOrDigit(runes[i-1]) || unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if (begins || lower == '_') && b.Len() > 0 && !strings.HasSuffix(b.String(), "_") {
			b.WriteByte('_')
		}
		if lower != '_' {
			b.WriteRune(lower)
		}
	}
	return strings.Trim(b.String(), "_")
}

func isLowerOrDigit(r rune) bool { return unicode.IsLower(r) || unicode.IsDigit(r) }

// argumentName makes a parameter's name one that every client takes.
func argumentName(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("_.-", r) {
			return r
		}
		return '_'
	}, name)
	clean = strings.Trim(clean, "_")
	if clean == "" {
		clean = "value"
	}
	return cut(clean, maxArgumentName)
}

// argumentNames returns a name for each of parameters, and for the body if there
// is one. Parameters with the same name get their place behind it: id_path and
// id_query. The body is always "body".
func argumentNames(parameters []Parameter, body bool) []string {
	count := map[string]int{}
	if body {
		count[bodyArgument]++
	}
	for _, p := range parameters {
		count[argumentName(p.Write.Name)]++
	}
	taken := map[string]bool{bodyArgument: body}
	names := make([]string, len(parameters))
	for i, p := range parameters {
		base := argumentName(p.Write.Name)
		if count[base] > 1 {
			base = cut(base, maxArgumentName-len("_header")) + "_" + string(p.In)
		}
		name := base
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s_%d", cut(base, maxArgumentName-4), n)
		}
		taken[name] = true
		names[i] = name
	}
	return names
}

// bodyArgument is the argument that is the request's body.
const bodyArgument = "body"
