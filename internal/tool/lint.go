package tool

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// What a reviewer would rather not see more of. None is an error.
const (
	manyTools        = 40 // models choose worse among more
	longName         = 40 // clients put mcp__SERVER__ in front and take 64 characters in all
	shortDescription = 4  // words
)

// article is how a description begins that says what a thing is, where a model
// looks for what a tool does.
var article = regexp.MustCompile(`^(?i)(the|a|an|this)\s`)

// safeMethods are those that change nothing (RFC 9110 section 9.2.1).
var safeMethods = []string{http.MethodGet, http.MethodHead, http.MethodOptions}

// Lint loads a catalogue and looks for what is allowed and yet likely to be a
// mistake. Each warning has a line and what to do about it. The error is that of
// [Load]; then there are no warnings.
func Lint(data []byte, variables map[string]string) (warnings []string, err error) {
	l, err := load(data, variables)
	if err != nil {
		return nil, err
	}
	var found linter
	if count := len(l.catalogue.tools); count > manyTools {
		first := l.entries[l.catalogue.tools[0]]
		found.Add(first.Node, "tools", "there are %d; models choose worse among more than %d: leave out what nobody asks for, or serve them apart", count, manyTools)
	}
	for _, tool := range l.catalogue.tools {
		entry := l.entries[tool]
		found.text(tool, entry)
		found.effects(tool, entry)
		found.arguments(entry)
	}
	return found.lines(), nil
}

// linter collects warnings.
type linter struct{ strictyaml.Problems }

// lines returns the warnings in the order of their lines.
func (l *linter) lines() []string {
	var lines []string
	for _, one := range l.List() {
		lines = append(lines, one.Where()+": "+one.Text)
	}
	if more := l.Len() - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more warnings", more))
	}
	return lines
}

// text looks at what models choose by.
func (l *linter) text(tool *declaredTool, entry strictyaml.Object) {
	if name := tool.definition.Name; len(name) > longName {
		l.Add(entry.Fields["name"], entry.At("name"), "has %d characters; clients put their own in front and take 64 in all, so stay within %d", len(name), longName)
	}
	node, at := entry.Fields["description"], entry.At("description")
	switch description := strings.TrimSpace(tool.definition.Description); {
	case len(strings.Fields(description)) < shortDescription:
		l.Add(node, at, "too short for a model to choose by; say what the tool does, with what, and when to use it")
	case article.MatchString(description):
		l.Add(node, at, "begin with what the tool does, such as List, Find or Create, rather than with %q", strings.Fields(description)[0])
	}
}

// effects looks at hints that clients decide by whether to ask the person, and
// at who may cause an effect.
func (l *linter) effects(tool *declaredTool, entry strictyaml.Object) {
	hints := tool.definition.Annotations
	if hints == nil {
		hints = &Annotations{}
	}
	node, at := entry.Fields["annotations"], entry.At("annotations")
	if node == nil {
		node = entry.Node
	}
	readOnly := hints.ReadOnlyHint != nil && *hints.ReadOnlyHint
	method := tool.binding.method
	if slices.Contains(safeMethods, method) {
		if hints.ReadOnlyHint == nil {
			l.Add(node, at, "a %s changes nothing; write read_only: true, or clients ask the person before each call", method)
		} else if !readOnly && tool.binding.ttl > 0 {
			l.Add(entry.Fields["ttl"], entry.At("ttl"), "with read_only: false a call does something, and one that is answered again would not; remove one of the two")
		}
		return
	}
	if readOnly && method != http.MethodPost { // a POST can be a search
		l.Add(node, at, "read_only: true cannot be right for %s, and clients call what is read only without asking", method)
	}
	if opensWrites(method, tool.definition) {
		l.Add(entry.Node, entry.At("scopes"), "everybody with a valid token may call this %s; declare scopes or a rule, or default: deny", method)
	}
}

// opensWrites reports whether a tool changes something for everybody with a valid
// token.
func opensWrites(method string, d Definition) bool {
	readOnly := d.Annotations != nil && d.Annotations.ReadOnlyHint != nil && *d.Annotations.ReadOnlyHint
	asks := len(d.Access.Scopes) > 0 || d.Access.Rule != nil || d.Access.Nobody
	return !slices.Contains(safeMethods, method) && !readOnly && !asks
}

// OpensWrites reports whether the tool changes something for everybody with a
// valid token: what [Lint] warns of in tools that are written out.
func (d Declaration) OpensWrites() bool { return opensWrites(d.Method, d.Definition) }

// bounding are the keywords of which one is enough to say what a text may be.
var bounding = []string{"maxLength", "enum", "const", "pattern", "format", "$ref"}

// arguments looks at what a model has to fill in.
func (l *linter) arguments(entry strictyaml.Object) {
	properties := within(entry.Fields["input"], "properties")
	if properties == nil {
		return
	}
	for i := 0; i+1 < len(properties.Content); i += 2 {
		name, property := properties.Content[i], properties.Content[i+1]
		if property.Kind != yaml.MappingNode {
			continue
		}
		at := fmt.Sprintf("%s.properties.%s", entry.At("input"), name.Value)
		has := func(keyword string) bool { return within(property, keyword) != nil }
		if !has("description") {
			l.Add(property, at, "has no description; say what to fill in, with an example")
		}
		if kind := within(property, "type"); kind != nil && kind.Value == "string" && !slices.ContainsFunc(bounding, has) {
			l.Add(property, at, "any text of any length; say what it may be with maxLength, enum, pattern or format")
		}
	}
}
