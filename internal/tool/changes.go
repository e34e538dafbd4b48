package tool

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// Hash returns the SHA-256, in hex, of what clients see of a tool: the canonical
// JSON of the Tool object of tools/list, with sorted keys, without white space
// and with numbers as they were written. Text that a model reads is part of it,
// so a changed description is a changed tool.
func (d Definition) Hash() string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(d) // valid JSON in a struct always encodes
	decoder := json.NewDecoder(&b)
	decoder.UseNumber()
	var value any
	_ = decoder.Decode(&value) // it was encoded a moment ago
	b.Reset()
	_ = encoder.Encode(value) // maps encode with sorted keys
	sum := sha256.Sum256(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return hex.EncodeToString(sum[:])
}

// Hash returns the SHA-256, in hex, of the text of the catalogue.
func (c *Catalogue) Hash() string { return c.hash }

// Change is a tool that is not the same in two catalogues.
type Change struct {
	Name   string   `json:"name"`
	Before string   `json:"before,omitempty"` // hash of the definition; "" for a new tool
	After  string   `json:"after,omitempty"`  // "" for a tool that is gone
	Keys   []string `json:"keys,omitempty"`   // of a tool in both: keys of the catalogue that differ, sorted
}

// Changes is what makes one catalogue another.
type Changes struct {
	Tools []Change // sorted by name
	// Listed says that tools/list may be another one for some caller: what clients
	// see of a tool has changed, or who may see it.
	Listed bool
}

// Compare returns how after differs from before. A tool whose upstream is
// declared in another way has changed too: the key is upstreams.NAME.
func Compare(before, after *Catalogue) Changes {
	old, now := before.byName(), after.byName()
	names := maps.Clone(old)
	maps.Copy(names, now)
	var changes Changes
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, is := old[name], now[name]
		change := Change{Name: name}
		if was != nil {
			change.Before = was.definition.Hash()
		}
		if is != nil {
			change.After = is.definition.Hash()
		}
		seen := change.Before != change.After
		if was != nil && is != nil {
			change.Keys = differing(was.parts, is.parts)
			seen = seen || !was.definition.Access.equal(is.definition.Access)
		}
		if seen || len(change.Keys) > 0 {
			changes.Tools = append(changes.Tools, change)
		}
		changes.Listed = changes.Listed || seen
	}
	return changes
}

func (c *Catalogue) byName() map[string]*declaredTool {
	tools := make(map[string]*declaredTool, len(c.tools))
	for _, tool := range c.tools {
		tools[tool.definition.Name] = tool
	}
	return tools
}

func differing(before, after map[string]string) []string {
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	var differ []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if before[key] != after[key] {
			differ = append(differ, key)
		}
	}
	return differ
}

// equal reports whether the same callers are allowed.
func (a Access) equal(b Access) bool {
	rule := func(a Access) string {
		if a.Rule == nil {
			return ""
		}
		return a.Rule.String()
	}
	return slices.Equal(a.Scopes, b.Scopes) && slices.Equal(a.ACR, b.ACR) &&
		a.MaxAge == b.MaxAge && a.Nobody == b.Nobody && rule(a) == rule(b)
}

// parts returns a hash of each thing that is declared of a tool, and of its
// upstream, by key.
func (l *loader) parts(top, entry strictyaml.Object, tool *declaredTool) map[string]string {
	parts := map[string]string{}
	for key, node := range entry.Fields {
		parts[key] = nodeHash(node)
	}
	if all := top.Fields["upstreams"]; all != nil {
		if node := within(all, tool.upstream); node != nil {
			parts["upstreams."+tool.upstream] = nodeHash(node)
		}
	}
	if tool.definition.Access.Nobody {
		parts["default"] = defaultDeny
	}
	return parts
}

// nodeHash is the same for what means the same, however it is laid out.
func nodeHash(node *yaml.Node) string {
	h := sha256.New()
	hashNode(h, node)
	return hex.EncodeToString(h.Sum(nil))
}

func hashNode(h hash.Hash, node *yaml.Node) {
	_, _ = fmt.Fprintf(h, "%d %s %d %q\n", node.Kind, node.ShortTag(), len(node.Content), node.Value) // a hash takes everything
	if node.Kind != yaml.MappingNode {
		for _, item := range node.Content {
			hashNode(h, item)
		}
		return
	}
	members := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		members[node.Content[i].Value] = node.Content[i+1]
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		_, _ = fmt.Fprintf(h, "%q\n", key)
		hashNode(h, members[key])
	}
}
