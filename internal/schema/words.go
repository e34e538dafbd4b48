package schema

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// maxEnum bounds how many allowed values a sentence lists.
const maxEnum = 20

// words describes a schema, from its author's text only.
func words(s *jsonschema.Schema) string {
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
	if len(s.Properties) > 0 || s.Items != nil || len(parts) == 1 && s.Type == "" && len(s.Types) == 0 {
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

// maxClip bounds a piece of somebody else's text in a message, in bytes.
const maxClip = 64

func clip(text string) string {
	if len(text) > maxClip {
		return text[:maxClip] + "..."
	}
	return text
}
