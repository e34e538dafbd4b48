package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// Bounds of one token request.
const (
	tokenTimeout     = 10 * time.Second
	maxTokenResponse = 64 << 10 // bytes, after decompression
	maxJSONDepth     = 16
	maxRetryAfter    = 24 * 60 * 60 // seconds
)

// EndpointConfig describes a token endpoint.
type EndpointConfig struct {
	URL    string // absolute, https or on loopback
	Client ClientConfig
	// Transport carries the requests; it must not use a proxy, see
	// egress.NewTransport. It is never closed here.
	Transport http.RoundTripper
}

// Endpoint is the token endpoint of an authorization server (RFC 6749 section
// 3.2), with this server as its client.
type Endpoint struct {
	url       string
	client    client
	transport http.RoundTripper
}

// NewEndpoint returns an endpoint. It does no I/O. It returns an error for a URL
// that is not secure and for a client that lacks what its way to authenticate
// takes.
func NewEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	if err := discovery.CheckURL(cfg.URL); err != nil {
		return nil, err
	}
	if cfg.Transport == nil {
		return nil, errors.New("a token endpoint needs a transport")
	}
	client, err := newClient(cfg.Client, cfg.URL)
	if err != nil {
		return nil, err
	}
	return &Endpoint{url: cfg.URL, client: client, transport: cfg.Transport}, nil
}

// refusedError is an error answer of a token endpoint (RFC 6749 section 5.2).
type refusedError struct {
	status int
	code   string // of the closed characters of RFC 6749; "" when there is none
}

func (r *refusedError) Error() string {
	if r.code == "" {
		return fmt.Sprintf("the token endpoint answered status %d", r.status)
	}
	return fmt.Sprintf("the token endpoint answered %s (status %d)", r.code, r.status)
}

// request sends form and returns the object of a 200 answer. Every error is a
// *[Failure], of kind Refused with a *refusedError where the endpoint said no.
func (e *Endpoint) request(ctx context.Context, form url.Values) (strictjson.Object, error) {
	header := http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}, "User-Agent": {"oauth-mcp-server"},
	}
	if err := e.client.authenticate(header, form); err != nil {
		return nil, &Failure{Kind: Unreadable, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, &Failure{Kind: Outage, Err: errors.New("the token request is not well formed")}
	}
	request.Header = header
	// The transport itself: the request holds credentials and follows no redirect.
	response, err := e.transport.RoundTrip(request)
	if err != nil {
		return nil, &Failure{Kind: Outage, Err: quiet(err)}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxTokenResponse+1)) //nolint:forbidigo // bounded by the line's own limit
	switch {
	case err != nil:
		return nil, &Failure{Kind: Outage, Err: quiet(err)}
	case len(body) > maxTokenResponse:
		return nil, &Failure{Kind: Unusable, Err: errors.New("the token response is larger than 64 KiB")}
	case response.StatusCode == http.StatusOK:
		object, ok := parseObject(body)
		if !ok {
			return nil, &Failure{Kind: Unusable, Err: errors.New("the token response is not one JSON object with distinct names")}
		}
		return object, nil
	default:
		return nil, refused(response, body)
	}
}

// refused reads an answer that is not 200. An error code counts only in a 4xx
// answer; 5xx and 429 are outages, whatever they say.
func refused(response *http.Response, body []byte) *Failure {
	status := response.StatusCode
	if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		failure := &Failure{Kind: Outage, Err: &refusedError{status: status}}
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 && seconds <= maxRetryAfter {
			failure.Seconds = seconds
		}
		return failure
	}
	said := &refusedError{status: status}
	if object, ok := parseObject(body); ok && status >= http.StatusBadRequest {
		if code, _ := object.Text("error"); len(code) <= maxErrorCode && isErrorCode(code) {
			said.code = code
		}
	}
	return &Failure{Kind: Refused, Err: said}
}

// maxErrorCode bounds an error code that is logged, in bytes.
const maxErrorCode = 64

func isErrorCode(code string) bool {
	return !strings.ContainsFunc(code, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' && (r < '0' || r > '9') })
}

// quiet returns a network error without what net/http quotes of a peer that does
// not speak HTTP.
func quiet(err error) error {
	if _, network := errors.AsType[net.Error](err); network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errors.New("the token endpoint gave no well-formed HTTP answer")
}

// parseObject reads a JSON object in which no name comes twice.
func parseObject(raw []byte) (strictjson.Object, bool) {
	if strictjson.Check(raw, maxJSONDepth) != nil {
		return nil, false
	}
	object, err := strictjson.ParseObject(raw)
	return object, err == nil
}
