package paramstyle

import (
	"encoding/json"
	"errors"
	"strings"
)

// Header returns the value as that of a header, and false when none is to be
// sent. Nothing is percent-encoded there (OpenAPI 3.2, "Style Examples" and
// appendix D), so what a field value cannot hold (RFC 9110 section 5.5) is
// refused.
func (p Parameter) Header(raw json.RawMessage) (text string, sent bool, err error) {
	v, err := p.decode(raw)
	if err == nil {
		v, err = v.flat()
	}
	if err != nil || v.undefined() {
		return "", false, err
	}
	if p.Style != Simple && p.Style != "" {
		return "", false, errStyle
	}
	for _, text := range v.texts() {
		switch {
		case strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r > 0x7e }):
			return "", false, errors.New("must be printable ASCII in one line: it is the value of a header")
		case strings.TrimSpace(text) != text:
			return "", false, errors.New("must not begin or end with a space: it is the value of a header")
		case v.kind != scalar && strings.ContainsAny(text, ",="):
			return "", false, errors.New("must not contain , or = in a member: they separate the members")
		}
	}
	e := expansion{operator: operator{between: ","}, explode: p.Explode, comma: ",", escape: func(text string) string { return text }}
	return e.write(v), true, nil
}

// Cookie returns the value as a part of the Cookie header, such as "a=1", and ""
// when nothing is to be sent. The style form is percent-encoded, the style
// cookie of OpenAPI 3.2 is not.
func (p Parameter) Cookie(raw json.RawMessage) (string, error) {
	v, err := p.decode(raw)
	if err == nil {
		v, err = v.flat()
	}
	if err != nil || v.undefined() {
		return "", err
	}
	escape := escaper{allowed: unreserved}.escape
	e := expansion{
		operator: operator{between: "; ", named: true, ifEmpty: "="},
		name:     escape(p.Name), explode: p.Explode, comma: ",", escape: escape,
	}
	switch p.Style {
	case Form, "":
		e.comma = "%2C" // a comma is no cookie-octet
	case Cookie:
		e.name, e.escape = p.Name, func(text string) string { return text }
		for _, text := range append(v.texts(), p.Name) {
			if strings.ContainsFunc(text, notCookieOctet) {
				return "", errors.New(`must be printable ASCII without spaces, quotes, commas, semicolons and backslashes: it is a cookie`)
			}
		}
		if v.kind != scalar && !p.Explode {
			return "", errStyle // its comma is no cookie-octet
		}
	default:
		return "", errStyle
	}
	return e.write(v), nil
}

// notCookieOctet is the complement of cookie-octet in RFC 6265 section 4.1.1.
func notCookieOctet(r rune) bool {
	return r <= 0x20 || r > 0x7e || strings.ContainsRune(`",;\`, r)
}
