package app

import (
	"context"
	"fmt"
	"io"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// ToolDiff is how one catalogue differs from another.
type ToolDiff struct {
	Before  DiffedFile    `json:"before"`
	After   DiffedFile    `json:"after"`
	Changes []DiffedEntry `json:"changes"`
}

// DiffedFile is one of the two catalogues.
type DiffedFile struct {
	File string `json:"file"`
	Hash string `json:"catalogue_hash"`
}

// DiffedEntry is a tool, resource or prompt that is not the same in both. A new
// one has no Before, one that is gone no After; they are hashes, see
// [tool.Change].
type DiffedEntry struct {
	Kind    string      `json:"kind"`
	Name    string      `json:"name"`
	Change  string      `json:"change"` // added, removed or changed
	Before  string      `json:"before,omitempty"`
	After   string      `json:"after,omitempty"`
	Differs []DiffedKey `json:"differs,omitempty"`
}

// DiffedKey is what a key of the catalogue holds, as JSON; "" where it is missing.
type DiffedKey struct {
	Key    string `json:"key"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// DiffTools compares the catalogues of two files.
func DiffTools(ctx context.Context, before, after string, cfg config.Config) (ToolDiff, error) {
	load := func(path string) (*tool.Catalogue, error) {
		read, err := catalogueOf(cfg, path).read(ctx)
		return read.catalogue, err
	}
	old, err := load(before)
	if err != nil {
		return ToolDiff{}, err
	}
	now, err := load(after)
	if err != nil {
		return ToolDiff{}, err
	}
	changes := tool.Compare(old, now)
	diff := ToolDiff{
		Before: DiffedFile{before, old.Hash()}, After: DiffedFile{after, now.Hash()},
		Changes: []DiffedEntry{},
	}
	for _, change := range changes.All {
		diffed := DiffedEntry{Kind: change.Kind, Name: change.Name, Change: "changed", Before: change.Before, After: change.After}
		switch {
		case change.Before == "":
			diffed.Change = "added"
		case change.After == "":
			diffed.Change = "removed"
		}
		for _, key := range change.Keys {
			diffed.Differs = append(diffed.Differs, DiffedKey{key, old.Declared(change.Kind, change.Name, key), now.Declared(change.Kind, change.Name, key)})
		}
		diff.Changes = append(diff.Changes, diffed)
	}
	return diff, nil
}

// OK reports whether nothing differs.
func (d ToolDiff) OK() bool { return len(d.Changes) == 0 }

// WriteJSON writes the difference as one JSON object.
func (d ToolDiff) WriteJSON(w io.Writer) error { return writeJSON(w, d) }

// WriteText writes a line for each entry, and what differs below.
func (d ToolDiff) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, one := range d.Changes {
		hash := one.Before + one.After // one of them is empty
		switch {
		case one.Change == "changed" && one.Before == one.After:
			hash = one.Before + " (clients see no difference)"
		case one.Change == "changed":
			hash = one.Before + " -> " + one.After
		}
		fmt.Fprintf(&b, "%-7s  %s %s  %s\n", one.Change, one.Kind, printable(one.Name), hash)
		for _, key := range one.Differs {
			fmt.Fprintf(&b, "  %s\n    - %s\n    + %s\n", key.Key, orNothing(key.Before), orNothing(key.After))
		}
	}
	if d.OK() {
		b.WriteString("nothing differs\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orNothing(text string) string {
	if text == "" {
		return "(nothing)"
	}
	return printable(text)
}
