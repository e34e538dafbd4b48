package openapi

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// field is one key of a mapping.
type field struct {
	key   *yaml.Node
	value *yaml.Node // never an alias
}

// real returns what an alias stands for.
func real(node *yaml.Node) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// fields returns the keys of a mapping, in order. It returns nothing for what is
// no mapping.
func fields(node *yaml.Node) []field {
	node = real(node)
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	list := make([]field, 0, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		list = append(list, field{node.Content[i], real(node.Content[i+1])})
	}
	return list
}

// get returns the value of key in a mapping, nil when there is none.
func get(node *yaml.Node, key string) *yaml.Node {
	node = real(node)
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return real(node.Content[i+1])
		}
	}
	return nil
}

// items returns the members of a sequence, nil for what is none.
func items(node *yaml.Node) []*yaml.Node {
	node = real(node)
	if node == nil || node.Kind != yaml.SequenceNode {
		return nil
	}
	list := make([]*yaml.Node, len(node.Content))
	for i, item := range node.Content {
		list[i] = real(item)
	}
	return list
}

// text returns the text of a scalar, "" for what is none.
func text(node *yaml.Node) string {
	node = real(node)
	if node == nil || node.Kind != yaml.ScalarNode || node.ShortTag() == "!!null" {
		return ""
	}
	return node.Value
}

// flag reports whether a scalar is true.
func flag(node *yaml.Node) bool {
	return node != nil && node.Kind == yaml.ScalarNode && node.ShortTag() == "!!bool" && strings.EqualFold(node.Value, "true")
}

// texts returns the members of a list that are texts.
func texts(node *yaml.Node) []string { return firstTexts(node, math.MaxInt) }

// firstTexts returns at most limit of them.
func firstTexts(node *yaml.Node, limit int) []string {
	var list []string
	for _, item := range items(node) {
		if text := text(item); text != "" && len(list) < limit {
			list = append(list, text)
		}
	}
	return list
}

// maxDescription bounds a description, in bytes. Models read them all.
const maxDescription = 4 << 10

// prose returns a text for people: bounded, without control characters.
func prose(node *yaml.Node) string {
	clean := strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || 0x7f <= r && r <= 0x9f {
			return -1
		}
		return r
	}, cut(strings.TrimSpace(text(node)), 2*maxDescription))
	return cut(clean, maxDescription)
}

// cut shortens text to at most limit bytes of whole characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// maxShown bounds a piece of a document in a message, in bytes.
const maxShown = 80

// quote makes a piece of a document safe to show.
func quote(text string) string { return strconv.QuoteToASCII(cut(text, maxShown)) }

// appendJSON writes any value of a document as JSON, numbers with the text they
// have, as far as that is JSON.
func appendJSON(b []byte, node *yaml.Node, depth int) ([]byte, error) {
	node = real(node)
	if depth > maxDepth {
		return nil, problem(node, "it nests deeper than %d", maxDepth)
	}
	if len(b) > maxSchema {
		return nil, problem(node, "it is larger than the %d bytes allowed", maxSchema)
	}
	var err error
	switch node.Kind {
	case yaml.MappingNode:
		b = append(b, '{')
		for i, f := range fields(node) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, f.key.Value), ':')
			if b, err = appendJSON(b, f.value, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, item := range node.Content {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, item, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	default:
		return appendScalar(b, node)
	}
}

func appendScalar(b []byte, node *yaml.Node) ([]byte, error) {
	switch node.ShortTag() {
	case "!!null":
		return append(b, "null"...), nil
	case "!!bool":
		return append(b, strings.ToLower(node.Value)...), nil
	case "!!int", "!!float":
		if json.Valid([]byte(node.Value)) {
			return append(b, node.Value...), nil
		}
		var whole int64
		if err := node.Decode(&whole); err == nil && node.ShortTag() == "!!int" {
			return strconv.AppendInt(b, whole, 10), nil
		}
		var number float64
		if err := node.Decode(&number); err != nil || math.IsInf(number, 0) || math.IsNaN(number) {
			return nil, problem(node, "%s is not a number of JSON", quote(node.Value))
		}
		return strconv.AppendFloat(b, number, 'g', -1, 64), nil
	default:
		return appendText(b, node.Value), nil
	}
}

// appendText writes text as a JSON string, without HTML escapes.
func appendText(b []byte, text string) []byte {
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text)                             // a string always encodes, and a Buffer takes it
	return append(b, quoted.Bytes()[:quoted.Len()-1]...) // Encode ends with a newline
}
