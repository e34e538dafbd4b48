package openapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a document.
const (
	MaxDocument   = 32 << 20  // bytes
	maxStructure  = 3_000_000 // characters that can begin a value; a node takes 152 bytes
	maxDepth      = 200       // mappings and sequences in each other
	maxOperations = 20_000
)

// structure lists the characters without which neither YAML nor JSON begins
// another value.
const structure = ",:\n[{-?"

// parse returns the root of the one document in data, checked: within the
// bounds, no key twice, no alias that holds itself, and what is merged written
// out. The parser of YAML cannot be interrupted; its time is bounded by the size
// of what it reads.
func parse(ctx context.Context, data []byte) (*yaml.Node, error) {
	if len(data) > MaxDocument {
		return nil, fmt.Errorf("the document has %d bytes; at most %d are allowed", len(data), MaxDocument)
	}
	count := 0
	for i := range len(structure) {
		count += bytes.Count(data, []byte{structure[i]})
	}
	if count > maxStructure {
		return nil, fmt.Errorf("the document has too many values: %d characters that can begin one, at most %d are allowed", count, maxStructure)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var document, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("the document is empty")
	} else if err != nil {
		return nil, fmt.Errorf("the document is neither YAML nor JSON: %w", err)
	}
	if err := decoder.Decode(&more); err == nil {
		return nil, fmt.Errorf("line %d: a second document starts here; give one", more.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the document is neither YAML nor JSON: %w", err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("the document is not a mapping; an OpenAPI document has the keys openapi, info and paths")
	}
	root := document.Content[0]
	c := checker{open: map[*yaml.Node]bool{}}
	if err := c.check(ctx, root, 1); err != nil {
		return nil, err
	}
	return root, nil
}

// checkEvery is after how many values the context is looked at.
const checkEvery = 4096

// checker walks a document once.
type checker struct {
	count  int
	merged int                 // keys that were merged
	open   map[*yaml.Node]bool // the mappings and sequences around the current value
}

// step counts a value and ends with the context.
func (c *checker) step(ctx context.Context) error {
	if c.count++; c.count%checkEvery == 0 {
		return ctx.Err()
	}
	return nil
}

func (c *checker) check(ctx context.Context, node *yaml.Node, depth int) error {
	if err := c.step(ctx); err != nil {
		return err
	}
	switch {
	case node.Kind == yaml.AliasNode && c.open[node.Alias]:
		return problem(node, "the anchor %s holds itself; write the value out", quote(node.Value))
	case node.Kind != yaml.MappingNode && node.Kind != yaml.SequenceNode:
		return nil
	case depth > maxDepth:
		return problem(node, "the document nests deeper than %d", maxDepth)
	case node.Kind == yaml.MappingNode:
		if err := checkKeys(node); err != nil {
			return err
		}
	}
	c.open[node] = true
	defer delete(c.open, node)
	for _, child := range node.Content {
		if err := c.check(ctx, child, depth+1); err != nil {
			return err
		}
	}
	if node.Kind == yaml.MappingNode {
		return c.merge(ctx, node)
	}
	return nil
}

// checkKeys wants keys that are words, each once: of two equal ones another
// reader of the document might take the other.
func checkKeys(node *yaml.Node) error {
	const few = 16
	var seen map[string]bool
	if len(node.Content) > 2*few {
		seen = make(map[string]bool, len(node.Content)/2)
	}
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode {
			return problem(key, "a key must be a plain word")
		}
		if isMerge(key) && len(items(node.Content[i+1])) > maxMerged {
			return problem(key, "more than %d mappings are merged into one", maxMerged)
		}
		twice := seen[key.Value]
		if seen != nil {
			seen[key.Value] = true
		}
		for j := 0; seen == nil && j < i; j += 2 {
			twice = twice || node.Content[j].Value == key.Value
		}
		if twice {
			return problem(key, "the key %s is there twice; remove one", quote(key.Value))
		}
	}
	return nil
}

// minorVersion returns the minor version of OpenAPI 3 that root is written in.
func minorVersion(root *yaml.Node) (int, error) {
	version := get(root, "openapi")
	switch {
	case version == nil && get(root, "swagger") != nil:
		return 0, problem(root, "this is Swagger 2.0; convert it to OpenAPI 3, for example with swagger2openapi")
	case version == nil:
		return 0, problem(root, `the key "openapi" is missing; want an OpenAPI document of version 3.0, 3.1 or 3.2`)
	}
	for minor, prefix := range []string{"3.0", "3.1", "3.2"} {
		if rest, ok := strings.CutPrefix(text(version), prefix); ok && (rest == "" || rest[0] == '.') {
			return minor, nil
		}
	}
	return 0, problem(version, "version %s of OpenAPI is not supported; want 3.0, 3.1 or 3.2", quote(text(version)))
}
