package tool

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxProblems bounds how many problems of one file are reported.
const maxProblems = 50

// problem is one thing wrong with a catalogue, where it stands, and the fix.
type problem struct {
	line int
	path string
	text string
}

func (p problem) err() error {
	if p.path == "" {
		return fmt.Errorf("line %d: %s", p.line, p.text)
	}
	return fmt.Errorf("line %d: %s: %s", p.line, p.path, p.text)
}

// problems collects everything wrong with a file, so that it is reported at
// once.
type problems struct{ list []problem }

func (p *problems) add(node *yaml.Node, path, format string, args ...any) {
	p.list = append(p.list, problem{line: node.Line, path: path, text: fmt.Sprintf(format, args...)})
}

// err returns the problems in the order of their lines, nil if there are none.
func (p *problems) err() error {
	slices.SortStableFunc(p.list, func(a, b problem) int { return a.line - b.line })
	var errs []error
	for i, one := range p.list {
		if i == maxProblems {
			errs = append(errs, fmt.Errorf("and %d more problems", len(p.list)-maxProblems))
			break
		}
		errs = append(errs, one.err())
	}
	return errors.Join(errs...)
}

// object is a mapping of the file whose keys are known, each at most once.
type object struct {
	problems *problems
	node     *yaml.Node
	path     string
	fields   map[string]*yaml.Node
}

// object reads node as a mapping with no other keys than known; a nil known
// allows any. On a problem it returns an object without fields.
func (p *problems) object(node *yaml.Node, path string, known []string) object {
	result := object{problems: p, node: node, path: path, fields: map[string]*yaml.Node{}}
	if node.Kind != yaml.MappingNode {
		p.add(node, path, "want a mapping of keys to values")
		return result
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
			p.add(key, path, "a key must be a plain word; anchors and merge keys are not supported")
		case known != nil && !slices.Contains(known, key.Value):
			p.add(key, path, "unknown key %q; want one of: %s", clip(key.Value), strings.Join(known, ", "))
		case result.fields[key.Value] != nil:
			p.add(key, path, "the key %q is there twice; remove one", clip(key.Value))
		default:
			result.fields[key.Value] = value
		}
	}
	return result
}

// keys returns the keys in sorted order.
func (o object) keys() []string { return slices.Sorted(maps.Keys(o.fields)) }

func (o object) at(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// scalar returns the value of key if it is there and has one of the tags.
func (o object) scalar(key, want string, tags ...string) (*yaml.Node, bool) {
	node := o.fields[key]
	if node == nil {
		return nil, false
	}
	if node.Kind != yaml.ScalarNode || !slices.Contains(tags, node.ShortTag()) {
		o.problems.add(node, o.at(key), "want %s", want)
		return nil, false
	}
	return node, true
}

// text returns the text at key, "" when it is missing or not a text.
func (o object) text(key string) string {
	if node, ok := o.scalar(key, "a text; put it in quotes if it looks like something else", "!!str"); ok {
		return node.Value
	}
	return ""
}

// required reports a problem when key is missing or empty.
func (o object) required(key, fix string) string {
	text := o.text(key)
	node := o.fields[key]
	switch {
	case node == nil:
		o.problems.add(o.node, o.at(key), "missing; %s", fix)
	case text == "" && node.Kind == yaml.ScalarNode && node.ShortTag() == "!!str":
		o.problems.add(node, o.at(key), "empty; %s", fix)
	}
	return text
}

func (o object) flag(key string) *bool {
	node, ok := o.scalar(key, "true or false", "!!bool")
	if !ok {
		return nil
	}
	value := strings.EqualFold(node.Value, "true")
	return &value
}

// duration returns a length of time up to limit, fallback when it is missing.
func (o object) duration(key string, fallback, limit time.Duration) time.Duration {
	want := fmt.Sprintf("a length of time such as 10s, more than 0 and at most %s", limit)
	node, ok := o.scalar(key, want, "!!str")
	if !ok {
		return fallback
	}
	value, err := time.ParseDuration(node.Value)
	if err != nil || value <= 0 || value > limit {
		o.problems.add(node, o.at(key), "want %s", want)
		return fallback
	}
	return value
}

// bytes returns a size up to limit, fallback when it is missing.
func (o object) bytes(key string, fallback, limit int64) int64 {
	want := fmt.Sprintf("a number of bytes from 1 to %d", limit)
	node, ok := o.scalar(key, want, "!!int")
	if !ok {
		return fallback
	}
	value, err := strconv.ParseInt(node.Value, 10, 64)
	if err != nil || value < 1 || value > limit {
		o.problems.add(node, o.at(key), "want %s", want)
		return fallback
	}
	return value
}

// texts returns the list of texts at key.
func (o object) texts(key string) []string {
	node := o.fields[key]
	if node == nil {
		return nil
	}
	var list []string
	if node.Kind != yaml.SequenceNode {
		o.problems.add(node, o.at(key), "want a list of texts")
		return nil
	}
	for i, item := range node.Content {
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" {
			o.problems.add(item, fmt.Sprintf("%s[%d]", o.at(key), i), "want a text")
			continue
		}
		list = append(list, item.Value)
	}
	return list
}

// maxClip bounds a piece of somebody else's text in a message, in bytes.
const maxClip = 64

// clip cuts text to a bound.
func clip(text string) string {
	if len(text) > maxClip {
		return text[:maxClip] + "..."
	}
	return text
}
