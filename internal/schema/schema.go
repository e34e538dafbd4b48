package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

// Bounds of a schema, and of checking one value.
const (
	MaxSize        = 1 << 20 // bytes of a document
	MaxDepth       = 64      // of schemas in schemas
	MaxSchemas     = 10_000  // in one document
	maxEvaluations = 100_000 // of schemas, for one value: well under a second
)

// Dialect is what $schema may be.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

// ErrTooComplex means that a value nests in a way that would take too long to
// check.
var ErrTooComplex = errors.New("it nests too deep for this schema to be checked")

// Schema is a compiled schema. It does not change and is safe for concurrent
// use.
type Schema struct {
	document map[string]any // as it was written; nil where it is true or false
	resolved *jsonschema.Resolved
	graph    *graph
	members  map[string]member // the declared properties
}

// member is one declared property, which can be checked on its own so that a
// refusal can name it. That is compiled when it is first needed: documents have
// thousands of properties, most of which nobody ever sends.
type member struct {
	source   *jsonschema.Schema
	resolved func() (*jsonschema.Resolved, error)
}

// Compile reads a schema. The error is an *[Error].
func Compile(text []byte) (*Schema, error) {
	if len(text) > MaxSize {
		return nil, problem("", "it has %d bytes; at most %d are allowed", len(text), MaxSize)
	}
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, problem("", "not JSON: %v", err)
	}
	s := &Schema{members: map[string]member{}}
	s.document, _ = document.(map[string]any)
	var err error
	if s.graph, err = newGraph(document); err != nil {
		return nil, err
	}
	var root jsonschema.Schema
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, s.graph.locate(err)
	}
	if root.Schema != "" && root.Schema != Dialect {
		return nil, problem("/$schema", "want %s, or leave it out", Dialect)
	}
	if s.resolved, err = root.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true}); err != nil {
		return nil, s.graph.locate(err)
	}
	text = bytes.Clone(text) // kept for the members
	for name, source := range root.Properties {
		s.members[name] = member{source, sync.OnceValues(func() (*jsonschema.Resolved, error) { return compileMember(text, name) })}
	}
	return s, nil
}

// Identifiers that put a root into another document without moving what its
// references lead to.
const (
	rootID   = "urn:schema:root"
	memberID = "urn:schema:member"
)

func compileMember(text []byte, name string) (*jsonschema.Resolved, error) {
	root := &jsonschema.Schema{} // the library wants each document resolved once
	if err := json.Unmarshal(text, root); err != nil {
		return nil, err
	}
	if root.ID == "" {
		root.ID = rootID
	}
	around := &jsonschema.Schema{
		ID: memberID, Ref: root.ID + "#/properties/" + pointerFragment(name), Defs: map[string]*jsonschema.Schema{"root": root},
	}
	return around.Resolve(nil)
}

// pointerFragment makes a name part of a JSON pointer in a URI (RFC 6901 section 6).
func pointerFragment(name string) string {
	var b strings.Builder
	for _, c := range []byte(escape(name)) {
		if c == '-' || c == '_' || c == '~' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// Bounded reports whether a value can be checked in bounded time.
func (s *Schema) Bounded(value any) bool { return s.graph.evaluations(value) <= maxEvaluations }

// Validate holds a value, as encoding/json gives it, against the schema. The
// error is [ErrTooComplex], or says what is wrong and may repeat the value.
func (s *Schema) Validate(value any) error {
	if !s.Bounded(value) {
		return ErrTooComplex
	}
	return s.resolved.Validate(value)
}

// Member holds a value against the schema of a declared property, and returns
// in words what that wants when the value does not fit, "" when it does. The
// value must be [Schema.Bounded] as a part of the whole.
func (s *Schema) Member(name string, value any) (wanted string) {
	m, declared := s.members[name]
	if !declared {
		return ""
	}
	if resolved, err := m.resolved(); err != nil || resolved.Validate(value) == nil {
		return "" // the whole decides anyway
	}
	return words(m.source)
}

// Wanted says in words what a declared property has to be.
func (s *Schema) Wanted(name string) string {
	m, declared := s.members[name]
	if !declared {
		return "a value"
	}
	return words(m.source)
}

// IsObject reports whether the schema says that only objects fit.
func (s *Schema) IsObject() bool { return s.document["type"] == "object" }

// Closed reports whether an object that fits has declared properties only.
func (s *Schema) Closed() bool {
	return s.document["additionalProperties"] == false || s.document["unevaluatedProperties"] == false
}

// Members returns the names of the declared properties, sorted, and whether
// others may fit too: in an open schema, by a pattern, or by composition.
func (s *Schema) Members() (names []string, others bool) {
	_, patterns := s.document["patternProperties"]
	return slices.Sorted(maps.Keys(s.members)), !s.Closed() || patterns || len(s.graph.nodes[0].same) > 0
}

// Required returns the names that an object must have, sorted.
func (s *Schema) Required() (names []string) {
	list, _ := s.document["required"].([]any)
	for _, item := range list {
		if name, ok := item.(string); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Scalar reports whether a declared property is a single string, integer, number
// or boolean, by its own word or by that of what it refers to.
func (s *Schema) Scalar(name string) bool {
	id, declared := s.graph.byAt["/properties/"+escape(name)]
	return declared && s.graph.scalar(id)
}
