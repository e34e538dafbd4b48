package openapi

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// DefaultMax is how many operations a selection may have when nothing else is
// said. Models choose badly among more tools, and clients have limits.
const DefaultMax = 40

// Selection says which operations of a document become tools. The zero value is
// all that are not deprecated, up to DefaultMax.
type Selection struct {
	Include    Match // an operation must match every list that is not empty
	Exclude    Match // an operation must match none
	Deprecated bool  // deprecated operations too
	Override   map[string]Override
	Max        int // 0 is DefaultMax
}

// Match lists what operations are chosen by. Of a list, one entry has to match.
type Match struct {
	Operations []string // keys: an operationId, or "GET /teams" where there is none
	Tags       []string
	Paths      []string // patterns: * stands for anything within a segment, ** for anything
	Methods    []string // in any case
}

// Override replaces what the document says of an operation; "" keeps it.
type Override struct {
	Name        string
	Description string
}

// namePattern is what a tool's name looks like.
var namePattern = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// TooManyError is a selection that leaves more operations than allowed.
type TooManyError struct {
	Count, Max int
	Tags       []TagCount // most operations first
}

// TagCount is how many of the operations have a tag; "" counts those without.
type TagCount struct {
	Tag   string
	Count int
}

// maxTagsTold bounds how many tags a sentence lists.
const maxTagsTold = 20

// Error names the keys to choose with, and the tags there are.
func (e *TooManyError) Error() string {
	var tags []string
	for i, tag := range e.Tags {
		if i == maxTagsTold {
			tags = append(tags, fmt.Sprintf("and %d more tags", len(e.Tags)-maxTagsTold))
			break
		}
		name := "no tag"
		if tag.Tag != "" {
			name = quote(tag.Tag)
		}
		tags = append(tags, fmt.Sprintf("%s %d", name, tag.Count))
	}
	return fmt.Sprintf("%d operations are selected, and at most %d may be; choose with include and exclude by operations, tags, paths or methods, or raise max. By tag: %s",
		e.Count, e.Max, strings.Join(tags, ", "))
}

// Select returns the operations that become tools, in the document's order, with
// their overrides. Everything wrong with the selection is reported, joined: an
// entry that matches nothing is a typing error. More operations than allowed
// are a *[TooManyError].
func (d *Document) Select(s Selection) ([]Operation, error) {
	include, err := compile("include", s.Include)
	exclude, excludeErr := compile("exclude", s.Exclude)
	errs := []error{err, excludeErr}
	var selected []Operation
	for _, operation := range d.Operations {
		included, excluded := include.all(operation), exclude.any(operation)
		if included && !excluded && (s.Deprecated || !operation.Deprecated) {
			selected = append(selected, operation)
		}
	}
	errs = append(errs, include.unused()...)
	errs = append(errs, exclude.unused()...)
	errs = append(errs, d.override(selected, s.Override)...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	limit := s.Max
	if limit == 0 {
		limit = DefaultMax
	}
	if len(selected) > limit {
		return nil, &TooManyError{Count: len(selected), Max: limit, Tags: countTags(selected)}
	}
	if len(selected) == 0 {
		return nil, errors.New("no operation is selected; loosen include, exclude or deprecated")
	}
	return selected, nil
}

// override changes names and descriptions in place.
func (d *Document) override(selected []Operation, overrides map[string]Override) []error {
	var errs []error
	line := map[string]int{} // of the operation with a name
	for i := range selected {
		operation := &selected[i]
		if replacement, ok := overrides[operation.Key()]; ok {
			if replacement.Name != "" {
				operation.Name = replacement.Name
			}
			if replacement.Description != "" {
				operation.Description = replacement.Description
			}
		}
		if !namePattern.MatchString(operation.Name) {
			errs = append(errs, fmt.Errorf("override %s: %s is not a name: want 1 to 64 of the characters a-z, 0-9 and _", quote(operation.Key()), quote(operation.Name)))
		}
		if other, taken := line[operation.Name]; taken {
			errs = append(errs, fmt.Errorf("the name %s is that of two operations, at the lines %d and %d; override one", quote(operation.Name), other, operation.Line))
		}
		line[operation.Name] = operation.Line
	}
	for _, key := range slices.Sorted(maps.Keys(overrides)) {
		if !slices.ContainsFunc(selected, func(o Operation) bool { return o.Key() == key }) {
			errs = append(errs, fmt.Errorf("override: no selected operation is called %s", quote(key)))
		}
	}
	return errs
}

// countTags counts operations by tag.
func countTags(operations []Operation) []TagCount {
	counts := map[string]int{}
	for _, operation := range operations {
		if len(operation.Tags) == 0 {
			counts[""]++
		}
		for _, tag := range operation.Tags {
			counts[tag]++
		}
	}
	var list []TagCount
	for _, tag := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, TagCount{tag, counts[tag]})
	}
	slices.SortStableFunc(list, func(a, b TagCount) int { return b.Count - a.Count })
	return list
}

// matcher is a compiled Match.
type matcher struct{ lists [][]entry }

// entry is one value of a list, with whether it has matched anything.
type entry struct {
	path    string // in the selection, such as include.tags
	value   string
	matches func(Operation) bool
	used    *bool
}

// compile makes a matcher. side is include or exclude.
func compile(side string, m Match) (matcher, error) {
	var result matcher
	var errs []error
	add := func(name string, values []string, match func(value string) func(Operation) bool) {
		var list []entry
		for _, value := range values {
			if value == "" {
				errs = append(errs, fmt.Errorf("%s.%s: an entry is empty", side, name))
			}
			list = append(list, entry{path: side + "." + name, value: value, matches: match(value), used: new(bool)})
		}
		if len(list) > 0 {
			result.lists = append(result.lists, list)
		}
	}
	add("operations", m.Operations, func(value string) func(Operation) bool {
		return func(o Operation) bool { return o.Key() == value }
	})
	add("tags", m.Tags, func(value string) func(Operation) bool {
		return func(o Operation) bool { return slices.Contains(o.Tags, value) }
	})
	add("paths", m.Paths, func(value string) func(Operation) bool {
		pattern := pathPattern(value)
		return func(o Operation) bool { return pattern.MatchString(o.Path) }
	})
	add("methods", m.Methods, func(value string) func(Operation) bool {
		return func(o Operation) bool { return strings.EqualFold(o.Method, value) }
	})
	return result, errors.Join(errs...)
}

// pathPattern compiles a pattern for paths. Go's regular expressions match in
// linear time, whatever the pattern.
func pathPattern(pattern string) *regexp.Regexp {
	var b strings.Builder
	for i, part := range strings.Split(pattern, "**") {
		if i > 0 {
			b.WriteString(".*")
		}
		for j, literal := range strings.Split(part, "*") {
			if j > 0 {
				b.WriteString("[^/]*")
			}
			b.WriteString(regexp.QuoteMeta(literal))
		}
	}
	return regexp.MustCompile(`\A(?s:` + b.String() + `)\z`)
}

// match reports whether one entry of a list matches. All are tried, so that each
// is known to be of use.
func match(list []entry, o Operation) bool {
	found := false
	for _, e := range list {
		if e.matches(o) {
			found = true
			*e.used = true
		}
	}
	return found
}

func (m matcher) all(o Operation) bool {
	result := true
	for _, list := range m.lists {
		result = match(list, o) && result
	}
	return result
}

func (m matcher) any(o Operation) bool {
	result := false
	for _, list := range m.lists {
		result = match(list, o) || result
	}
	return result
}

// unused complains about entries that no operation matches.
func (m matcher) unused() []error {
	var errs []error
	for _, list := range m.lists {
		for _, e := range list {
			if !*e.used && e.value != "" {
				errs = append(errs, fmt.Errorf("%s: %s matches no operation", e.path, quote(e.value)))
			}
		}
	}
	return errs
}
