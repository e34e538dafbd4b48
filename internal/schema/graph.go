package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// node is one schema of a document and where it leads.
type node struct {
	at  string         // JSON pointer
	own map[string]any // keywords that hold no schemas

	same []int // evaluated against the same value
	must []int // those of them that have to fit too

	properties   map[string][]int // against the value of a property
	patterns     []pattern
	otherMembers []int // against properties that neither of these names, or may not
	memberNames  []int // against names of properties
	prefix       [][]int
	items        []int // against items after prefix, or all of them
	everyItem    []int
}

type pattern struct {
	expression *regexp.Regexp
	schemas    []int
}

// graph is every schema of a document. Node 0 is the root.
type graph struct {
	nodes   []*node
	order   []int // every node before those it leads to with the same value
	plain   bool  // a tree without composition: no value makes it expensive
	byAt    map[string]int
	anchors map[string][]int
	refs    []reference
}

type reference struct {
	from    int
	to      string
	dynamic bool
}

// newGraph reads a document that consists of JSON values as encoding/json gives
// them.
func newGraph(document any) (*graph, error) {
	g := &graph{byAt: map[string]int{}, anchors: map[string][]int{}}
	if err := g.add(document, "", 0); err != nil {
		return nil, err
	}
	for _, r := range g.refs {
		targets, err := g.resolve(r)
		if err != nil {
			return nil, err
		}
		from := g.nodes[r.from]
		from.same = append(from.same, targets...)
		if !r.dynamic {
			from.must = append(from.must, targets...)
		}
	}
	return g, g.sort()
}

// add reads the schema at a place and those in it.
func (g *graph) add(value any, at string, depth int) error {
	switch {
	case depth > MaxDepth:
		return problem(at, "the schema nests deeper than %d", MaxDepth)
	case len(g.nodes) >= MaxSchemas:
		return problem(at, "there are more than %d schemas in it", MaxSchemas)
	}
	id := len(g.nodes)
	n := &node{at: at, own: map[string]any{}}
	g.nodes = append(g.nodes, n)
	g.byAt[at] = id
	members, isObject := value.(map[string]any)
	if _, isBool := value.(bool); !isObject && !isBool {
		return problem(at, "a schema must be an object, true or false")
	}
	if _, nested := members["$id"]; nested && at != "" {
		return problem(at, "only the root may have an $id; references lead into the schema itself")
	}
	for _, keyword := range slices.Sorted(maps.Keys(members)) {
		if err := g.keyword(id, keyword, members[keyword], depth); err != nil {
			return err
		}
	}
	return nil
}

// keyword reads one keyword of a schema.
func (g *graph) keyword(id int, keyword string, value any, depth int) error {
	n := g.nodes[id]
	text, _ := value.(string)
	switch keyword {
	case "$ref", "$dynamicRef":
		g.refs = append(g.refs, reference{id, text, keyword == "$dynamicRef"})
	case "$anchor", "$dynamicAnchor":
		g.anchors[text] = append(g.anchors[text], id)
	case "type":
		if !knownTypes(value) {
			return problem(n.at+"/type", "want one or a list of: %s", strings.Join(Types, ", "))
		}
	}
	kind, _ := Keyword(keyword)
	at := n.at + "/" + escape(keyword)
	switch kind {
	case Plain:
		if !strings.HasPrefix(keyword, "$") {
			n.own[keyword] = value
		}
		return nil
	case One:
		ids, err := g.children(depth, at, []any{value}, []string{""})
		if err != nil {
			return err
		}
		return n.lead(keyword, ids, nil)
	case List:
		list, ok := value.([]any)
		if !ok {
			return problem(at, "want a list of schemas")
		}
		var names []string
		for i := range list {
			names = append(names, "/"+strconv.Itoa(i))
		}
		ids, err := g.children(depth, at, list, names)
		if err != nil {
			return err
		}
		return n.lead(keyword, ids, nil)
	case Map:
		members, ok := value.(map[string]any)
		if !ok {
			return problem(at, "want an object of schemas")
		}
		keys := slices.Sorted(maps.Keys(members))
		var list []any
		var names []string
		for _, key := range keys {
			list, names = append(list, members[key]), append(names, "/"+escape(key))
		}
		ids, err := g.children(depth, at, list, names)
		if err != nil {
			return err
		}
		return n.lead(keyword, ids, keys)
	}
	return nil
}

func (g *graph) children(depth int, at string, values []any, names []string) (ids []int, err error) {
	for i, value := range values {
		ids = append(ids, len(g.nodes))
		if err := g.add(value, at+names[i], depth+1); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// lead notes what the schemas under a keyword are evaluated against. names are
// their keys where the keyword has some.
func (n *node) lead(keyword string, ids []int, names []string) error {
	switch keyword {
	case "allOf":
		n.same, n.must = append(n.same, ids...), append(n.must, ids...)
	case "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas":
		n.same = append(n.same, ids...)
	case "properties":
		n.properties = map[string][]int{}
		for i, name := range names {
			n.properties[name] = []int{ids[i]}
		}
	case "patternProperties":
		for i, name := range names {
			expression, err := regexp.Compile(name)
			if err != nil {
				return problem(n.at+"/"+keyword, "%q is not a regular expression of RE2", clip(name))
			}
			n.patterns = append(n.patterns, pattern{expression, []int{ids[i]}})
		}
	case "additionalProperties", "unevaluatedProperties":
		n.otherMembers = append(n.otherMembers, ids...)
	case "propertyNames":
		n.memberNames = ids
	case "prefixItems":
		for _, id := range ids {
			n.prefix = append(n.prefix, []int{id})
		}
	case "items":
		n.items = ids
	case "contains", "unevaluatedItems":
		n.everyItem = append(n.everyItem, ids...)
	}
	return nil // definitions and contentSchema are evaluated when referred to, or never
}

// resolve returns the schemas that a reference may lead to.
func (g *graph) resolve(r reference) ([]int, error) {
	from := g.nodes[r.from].at
	fragment, local := strings.CutPrefix(r.to, "#")
	if !local {
		return nil, problem(from, "the reference %q leads elsewhere; references lead into the schema itself, such as #/$defs/name", clip(r.to))
	}
	pointer, err := url.PathUnescape(fragment)
	if err != nil {
		return nil, problem(from, "the reference %q cannot be read", clip(r.to))
	}
	if id, found := g.byAt[pointer]; found {
		return []int{id}, nil
	}
	if ids := g.anchors[pointer]; len(ids) == 1 || r.dynamic && len(ids) > 0 {
		return ids, nil
	}
	return nil, problem(from, "the reference %q leads nowhere", clip(r.to))
}

// sort orders the nodes, and refuses a schema that is evaluated against a value
// because it is evaluated against that value.
func (g *graph) sort() error {
	const (
		unseen = iota
		entered
		left
	)
	state := make([]int, len(g.nodes))
	var visit func(id int) error
	visit = func(id int) error {
		switch state[id] {
		case entered:
			return problem(g.nodes[id].at, "it refers to itself without going into a property or an item")
		case left:
			return nil
		}
		state[id] = entered
		for _, to := range g.nodes[id].same {
			if err := visit(to); err != nil {
				return err
			}
		}
		state[id] = left
		g.order = append(g.order, id)
		return nil
	}
	g.plain = true
	for id, n := range g.nodes {
		if err := visit(id); err != nil {
			return err
		}
		g.plain = g.plain && len(n.same) == 0
	}
	slices.Reverse(g.order)
	return nil
}

// count is how often each schema is evaluated against a value.
type count map[int]int

func (c count) add(ids []int, times int) {
	for _, id := range ids {
		c[id] = min(c[id]+times, maxEvaluations+1)
	}
}

// evaluations bounds from above how many schemas a value is held against, one
// for each time. It takes time in proportion to the value times the document, and
// stops when maxEvaluations are passed.
func (g *graph) evaluations(value any) int {
	if g.plain {
		return 0
	}
	return g.evaluate(value, count{0: 1}, 0)
}

func (g *graph) evaluate(value any, times count, total int) int {
	for _, id := range g.order {
		if n := times[id]; n > 0 {
			times.add(g.nodes[id].same, n)
			total += n
		}
		if total > maxEvaluations {
			return total
		}
	}
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			total = g.into(name, times, (*node).names, total)
			total = g.into(member, times, func(n *node) []int { return n.member(name) }, total)
		}
	case []any:
		for i, item := range value {
			total = g.into(item, times, func(n *node) []int { return n.item(i) }, total)
		}
	}
	return total
}

// into goes on with a part of a value, and the schemas that each schema of the
// whole leads to for it.
func (g *graph) into(part any, times count, leads func(*node) []int, total int) int {
	if total > maxEvaluations {
		return total
	}
	of := count{}
	for id, n := range times {
		of.add(leads(g.nodes[id]), n)
	}
	if len(of) == 0 {
		return total
	}
	return g.evaluate(part, of, total)
}

// names returns the schemas for the names of properties.
func (n *node) names() []int { return n.memberNames }

// member returns the schemas for the property of that name.
func (n *node) member(name string) []int {
	ids := slices.Clone(n.properties[name])
	for _, p := range n.patterns {
		if p.expression.MatchString(name) {
			ids = append(ids, p.schemas...)
		}
	}
	return append(ids, n.otherMembers...)
}

// item returns the schemas for the item at that place.
func (n *node) item(i int) []int {
	ids := slices.Clone(n.everyItem)
	if i < len(n.prefix) {
		return append(ids, n.prefix[i]...)
	}
	return append(ids, n.items...)
}

// Types are the types of JSON Schema.
var Types = []string{"object", "array", "string", "integer", "number", "boolean", "null"}

func knownTypes(value any) bool {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	return len(list) > 0 && !slices.ContainsFunc(list, func(item any) bool {
		name, _ := item.(string)
		return !slices.Contains(Types, name)
	})
}

// scalar looks at a schema and at what has to fit too; sort has made sure that
// there is an end.
func (g *graph) scalar(id int) bool {
	if only, ok := g.nodes[id].own["type"].(string); ok {
		return only != "object" && only != "array" && only != "null"
	}
	return slices.ContainsFunc(g.nodes[id].must, g.scalar)
}

// escape makes a name part of a JSON pointer (RFC 6901 section 3).
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// locate finds the schema that the library refuses, by what it says itself and
// not of other schemas.
func (g *graph) locate(refusal error) error {
	for _, n := range slices.Backward(g.nodes) {
		text, err := json.Marshal(n.own)
		if err != nil {
			continue
		}
		var own jsonschema.Schema
		if err := json.Unmarshal(text, &own); err != nil {
			return problem(n.at, "not a JSON Schema: %v", err)
		}
		if _, err := own.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true}); err != nil {
			return problem(n.at, "not a valid JSON Schema: %v", err)
		}
	}
	return problem("", "not a valid JSON Schema: %v", refusal)
}

// Error says what is wrong with a schema, and where.
type Error struct {
	At   string // JSON pointer of the schema or keyword; "" is the root
	Text string
}

// Error returns both.
func (e *Error) Error() string {
	if e.At == "" {
		return e.Text
	}
	return "at " + e.At + ": " + e.Text
}

func problem(at, format string, args ...any) error {
	return &Error{at, fmt.Sprintf(format, args...)}
}

// Path returns the names and numbers that At consists of.
func (e *Error) Path() []string {
	if e.At == "" {
		return nil
	}
	path := strings.Split(e.At[1:], "/")
	for i, name := range path {
		path[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	}
	return path
}
