// Package upstream is HTTP to the APIs behind this server: one [Client] per
// declared API.
//
// Start with [Client.Send]. It takes a request whose URL is relative to the
// API's base, builds a fresh one, has it given its credential ([Credentials])
// and returns an answer that is complete, bounded and in memory, or a [Failure]
// of a closed kind. attempt.go has one attempt, resilience.go what stands around
// the attempts, memory.go answers that are kept and freshness.go for how long.
//
// It defends against a credential reaching anybody but its API (the origin and
// base path are pinned and checked again on the final URL, redirects are handed
// back or followed below the base path only, there is no cookie jar and no
// proxy), against headers of the incoming request leaking out (nothing is copied
// but what the tool declared, minus a forbidden list), and against an API that
// is slow, endless, failing or compressed to death (one timeout, a byte cap
// behind decompression, a concurrency cap with a bounded queue, a circuit
// breaker). An API that is down costs its own calls an error and nobody else
// anything: readiness does not depend on it.
//
// It does not decide who may call what, and does not know where credentials
// come from (package credential).
package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Credentials gives requests to one API their credential. Package credential has
// one for each mode.
type Credentials interface {
	// Apply adds the credential for a call as the person as, whose own token is
	// token, to header: at most one field. It returns who acts for that person
	// ("act", RFC 8693 section 4.1), as audit records show it, "" for nobody.
	// Errors are an *oauth.Refusal where the caller's token is at fault; others
	// have a method Safe() string.
	Apply(ctx context.Context, header http.Header, as oauth.Principal, token secret.Value) (actor string, err error)
	// Rejected says that the API answered 401 to header. It reports whether
	// another Apply may bring a credential that fares better.
	Rejected(header http.Header, as oauth.Principal, token secret.Value) bool
}

// Defaults of the optional bounds.
const (
	defaultTimeout       = 10 * time.Second
	defaultMaxResponse   = 1 << 20 // bytes
	defaultMaxConcurrent = 64
	defaultMaxQueue      = 128
)

// Config describes one API.
type Config struct {
	Name        string // in messages and logs
	URL         string // absolute http or https URL: origin and base path
	Credentials Credentials

	Header http.Header // fixed fields of every request; no tool can replace them

	Timeout       time.Duration // for one call from queue to last byte, retries included; 0 means 10 s
	MaxResponse   int64         // bytes of a body after decompression; 0 means 1 MiB
	MaxConcurrent int           // requests at a time, further ones wait; 0 means 64
	MaxQueue      int           // calls that may wait besides, further ones are refused; 0 means 128
	Retries       int           // further attempts of an idempotent call; 0 means none

	FollowRedirects bool // of GET and HEAD, below the base URL only
	Cache           bool // keep answers as the API and the request allow, for the caller they were given to

	// Transport carries the requests; it must not use a proxy, see
	// egress.NewTransport. The Client never closes it.
	Transport http.RoundTripper

	// InsecureHTTP allows http to a host that is not loopback, where tokens
	// travel in the clear: development only.
	InsecureHTTP bool

	// Logger is told when the API is left alone, and when it is well again; nil
	// tells nobody.
	Logger *slog.Logger

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
	credentials Credentials
	header      http.Header
	timeout     time.Duration
	maxResponse int64
	follow      bool
	transport   http.RoundTripper
	resilience  *resilience
	memory      *memory // nil: nothing is kept
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
	if cfg.Credentials == nil {
		complain("it needs a credential mode; there is no default")
	}
	if cfg.Timeout < 0 || cfg.MaxResponse < 0 || cfg.MaxConcurrent < 0 || cfg.MaxQueue < 0 || cfg.Retries < 0 {
		complain("its timeout, limits and retries must not be negative")
	}
	if name, found := reservedField(cfg.Header); found {
		complain("its fixed headers must not have " + name)
	}
	if cfg.Transport == nil {
		complain("it needs a transport")
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&cfg.Timeout, defaultTimeout)
	orDefault(&cfg.MaxResponse, defaultMaxResponse)
	orDefault(&cfg.MaxConcurrent, defaultMaxConcurrent)
	orDefault(&cfg.MaxQueue, defaultMaxQueue)
	c := &Client{
		name: cfg.Name, base: base, credentials: cfg.Credentials, header: cfg.Header.Clone(),
		timeout: cfg.Timeout, maxResponse: cfg.MaxResponse, follow: cfg.FollowRedirects, transport: cfg.Transport,
		resilience: newResilience(cfg),
	}
	if cfg.Cache {
		c.memory = newMemory()
	}
	if c.observer, err = newObserver(cfg, base.Hostname(), base.Port()); err != nil {
		return nil, fmt.Errorf("upstream %q: %w", cfg.Name, err)
	}
	return c, nil
}

// orDefault replaces a zero by its default.
func orDefault[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
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
	case base.Scheme == "http" && !insecure && !egress.IsLoopbackHost(base.Hostname()):
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

// Send performs r, whose URL is a path (and query) below the API's base, for
// the person as, whose own token is token. The timeout covers everything, from
// obtaining the credential and waiting for a free slot to the last byte; when
// ctx ends the call ends.
//
// A 2xx answer comes with its whole body in memory. Any other answer, redirects
// included, comes without: its body is nothing a client may see. Only the
// header fields that a result is made from are kept. actor says who acts for the
// person in the credential that was sent, answered or not. Every error is a
// *[Failure] or one of [Credentials].
func (c *Client) Send(ctx context.Context, r outbound.Request, as oauth.Principal, token secret.Value) (response *http.Response, actor string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, exchange := c.observer.begin(ctx, r.HTTP.Method)
	response, actor, err = c.send(ctx, r, as, token)
	c.observer.end(ctx, exchange, response, err)
	return response, actor, err
}

func (c *Client) send(ctx context.Context, r outbound.Request, as oauth.Principal, token secret.Value) (response *http.Response, actor string, err error) {
	call, err := c.prepare(r)
	if err != nil {
		return nil, "", err
	}
	if actor, err = c.credentials.Apply(ctx, call.header, as, token); err != nil {
		return nil, "", c.uncredited(ctx, err)
	}
	response, err = c.remembered(ctx, call, as, token)
	if err != nil || response.StatusCode != http.StatusUnauthorized || !call.repeatable() ||
		!c.credentials.Rejected(call.header, as, token) {
		return response, actor, err
	}
	// The credential may have been an old one: once more with a new one.
	if call, err = c.prepare(r); err != nil {
		return nil, actor, err
	}
	if actor, err = c.credentials.Apply(ctx, call.header, as, token); err != nil {
		return nil, "", c.uncredited(ctx, err)
	}
	response, err = c.remembered(ctx, call, as, token)
	return response, actor, err
}

// uncredited says why there is no credential: the call may have ended first.
func (c *Client) uncredited(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return c.failure(Canceled, err)
	case ctx.Err() != nil:
		return c.failure(Timeout, err)
	default:
		return err
	}
}
