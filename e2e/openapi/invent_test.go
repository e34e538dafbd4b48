package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// Bounds of what is made up.
const (
	wideDepth = 5  // below, what is optional is left out, so that recursive schemas end
	maxDepth  = 16 // schemas in each other
)

// inventor makes up values for a schema, always the same ones. It does what it
// can: whether a value fits is for a validator to say.
type inventor struct {
	defs    map[string]*jsonschema.Schema
	text    string // what texts are made of where the schema leaves it open
	full    bool   // what is optional too
	items   int    // of a list, where the schema leaves it open
	variant int    // which of several alternatives comes first
}

// value returns the n-th value for a schema, and false when there is none.
func (v inventor) value(s *jsonschema.Schema, n, depth int) (any, bool) {
	if s == nil {
		return v.word(n), true
	}
	if s, depth = v.plain(s), depth+1; s == nil || depth > maxDepth {
		return nil, false
	}
	if known := samples(s); len(known) > 0 {
		return known[(n+v.variant)%len(known)], true
	}
	switch kindOf(s) {
	case "string":
		return v.string(s, n), true
	case "integer", "number":
		return number(s, n), true
	case "boolean":
		return n%2 == 0, true
	case "array":
		return v.list(s, n, depth)
	case "object":
		return v.object(s, n, depth)
	case "null":
		return nil, true
	default:
		return v.word(n), true
	}
}

// plain returns a schema without references and combinations: one alternative of
// each is taken. It is nil when a reference leads nowhere or in circles.
func (v inventor) plain(s *jsonschema.Schema) *jsonschema.Schema {
	for range maxDepth {
		switch {
		case s == nil:
			return nil
		case s.Ref != "":
			s = v.defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
		case len(s.AllOf)+len(s.AnyOf)+len(s.OneOf) == 0:
			return s
		default:
			parts := slices.Clone(s.AllOf)
			for _, choice := range [][]*jsonschema.Schema{s.AnyOf, s.OneOf} {
				if len(choice) > 0 {
					parts = append(parts, choice[v.variant%len(choice)])
				}
			}
			rest := *s
			rest.AllOf, rest.AnyOf, rest.OneOf = nil, nil, nil
			for _, part := range parts {
				merge(&rest, v.plain(part))
			}
			s = &rest
		}
	}
	return nil
}

// merge adds to a schema what another one wants besides.
func merge(s, more *jsonschema.Schema) {
	if more == nil {
		return
	}
	if s.Type == "" && s.Types == nil {
		s.Type, s.Types = more.Type, more.Types
	}
	properties := maps.Clone(more.Properties)
	if properties == nil {
		properties = map[string]*jsonschema.Schema{}
	}
	maps.Copy(properties, s.Properties)
	if len(properties) > 0 {
		s.Properties = properties
	}
	s.Required = append(slices.Clone(s.Required), more.Required...)
	if s.Enum == nil {
		s.Enum = more.Enum
	}
	if s.Const == nil {
		s.Const = more.Const
	}
	if s.Items == nil {
		s.Items = more.Items
	}
	if s.AdditionalProperties == nil {
		s.AdditionalProperties = more.AdditionalProperties
	}
	for to, from := range map[*string]string{&s.Pattern: more.Pattern, &s.Format: more.Format, &s.ContentEncoding: more.ContentEncoding} {
		if *to == "" {
			*to = from
		}
	}
	for to, from := range map[**int]*int{&s.MinLength: more.MinLength, &s.MaxLength: more.MaxLength, &s.MinItems: more.MinItems, &s.MaxItems: more.MaxItems} {
		if *to == nil {
			*to = from
		}
	}
	for to, from := range map[**float64]*float64{&s.Minimum: more.Minimum, &s.Maximum: more.Maximum} {
		if *to == nil {
			*to = from
		}
	}
}

// samples returns the values that a schema lists.
func samples(s *jsonschema.Schema) []any {
	if s.Const != nil {
		return []any{*s.Const}
	}
	var known []any
	for _, value := range s.Enum {
		if value != nil {
			known = append(known, value)
		}
	}
	var usual any
	switch {
	case len(known) > 0:
	case json.Unmarshal(s.Default, &usual) == nil && usual != nil:
		known = append(known, usual)
	case s.Pattern != "": // rather than reading the pattern
		known = append(known, s.Examples...)
	}
	return known
}

// kindOf returns the type of a schema, which may only follow from its keywords.
func kindOf(s *jsonschema.Schema) string {
	for _, name := range append([]string{s.Type}, s.Types...) {
		if name != "" && name != "null" {
			return name
		}
	}
	switch {
	case len(s.Types) > 0 || s.Type != "":
		return "null"
	case s.Properties != nil || s.AdditionalProperties != nil:
		return "object"
	case s.Items != nil:
		return "array"
	default:
		return ""
	}
}

// word returns the n-th text.
func (v inventor) word(n int) string { return v.text + strings.Repeat("'", n) }

// formats are texts in the formats that mean something to a reader of OpenAPI.
var formats = map[string]string{
	"date-time": "2026-01-02T03:04:05Z", "date": "2026-01-02", "time": "03:04:05Z", "duration": "P1D",
	"uuid": "2f1a5d34-8a0e-4c0b-9d5e-0123456789a", "email": "ana%d@example.com", "hostname": "host%d.example.com",
	"uri": "https://example.com/%d", "url": "https://example.com/%d", "uri-reference": "/a/%d", "iri": "https://example.com/%d",
	"ipv4": "192.0.2.%d", "ipv6": "2001:db8::%d", "byte": "YWJj",
}

func (v inventor) string(s *jsonschema.Schema, n int) string {
	text, known := formats[s.Format]
	switch {
	case s.ContentEncoding == "base64":
		return "/+8A" // what is no text
	case s.Format == "uuid":
		return fmt.Sprintf("%s%d", text, n%10)
	case known && strings.Contains(text, "%d"):
		return fmt.Sprintf(text, n)
	case known:
		return text
	case s.Pattern != "":
		if expression, err := syntax.Parse(s.Pattern, syntax.Perl); err == nil {
			return matching(expression.Simplify())
		}
	}
	runes := []rune(v.word(n))
	if s.MaxLength != nil && len(runes) > *s.MaxLength {
		runes = runes[:*s.MaxLength]
	}
	for s.MinLength != nil && len(runes) < *s.MinLength {
		runes = append(runes, 'x')
	}
	return string(runes)
}

// matching returns a short text that an expression matches, for most expressions.
func matching(e *syntax.Regexp) string {
	switch e.Op {
	case syntax.OpLiteral:
		return string(e.Rune)
	case syntax.OpCharClass:
		for _, r := range "aA0-" {
			for i := 0; i < len(e.Rune); i += 2 {
				if e.Rune[i] <= r && r <= e.Rune[i+1] {
					return string(r)
				}
			}
		}
		return string(e.Rune[0])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "a"
	case syntax.OpCapture, syntax.OpPlus:
		return matching(e.Sub[0])
	case syntax.OpAlternate:
		return matching(e.Sub[0])
	case syntax.OpConcat:
		var b strings.Builder
		for _, part := range e.Sub {
			b.WriteString(matching(part))
		}
		return b.String()
	default: // nothing is enough for the others: stars, options, anchors
		return ""
	}
}

// number returns the n-th number from the least that is allowed, or from one.
func number(s *jsonschema.Schema, n int) any {
	low, high, step := 1.0, math.Inf(1), 1.0
	if s.MultipleOf != nil {
		low, step = *s.MultipleOf, *s.MultipleOf
	} else if kindOf(s) == "number" {
		low = 1.5
	}
	for _, limit := range []*float64{s.Minimum, s.ExclusiveMinimum} {
		if limit != nil {
			low = max(low, step*math.Ceil(*limit/step))
		}
	}
	if s.ExclusiveMinimum != nil && low <= *s.ExclusiveMinimum {
		low += step
	}
	for _, limit := range []*float64{s.Maximum, s.ExclusiveMaximum} {
		if limit != nil {
			high = min(high, *limit)
		}
	}
	if low > high {
		low = high
	}
	if more := low + float64(n)*step; more <= high {
		return more
	}
	return low
}

func (v inventor) list(s *jsonschema.Schema, n, depth int) (any, bool) {
	count := v.items
	if depth > wideDepth {
		count = 0
	}
	if s.MaxItems != nil {
		count = min(count, *s.MaxItems)
	}
	if s.MinItems != nil {
		count = max(count, *s.MinItems)
	}
	list := []any{}
	for i := range count {
		item, ok := v.value(s.Items, n+i, depth)
		if !ok {
			return nil, false
		}
		list = append(list, item)
	}
	return list, true
}

func (v inventor) object(s *jsonschema.Schema, n, depth int) (any, bool) {
	object := map[string]any{}
	names := append(slices.Collect(maps.Keys(s.Properties)), s.Required...) // of these some may have no schema
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		required := slices.Contains(s.Required, name)
		if !required && (!v.full || depth > wideDepth) {
			continue
		}
		value, ok := v.value(s.Properties[name], n, depth)
		if !ok && required {
			return nil, false
		}
		if ok {
			object[name] = value
		}
	}
	if len(s.Properties) == 0 && v.full && (s.AdditionalProperties == nil || s.AdditionalProperties.Not == nil) {
		if value, ok := v.value(s.AdditionalProperties, n, depth); ok {
			object["key"] = value
		}
	}
	return object, true
}
