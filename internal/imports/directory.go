package imports

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// Bounds of what a model is told that there is to find.
const (
	maxAboutTags  = 12
	maxAboutTag   = 40 // bytes
	maxAboutTitle = 80 // bytes
)

// directory is the operations of all imports that are searched. It does not
// change once [Resolve] has returned it, and implements [tool.Directory].
type directory struct {
	about   []string
	list    []openapi.Operation // with the names of tools
	entries map[string]entry    // by that name
	index   *openapi.Index
}

// entry is one operation that can be found.
type entry struct {
	document  *openapi.Document
	operation openapi.Operation
	rules     *tool.Import
	own       []string // header fields of its upstream
	listing   tool.Listing
}

// add takes in an operation of an import, and the tool that it is. Of that it keeps
// what a search shows: [directory.Declaration] makes the tool again where it is
// asked for, so that thousands of schemas need not stay.
func (d *directory) add(rules *tool.Import, document *openapi.Document, operation openapi.Operation, own []string, made tool.Declaration) error {
	if other, taken := d.entries[made.Name]; taken {
		return fmt.Errorf("the operation name %q is taken by %s; set the prefix of the import, or override the name", made.Name, other.operation.Key())
	}
	if d.entries == nil {
		d.entries = map[string]entry{}
	}
	d.entries[made.Name] = entry{document, operation, rules, own, tool.Listing{
		Name: made.Name, Summary: cmp.Or(operation.Summary, operation.Description), Method: operation.Method, Path: operation.Path,
		Access: made.Access,
	}}
	operation.Name = made.Name
	d.list = append(d.list, operation)
	return nil
}

// about says what the operations of a document are for. Its texts are of somebody
// else, so each is one short line.
func about(document *openapi.Document, selected []openapi.Operation) string {
	counts := map[string]int{}
	var tags []string
	for _, operation := range selected {
		for _, tag := range operation.Tags {
			if tag = oneLine(tag, maxAboutTag); tag == "" {
				continue
			}
			if counts[tag]++; counts[tag] == 1 {
				tags = append(tags, tag)
			}
		}
	}
	slices.SortStableFunc(tags, func(a, b string) int { return counts[b] - counts[a] })
	text := fmt.Sprintf("There are %d operations of %s", len(selected), cmp.Or(oneLine(document.Title, maxAboutTitle), "an API"))
	if len(tags) > 0 {
		text += ", most of them about: " + strings.Join(tags[:min(len(tags), maxAboutTags)], ", ")
	}
	return text + "."
}

// oneLine returns a text with each run of white space as one space, shortened to
// limit bytes.
func oneLine(text string, limit int) string {
	return fit(strings.Join(strings.Fields(text), " "), limit)
}

// About implements [tool.Directory].
func (d *directory) About() string { return fit(strings.Join(d.about, " "), maxDescription) }

// Search implements [tool.Directory].
func (d *directory) Search(query string, limit int, keep func(tool.Listing) bool) []tool.Listing {
	var found []tool.Listing
	for _, operation := range d.index.Search(query, limit, func(o openapi.Operation) bool { return keep(d.entries[o.Name].listing) }) {
		found = append(found, d.entries[operation.Name].listing)
	}
	return found
}

// Declaration implements [tool.Directory].
func (d *directory) Declaration(ctx context.Context, name string) (tool.Declaration, bool, error) {
	e, known := d.entries[name]
	if !known {
		return tool.Declaration{}, false, nil
	}
	details, err := e.document.Details(ctx, e.operation, e.own...)
	if err != nil {
		return tool.Declaration{}, true, err
	}
	return e.rules.Treat(e.operation.Key(), declaration(e.operation, details)), true, nil
}
