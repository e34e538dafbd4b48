package tool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/schema"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// Bounds of a call's arguments.
const (
	maxArguments     = 64 << 10  // bytes
	maxUpload        = 768 << 10 // bytes, of a tool that sends a body: files are among them
	maxArgumentDepth = 32
)

// checkArguments reads a call's arguments, of at most limit bytes, and checks them
// against the schema. It
// returns them by name, as they were written. Every error is an
// *[InvalidArgumentsError], and none repeats a value, which may be long or
// private.
func checkArguments(input *schema.Schema, raw json.RawMessage, limit int) (map[string]json.RawMessage, error) {
	arguments, err := parseArguments(raw, limit)
	if err != nil {
		return nil, err
	}
	declared, _ := input.Members() // others that fit could not be sent anywhere
	given := slices.Sorted(maps.Keys(arguments))
	for _, name := range given {
		if !slices.Contains(declared, name) {
			return nil, invalid("There is no argument %s; %s.", quote(name), accepted(declared))
		}
	}
	for _, name := range input.Required() {
		if _, ok := arguments[name]; !ok {
			return nil, invalid("The argument %s is missing: want %s.", quote(name), input.Wanted(name))
		}
	}
	values := make(map[string]any, len(arguments))
	for _, name := range given {
		var value any
		if json.Unmarshal(arguments[name], &value) != nil { // a number out of range
			return nil, invalid("The argument %s is not as declared: want %s.", quote(name), input.Wanted(name))
		}
		values[name] = value
	}
	if !input.Bounded(values) {
		return nil, invalid("The arguments nest too deep to be checked against this tool's input schema; send less at a time.")
	}
	for _, name := range given {
		if wanted := input.Member(name, values[name]); wanted != "" {
			return nil, invalid("The argument %s is not as declared: want %s.", quote(name), wanted)
		}
	}
	if input.Validate(values) != nil { // each fits, and together they do not
		return nil, invalid("The arguments do not fit together as the tool's input schema says; read it and send others.")
	}
	return arguments, nil
}

func accepted(names []string) string {
	if len(names) == 0 {
		return "this tool takes none"
	}
	quoted := slices.Clone(names)
	for i, name := range quoted {
		quoted[i] = quote(name)
	}
	return "this tool takes " + strings.Join(quoted, ", ")
}

// parseArguments reads a JSON object within the bounds, each name once at every
// depth: an API could read the one that was not checked. Absent and null stand
// for no arguments.
func parseArguments(raw json.RawMessage, limit int) (map[string]json.RawMessage, error) {
	trimmed := bytes.TrimSpace(raw)
	if len(trimmed) == 0 || string(trimmed) == "null" {
		return nil, nil
	}
	if len(raw) > limit {
		return nil, invalid("The arguments are larger than the %d bytes allowed.", limit)
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
		if err := strictjson.Unique(member.Value); err != nil {
			return nil, invalid("The argument %s cannot be read: %v.", quote(member.Key), err)
		}
		arguments[member.Key] = member.Value
	}
	return arguments, nil
}

func invalid(format string, args ...any) error {
	return &InvalidArgumentsError{Detail: fmt.Sprintf(format, args...)}
}

// quote makes a caller's text safe to repeat: bounded, ASCII, in quotes.
func quote(text string) string { return strconv.QuoteToASCII(strictyaml.Clip(text)) }
