package paramstyle

import (
	"errors"
	"fmt"
	"strings"
)

// Template is the path of an operation with names in braces for the pieces that
// arguments fill, such as /teams/{id}/members. The zero value is the path "".
type Template struct{ segments []segment }

// segment is what stands between two slashes.
type segment []part

// part is a literal, in the form it is sent, or a name.
type part struct {
	literal string
	name    string
}

var errTemplate = errors.New("is not a path of plain segments and {names}")

// ParseTemplate reads a path as OpenAPI writes it. Literals must be characters
// that RFC 3986 section 3.3 allows in a path, and no dot segments.
func ParseTemplate(path string) (Template, error) {
	rest, rooted := strings.CutPrefix(path, "/")
	if !rooted {
		return Template{}, errors.New("must begin with a slash")
	}
	var t Template
	all := strings.Split(rest, "/")
	for i, text := range all {
		parsed, err := parseSegment(text)
		if err != nil {
			return Template{}, err
		}
		if len(parsed) == 0 && i < len(all)-1 {
			return Template{}, errors.New("must not have empty segments")
		}
		t.segments = append(t.segments, parsed)
	}
	return t, nil
}

func parseSegment(text string) (segment, error) {
	var parsed segment
	for text != "" {
		literal, rest, open := strings.Cut(text, "{")
		if fault := literalFault(literal); fault != nil {
			return nil, fault
		}
		if literal != "" {
			parsed = append(parsed, part{literal: literal})
		}
		if !open {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.Contains(name, "{") {
			return nil, errTemplate
		}
		parsed = append(parsed, part{name: name})
		text = after
	}
	if len(parsed) == 1 && isDots(parsed[0].literal) {
		return nil, errors.New("must not have dot segments")
	}
	return parsed, nil
}

// literalFault says what is wrong with the literal text of a segment.
func literalFault(text string) error {
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && isTriple(text[i:]) {
			continue
		}
		if strings.IndexByte(unreserved+reservedInPath, text[i]) < 0 {
			return errTemplate
		}
	}
	if pathFault(text, false) != nil {
		return errTemplate
	}
	return nil
}

// Names returns the names in braces, in order.
func (t Template) Names() []string {
	var names []string
	for _, s := range t.segments {
		for _, p := range s {
			if p.name != "" {
				names = append(names, p.name)
			}
		}
	}
	return names
}

// Expand returns the path with a piece from [Parameter.Path] for every name.
// The path has the template's segments, whatever the pieces are: one that would
// add, empty or redirect a segment is an error.
func (t Template) Expand(pieces map[string]string) (string, error) {
	var b strings.Builder
	for _, s := range t.segments {
		var text strings.Builder
		for _, p := range s {
			piece := p.literal
			if p.name != "" {
				var ok bool
				if piece, ok = pieces[p.name]; !ok {
					return "", fmt.Errorf("there is no value for {%s}", p.name)
				}
				if strings.Trim(piece, unreserved+reservedInPath+"%") != "" {
					return "", fmt.Errorf("the value for {%s} is not escaped", p.name)
				}
			}
			text.WriteString(piece)
		}
		if len(s) > 0 && text.Len() == 0 {
			return "", errors.New("must not be empty: it is a segment of the path")
		}
		if isDots(text.String()) {
			return "", errors.New("must not make a dot segment (one or two dots) of the path")
		}
		b.WriteString("/" + text.String())
	}
	return b.String(), nil
}
