// Package strictjson reads JSON that decides something: message envelopes,
// claims, tool arguments. encoding/json matches struct fields without regard
// to case and lets the last of two equal keys win; two parsers that disagree on
// which value counts are a security hole. Here keys are compared exactly and a
// repeated key is an error.
//
// Call [Check] once on what came from outside, then [ParseObject] on it and on
// any value inside it.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Errors of Check and ParseObject.
var (
	ErrSyntax    = errors.New("it is not valid JSON")
	ErrTooDeep   = errors.New("it is nested too deeply")
	ErrNotObject = errors.New("it is not a JSON object")
	ErrDuplicate = errors.New("it has the same key twice")
)

// Check reports whether raw is one valid JSON value in valid UTF-8 that nests
// at most maxDepth arrays and objects.
func Check(raw []byte, maxDepth int) error {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return ErrSyntax
	}
	depth, inString, escaped := 0, false, false
	for _, b := range raw {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = b == '\\'
			inString = b != '"'
		case b == '"':
			inString = true
		case b == '{' || b == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("%w: more than %d levels", ErrTooDeep, maxDepth)
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return nil
}

// Unique reports whether every object in raw, at any depth, has each of its keys
// once. Raw must have passed [Check].
func Unique(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	return unique(decoder)
}

func unique(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return ErrSyntax
	}
	open, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	seen := map[string]bool{}
	for decoder.More() {
		if open == '{' {
			token, err := decoder.Token()
			key, ok := token.(string)
			if err != nil || !ok {
				return ErrSyntax
			}
			if seen[key] {
				return fmt.Errorf("%w: %q", ErrDuplicate, clip(key))
			}
			seen[key] = true
		}
		if err := unique(decoder); err != nil {
			return err
		}
	}
	_, err = decoder.Token() // the end of what was open
	return err
}

// Member is one key of an object with its value as it was written.
type Member struct {
	Key   string
	Value json.RawMessage
}

// Object is a JSON object in the order it was written.
type Object []Member

// Get returns the value of key.
func (o Object) Get(key string) (json.RawMessage, bool) {
	for i := range o {
		if o[i].Key == key {
			return o[i].Value, true
		}
	}
	return nil, false
}

// Text returns the string value of key, and whether there is one.
func (o Object) Text(key string) (string, bool) {
	raw, ok := o.Get(key)
	if !ok || len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return unquote(raw), true
}

// FoldedCollision returns the first key of o that differs from one of names
// only by case folding (as "ſub" from "sub"), and "" when there is none. Other
// parsers could take such a key for the real one.
func (o Object) FoldedCollision(names ...string) string {
	for _, member := range o {
		for _, name := range names {
			if member.Key != name && strings.EqualFold(member.Key, name) {
				return member.Key
			}
		}
	}
	return ""
}

// smallObject is up to how many keys are compared pairwise instead of with a
// map.
const smallObject = 16

// ParseObject returns the members of the object raw, which must have passed
// [Check] itself or be part of what did. Values share raw's memory.
func ParseObject(raw []byte) (Object, error) {
	s := scanner{raw: raw}
	s.space()
	if !s.take('{') {
		return nil, ErrNotObject
	}
	var object Object
	keys := keySet{}
	for s.space(); !s.take('}'); s.space() {
		if len(object) > 0 && !s.take(',') {
			return nil, ErrSyntax
		}
		s.space()
		keyText := s.value()
		s.space()
		if len(keyText) < 2 || keyText[0] != '"' || !s.take(':') {
			return nil, ErrSyntax
		}
		s.space()
		member := Member{Key: unquote(keyText), Value: s.value()}
		if len(member.Value) == 0 {
			return nil, ErrSyntax
		}
		if keys.has(object, member.Key) {
			return nil, fmt.Errorf("%w: %q", ErrDuplicate, clip(member.Key))
		}
		object = append(object, member)
	}
	return object, nil
}

// keySet finds repeated keys: pairwise in the small objects that nearly all
// are, with a map from there on.
type keySet struct{ seen map[string]bool }

// has reports whether key is one of object's, and remembers it.
func (k *keySet) has(object Object, key string) bool {
	if len(object) < smallObject {
		_, found := object.Get(key)
		return found
	}
	if k.seen == nil {
		k.seen = make(map[string]bool, 2*smallObject)
		for _, member := range object {
			k.seen[member.Key] = true
		}
	}
	found := k.seen[key]
	k.seen[key] = true
	return found
}

// maxShownKey bounds a key in an error, in bytes.
const maxShownKey = 64

func clip(key string) string {
	if len(key) > maxShownKey {
		return key[:maxShownKey]
	}
	return key
}

func unquote(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if !strings.ContainsRune(string(inner), '\\') {
		return string(inner)
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "" // cannot happen after Check
	}
	return text
}

// scanner cuts valid JSON into values without decoding them.
type scanner struct {
	raw []byte
	pos int
}

func (s *scanner) space() {
	for s.pos < len(s.raw) {
		switch s.raw[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) take(b byte) bool {
	if s.pos < len(s.raw) && s.raw[s.pos] == b {
		s.pos++
		return true
	}
	return false
}

// value returns the text of the value that starts at pos.
func (s *scanner) value() json.RawMessage {
	start, depth, inString, escaped := s.pos, 0, false, false
	for ; s.pos < len(s.raw); s.pos++ {
		b := s.raw[s.pos]
		switch {
		case escaped:
			escaped = false
		case inString && b == '\\':
			escaped = true
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			depth++
		case depth > 0 && (b == '}' || b == ']'):
			depth--
		case depth == 0 && isDelimiter(b):
			return s.raw[start:s.pos]
		}
		if depth == 0 && !inString && !escaped && (b == '"' || b == '}' || b == ']') {
			s.pos++
			return s.raw[start:s.pos]
		}
	}
	return s.raw[start:s.pos]
}

func isDelimiter(b byte) bool {
	switch b {
	case ',', ':', '}', ']', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}
