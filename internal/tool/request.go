package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
)

// request builds the request of a call, with a URL relative to the upstream's
// base, from arguments that were checked. Arguments that fit the schema and not
// the place they go to are an *[InvalidArgumentsError].
func (b binding) request(ctx context.Context, arguments map[string]json.RawMessage) (*http.Request, error) {
	w := writer{arguments: arguments, pieces: map[string]string{}, header: http.Header{}}
	w.query.declared, w.cookies.declared = b.queries, b.cookies
	for _, p := range b.parameters {
		raw, given := arguments[p.Argument]
		if !given {
			continue
		}
		if err := w.parameter(p, raw); err != nil {
			return nil, err
		}
	}
	path, err := b.template.Expand(w.pieces)
	if err != nil {
		return nil, invalid("The path %s cannot be filled: a value %v.", quote(b.path), err)
	}
	if err := checkRoute(b.path, path); err != nil {
		return nil, err // Expand has seen to it already; this is the second look
	}
	target := path
	if len(w.query.parts) > 0 {
		target += "?" + strings.Join(w.query.parts, "&")
	}
	var body io.Reader
	content, contentType, err := b.body.write(arguments)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		body = bytes.NewReader(content) // with it the request can be sent again
		w.header.Set("Content-Type", contentType)
	}
	request, err := http.NewRequestWithContext(ctx, b.method, target, body)
	if err != nil || request.URL.EscapedPath() != path || request.URL.Host != "" || request.URL.Fragment != "" {
		return nil, errRoute
	}
	w.header.Set("Accept", b.accept)
	if len(w.cookies.parts) > 0 {
		w.header.Set("Cookie", strings.Join(w.cookies.parts, "; "))
	}
	request.Header = w.header
	return request, nil
}

// writer collects the parts of a request.
type writer struct {
	arguments map[string]json.RawMessage
	pieces    map[string]string // of the path
	query     pairs
	cookies   pairs
	header    http.Header
}

func (w *writer) parameter(p Parameter, raw json.RawMessage) error {
	var text string
	var err error
	switch p.In {
	case InPath:
		if text, err = p.Write.Path(raw); err == nil {
			err = segmentFault(text)
		}
		w.pieces[p.Write.Name] = text
	case InQuery:
		if text, err = p.Write.Query(raw); err == nil {
			err = w.query.add(p.Write, text, "&")
		}
	case InCookie:
		if text, err = p.Write.Cookie(raw); err == nil {
			err = w.cookies.add(p.Write, text, "; ")
		}
	case InHeader:
		var sent bool
		if text, sent, err = p.Write.Header(raw); err == nil && sent {
			w.header.Set(p.Write.Name, text)
		}
	}
	if err != nil {
		return invalid("The argument %s %v.", quote(p.Argument), err)
	}
	return nil
}

// pairs are the name=value parts of a query, of cookies or of a form.
type pairs struct {
	declared []string // names of all parameters there, given or not
	parts    []string
	owners   map[string]string // name to the parameter that wrote it
}

// add appends what a parameter wrote. The keys of an exploded object are names of
// their own: none may be one that is another parameter's, even where that is not
// given. Its schema and the tool's rule would not have seen the value.
func (p *pairs) add(write paramstyle.Parameter, text, separator string) error {
	if text == "" {
		return nil
	}
	if p.owners == nil {
		p.owners = map[string]string{}
	}
	for pair := range strings.SplitSeq(text, separator) {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.PathUnescape(name); err == nil {
			name = decoded
		}
		owner, written := p.owners[name]
		if written && owner != write.Name || p.isOthers(write, name) {
			return errors.New("must not have a key that is another parameter's name")
		}
		p.owners[name] = write.Name
	}
	p.parts = append(p.parts, text)
	return nil
}

// isOthers reports whether a name that a parameter wrote is another's. APIs read
// name[] and name[key] as parts of name, and many do not tell cases apart.
func (p *pairs) isOthers(write paramstyle.Parameter, name string) bool {
	root := func(name string) string {
		before, _, _ := strings.Cut(name, "[")
		return strings.ToLower(before)
	}
	own := name == write.Name || write.Style == paramstyle.DeepObject && strings.HasPrefix(name, write.Name+"[")
	return slices.ContainsFunc(p.declared, func(other string) bool {
		return other != write.Name && (name == other || !own && root(name) == root(other))
	})
}

// segmentFault refuses a piece of a path that servers along the way could read
// as more than text, however it is encoded; package upstream would not send it.
func segmentFault(piece string) error {
	text, err := url.PathUnescape(piece)
	if err != nil || strings.ContainsAny(text, `/\%`) {
		return errors.New("must not contain a slash, a backslash or a percent sign: it is one segment of a path")
	}
	return nil
}

var errRoute = errors.New("the request would leave the path that the tool declares")

// checkRoute holds a path that was built against the template it was built from
// (CWE-22): the same number of segments, the literal ones unchanged, and none of
// the others empty, a dot segment, or with a slash in any spelling. It knows
// nothing of how the path was built.
func checkRoute(template, path string) error {
	declared, built := strings.Split(template, "/"), strings.Split(path, "/")
	if len(declared) != len(built) {
		return errRoute
	}
	for i, segment := range built {
		literal := !strings.Contains(declared[i], "{")
		if literal && segment != declared[i] || !literal && segment == "" {
			return errRoute
		}
		text, err := url.PathUnescape(segment)
		name, _, _ := strings.Cut(text, ";")
		control := func(r rune) bool { return r < 0x20 || 0x7f <= r && r <= 0x9f }
		if err != nil || name == "." || name == ".." || strings.ContainsAny(text, `/\%`) || strings.ContainsFunc(segment, isNoPath) ||
			!utf8.ValidString(text) || strings.ContainsFunc(text, control) {
			return errRoute
		}
	}
	return nil
}

// isNoPath reports whether a character ends a path or is none of RFC 3986.
func isNoPath(r rune) bool { return r <= ' ' || r >= 0x7f || r == '?' || r == '#' }

// wrongField says what the body wants of an argument.
func wrongField(argument, format string, args ...any) error {
	return invalid("The argument %s %s.", quote(argument), fmt.Sprintf(format, args...))
}
