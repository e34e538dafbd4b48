package tool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// Bounds of a call's arguments.
const (
	maxArguments     = 64 << 10 // bytes
	maxArgumentDepth = 32
)

// check reads a call's arguments and checks them against the schema. It
// returns them by name, as they were written. Every error is an
// *[InvalidArgumentsError].
func (s inputSchema) check(raw json.RawMessage) (map[string]json.RawMessage, error) {
	arguments, err := parseArguments(raw)
	if err != nil {
		return nil, err
	}
	given := slices.Sorted(maps.Keys(arguments))
	for _, name := range given {
		if s.arguments[name] == nil {
			return nil, invalid("There is no argument %s; %s.", quote(name), s.accepted())
		}
	}
	for _, name := range s.required {
		if _, ok := arguments[name]; !ok {
			return nil, invalid("The argument %s is missing: want %s.", quote(name), wanted(s.arguments[name].schema))
		}
	}
	for _, name := range given {
		var value any
		err := json.Unmarshal(arguments[name], &value) // fails on numbers out of range
		if err == nil {
			err = s.arguments[name].resolved.Validate(value)
		}
		if err != nil { // its text repeats the value, which may be long or private
			return nil, invalid("The argument %s is not as declared: want %s.", quote(name), wanted(s.arguments[name].schema))
		}
	}
	return arguments, nil
}

func (s inputSchema) accepted() string {
	if len(s.arguments) == 0 {
		return "this tool takes none"
	}
	quoted := s.names()
	for i, name := range quoted {
		quoted[i] = quote(name)
	}
	return "this tool takes " + strings.Join(quoted, ", ")
}

// parseArguments reads a JSON object within the bounds, each name once. Absent
// and null stand for no arguments. (A name that stands twice deeper down does
// no harm: only scalars are ever sent.)
func parseArguments(raw json.RawMessage) (map[string]json.RawMessage, error) {
	trimmed := bytes.TrimSpace(raw)
	if len(trimmed) == 0 || string(trimmed) == "null" {
		return nil, nil
	}
	if len(raw) > maxArguments {
		return nil, invalid("The arguments are larger than the %d bytes allowed.", maxArguments)
	}
	if err := strictjson.Check(raw, maxArgumentDepth); err != nil {
		return nil, invalid("The arguments cannot be read: %v.", err)
	}
	object, err := strictjson.ParseObject(raw)
	if err != nil {
		return nil, invalid("The arguments cannot be read: %v.", err)
	}
	arguments := make(map[string]json.RawMessage, len(object))
	for _, member := range object {
		arguments[member.Key] = member.Value
	}
	return arguments, nil
}

func invalid(format string, args ...any) error {
	return &InvalidArgumentsError{Detail: fmt.Sprintf(format, args...)}
}

// maxEnum bounds how many allowed values a sentence lists.
const maxEnum = 20

// wanted describes a schema in words, from the catalogue's text only.
func wanted(s *jsonschema.Schema) string {
	var parts []string
	switch {
	case s.Type != "":
		parts = append(parts, withArticle(s.Type))
	case len(s.Types) > 0:
		parts = append(parts, strings.Join(s.Types, " or "))
	default:
		parts = append(parts, "a value")
	}
	if s.Const != nil {
		parts = append(parts, "equal to "+literal(*s.Const))
	}
	if len(s.Enum) > 0 {
		var values []string
		for _, value := range s.Enum[:min(len(s.Enum), maxEnum)] {
			values = append(values, literal(value))
		}
		if len(s.Enum) > maxEnum {
			values = append(values, "...")
		}
		parts = append(parts, "one of "+strings.Join(values, ", "))
	}
	number := func(format string, value *float64) {
		if value != nil {
			parts = append(parts, fmt.Sprintf(format, literal(*value)))
		}
	}
	number("at least %s", s.Minimum)
	number("at most %s", s.Maximum)
	number("more than %s", s.ExclusiveMinimum)
	number("less than %s", s.ExclusiveMaximum)
	number("a multiple of %s", s.MultipleOf)
	count := func(format string, value *int) {
		if value != nil {
			parts = append(parts, fmt.Sprintf(format, *value))
		}
	}
	count("of at least %d characters", s.MinLength)
	count("of at most %d characters", s.MaxLength)
	count("of at least %d items", s.MinItems)
	count("of at most %d items", s.MaxItems)
	if s.Pattern != "" {
		parts = append(parts, "matching "+literal(s.Pattern))
	}
	if len(s.Properties) > 0 || s.Items != nil {
		parts = append(parts, "as the tool's input schema says")
	}
	return strings.Join(parts, ", ")
}

func withArticle(word string) string {
	switch word {
	case "null":
		return word
	case "object", "array", "integer":
		return "an " + word
	default:
		return "a " + word
	}
}

func literal(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	return clip(string(text))
}

// quote makes a caller's text safe to repeat: bounded, ASCII, in quotes.
func quote(text string) string { return strconv.QuoteToASCII(clip(text)) }
