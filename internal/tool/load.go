package tool

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/policy"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// Bounds of a catalogue.
const (
	MaxCatalogue   = 1 << 20 // bytes of the file
	maxTools       = 128     // what common clients take at most
	maxDescription = 4 << 10 // bytes
	maxTitle       = 128     // bytes
)

var (
	namePattern     = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)
	variablePattern = regexp.MustCompile(`\$\{([^}]*)\}`)
)

const nameRule = "a name has 1 to 64 of the characters a-z, 0-9 and _"

// The keys each part of a catalogue may have.
var (
	rootKeys       = []string{"default", "upstreams", "tools", "imports", "resources", "prompts"}
	toolKeys       = []string{"name", "title", "description", "upstream", "method", "path", "query", "params", "body", "response", "ttl", "confirm", "input", "output", "scopes", "rule", "acr", "max_age", "annotations"}
	annotationKeys = []string{"title", "read_only", "destructive", "idempotent", "open_world"}
)

// loader is the state of one Load.
type loader struct {
	strictyaml.Problems
	variables map[string]string
	catalogue Catalogue
	compiler  *policy.Compiler
	deny      bool           // what holds for tools that say nothing
	toolLines map[string]int // tool names seen, with their line

	entries map[*declaredTool]strictyaml.Object // where each tool is declared
}

// Load reads a catalogue in YAML (or JSON, which is YAML) and checks all of it.
// References such as ${OTUS_URL} in an upstream's url and audience are resolved
// from variables and from nothing else. Every problem is reported, joined, each
// with its line and what to do about it.
func Load(data []byte, variables map[string]string) (*Catalogue, error) {
	l, err := load(data, variables)
	if err != nil {
		return nil, err
	}
	return &l.catalogue, nil
}

func load(data []byte, variables map[string]string) (*loader, error) {
	if len(data) > MaxCatalogue {
		return nil, fmt.Errorf("the catalogue has %d bytes; at most %d are allowed", len(data), MaxCatalogue)
	}
	root, err := strictyaml.Parse(data, "catalogue", "the keys upstreams and tools")
	if err != nil {
		return nil, err
	}
	compiler, err := policy.NewCompiler()
	if err != nil {
		return nil, err
	}
	l := &loader{
		variables: variables, compiler: compiler, toolLines: map[string]int{},
		catalogue: Catalogue{declared: map[entryName]map[string]string{}, upstreamTexts: map[string]string{}},
		entries:   map[*declaredTool]strictyaml.Object{},
	}
	top := l.Object(root, "", rootKeys)
	l.deny = l.defaultAccess(top)
	l.upstreams(top)
	l.imports(top)
	l.tools(top)
	l.resources(top)
	l.prompts(top)
	if err := l.Err(); err != nil {
		return nil, err
	}
	l.catalogue.hash = hashOf(string(data))
	return l, nil
}

// expand resolves ${NAME} references in the text at key.
func (l *loader) expand(entry strictyaml.Object, key, text string) string {
	failed := false
	result := variablePattern.ReplaceAllStringFunc(text, func(reference string) string {
		name := variablePattern.FindStringSubmatch(reference)[1]
		value, ok := l.variables[name]
		if !ok {
			known := strings.Join(slices.Sorted(maps.Keys(l.variables)), ", ")
			l.Add(entry.Fields[key], entry.At(key), "unknown variable ${%s}; known are: %s", strictyaml.Clip(name), known)
			failed = true
		} else if value == "" {
			l.Add(entry.Fields[key], entry.At(key), "the variable ${%s} is empty; set it", name)
			failed = true
		}
		return value
	})
	if !failed && strings.Contains(result, "${") {
		l.Add(entry.Fields[key], entry.At(key), "a reference is written ${NAME}; close it")
		failed = true
	}
	if failed {
		return ""
	}
	return result
}

func (l *loader) tools(top strictyaml.Object) {
	node := top.Fields["tools"]
	switch {
	case node == nil && len(l.catalogue.imports) > 0:
		return
	case node == nil:
		l.Add(top.Node, "tools", "missing; declare at least one tool, or import some")
		return
	case node.Kind != yaml.SequenceNode || len(node.Content) == 0:
		l.Add(node, "tools", "want a list of at least one tool")
		return
	case len(node.Content) > maxTools:
		l.Add(node, "tools", "there are %d; clients take at most %d, so declare fewer", len(node.Content), maxTools)
		return
	}
	for i, item := range node.Content {
		entry := l.Object(item, fmt.Sprintf("tools[%d]", i), toolKeys)
		tool := l.tool(entry)
		tool.parts, l.entries[tool] = l.parts(entry, tool), entry
		l.catalogue.tools = append(l.catalogue.tools, tool)
	}
	slices.SortFunc(l.catalogue.tools, byName)
}

func (l *loader) tool(entry strictyaml.Object) *declaredTool {
	declaration, places := l.declaration(entry)
	tool := &declaredTool{upstream: declaration.Upstream}
	if node := entry.Fields["input"]; node == nil {
		l.Add(entry.Node, entry.At("input"), "missing; for a tool without arguments write {type: object, additionalProperties: false}")
	} else {
		declaration.InputSchema, tool.input = l.inputSchema(node, entry.At("input"))
	}
	if node := entry.Fields["output"]; node != nil {
		declaration.OutputSchema, tool.output = l.objectSchema(node, entry.At("output"))
	}
	l.scalars(entry, tool.input)
	var faults []fault
	upstream, _ := l.catalogue.Upstream(declaration.Upstream) // one that is missing is reported
	tool.binding, tool.response, faults = declaration.bind(tool.input, upstream)
	for _, f := range faults {
		place := places.of(f)
		l.Add(place.node, place.path, "%s", f.text)
	}
	tool.definition = declaration.Definition
	tool.definition.Annotations = hinted(declaration.Method, declaration.Annotations)
	return tool
}

// upstreamOf reads which API is called.
func (l *loader) upstreamOf(entry strictyaml.Object) string {
	name := entry.Required("upstream", "name the API to call, one of the keys of upstreams")
	if _, known := l.catalogue.Upstream(name); name != "" && !known {
		l.Add(entry.Fields["upstream"], entry.At("upstream"), "there is no upstream %q; declare it under upstreams", strictyaml.Clip(name))
	}
	return name
}

// bounded reports text that is too long or has control characters.
func (l *loader) bounded(entry strictyaml.Object, key, text string, limit int) string {
	control := func(r rune) bool { return r < 0x20 && r != '\n' && r != '\t' || r == 0x7f }
	if len(text) > limit || strings.ContainsFunc(text, control) {
		l.Add(entry.Fields[key], entry.At(key), "want at most %d bytes and no control characters", limit)
	}
	return text
}

func (l *loader) annotations(entry strictyaml.Object) *Annotations {
	node := entry.Fields["annotations"]
	if node == nil {
		return nil
	}
	hints := l.Object(node, entry.At("annotations"), annotationKeys)
	return &Annotations{
		Title:           l.bounded(hints, "title", hints.Text("title"), maxTitle),
		ReadOnlyHint:    hints.Flag("read_only"),
		DestructiveHint: hints.Flag("destructive"),
		IdempotentHint:  hints.Flag("idempotent"),
		OpenWorldHint:   hints.Flag("open_world"),
	}
}
