package imports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
)

// Documents reads each document once, however often it is asked for: two imports
// can be of one, and what is told of it must be of one version. It is for one
// catalogue and one goroutine. Use [NewDocuments].
type Documents struct {
	Config
	read   map[string]source // by where it is
	files  []File            // in the order of reading
	hashes []string          // the same
}

// source is one document, or why there is none.
type source struct {
	document *openapi.Document
	err      error
}

// NewDocuments returns Documents that has read nothing.
func NewDocuments(cfg Config) *Documents { return &Documents{Config: cfg, read: map[string]source{}} }

// Servers returns the base URLs that the document at from names.
func (d *Documents) Servers(ctx context.Context, from string) ([]string, error) {
	document, err := d.document(ctx, from)
	if err != nil {
		return nil, err
	}
	return document.Servers, nil
}

// document returns the document at from.
func (d *Documents) document(ctx context.Context, from string) (*openapi.Document, error) {
	if known, ok := d.read[from]; ok {
		return known.document, known.err
	}
	data, file, err := d.get(ctx, from)
	if file != nil {
		d.files = append(d.files, *file)
	}
	var document *openapi.Document
	if err == nil {
		sum := sha256.Sum256(data)
		d.hashes = append(d.hashes, hex.EncodeToString(sum[:]))
		document, err = openapi.Load(ctx, data)
	}
	d.read[from] = source{document, err}
	return document, err
}
