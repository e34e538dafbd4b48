package paramstyle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth bounds how deep an argument nests.
const maxDepth = 32

type kind int

const (
	null kind = iota
	scalar
	list
	object
)

// value is a decoded argument. Objects keep the order of their members, numbers
// their text.
type value struct {
	kind  kind
	text  string   // of a scalar
	keys  []string // of an object, one for each item
	items []value  // of a list or object
}

var (
	errNotJSON = errors.New("is not valid JSON")
	errNested  = errors.New("must be one value, a flat list or a flat object; deeper ones cannot be written here")
)

// decode reads one JSON value. An object with the same key twice is refused,
// since the API might read the other one.
func decode(raw json.RawMessage) (value, error) {
	if !utf8.Valid(raw) {
		return value{}, errNotJSON
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	result, err := decodeValue(decoder, 0)
	if err != nil {
		return value{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return value{}, errNotJSON
	}
	return result, nil
}

func decodeValue(decoder *json.Decoder, depth int) (value, error) {
	if depth > maxDepth {
		return value{}, fmt.Errorf("nests deeper than %d", maxDepth)
	}
	token, err := decoder.Token()
	if err != nil {
		return value{}, errNotJSON
	}
	switch token := token.(type) {
	case json.Delim:
		return decodeItems(decoder, token, depth)
	case string:
		return value{kind: scalar, text: token}, nil
	case json.Number:
		return value{kind: scalar, text: token.String()}, nil
	case bool:
		return value{kind: scalar, text: fmt.Sprint(token)}, nil
	default:
		return value{kind: null}, nil
	}
}

// decodeItems reads a list or object after its opening delimiter.
func decodeItems(decoder *json.Decoder, open json.Delim, depth int) (value, error) {
	result := value{kind: list}
	seen := map[string]bool{}
	if open == '{' {
		result.kind = object
	}
	for decoder.More() {
		if result.kind == object {
			token, err := decoder.Token()
			key, ok := token.(string)
			if err != nil || !ok {
				return value{}, errNotJSON
			}
			if seen[key] {
				return value{}, errors.New("has the same key twice")
			}
			seen[key] = true
			result.keys = append(result.keys, key)
		}
		item, err := decodeValue(decoder, depth+1)
		if err != nil {
			return value{}, err
		}
		result.items = append(result.items, item)
	}
	if _, err := decoder.Token(); err != nil {
		return value{}, errNotJSON
	}
	return result, nil
}

// flat returns v without its null members, which RFC 6570 section 2.3 calls
// undefined, and an error when anything in it is more than a scalar.
func (v value) flat() (value, error) {
	if v.kind == null || v.kind == scalar {
		return v, nil
	}
	result := value{kind: v.kind}
	for i, item := range v.items {
		switch item.kind {
		case null:
			continue
		case scalar:
		case list, object:
			return value{}, errNested
		}
		result.items = append(result.items, item)
		if v.kind == object {
			result.keys = append(result.keys, v.keys[i])
		}
	}
	return result, nil
}

// undefined reports whether nothing is to be written for v: null, and a list or
// object without members (RFC 6570 section 3.2.1).
func (v value) undefined() bool {
	return v.kind == null || v.kind != scalar && len(v.items) == 0
}
