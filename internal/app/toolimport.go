package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/imports"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// ImportOptions says what of an OpenAPI document becomes tools.
type ImportOptions struct {
	Config     config.Config
	Document   string // a file or an https URL
	Directory  string // where the catalogue will be: names of files start there
	Upstream   string // name for the API
	URL        string // of the API, in which ${OTUS_URL} can stand; "" is the first server of the document
	Credential string

	Offer      string // tools or search
	Prefix     string
	Max        int // 0: the default
	Deprecated bool
	Include    ImportMatch
	Exclude    ImportMatch
}

// ImportMatch is include or exclude of an import.
type ImportMatch struct {
	Operations []string `yaml:"operations,omitempty,flow"`
	Tags       []string `yaml:"tags,omitempty,flow"`
	Paths      []string `yaml:"paths,omitempty,flow"`
	Methods    []string `yaml:"methods,omitempty,flow"`
}

// writtenCatalogue is a catalogue that imports one document.
type writtenCatalogue struct {
	Upstreams map[string]writtenUpstream `yaml:"upstreams"`
	Imports   []writtenImport            `yaml:"imports"`
}

type writtenUpstream struct {
	URL        string    `yaml:"url"`
	Credential yaml.Node `yaml:"credential"`
}

type writtenImport struct {
	From       string       `yaml:"from"`
	Upstream   string       `yaml:"upstream"`
	Offer      string       `yaml:"offer,omitempty"`
	Prefix     string       `yaml:"prefix,omitempty"`
	Include    *ImportMatch `yaml:"include,omitempty"`
	Exclude    *ImportMatch `yaml:"exclude,omitempty"`
	Deprecated bool         `yaml:"deprecated,omitempty"`
	Max        int          `yaml:"max,omitempty"`
}

// credentialHints stand beside the one line that nobody can guess.
var credentialHints = map[string]string{
	tool.CredentialNone:    "or forward (the caller's own token), exchange, client_credentials, static",
	tool.CredentialForward: "the caller's own token; or exchange, client_credentials, static, none",
}

// ImportTools writes a catalogue whose tools are operations of a document, once
// it is known that a server would take it. Notes are what was left out or
// decided.
func ImportTools(ctx context.Context, w io.Writer, opts ImportOptions) (notes []string, err error) {
	transport := egress.NewTransport(egressPolicy(opts.Config), nil)
	defer transport.CloseIdleConnections()
	documents := imports.NewDocuments(imports.Config{Directory: opts.Directory, Transport: transport})
	from := opts.Document
	if !imports.IsURL(from) {
		if from, err = relative(opts.Directory, from); err != nil {
			return nil, err
		}
	}
	if opts.URL == "" {
		if opts.URL, err = serverURL(ctx, documents, from); err != nil {
			return nil, err
		}
	}
	text, err := opts.catalogue(from)
	if err != nil {
		return nil, err
	}
	// With two lines for the comment, problems have the lines of what is written.
	catalogue, err := tool.Load(append([]byte("\n\n"), text...), catalogueOf(opts.Config, "").variables)
	if err != nil {
		return nil, err
	}
	resolved, err := documents.Resolve(ctx, catalogue)
	prefix := imports.Prefix(&catalogue.Imports()[0]) // of a file that is not there yet
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), prefix, ""))
	}
	for _, note := range resolved.Notes {
		notes = append(notes, strings.TrimPrefix(note, prefix))
	}
	var names []string
	for _, definition := range resolved.Catalogue.Definitions() {
		names = append(names, definition.Name)
	}
	_, err = fmt.Fprintf(w, "# Tools of %s.\n# %d of them: %s\n%s", opts.Document, len(names), strings.Join(names, ", "), text)
	return notes, err
}

// relative returns a file's name as it has to be written in a catalogue.
func relative(directory, file string) (string, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	if directory, err = filepath.Abs(directory); err != nil {
		return "", err
	}
	name, err := filepath.Rel(directory, absolute)
	return filepath.ToSlash(name), err
}

// serverURL returns the base URL that a document names first.
func serverURL(ctx context.Context, documents *imports.Documents, from string) (string, error) {
	servers, err := documents.Servers(ctx, from)
	if err != nil {
		return "", err
	}
	base, err := url.Parse(from)
	for _, server := range servers {
		address, wrong := url.Parse(server)
		if wrong != nil {
			continue
		}
		if imports.IsURL(from) && err == nil {
			address = base.ResolveReference(address)
		}
		if address.Host != "" {
			return strings.TrimSuffix(address.String(), "/"), nil
		}
	}
	return "", errors.New("the document names no server with a whole URL; say where the API is with --url")
}

// catalogue returns the text.
func (o ImportOptions) catalogue(from string) ([]byte, error) {
	one := writtenImport{From: from, Upstream: o.Upstream, Prefix: o.Prefix, Deprecated: o.Deprecated, Max: o.Max}
	if o.Offer != "tools" {
		one.Offer = o.Offer
	}
	if !o.Include.empty() {
		one.Include = &o.Include
	}
	if !o.Exclude.empty() {
		one.Exclude = &o.Exclude
	}
	credential := yaml.Node{Kind: yaml.ScalarNode, Value: o.Credential, LineComment: credentialHints[o.Credential]}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	err := encoder.Encode(writtenCatalogue{
		Upstreams: map[string]writtenUpstream{o.Upstream: {URL: o.URL, Credential: credential}},
		Imports:   []writtenImport{one},
	})
	return b.Bytes(), errors.Join(err, encoder.Close())
}

func (m ImportMatch) empty() bool {
	return len(slices.Concat(m.Operations, m.Tags, m.Paths, m.Methods)) == 0
}
