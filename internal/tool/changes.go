package tool

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

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
	return hashOf(strings.TrimSuffix(b.String(), "\n"))
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Hash returns the SHA-256, in hex, of the text of the catalogue. Where documents
// are imported it is that of its hash and theirs, one behind the other: it changes
// when one of them does.
func (c *Catalogue) Hash() string { return c.hash }

// The kinds of entries of a catalogue.
const (
	KindTool     = "tool"
	KindResource = "resource"
	KindPrompt   = "prompt"
)

// Change is an entry that is not the same in two catalogues. Its hash is
// [Definition.Hash] for a tool; for others, of which clients see less than there
// is, the SHA-256 of what is declared.
type Change struct {
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`             // of a resource: its URI
	Before string   `json:"before,omitempty"` // hash; "" for a new entry
	After  string   `json:"after,omitempty"`  // "" for one that is gone
	Keys   []string `json:"keys,omitempty"`   // of an entry in both: keys of the catalogue that differ, sorted
}

// Changes is what makes one catalogue another.
type Changes struct {
	All []Change // sorted by kind and name
	// Tools says that tools/list may be another one for some caller: what clients
	// see of a tool has changed, or who may see it. Resources and Prompts say that
	// there is a change of one, or of who may see it.
	Tools, Resources, Prompts bool
}

// Compare returns how after differs from before. A tool whose upstream is
// declared in another way has changed too: the key is upstreams.NAME. So have the
// two tools of a directory where a searched import is: the key is imports[N].KEY.
func Compare(before, after *Catalogue) Changes {
	var changes Changes
	changes.Prompts = changes.add(KindPrompt, before.declared, after.declared)
	changes.Resources = changes.add(KindResource, before.declared, after.declared)
	old, now := before.byName(), after.byName()
	for _, name := range union(old, now) {
		was, is := old[name], now[name]
		change := Change{Kind: KindTool, Name: name}
		if was != nil {
			change.Before = was.definition.Hash()
		}
		if is != nil {
			change.After = is.definition.Hash()
		}
		seen := change.Before != change.After
		if was != nil && is != nil {
			change.Keys = differing(was.parts, is.parts)
			opened := !was.definition.Access.equal(is.definition.Access)
			seen = seen || opened
			changes.Resources = changes.Resources || opened && after.isRead(name)
		}
		if seen || len(change.Keys) > 0 {
			changes.All = append(changes.All, change)
		}
		changes.Tools = changes.Tools || seen
	}
	return changes
}

// entryName names one entry of a catalogue that is no tool.
type entryName struct{ kind, name string }

// add notes the changes of a kind, and reports whether there are any.
func (c *Changes) add(kind string, before, after map[entryName]map[string]string) bool {
	hash := func(parts map[string]string) string {
		if parts == nil {
			return ""
		}
		text, _ := json.Marshal(parts) // texts by key
		return hashOf(string(text))
	}
	found := false
	names := slices.SortedFunc(maps.Keys(merged(before, after)), func(a, b entryName) int { return strings.Compare(a.name, b.name) })
	for _, name := range names {
		was, is := before[name], after[name]
		keys := differing(was, is)
		if name.kind != kind || len(keys) == 0 {
			continue
		}
		found = true
		change := Change{Kind: kind, Name: name.name, Before: hash(was), After: hash(is)}
		if was != nil && is != nil {
			change.Keys = keys
		}
		c.All = append(c.All, change)
	}
	return found
}

func merged[K comparable, V any](a, b map[K]V) map[K]V {
	all := maps.Clone(a)
	if all == nil {
		all = map[K]V{}
	}
	maps.Copy(all, b)
	return all
}

// union returns the keys of both, sorted.
func union[V any](a, b map[string]V) []string { return slices.Sorted(maps.Keys(merged(a, b))) }

func (c *Catalogue) byName() map[string]*declaredTool {
	tools := make(map[string]*declaredTool, len(c.tools))
	for _, tool := range c.tools {
		tools[tool.definition.Name] = tool
	}
	return tools
}

func differing(before, after map[string]string) []string {
	var differ []string
	for _, key := range union(before, after) {
		if before[key] != after[key] {
			differ = append(differ, key)
		}
	}
	return differ
}

// isRead reports whether a resource is what the tool answers.
func (c *Catalogue) isRead(tool string) bool {
	return slices.ContainsFunc(c.resources, func(r Resource) bool { return r.Tool == tool })
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

// Declared returns what is declared of an entry under a key, one of
// [Change.Keys], as JSON; "" when nothing is.
func (c *Catalogue) Declared(kind, name, key string) string {
	if kind != KindTool {
		return c.declared[entryName{kind, name}][key]
	}
	if tool := c.tool(name); tool != nil {
		return tool.parts[key]
	}
	return ""
}

// keep remembers an entry that is no tool, for [Compare].
func (l *loader) keep(kind, name string, entry strictyaml.Object) {
	l.catalogue.declared[entryName{kind, name}] = nodeTexts(entry)
}

// parts returns everything that is declared of a tool, and of its upstream, by
// key.
func (l *loader) parts(entry strictyaml.Object, tool *declaredTool) map[string]string {
	parts := nodeTexts(entry)
	if text, known := l.catalogue.upstreamTexts[tool.upstream]; known {
		parts["upstreams."+tool.upstream] = text
	}
	if tool.definition.Access.Nobody {
		parts["default"] = defaultDeny
	}
	return parts
}

// nodeTexts returns everything in an entry by key, see nodeText.
func nodeTexts(entry strictyaml.Object) map[string]string {
	texts := map[string]string{}
	for key, node := range entry.Fields {
		texts[key] = nodeText(node)
	}
	return texts
}

// nodeText returns a value of the file as JSON with sorted keys: the same text
// for what means the same. What JSON cannot say is as it was written.
func nodeText(node *yaml.Node) string {
	var b bytes.Buffer
	writeNode(&b, node)
	return b.String()
}

func writeNode(b *bytes.Buffer, node *yaml.Node) {
	separator := func(i int) {
		if i > 0 {
			b.WriteByte(',')
		}
	}
	switch {
	case node.Kind == yaml.MappingNode:
		members := map[string]*yaml.Node{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			members[node.Content[i].Value] = node.Content[i+1]
		}
		b.WriteByte('{')
		for i, key := range slices.Sorted(maps.Keys(members)) {
			separator(i)
			writeString(b, key)
			b.WriteByte(':')
			writeNode(b, members[key])
		}
		b.WriteByte('}')
	case node.Kind == yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range node.Content {
			separator(i)
			writeNode(b, item)
		}
		b.WriteByte(']')
	case node.ShortTag() == "!!str":
		writeString(b, node.Value)
	default:
		b.WriteString(node.Value)
	}
}
