package diagnose

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// challenge is one challenge of a WWW-Authenticate header.
type challenge struct {
	scheme string
	params map[string]string // names in lower case
}

// tchar lists the characters of an RFC 9110 token (section 5.6.2).
const tchar = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// maxParameters bounds what is read of one header.
const maxParameters = 64

// tokenChallenge returns the one challenge of an answer that asks for an access
// token: Bearer or, of a server that takes bound tokens only, DPoP (RFC 9449
// section 7.1). Every challenge of the header must be as RFC 9110 section 11.6.1
// has it.
func tokenChallenge(h http.Header) (challenge, error) {
	values := h.Values("Www-Authenticate")
	if len(values) == 0 {
		return challenge{}, errors.New("there is no WWW-Authenticate header")
	}
	found := map[string][]challenge{} // by scheme in small letters
	for _, value := range values {
		parsed, err := parseChallenges(value)
		if err != nil {
			return challenge{}, fmt.Errorf("WWW-Authenticate %q: %w", value, err)
		}
		for _, c := range parsed {
			scheme := strings.ToLower(c.scheme)
			found[scheme] = append(found[scheme], c)
		}
	}
	for _, scheme := range []string{"Bearer", "DPoP"} {
		switch list := found[strings.ToLower(scheme)]; len(list) {
		case 0:
		case 1:
			return list[0], nil
		default:
			return challenge{}, fmt.Errorf("WWW-Authenticate has several %s challenges", scheme)
		}
	}
	return challenge{}, errors.New("WWW-Authenticate has no Bearer challenge")
}

// parser walks through one header value.
type parser struct{ rest string }

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " \t") }

func (p *parser) take(b byte) bool {
	if p.rest == "" || p.rest[0] != b {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *parser) word() string {
	end := len(p.rest) - len(strings.TrimLeft(p.rest, tchar))
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

// quoted reads a quoted-string behind its first quote.
func (p *parser) quoted() (string, error) {
	var b strings.Builder
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String(), nil
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(p.rest[i])
		case c < 0x20 && c != '\t' || c == 0x7f:
			return "", errors.New("a quoted value has a control character")
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New("a quoted value does not end")
}

// parseChallenges reads a list of challenges with auth-params. A token68 after a
// scheme ends it, as in "Negotiate abc==".
func parseChallenges(value string) ([]challenge, error) {
	p := &parser{rest: value}
	var list []challenge
	for n := 0; ; n++ {
		for p.space(); p.take(','); p.space() {
		}
		if p.rest == "" {
			return list, nil
		}
		if n > maxParameters {
			return nil, errors.New("it is too long")
		}
		var err error
		if list, err = p.element(list); err != nil {
			return nil, err
		}
		if p.space(); p.rest != "" && p.rest[0] != ',' {
			return nil, errors.New("parameters are not separated by commas")
		}
	}
}

// element reads what stands between two commas: a further parameter of the last
// challenge, or the beginning of another challenge.
func (p *parser) element(list []challenge) ([]challenge, error) {
	word := p.word()
	if word == "" {
		return nil, errors.New("a scheme or parameter is missing")
	}
	gap := strings.HasPrefix(p.rest, " ")
	p.space()
	switch {
	case strings.HasPrefix(p.rest, "=") && len(list) > 0:
		return list, list[len(list)-1].parameter(p, word)
	case p.rest == "" || p.rest[0] == ',' || gap:
		begun := challenge{scheme: word, params: map[string]string{}}
		return append(list, begun), begun.first(p)
	}
	return nil, fmt.Errorf("%q is followed by neither a space nor an equals sign", word)
}

// first reads what follows a scheme: nothing, one parameter or a token68.
func (c challenge) first(p *parser) error {
	if p.rest == "" || p.rest[0] == ',' {
		return nil
	}
	before := p.rest
	name := p.word()
	p.space()
	if after := strings.TrimLeft(strings.TrimPrefix(p.rest, "="), "= \t"); name == "" || !strings.HasPrefix(p.rest, "=") || after == "" || after[0] == ',' {
		end := strings.IndexByte(before, ',') // a token68, which no Bearer challenge has
		if end < 0 {
			end = len(before)
		}
		p.rest = before[end:]
		if strings.EqualFold(c.scheme, "Bearer") {
			return errors.New("the Bearer challenge has no parameters but something else")
		}
		return nil
	}
	return c.parameter(p, name)
}

// parameter reads "=value" of a parameter.
func (c challenge) parameter(p *parser, name string) error {
	p.take('=')
	p.space()
	var value string
	var err error
	if p.take('"') {
		value, err = p.quoted()
	} else if value = p.word(); value == "" {
		err = errors.New("it has no value")
	}
	if err != nil {
		return fmt.Errorf("parameter %s: %w", name, err)
	}
	name = strings.ToLower(name)
	if _, twice := c.params[name]; twice {
		return fmt.Errorf("parameter %s is there twice", name)
	}
	c.params[name] = value
	return nil
}
