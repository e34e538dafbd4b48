package oauth

import (
	"strconv"
	"strings"
	"time"
)

// Challenge is one WWW-Authenticate challenge: of the Bearer scheme (RFC 6750
// section 3) or of DPoP (RFC 9449 section 7.1), both with the metadata of the
// resource (RFC 9728 section 5.1).
type Challenge struct {
	Scheme           string        // "" means [SchemeBearer]
	ResourceMetadata string        // URL of the RFC 9728 document of the endpoint that was hit
	Scope            Scopes        // what to ask for
	Error            string        // "" when the request carried no credentials (RFC 6750 section 3.1)
	ErrorDescription string        // one safe sentence; never holds "scope=" or "error="
	ACRValues        []string      // how the person should sign in (RFC 9470 section 3)
	MaxAge           time.Duration // how long ago at most, in whole seconds; 0 is left out
	// Algorithms is "algs": what a DPoP proof may be signed with (RFC 9449 section
	// 7.1). Empty for Bearer.
	Algorithms []string
}

// String returns the header value, scheme first and parameters in a fixed
// order, so that the same situation always gives the same bytes. Characters
// that a quoted value may not have are replaced.
func (c Challenge) String() string {
	var b strings.Builder
	if c.Scheme == "" {
		c.Scheme = SchemeBearer
	}
	b.WriteString(c.Scheme)
	separator := " "
	param := func(name, value string) {
		if value == "" {
			return
		}
		b.WriteString(separator)
		b.WriteString(name)
		b.WriteString(`="`)
		b.WriteString(SafeText(value))
		b.WriteString(`"`)
		separator = ", "
	}
	param("resource_metadata", c.ResourceMetadata)
	param("scope", c.Scope.String())
	param("error", c.Error)
	param("error_description", c.ErrorDescription)
	param("acr_values", strings.Join(c.ACRValues, " "))
	if c.MaxAge > 0 {
		param("max_age", strconv.FormatInt(int64(c.MaxAge.Seconds()), 10))
	}
	param("algs", strings.Join(c.Algorithms, " "))
	return b.String()
}

// maxSafeText bounds a description in a header or body, in bytes.
const maxSafeText = 500

// SafeText keeps the characters that RFC 6749 section 5.2 allows in an
// error_description (%x20-21 / %x23-5B / %x5D-7E), replaces every other one
// with '?', a double quote with an apostrophe, and cuts the text at a bound. It
// makes header injection impossible.
func SafeText(text string) string {
	if len(text) > maxSafeText {
		text = text[:maxSafeText]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < 0x20 || r > 0x7e || r == '\\':
			return '?'
		default:
			return r
		}
	}, text)
}
