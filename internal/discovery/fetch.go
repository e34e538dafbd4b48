// Package discovery fetches what identity providers publish about themselves:
// authorization-server metadata (RFC 8414, OpenID Connect Discovery) and any
// other JSON document, such as a key set, under one fetch policy.
//
// Start with [Fetcher] for one document and [Source] for metadata that is kept
// and refreshed. It defends against identity providers that are slow, huge,
// redirecting or impersonated; it verifies no token.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The fetch policy: every request to an identity provider keeps to it.
const (
	MaxDocument  = 1 << 20         // bytes of one document
	FetchTimeout = 5 * time.Second // from dial to last byte
	MaxRedirects = 3               // same scheme and host only
)

// Errors of a fetch that callers tell apart.
var (
	ErrInsecureURL  = errors.New("the URL is neither https nor loopback http")
	ErrTooLarge     = errors.New("the document is larger than 1 MiB")
	ErrNotPublished = errors.New("no such document")
)

// Fetcher gets JSON documents over HTTP within the fetch policy. It sends no
// credentials. Use [NewFetcher].
type Fetcher struct {
	client *http.Client
}

// NewFetcher returns a Fetcher on top of transport, which decides what may be
// dialled.
func NewFetcher(transport http.RoundTripper) *Fetcher {
	return &Fetcher{client: &http.Client{
		Transport:     transport,
		Timeout:       FetchTimeout,
		CheckRedirect: checkRedirect,
	}}
}

func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > MaxRedirects:
		return fmt.Errorf("more than %d redirects", MaxRedirects)
	case next.URL.Scheme != first.Scheme || next.URL.Host != first.Host:
		return fmt.Errorf("redirect to another origin (%s://%s)", next.URL.Scheme, next.URL.Host)
	}
	return nil
}

// CheckURL returns an error unless raw is an absolute https URL, or http on a
// loopback host (RFC 8414 section 6).
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q is not an absolute URL", raw)
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopbackHost(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s: %w", raw, ErrInsecureURL)
}

func isLoopbackHost(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// Document returns the body of a JSON document, at most [MaxDocument] bytes. A
// 404 or 410 gives an error wrapping [ErrNotPublished]. No error holds any of
// the body.
func (f *Fetcher) Document(ctx context.Context, rawURL string) ([]byte, error) {
	if err := CheckURL(rawURL); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", rawURL, err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "oauth-mcp-server")
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err // *url.Error already names the URL
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone:
		return nil, fmt.Errorf("get %s: status %d: %w", rawURL, response.StatusCode, ErrNotPublished)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("get %s: status %d", rawURL, response.StatusCode)
	}
	if !isJSON(response.Header.Get("Content-Type")) {
		return nil, fmt.Errorf("get %s: the answer is not JSON: %w", rawURL, ErrNotPublished)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxDocument+1)) //nolint:forbidigo // bounded by the line's own limit
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", rawURL, err)
	}
	if len(body) > MaxDocument {
		return nil, fmt.Errorf("get %s: %w", rawURL, ErrTooLarge)
	}
	return body, nil
}

// isJSON accepts application/json and +json types (a key set may come as
// application/jwk-set+json) and, since some providers send none, no type.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"))
}
