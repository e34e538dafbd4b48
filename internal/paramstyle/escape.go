package paramstyle

import (
	"errors"
	"net/url"
	"strings"
)

// The characters of RFC 3986 section 2.
const (
	letters    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	hexDigits  = "0123456789ABCDEFabcdef"
	unreserved = letters + "0123456789-._~"

	// reservedInPath are the reserved characters a path segment may hold as they
	// are (pchar in RFC 3986 section 3.3).
	reservedInPath = ":@!$&'()*+,;="
	// reservedInQuery are those that a query value may hold as they are. "&", "+"
	// and ";" mean something to the reader of a query, "#" ends it.
	reservedInQuery = ":/?@!$'()*,="
)

// escaper percent-encodes a text. allowed lists what it leaves as it is.
type escaper struct {
	allowed string
	triples bool // what is percent-encoded already stays (RFC 6570 section 3.2.3)
}

func (e escaper) escape(text string) string {
	const upper = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c < 0x80 && strings.IndexByte(e.allowed, c) >= 0 || c == '%' && e.triples && isTriple(text[i:]) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upper[c>>4])
		b.WriteByte(upper[c&15])
	}
	return b.String()
}

// isTriple reports whether text begins with a percent-encoded octet.
func isTriple(text string) bool {
	return len(text) >= 3 && text[0] == '%' &&
		strings.IndexByte(hexDigits, text[1]) >= 0 && strings.IndexByte(hexDigits, text[2]) >= 0
}

// isControl reports whether r is a control character of ASCII or Latin-1.
func isControl(r rune) bool { return r < 0x20 || 0x7f <= r && r <= 0x9f }

// maxDecodings bounds how often a text is decoded to see what a chain of proxies
// could make of it.
const maxDecodings = 8

// pathFault says what a text has that could change the route it is put into:
// at once, or after somebody on the way decodes it once more. A slash is
// accepted where the parameter allows reserved characters; it is sent encoded
// even then.
func pathFault(text string, slashes bool) error {
	for range maxDecodings {
		switch {
		case strings.ContainsFunc(text, isControl):
			return errors.New("must not contain control characters, encoded or not")
		case strings.Contains(text, `\`):
			return errors.New("must not contain a backslash, encoded or not")
		case !slashes && strings.Contains(text, "/"):
			return errors.New("must not contain a slash, encoded or not: it is one segment of a path")
		case slashes && hasDots(text):
			return errors.New("must not have a dot segment (one or two dots)")
		}
		decoded := decodeTriples(text)
		if decoded == text {
			return nil
		}
		text = decoded
	}
	return errors.New("is percent-encoded too many times")
}

// hasDots reports whether a slash-separated text has a dot segment.
func hasDots(text string) bool {
	for segment := range strings.SplitSeq(text, "/") {
		if isDots(segment) {
			return true
		}
	}
	return false
}

// isDots reports whether a segment is "." or "..", with or without the
// parameters behind a semicolon that some servers cut off first, and decoded
// however often.
func isDots(segment string) bool {
	for range maxDecodings {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return true
		}
		decoded := decodeTriples(segment)
		if decoded == segment {
			return false
		}
		segment = decoded
	}
	return true
}

// decodeTriples decodes every percent-encoded octet and leaves the rest.
func decodeTriples(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if !isTriple(text[i:]) {
			b.WriteByte(text[i])
			continue
		}
		octet, err := url.PathUnescape(text[i : i+3])
		if err != nil {
			octet = text[i : i+3] // cannot happen: it is a triple
		}
		b.WriteString(octet)
		i += 2
	}
	return b.String()
}
