package imports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// Config says where documents come from.
type Config struct {
	Directory string            // of the catalogue: where relative names start
	Transport http.RoundTripper // for documents at a URL: what may be dialled
}

// Result is a catalogue with everything that it imports.
type Result struct {
	Catalogue *tool.Catalogue
	Files     []File   // that were read, or should have been
	Notes     []string // what was left out or decided, for the operator
	Warnings  []string // what is likely to be a mistake of the catalogue
}

// Bounds of what is told about one import.
const (
	maxNotes    = 100
	maxProblems = 100 // operations that cannot be tools
)

// Resolve reads the documents that a catalogue names and makes tools of them. It
// is all or nothing: everything wrong is reported, joined, with the line of the
// catalogue or of the document. A catalogue without imports is returned as it is.
// The files of the result are complete even with an error.
func Resolve(ctx context.Context, catalogue *tool.Catalogue, cfg Config) (Result, error) {
	return NewDocuments(cfg).Resolve(ctx, catalogue)
}

// Resolve is [Resolve] with what has been read already.
func (d *Documents) Resolve(ctx context.Context, catalogue *tool.Catalogue) (Result, error) {
	result := Result{Catalogue: catalogue}
	list := catalogue.Imports()
	if len(list) == 0 {
		return result, nil
	}
	r := &resolver{documents: d, result: &result, found: &directory{}}
	var problems []error
	for i := range list {
		r.notes = 0
		if err := r.add(ctx, &list[i]); err != nil {
			problems = append(problems, where(&list[i], err))
		}
		if more := r.notes - maxNotes; more > 0 {
			result.Notes = append(result.Notes, fmt.Sprintf("%sand %d more notes", Prefix(&list[i]), more))
		}
	}
	result.Files = d.files
	if err := errors.Join(problems...); err != nil {
		return result, err
	}
	if len(r.found.list) > 0 {
		r.found.index = openapi.NewIndex(r.found.list)
		r.imported.Directory = r.found
	}
	sum := sha256.Sum256([]byte(strings.Join(d.hashes, "")))
	r.imported.Hash = hex.EncodeToString(sum[:])
	var err error
	result.Catalogue, err = catalogue.With(r.imported)
	return result, err
}

// resolver is the state of one Resolve.
type resolver struct {
	documents *Documents
	result    *Result
	imported  tool.Imported
	found     *directory
	notes     int // about the import that is worked on
}

// Prefix stands before everything that is told about an import: errors and notes.
func Prefix(i *tool.Import) string { return fmt.Sprintf("line %d: %s (%s): ", i.Line, i.Path, i.From) }

// where adds [Prefix] to each line of an error.
func where(i *tool.Import, err error) error {
	var lines []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		lines = append(lines, errors.New(Prefix(i)+line))
	}
	return errors.Join(lines...)
}

// note tells the operator, within maxNotes.
func (r *resolver) note(i *tool.Import, text string) {
	if r.notes++; r.notes <= maxNotes {
		r.result.Notes = append(r.result.Notes, Prefix(i)+text)
	}
}

// warn tells of operations that change something for everybody with a valid token.
func (r *resolver) warn(i *tool.Import, open []string) {
	if len(open) > 0 {
		r.result.Warnings = append(r.result.Warnings, Prefix(i)+fmt.Sprintf(
			"everybody with a valid token may make changes with %d of these operations, such as %s; declare scopes or a rule, or default: deny", len(open), open[0]))
	}
}

// add makes tools of what one import chooses.
func (r *resolver) add(ctx context.Context, i *tool.Import) error {
	document, err := r.documents.document(ctx, i.From)
	if err != nil {
		return err
	}
	selected, err := document.Select(selection(i, document))
	if _, tooMany := errors.AsType[*openapi.TooManyError](err); tooMany {
		return fmt.Errorf("%w. Or write offer: search, which gives clients two tools that find and call all of them", err)
	}
	if err != nil {
		return err
	}
	selected = slices.DeleteFunc(selected, func(o openapi.Operation) bool {
		if tool.IsMethod(o.Method) {
			return false
		}
		r.note(i, fmt.Sprintf("left out: line %d: %s: %s is no method for tools", o.Line, o.Key(), o.Method))
		return true
	})
	for _, problem := range document.Problems {
		r.note(i, "left out: "+problem.Error())
	}
	upstream, _ := r.result.Catalogue.Upstream(i.Upstream) // the loader has seen to it that there is one
	if !samePath(document.Servers, upstream.URL) {
		r.note(i, fmt.Sprintf("the document's paths begin at %s, and the upstream's URL is %s; the paths of the two URLs should be the same",
			strings.Join(document.Servers[:min(len(document.Servers), 3)], ", "), upstream.URL))
	}
	if i.Search {
		r.found.about = append(r.found.about, about(document, selected))
	}
	return r.operations(ctx, i, document, selected, upstream.OwnHeaders())
}

// operations makes tools of the chosen operations. Those that are searched are
// made as well, to know that they can be, and not kept.
func (r *resolver) operations(ctx context.Context, i *tool.Import, document *openapi.Document, selected []openapi.Operation, own []string) error {
	var problems []error
	var open []string // names
	for _, operation := range selected {
		d, err := r.declare(ctx, i, document, operation, own)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%w; leave it out with exclude", err))
			continue
		case i.Search:
			err = r.found.add(i, document, operation, own, d)
		default:
			r.imported.Tools = append(r.imported.Tools, d)
		}
		if err != nil {
			problems = append(problems, err)
		}
		if d.OpensWrites() {
			open = append(open, d.Name)
		}
	}
	r.warn(i, open)
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems], fmt.Errorf("and %d more problems", more))
	}
	return errors.Join(problems...)
}

// declare makes a tool of an operation. What is searched is compiled here: nothing
// else does it before the operation is called.
func (r *resolver) declare(ctx context.Context, i *tool.Import, document *openapi.Document, operation openapi.Operation, own []string) (tool.Declaration, error) {
	details, err := document.Details(ctx, operation, own...)
	if err != nil {
		return tool.Declaration{}, err
	}
	for _, note := range details.Notes {
		r.note(i, operation.Key()+": "+note)
	}
	if details.Servers != nil {
		r.note(i, operation.Key()+": the operation has a server of its own; calls go to the upstream")
	}
	place := fmt.Sprintf("line %d: %s", operation.Line, operation.Key())
	d := i.Treat(operation.Key(), declaration(operation, details))
	d.Origin = Prefix(i) + place
	if !i.Search {
		return d, nil
	}
	if err := r.result.Catalogue.Check(d); err != nil {
		return d, fmt.Errorf("%s: %s", place, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return d, nil
}
