// Package upstream is HTTP to the APIs behind this server: one [Client] per
// declared API, and the only code that puts a caller's token on a wire.
//
// Start with [Client.Send]. It takes a request whose URL is relative to the
// API's base, builds a fresh one and returns an answer that is complete,
// bounded and in memory, or a [Failure] of a closed kind.
//
// It defends against a token reaching anybody but its API (the origin and base
// path are pinned and checked again on the final URL, redirects are handed back
// and never followed, there is no cookie jar and no proxy), against headers of
// the incoming request leaking out (nothing is copied but what the tool
// declared, minus a forbidden list), and against an API that is slow, endless
// or compressed to death (one timeout, a byte cap behind decompression, a
// concurrency cap).
//
// It does not decide who may call what, does not read tokens, and does not
// retry.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Mode says which credential a request carries.
type Mode int

// The credential modes. There is no default: the zero Mode is refused.
const (
	Forward Mode = iota + 1 // the caller's own token, byte for byte (docs/adr/0004-forwarding-the-callers-token.md)
	None                    // no Authorization header at all
)

// Defaults of the optional bounds.
const (
	defaultTimeout       = 10 * time.Second
	defaultMaxResponse   = 1 << 20 // bytes
	defaultMaxConcurrent = 64
)

// Config describes one API.
type Config struct {
	Name       string // in messages and logs
	URL        string // absolute http or https URL: origin and base path
	Credential Mode

	Timeout       time.Duration // for one call from queue to last byte; 0 means 10 s
	MaxResponse   int64         // bytes of a body after decompression; 0 means 1 MiB
	MaxConcurrent int           // calls at a time, further ones wait; 0 means 64

	// Transport carries the requests; it must not use a proxy, see
	// egress.NewTransport. The Client never closes it.
	Transport http.RoundTripper

	// InsecureHTTP allows http to a host that is not loopback, where tokens
	// travel in the clear: development only.
	InsecureHTTP bool

	// Meter and Tracer measure the requests; nil: nothing is measured.
	// Propagator tells the API which trace a request belongs to; nil: it is told
	// nothing.
	Meter      metric.Meter
	Tracer     trace.Tracer
	Propagator propagation.TextMapPropagator
}

// Client sends requests to one API. It is safe for concurrent use.
type Client struct {
	name        string
	base        *url.URL
	credential  Mode
	timeout     time.Duration
	maxResponse int64
	slots       chan struct{}
	transport   http.RoundTripper
	observer    *observer
}

// New returns a client for the API that cfg describes. It does no I/O. All
// problems of cfg are reported together; none of them repeats the URL, which
// might hold a password.
func New(cfg Config) (*Client, error) {
	var problems []error
	complain := func(text string) {
		problems = append(problems, fmt.Errorf("upstream %q: %s", cfg.Name, text))
	}
	if cfg.Name == "" {
		complain("it needs a name")
	}
	base, err := parseBase(cfg.URL, cfg.InsecureHTTP)
	if err != nil {
		complain(err.Error())
	}
	if cfg.Credential != Forward && cfg.Credential != None {
		complain("its credential must be forward or none; there is no default")
	}
	if cfg.Timeout < 0 || cfg.MaxResponse < 0 || cfg.MaxConcurrent < 0 {
		complain("its timeout, response limit and concurrency limit must not be negative")
	}
	if cfg.Transport == nil {
		complain("it needs a transport")
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxResponse == 0 {
		cfg.MaxResponse = defaultMaxResponse
	}
	if cfg.MaxConcurrent == 0 {
		cfg.MaxConcurrent = defaultMaxConcurrent
	}
	observer, err := newObserver(cfg, base.Hostname(), base.Port())
	if err != nil {
		return nil, fmt.Errorf("upstream %q: %w", cfg.Name, err)
	}
	return &Client{
		name: cfg.Name, base: base, credential: cfg.Credential,
		timeout: cfg.Timeout, maxResponse: cfg.MaxResponse,
		slots: make(chan struct{}, cfg.MaxConcurrent), transport: cfg.Transport,
		observer: observer,
	}, nil
}

// parseBase checks the base URL of an API.
func parseBase(text string, insecure bool) (*url.URL, error) {
	base, err := url.Parse(text)
	switch {
	case err != nil: // its text would repeat the URL
		return nil, errors.New("its URL cannot be parsed")
	case base.Scheme != "https" && base.Scheme != "http", base.Opaque != "", base.Hostname() == "":
		return nil, errors.New("its URL must be absolute, such as https://api.example.com/v1")
	case base.User != nil:
		return nil, errors.New("its URL must not hold a user name or password")
	case base.RawQuery != "" || base.ForceQuery || base.Fragment != "" || strings.Contains(text, "#"):
		return nil, errors.New("its URL must not have a query or fragment")
	case base.Scheme == "http" && !insecure && !isLoopback(base.Hostname()):
		return nil, errors.New("its URL must be https: tokens must not travel in the clear")
	}
	path := strings.TrimSuffix(base.EscapedPath(), "/")
	if path != "" {
		if err := checkPath(path); err != nil {
			return nil, fmt.Errorf("its URL's path is not plain: %w", err)
		}
	}
	return &url.URL{
		Scheme: base.Scheme, Host: base.Host,
		Path: strings.TrimSuffix(base.Path, "/"), RawPath: strings.TrimSuffix(base.RawPath, "/"),
	}, nil
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 section 6.3
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// Send performs r, whose URL is a path (and query) below the API's base, with
// token as the credential mode says. The timeout covers everything, from
// waiting for a free slot to the last byte; when ctx ends the call ends.
//
// A 2xx answer comes with its whole body in memory. Any other answer, redirects
// included, comes without: its body is nothing a client may see. Only the
// header fields that a result is made from are kept. Every error is a *[Failure].
func (c *Client) Send(ctx context.Context, r *http.Request, token secret.Value) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, exchange := c.observer.begin(ctx, r.Method)
	response, err := c.send(ctx, r, token)
	c.observer.end(ctx, exchange, response, err)
	return response, err
}

func (c *Client) send(ctx context.Context, r *http.Request, token secret.Value) (*http.Response, error) {
	request, err := c.request(ctx, r, token)
	if err != nil {
		return nil, err
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, c.failure(Canceled, ctx.Err())
		}
		return nil, c.failure(Busy, ctx.Err())
	}
	// The transport itself and not an http.Client: that one follows redirects
	// unless told otherwise; here there is nothing to tell.
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return nil, c.failure(classify(ctx, err), err)
	}
	defer func() { _ = response.Body.Close() }()
	return c.answer(ctx, response)
}

// request builds the outgoing request; nothing of r survives but its method,
// path, query, body and declared header fields.
func (c *Client) request(ctx context.Context, r *http.Request, token secret.Value) (*http.Request, error) {
	target, err := join(c.base, r.URL)
	if err != nil {
		return nil, c.failure(ForbiddenAddress, err)
	}
	//nolint:gosec // join has just held the target against the declared base
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), r.Body)
	if err != nil {
		return nil, c.failure(ForbiddenAddress, errors.New("the request is not well formed"))
	}
	request.ContentLength, request.GetBody = r.ContentLength, r.GetBody
	request.Header = declared(r.Header)
	if c.credential == Forward {
		if !sendable(token) {
			return nil, c.failure(NoCredential, nil)
		}
		request.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	c.observer.introduce(ctx, request)
	return request, nil
}

// sendable reports whether token can stand in a header as it is: visible ASCII
// only, so that net/http neither trims nor replaces a byte of it.
func sendable(token secret.Value) bool {
	if !token.IsSet() {
		return false
	}
	text := token.Reveal()
	for i := range len(text) {
		if text[i] < 0x21 || text[i] > 0x7e {
			return false
		}
	}
	return true
}
