package openapi

import (
	"context"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Bounds of the merge key of YAML ("<<"). Each use of it copies keys, so that a
// few bytes can stand for thousands of them.
const (
	maxMerged     = 32      // mappings that are merged into one
	maxMergedKeys = 100_000 // keys of all that is merged in a document
)

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && key.ShortTag() == "!!merge"
}

// merge writes out what a mapping merges in, behind its own keys, which win, as
// the earlier of two sources does. What is merged comes earlier in the document,
// so that it is written out already.
func (c *checker) merge(ctx context.Context, node *yaml.Node) error {
	at := 0
	for at < len(node.Content) && !isMerge(node.Content[at]) {
		at += 2
	}
	if at >= len(node.Content) {
		return nil
	}
	key, from := node.Content[at], real(node.Content[at+1])
	content := slices.Concat(node.Content[:at], node.Content[at+2:]) // the key is there once, see checkKeys
	known := map[string]bool{}
	for i := 0; i < len(content); i += 2 {
		known[content[i].Value] = true
	}
	sources := []*yaml.Node{from}
	if from.Kind == yaml.SequenceNode {
		sources = items(from)
	}
	for _, source := range sources {
		for _, f := range fields(source) {
			if err := c.step(ctx); err != nil {
				return err
			}
			if c.merged++; c.merged > maxMergedKeys {
				return problem(key, "more than the %d keys allowed are merged in the document; write them out, or use references", maxMergedKeys)
			}
			if !known[f.key.Value] {
				known[f.key.Value] = true
				content = append(content, f.key, f.value)
			}
		}
	}
	node.Content = content
	return nil
}
