package upstream

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

var errEscape = errors.New("the request leaves the API's base URL")

// join puts the path and query of ref below base and makes sure that the
// result is still there: same scheme, same host, base path as prefix. Anything
// that some server along the way could read as another place is refused, not
// repaired.
func join(base, ref *url.URL) (*url.URL, error) {
	if ref == nil || ref.Scheme != "" || ref.Opaque != "" || ref.User != nil || ref.Host != "" ||
		ref.Fragment != "" || ref.RawFragment != "" {
		return nil, errEscape
	}
	path := ref.EscapedPath()
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := checkQuery(ref.RawQuery); err != nil {
		return nil, err
	}
	text := base.Scheme + "://" + base.Host + base.EscapedPath() + path
	if ref.RawQuery != "" {
		text += "?" + ref.RawQuery
	}
	// What a server will read, not what was put together, is what counts.
	final, err := url.Parse(text)
	if err != nil ||
		final.Scheme != base.Scheme || final.Host != base.Host || final.User != nil || final.Fragment != "" ||
		final.RawQuery != ref.RawQuery ||
		!strings.HasPrefix(final.EscapedPath(), base.EscapedPath()+"/") {
		return nil, errEscape
	}
	return final, nil
}

// checkPath accepts an escaped path that every server reads alike: it starts
// with a slash, and no segment is empty (but the last), a dot segment in any
// spelling, or holds an encoded slash, backslash, percent sign or control
// character (CWE-22).
func checkPath(path string) error {
	rest, rooted := strings.CutPrefix(path, "/")
	if !rooted {
		return errors.New("a path must start with a slash")
	}
	for rest != "" {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		text, err := url.PathUnescape(segment)
		if err != nil {
			return errors.New("a path segment has a broken percent-encoding")
		}
		// Some servers cut ";parameters" off before they look for dots.
		name, _, _ := strings.Cut(text, ";")
		switch {
		case text == "":
			return errors.New("a path segment is empty")
		case name == "." || name == "..":
			return errors.New("a path segment is a dot segment")
		case strings.ContainsAny(text, `/\%`):
			return errors.New("a path segment hides a slash, a backslash or a percent sign")
		case !utf8.ValidString(text) || strings.ContainsFunc(text, isControl):
			return errors.New("a path segment has control characters")
		}
	}
	return nil
}

// checkQuery accepts the characters of RFC 3986 section 3.4 and nothing else.
func checkQuery(query string) error {
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return errors.New("the query is not encoded")
		}
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r <= 0x9f }
