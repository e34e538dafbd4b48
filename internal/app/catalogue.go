package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// ListTools writes the catalogue in use: a table for people, or the definitions
// as clients see them.
func ListTools(ctx context.Context, w io.Writer, cfg config.Config, asJSON bool) error {
	read, err := catalogueOf(cfg, cfg.ToolsFile).read(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(w, listing(read.catalogue))
	}
	credentials := map[string]string{}
	for _, upstream := range read.catalogue.Upstreams() {
		credentials[upstream.Name] = upstream.Credential
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tUPSTREAM\tREQUEST\tCREDENTIAL\tSCOPES\tSIGN-IN\tRULE") // Flush reports the error
	for _, route := range read.catalogue.Routes() {
		row := []string{route.Tool, "-", "-", "-"}
		if route.Upstream != "" {
			row = []string{route.Tool, route.Upstream, route.Method + " " + route.Path, credentials[route.Upstream]}
		}
		_, _ = fmt.Fprintln(table, strings.Join(append(row, accessColumns(route.Access)...), "\t"))
	}
	return table.Flush()
}

// accessColumns says who may call a tool: scopes, sign-in, rule; "-" where a tool
// asks for nothing.
func accessColumns(access tool.Access) []string {
	scopes, signIn, rule := access.Scopes.String(), strings.Join(access.ACR, " or "), "-"
	if access.MaxAge > 0 {
		signIn = strings.TrimSpace(signIn + " within " + access.MaxAge.String())
	}
	switch {
	case access.Nobody:
		rule = "nobody (default: deny)"
	case access.Rule != nil:
		rule = strings.Join(strings.Fields(access.Rule.String()), " ") // in one line
	}
	for _, column := range []*string{&scopes, &signIn} {
		if *column == "" {
			*column = "-"
		}
	}
	return []string{scopes, signIn, rule}
}

// listedTool is a tool as clients see it, with the hash of that.
type listedTool struct {
	tool.Definition
	Hash string `json:"hash"`
}

// listing is the catalogue for programs.
func listing(catalogue *tool.Catalogue) any {
	tools := []listedTool{}
	for _, definition := range catalogue.Definitions() {
		tools = append(tools, listedTool{definition, definition.Hash()})
	}
	return struct {
		Hash  string       `json:"catalogue_hash"`
		Tools []listedTool `json:"tools"`
	}{catalogue.Hash(), tools}
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// Lint is what is wrong with a catalogue that no server uses yet, and what is
// allowed in it and likely to be a mistake. Each has the line and the fix.
type Lint struct {
	File     string   `json:"file"`
	Tools    int      `json:"tools"` // 0 when there are problems
	Problems []string `json:"problems"`
	Warnings []string `json:"warnings"`
	Notes    []string `json:"notes,omitempty"` // what imports left out or decided
	Strict   bool     `json:"-"`               // warnings fail too
}

// LintTools checks the catalogue in a file, and what it imports. The error is that
// the file cannot be read.
func LintTools(ctx context.Context, path string, cfg config.Config, strict bool) (Lint, error) {
	lint := Lint{File: path, Problems: []string{}, Warnings: []string{}, Strict: strict}
	source := catalogueOf(cfg, path)
	read, err := source.read(ctx)
	if read.text == nil {
		return lint, err
	}
	var warnings []string
	if err == nil {
		warnings, err = tool.Lint(read.text, source.variables)
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			lint.Problems = append(lint.Problems, strings.TrimPrefix(line, path+": "))
		}
		return lint, nil
	}
	lint.Tools, lint.Notes = len(read.catalogue.Definitions()), read.notes
	lint.Warnings = append(append(lint.Warnings, warnings...), read.warnings...)
	if size := definitionBytes(read.catalogue); size > manyBytes {
		lint.Warnings = append(lint.Warnings, fmt.Sprintf(
			"the definitions have %d KiB, which clients give to the model with every question; take fewer tools, shorten them, or import with offer: search", size>>10))
	}
	return lint, nil
}

// manyBytes is what definitions should not be larger than: some 16,000 tokens.
const manyBytes = 64 << 10

// definitionBytes is the size of the definitions as tools/list has them.
func definitionBytes(catalogue *tool.Catalogue) int {
	text, err := json.Marshal(catalogue.Definitions())
	if err != nil {
		return 0 // what cannot be encoded is no warning's business
	}
	return len(text)
}

// OK reports whether the catalogue passes.
func (l Lint) OK() bool { return len(l.Problems) == 0 && (!l.Strict || len(l.Warnings) == 0) }

// WriteText writes a line for each finding, and a summary.
func (l Lint) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, problem := range l.Problems {
		b.WriteString("problem: " + problem + "\n")
	}
	for _, warning := range l.Warnings {
		b.WriteString("warning: " + warning + "\n")
	}
	for _, note := range l.Notes {
		b.WriteString("note: " + printable(note) + "\n")
	}
	summary := fmt.Sprintf("problems: %d", len(l.Problems))
	if len(l.Problems) == 0 {
		summary = fmt.Sprintf("no problems, warnings: %d, tools: %d", len(l.Warnings), l.Tools)
	}
	_, err := fmt.Fprintf(w, "%s%s: %s\n", b.String(), l.File, summary)
	return err
}

// WriteJSON writes the findings as one JSON object.
func (l Lint) WriteJSON(w io.Writer) error {
	return writeJSON(w, struct {
		OK bool `json:"ok"`
		Lint
	}{l.OK(), l})
}
