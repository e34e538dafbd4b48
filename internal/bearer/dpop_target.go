package bearer

import (
	"errors"
	"net/url"
	"strings"
)

// targetURI writes a URL in the one form in which "htu" is compared: without
// query and fragment (RFC 9449 section 4.3 item 9), normalised by syntax and
// scheme (RFC 3986 sections 6.2.2 and 6.2.3).
func targetURI(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", err
	case u.Host == "" || u.User != nil || u.Opaque != "":
		return "", errors.New("not an absolute URL without user information")
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && (u.Scheme != "https" || port != "443") && (u.Scheme != "http" || port != "80") {
		host += ":" + port
	}
	path, err := normalPath(u.EscapedPath())
	if err != nil {
		return "", err
	}
	return u.Scheme + "://" + host + path, nil
}

// normalPath writes percent-encodings in one way, and resolves dot segments.
func normalPath(escaped string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '%' {
			b.WriteByte(escaped[i])
			continue
		}
		code := escaped[i : i+3] // url.Parse has checked it
		i += 2
		decoded, err := url.PathUnescape(code)
		if err != nil {
			return "", err
		}
		if strings.Trim(decoded, unreserved) == "" {
			b.WriteString(decoded)
			continue
		}
		b.WriteString(strings.ToUpper(code))
	}
	// A reference with a path alone: resolving it removes the dot segments (RFC
	// 3986 section 5.2.4).
	reference, err := url.Parse(b.String())
	if err != nil || reference.IsAbs() || reference.Host != "" {
		return "", errors.New("not a path")
	}
	resolved := (&url.URL{Scheme: "https", Host: "host", Path: "/"}).ResolveReference(reference).EscapedPath()
	return "/" + strings.TrimPrefix(resolved, "/"), nil
}

// unreserved characters mean the same escaped and plain (RFC 3986 section 2.3).
const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
