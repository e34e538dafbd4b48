// Package strictyaml reads YAML files that operators write, strictly: known keys
// only, each once, values of the type they should have, and nothing that YAML
// does behind one's back (anchors as merge keys, a second document). Everything
// wrong with a file is reported at once, each with its line and what to do.
//
// Start with [Parse] and [Problems.Object]. JSON is YAML, so it reads that too.
// What the values mean is the caller's business.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// MaxProblems bounds how many problems of one file are reported.
const MaxProblems = 50

// Problem is one thing wrong with a file, where it stands, and the fix.
type Problem struct {
	Line int
	Path string // of keys, such as tools[0].name; "" for the whole file
	Text string
}

// Where returns the line and the path.
func (p Problem) Where() string {
	if p.Path == "" {
		return fmt.Sprintf("line %d", p.Line)
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Path)
}

// Problems collects everything wrong with a file, so that it is reported at
// once. Its zero value is ready.
type Problems struct{ list []Problem }

// Add notes a problem with node.
func (p *Problems) Add(node *yaml.Node, path, format string, args ...any) {
	p.list = append(p.list, Problem{Line: node.Line, Path: path, Text: fmt.Sprintf(format, args...)})
}

// Len returns how many problems there are.
func (p *Problems) Len() int { return len(p.list) }

// List returns the problems in the order of their lines, at most MaxProblems.
func (p *Problems) List() []Problem {
	slices.SortStableFunc(p.list, func(a, b Problem) int { return a.Line - b.Line })
	return p.list[:min(len(p.list), MaxProblems)]
}

// Err joins the problems in the order of their lines, nil if there are none.
func (p *Problems) Err() error {
	var errs []error
	for _, one := range p.List() {
		errs = append(errs, fmt.Errorf("%s: %s", one.Where(), one.Text))
	}
	if more := len(p.list) - MaxProblems; more > 0 {
		errs = append(errs, fmt.Errorf("and %d more problems", more))
	}
	return errors.Join(errs...)
}

// Parse returns the root of the one document in data. The error has the line;
// what and want say what the file is and which keys it should have.
func Parse(data []byte, what, want string) (*yaml.Node, error) {
	var document, more yaml.Node
	empty := fmt.Errorf("line 1: the %s is empty; want %s", what, want)
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, empty
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&more); err == nil {
		return nil, fmt.Errorf("line %d: a second document starts here; a %s is one", more.Line, what)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil, empty
	}
	return document.Content[0], nil
}

// Object is a mapping of the file whose keys are known, each at most once.
type Object struct {
	Problems *Problems
	Node     *yaml.Node
	Path     string
	Fields   map[string]*yaml.Node
}

// Object reads node as a mapping with no other keys than known; a nil known
// allows any. On a problem it returns an object without fields.
func (p *Problems) Object(node *yaml.Node, path string, known []string) Object {
	result := Object{Problems: p, Node: node, Path: path, Fields: map[string]*yaml.Node{}}
	if node.Kind != yaml.MappingNode {
		p.Add(node, path, "want a mapping of keys to values")
		return result
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
			p.Add(key, path, "a key must be a plain word; anchors and merge keys are not supported")
		case known != nil && !slices.Contains(known, key.Value):
			p.Add(key, path, "unknown key %q; want one of: %s", Clip(key.Value), strings.Join(known, ", "))
		case result.Fields[key.Value] != nil:
			p.Add(key, path, "the key %q is there twice; remove one", Clip(key.Value))
		default:
			result.Fields[key.Value] = value
		}
	}
	return result
}

// Keys returns the keys in sorted order.
func (o Object) Keys() []string { return slices.Sorted(maps.Keys(o.Fields)) }

// At returns the path of key.
func (o Object) At(key string) string {
	if o.Path == "" {
		return key
	}
	return o.Path + "." + key
}

// Scalar returns the value of key if it is there and has one of the tags.
func (o Object) Scalar(key, want string, tags ...string) (*yaml.Node, bool) {
	node := o.Fields[key]
	if node == nil {
		return nil, false
	}
	if node.Kind != yaml.ScalarNode || !slices.Contains(tags, node.ShortTag()) {
		o.Problems.Add(node, o.At(key), "want %s", want)
		return nil, false
	}
	return node, true
}

// Text returns the text at key, "" when it is missing or not a text.
func (o Object) Text(key string) string {
	if node, ok := o.Scalar(key, "a text; put it in quotes if it looks like something else", "!!str"); ok {
		return node.Value
	}
	return ""
}

// Required returns the text at key and reports a problem when key is missing or empty.
func (o Object) Required(key, fix string) string {
	text := o.Text(key)
	node := o.Fields[key]
	switch {
	case node == nil:
		o.Problems.Add(o.Node, o.At(key), "missing; %s", fix)
	case text == "" && node.Kind == yaml.ScalarNode && node.ShortTag() == "!!str":
		o.Problems.Add(node, o.At(key), "empty; %s", fix)
	}
	return text
}

// Flag returns the boolean at key, nil when it is missing or none.
func (o Object) Flag(key string) *bool {
	node, ok := o.Scalar(key, "true or false", "!!bool")
	if !ok {
		return nil
	}
	value := strings.EqualFold(node.Value, "true")
	return &value
}

// Duration returns a length of time up to limit, fallback when it is missing.
func (o Object) Duration(key string, fallback, limit time.Duration) time.Duration {
	want := fmt.Sprintf("a length of time such as 10s, more than 0 and at most %s", limit)
	node, ok := o.Scalar(key, want, "!!str")
	if !ok {
		return fallback
	}
	value, err := time.ParseDuration(node.Value)
	if err != nil || value <= 0 || value > limit {
		o.Problems.Add(node, o.At(key), "want %s", want)
		return fallback
	}
	return value
}

// Bytes returns a size up to limit, fallback when it is missing.
func (o Object) Bytes(key string, fallback, limit int64) int64 {
	want := fmt.Sprintf("a number of bytes from 1 to %d", limit)
	node, ok := o.Scalar(key, want, "!!int")
	if !ok {
		return fallback
	}
	value, err := strconv.ParseInt(node.Value, 10, 64)
	if err != nil || value < 1 || value > limit {
		o.Problems.Add(node, o.At(key), "want %s", want)
		return fallback
	}
	return value
}

// Count returns a whole number between two limits, fallback when it is missing.
func (o Object) Count(key string, fallback, least, most int) int {
	want := fmt.Sprintf("a number from %d to %d", least, most)
	node, ok := o.Scalar(key, want, "!!int")
	if !ok {
		return fallback
	}
	value, err := strconv.Atoi(node.Value)
	if err != nil || value < least || value > most {
		o.Problems.Add(node, o.At(key), "want %s", want)
		return fallback
	}
	return value
}

// OneOf returns one of a few words, fallback when it is missing.
func (o Object) OneOf(key, fallback string, words ...string) string {
	text := o.Text(key)
	node := o.Fields[key]
	switch {
	case node == nil:
		return fallback
	case slices.Contains(words, text):
		return text
	case node.Kind == yaml.ScalarNode && node.ShortTag() == "!!str": // else Text has complained
		o.Problems.Add(node, o.At(key), "write one of: %s", strings.Join(words, ", "))
	}
	return fallback
}

// Texts returns the list of texts at key.
func (o Object) Texts(key string) []string {
	node := o.Fields[key]
	if node == nil {
		return nil
	}
	var list []string
	if node.Kind != yaml.SequenceNode {
		o.Problems.Add(node, o.At(key), "want a list of texts")
		return nil
	}
	for i, item := range node.Content {
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" {
			o.Problems.Add(item, fmt.Sprintf("%s[%d]", o.At(key), i), "want a text")
			continue
		}
		list = append(list, item.Value)
	}
	return list
}

// maxClip bounds a piece of somebody else's text in a message, in bytes.
const maxClip = 64

// Clip cuts text to a bound.
func Clip(text string) string {
	if len(text) > maxClip {
		return text[:maxClip] + "..."
	}
	return text
}
