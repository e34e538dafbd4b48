package paramstyle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Style is how a parameter is written, by the names of OpenAPI.
type Style string

// The styles; [Styles] says where each may be used.
const (
	Simple         Style = "simple"
	Label          Style = "label"
	Matrix         Style = "matrix"
	Form           Style = "form"
	SpaceDelimited Style = "spaceDelimited"
	PipeDelimited  Style = "pipeDelimited"
	DeepObject     Style = "deepObject"
	Cookie         Style = "cookie" // OpenAPI 3.2
)

// Styles returns the styles that parameters in a place of OpenAPI can have, its
// default first; nil for what is no place.
func Styles(place string) []Style {
	switch place {
	case "path":
		return []Style{Simple, Label, Matrix}
	case "query":
		return []Style{Form, SpaceDelimited, PipeDelimited, DeepObject}
	case "header":
		return []Style{Simple}
	case "cookie":
		return []Style{Form, Cookie}
	default:
		return nil
	}
}

// Parameter is one parameter of a request and how its value is written. The
// methods take the value as JSON; their errors are faults of that value, and
// say so without repeating it: "must not contain ...".
type Parameter struct {
	Name          string
	Style         Style // "" is the place's default: simple in paths and headers, form elsewhere
	Explode       bool  // lists and objects are written member by member
	AllowReserved bool  // in paths and queries: reserved characters stay as they are, where the place allows them
	JSON          bool  // the value is written as JSON text (the parameter has "content", not "schema")
}

// decode returns the value to write.
func (p Parameter) decode(raw json.RawMessage) (value, error) {
	v, err := decode(raw)
	if err != nil || !p.JSON || v.kind == null {
		return v, err
	}
	var text bytes.Buffer
	if err := json.Compact(&text, raw); err != nil {
		return value{}, errNotJSON
	}
	return value{kind: scalar, text: text.String()}, nil
}

// operator is a row of the table in RFC 6570 appendix A.
type operator struct {
	first   string
	between string
	named   bool
	ifEmpty string
}

// expansion writes flat values by RFC 6570 section 3.2.1.
type expansion struct {
	operator
	name    string // escaped
	explode bool
	comma   string // between the members of what is not exploded
	escape  func(string) string
}

// write returns the text of a defined value.
func (e expansion) write(v value) string {
	var parts []string
	switch {
	case v.kind == scalar:
		parts = []string{e.pair(e.name, e.escape(v.text), e.named)}
	case !e.explode:
		parts = []string{e.pair(e.name, strings.Join(e.members(v), e.comma), e.named)}
	case v.kind == list:
		for _, item := range v.items {
			parts = append(parts, e.pair(e.name, e.escape(item.text), e.named))
		}
	default:
		for i, item := range v.items {
			key, text := e.escape(v.keys[i]), e.escape(item.text)
			if e.named {
				parts = append(parts, e.pair(key, text, true))
			} else {
				parts = append(parts, key+"="+text)
			}
		}
	}
	return e.first + strings.Join(parts, e.between)
}

func (e expansion) pair(name, text string, named bool) string {
	switch {
	case !named:
		return text
	case text == "":
		return name + e.ifEmpty
	default:
		return name + "=" + text
	}
}

// members returns the escaped items of a list, or the keys and items of an
// object in turn.
func (e expansion) members(v value) []string {
	var parts []string
	for i, item := range v.items {
		if v.kind == object {
			parts = append(parts, e.escape(v.keys[i]))
		}
		parts = append(parts, e.escape(item.text))
	}
	return parts
}

// texts returns every text of a flat value.
func (v value) texts() []string {
	if v.kind == scalar {
		return []string{v.text}
	}
	all := append([]string(nil), v.keys...)
	for _, item := range v.items {
		all = append(all, item.text)
	}
	return all
}

var errStyle = errors.New("cannot be written in this style")

// Path returns the value as a piece of a path, for [Template.Expand]. A value
// that nothing would be written for is an error: the path would be another one.
func (p Parameter) Path(raw json.RawMessage) (string, error) {
	v, err := p.decode(raw)
	if err == nil {
		v, err = v.flat()
	}
	if err != nil {
		return "", err
	}
	if v.undefined() {
		return "", errors.New("must not be empty: it is a part of the path")
	}
	for _, text := range v.texts() {
		if err := pathFault(text, p.AllowReserved); err != nil {
			return "", err
		}
	}
	e := expansion{explode: p.Explode, comma: ",", escape: p.escaper(reservedInPath).escape}
	switch p.Style {
	case Simple, "":
		e.operator = operator{between: ","}
	case Label:
		e.operator = operator{first: ".", between: "."}
	case Matrix:
		e.operator = operator{first: ";", between: ";", named: true}
		e.name = escaper{allowed: unreserved}.escape(p.Name)
	default:
		return "", errStyle
	}
	return e.write(v), nil
}

// escaper is for values in a place that may hold the characters reserved as
// they are.
func (p Parameter) escaper(reserved string) escaper {
	if p.AllowReserved {
		return escaper{allowed: unreserved + reserved, triples: true}
	}
	return escaper{allowed: unreserved}
}

// Query returns the value as a part of a query, such as "a=1&a=2", and "" when
// nothing is to be sent. It serves bodies of the form media type too.
func (p Parameter) Query(raw json.RawMessage) (string, error) {
	v, err := p.decode(raw)
	if err != nil {
		return "", err
	}
	if p.Style == DeepObject && (v.kind == object || v.kind == list) {
		return p.deep(v), nil
	}
	if v, err = v.flat(); err != nil || v.undefined() {
		return "", err
	}
	e := expansion{
		operator: operator{between: "&", named: true, ifEmpty: "="},
		name:     escaper{allowed: unreserved}.escape(p.Name),
		explode:  p.Explode,
		escape:   p.escaper(reservedInQuery).escape,
	}
	switch p.Style {
	case Form, DeepObject, "":
		e.comma = ","
	case SpaceDelimited:
		e.comma = "%20"
		err = delimited(v, p.Explode, " ", "a space")
	case PipeDelimited:
		e.comma = "%7C"
		err = delimited(v, p.Explode, "|", "a vertical bar")
	default:
		err = errStyle
	}
	if err != nil {
		return "", err
	}
	return e.write(v), nil
}

// delimited refuses members that hold their own delimiter: encoded or not, the
// reader could not tell the two apart.
func delimited(v value, explode bool, delimiter, name string) error {
	if v.kind == scalar || explode {
		return nil
	}
	for _, text := range v.texts() {
		if strings.Contains(text, delimiter) {
			return fmt.Errorf("must not contain %s: it separates the members", name)
		}
	}
	return nil
}

// deep writes name[key]=value. OpenAPI defines that for flat objects only; for
// what nests, this is what APIs in the field read: another bracket for each
// level, [] for the members of a list of scalars and [0], [1], ... for others.
func (p Parameter) deep(v value) string {
	var pairs []string
	escape := escaper{allowed: unreserved}.escape
	var walk func(name string, v value)
	walk = func(name string, v value) {
		flat, err := v.flat()
		for i, item := range v.items {
			switch {
			case v.kind == object:
				walk(name+"%5B"+escape(v.keys[i])+"%5D", item)
			case err == nil && len(flat.items) == len(v.items):
				walk(name+"%5B%5D", item)
			default:
				walk(fmt.Sprintf("%s%%5B%d%%5D", name, i), item)
			}
		}
		if v.kind == scalar {
			pairs = append(pairs, name+"="+p.escaper(reservedInQuery).escape(v.text))
		}
	}
	walk(escape(p.Name), v)
	return strings.Join(pairs, "&")
}
