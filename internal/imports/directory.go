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
	listing   tool.Listing
}

// add takes in what an import chose of a document, and returns the names of what
// changes something for everybody with a valid token.
func (d *directory) add(rules *tool.Import, document *openapi.Document, selected []openapi.Operation) (open []string, err error) {
	if d.entries == nil {
		d.entries = map[string]entry{}
	}
	for _, operation := range selected {
		scopes, err := document.Scopes(operation)
		if err != nil {
			continue // it cannot be called, see Resolve's notes
		}
		treated := rules.Treat(operation.Key(), tool.Declaration{
			Definition: tool.Definition{Name: operation.Name, Access: tool.Access{Scopes: scopes}}, Method: operation.Method,
		})
		if other, taken := d.entries[treated.Name]; taken {
			return nil, fmt.Errorf("the operation name %q is taken by %s; set the prefix of the import, or override the name", treated.Name, other.operation.Key())
		}
		d.entries[treated.Name] = entry{document, operation, rules, tool.Listing{
			Name: treated.Name, Summary: cmp.Or(operation.Summary, operation.Description), Method: operation.Method, Path: operation.Path,
			Access: treated.Access,
		}}
		if treated.OpensWrites() {
			open = append(open, treated.Name)
		}
		operation.Name = treated.Name
		d.list = append(d.list, operation)
	}
	d.about = append(d.about, about(document, selected))
	return open, nil
}

// about says what the operations of a document are for.
func about(document *openapi.Document, selected []openapi.Operation) string {
	counts := map[string]int{}
	var tags []string
	for _, operation := range selected {
		for _, tag := range operation.Tags {
			if counts[tag]++; counts[tag] == 1 {
				tags = append(tags, tag)
			}
		}
	}
	slices.SortStableFunc(tags, func(a, b string) int { return counts[b] - counts[a] })
	text := fmt.Sprintf("There are %d operations of %s", len(selected), fit(cmp.Or(document.Title, "an API"), maxAboutTitle))
	if len(tags) > 0 {
		text += ", most of them about: " + strings.Join(tags[:min(len(tags), maxAboutTags)], ", ")
	}
	return text + "."
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
	details, err := e.document.Details(ctx, e.operation)
	if err != nil {
		return tool.Declaration{}, true, err
	}
	return e.rules.Treat(e.operation.Key(), declaration(e.operation, details)), true, nil
}
