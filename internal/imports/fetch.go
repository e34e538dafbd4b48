package imports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
)

// Bounds of getting a document from a URL; its size is [openapi.MaxDocument].
const (
	fetchTimeout = 30 * time.Second
	maxRedirects = 3
)

// File is a document that came from a file.
type File struct {
	Path string
	Info os.FileInfo // of the moment before it was read; nil: there was none
}

// IsURL reports whether the place of a document is a URL rather than a file.
func IsURL(from string) bool { return strings.Contains(from, "://") }

// get returns the text of the document at from. A relative name starts in
// directory. The file is nil for a URL.
func (c Config) get(ctx context.Context, from string) ([]byte, *File, error) {
	if IsURL(from) {
		data, err := c.fetch(ctx, from)
		if err != nil {
			err = fmt.Errorf("%w; check the URL, or download the document and import the file", err)
		}
		return data, nil, err
	}
	path := from
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.Directory, path)
	}
	found := &File{Path: path}
	file, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, found, fmt.Errorf("%w; names of documents start in the directory of the catalogue", err)
	}
	defer file.Close()
	if found.Info, err = file.Stat(); err != nil {
		return nil, found, err
	}
	data, err := bounded(file)
	return data, found, err
}

// bounded reads a document that has to end.
func bounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, openapi.MaxDocument+1)) //nolint:forbidigo // bounded by the line's own limit
	if err == nil && len(data) > openapi.MaxDocument {
		err = fmt.Errorf("the document is larger than %d bytes", openapi.MaxDocument)
	}
	return data, err
}

// fetch gets a document without credentials.
func (c Config) fetch(ctx context.Context, rawURL string) ([]byte, error) {
	if err := discovery.CheckURL(rawURL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/yaml, application/json, text/yaml, */*;q=0.5")
	request.Header.Set("User-Agent", "oauth-mcp-server")
	client := &http.Client{Transport: c.Transport, CheckRedirect: checkRedirect}
	response, err := client.Do(request)
	if err != nil {
		return nil, err // *url.Error already names the URL
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: status %d", rawURL, response.StatusCode)
	}
	return bounded(response.Body)
}

// checkRedirect follows to another host, as releases of documents need it, but
// never away from https: http only where the document's own URL is http, which
// [discovery.CheckURL] allows of this machine, and on its host. Where a connection
// may go is the transport's to say.
func checkRedirect(next *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case next.URL.Scheme != "https" && (via[0].URL.Scheme == "https" || next.URL.Host != via[0].URL.Host):
		return errors.New("redirect to a URL that is not https")
	}
	return nil
}
