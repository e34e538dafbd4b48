package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

type toolsImportCommand struct {
	Spec       string `arg:"" name:"spec" help:"OpenAPI document: a file or an https URL."`
	Output     string `name:"output" short:"o" placeholder:"PATH" help:"File to write; it must not be there yet. Default: standard output."`
	Upstream   string `name:"upstream" default:"api" placeholder:"NAME" help:"Name for the API in the catalogue. Default: api."`
	URL        string `name:"url" placeholder:"URL" help:"Where the API is. Default: the first server of the document."`
	Credential string `name:"credential" default:"none" enum:"forward,none" help:"What goes along: forward (the caller's own token) or none. The others need settings of their own: write them into the file. Default: none."`
	Offer      string `name:"offer" default:"tools" enum:"tools,search" help:"tools: each operation is one. search: two tools find operations and call one. Default: tools."`
	Prefix     string `name:"prefix" placeholder:"TEXT" help:"Before the name of each tool, such as pets_."`
	Max        int    `name:"max" placeholder:"N" help:"How many tools there may be. Default: 40."`
	Deprecated bool   `name:"deprecated" help:"Take deprecated operations too."`

	Tag       []string `name:"tag" placeholder:"TAG" sep:"none" help:"Take operations with this tag; may be repeated, as those below."`
	Operation []string `name:"operation" placeholder:"ID" sep:"none" help:"Take the operation with this operationId."`
	Path      []string `name:"path" placeholder:"PATTERN" sep:"none" help:"Take operations of these paths; * is anything in a segment, ** anything."`
	Method    []string `name:"method" placeholder:"METHOD" sep:"none" help:"Take operations with this method."`

	NotTag       []string `name:"not-tag" placeholder:"TAG" sep:"none" help:"Leave out operations with this tag."`
	NotOperation []string `name:"not-operation" placeholder:"ID" sep:"none" help:"Leave out the operation with this operationId."`
	NotPath      []string `name:"not-path" placeholder:"PATTERN" sep:"none" help:"Leave out operations of these paths."`
	NotMethod    []string `name:"not-method" placeholder:"METHOD" sep:"none" help:"Leave out operations with this method."`
}

// Help returns the examples under --help.
func (toolsImportCommand) Help() string {
	return `The catalogue names the document and says which of its operations are tools; the server reads the document when it starts and when it changes. It is written only if a server would take it: with more operations than --max, the error says which tags there are to choose from.

Examples:

    oauth-mcp-server tools import openapi.yaml -o tools.yaml
    oauth-mcp-server tools import openapi.yaml --tag teams --not-method delete --credential forward
    oauth-mcp-server tools import https://api.example.com/openapi.json --offer search -o tools.yaml
    TOOLS_FILE=tools.yaml oauth-mcp-server tools list`
}

// Run writes the catalogue.
func (c *toolsImportCommand) Run(ctx context.Context, p process) error {
	var b bytes.Buffer
	notes, err := app.ImportTools(ctx, &b, app.ImportOptions{
		Config: config.Default(), Document: c.Spec, Directory: filepath.Dir(c.Output),
		Upstream: c.Upstream, URL: c.URL, Credential: c.Credential,
		Offer: c.Offer, Prefix: c.Prefix, Max: c.Max, Deprecated: c.Deprecated,
		Include: app.ImportMatch{Operations: c.Operation, Tags: c.Tag, Paths: c.Path, Methods: c.Method},
		Exclude: app.ImportMatch{Operations: c.NotOperation, Tags: c.NotTag, Paths: c.NotPath, Methods: c.NotMethod},
	})
	if err != nil {
		return err
	}
	for _, note := range notes {
		_, _ = fmt.Fprintln(p.stderr, "note: "+note) // nothing else can be done
	}
	if c.Output == "" {
		_, err = io.Copy(p.stdout, &b)
		return err
	}
	return writeNew(c.Output, b.Bytes())
}

// writeNew writes a file that must not be there: somebody may have worked on it.
func writeNew(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a catalogue holds no secret
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; remove it or choose another name", path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
