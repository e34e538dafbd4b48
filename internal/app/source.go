package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/imports"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// catalogueSource is where a catalogue comes from: a file, or a text in the
// program.
type catalogueSource struct {
	path      string // "" for the text
	text      []byte
	variables map[string]string // what it can refer to as ${NAME}
	policy    egress.Policy     // of documents that it imports from a URL
}

// catalogueOf returns where a server of this configuration has its catalogue from.
func catalogueOf(cfg config.Config, path string) catalogueSource {
	return catalogueSource{
		path: path, text: tool.BuiltIn(),
		variables: map[string]string{"OTUS_URL": cfg.OtusURL}, policy: egressPolicy(cfg),
	}
}

// name says which catalogue an error is about.
func (s catalogueSource) name() string {
	if s.path == "" {
		return "the built-in catalogue"
	}
	return s.path
}

// readCatalogue is a catalogue with what it imports.
type readCatalogue struct {
	text      []byte // nil: it could not be had
	catalogue *tool.Catalogue
	files     []imports.File // it, and the documents that come from files; complete even with an error
	notes     []string
	warnings  []string // of imports
	remote    bool     // it imports from a URL
}

// read reads the catalogue and the documents that it imports.
func (s catalogueSource) read(ctx context.Context) (readCatalogue, error) {
	var result readCatalogue
	result.text = s.text
	if s.path != "" {
		var info os.FileInfo
		var err error
		result.text, info, err = readFile(s.path)
		result.files = append(result.files, imports.File{Path: s.path, Info: info})
		if err != nil {
			return result, err
		}
	}
	catalogue, err := tool.Load(result.text, s.variables)
	if err != nil {
		return result, fmt.Errorf("%s: %w", s.name(), err)
	}
	result.remote = slices.ContainsFunc(catalogue.Imports(), func(i tool.Import) bool { return imports.IsURL(i.From) })
	transport := egress.NewTransport(s.policy, nil)
	defer transport.CloseIdleConnections()
	resolved, err := imports.Resolve(ctx, catalogue, imports.Config{Directory: filepath.Dir(s.path), Transport: transport})
	result.files = append(result.files, resolved.Files...)
	result.catalogue, result.notes, result.warnings = resolved.Catalogue, resolved.Notes, resolved.Warnings
	if err != nil {
		return result, fmt.Errorf("%s: %w", s.name(), err)
	}
	return result, nil
}

// readFile returns the text of a catalogue, and which file it was: that of the
// moment before it was read, so that a change while it is read is seen later.
func readFile(path string) ([]byte, os.FileInfo, error) {
	file, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, nil, fmt.Errorf("TOOLS_FILE: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("TOOLS_FILE: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(file, tool.MaxCatalogue+1)) //nolint:forbidigo // bounded by the line's own limit
	if err == nil && len(data) > tool.MaxCatalogue {
		err = fmt.Errorf("it is larger than %d bytes", tool.MaxCatalogue)
	}
	if err != nil {
		return nil, info, fmt.Errorf("TOOLS_FILE %s: %w", path, err)
	}
	return data, info, nil
}

// isOutdated reports whether the file under a name is not the one that was read.
func isOutdated(file imports.File) bool {
	info, err := os.Stat(file.Path)
	if err != nil || file.Info == nil {
		return (err == nil) != (file.Info != nil)
	}
	return !os.SameFile(info, file.Info) || !info.ModTime().Equal(file.Info.ModTime()) || info.Size() != file.Info.Size()
}
