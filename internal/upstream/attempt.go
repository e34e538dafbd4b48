package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
)

// maxRedirects bounds how many redirects of one attempt are followed.
const maxRedirects = 3

// idempotencyKey is the header field by which net/http knows a request that it
// may send again on another connection; without a value it is not sent.
const idempotencyKey = "Idempotency-Key"

// call is one call of an API: what each of its attempts sends.
type call struct {
	method string
	target *url.URL
	header http.Header
	body   func() (io.ReadCloser, error) // a new copy for each attempt; nil: no body
	single io.ReadCloser                 // a body that can be sent only once
	length int64
	ttl    time.Duration // see [outbound.Request]
}

// prepare builds a call of which nothing of request survives but its method, path,
// query, body, declared header fields and what else is declared about it.
func (c *Client) prepare(request outbound.Request) (*call, error) {
	r := request.HTTP
	target, err := join(c.base, r.URL)
	if err != nil {
		return nil, c.failure(ForbiddenAddress, err)
	}
	prepared := &call{method: r.Method, target: target, header: declared(r.Header), body: r.GetBody, length: r.ContentLength, ttl: request.TTL}
	if prepared.method == "" {
		prepared.method = http.MethodGet
	}
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		prepared.single = r.Body
	}
	if request.Idempotent && prepared.header[idempotencyKey] == nil {
		prepared.header[idempotencyKey] = []string{}
	}
	for name, values := range c.header {
		prepared.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	return prepared, nil
}

// repeatable reports whether the same call can be sent again.
func (c *call) repeatable() bool { return c.single == nil }

// idempotent reports whether sending a call twice does what sending it once does
// (RFC 9110 section 9.2.2).
func (c *call) idempotent() bool {
	_, declared := c.header[idempotencyKey]
	return declared || slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions}, c.method)
}

func (c *call) safe() bool { return c.method == http.MethodGet || c.method == http.MethodHead }

// attempt sends a call once, and follows redirects where that was declared.
func (c *Client) attempt(ctx context.Context, call *call) (*http.Response, error) {
	target := call.target
	for hops := 0; ; hops++ {
		request, err := http.NewRequestWithContext(ctx, call.method, target.String(), call.single)
		if err != nil {
			return nil, c.failure(ForbiddenAddress, errors.New("the request is not well formed"))
		}
		request.Header, request.ContentLength, request.GetBody = call.header.Clone(), call.length, call.body
		if call.body != nil {
			if request.Body, err = call.body(); err != nil {
				return nil, c.failure(ForbiddenAddress, errors.New("the request's body cannot be read"))
			}
		}
		c.observer.introduce(ctx, request)
		// The transport itself and not an http.Client: that one follows redirects
		// unless told otherwise; here there is nothing to tell.
		response, err := c.transport.RoundTrip(request)
		if err != nil {
			return nil, c.broken(ctx, err)
		}
		if next := c.redirect(call, target, response); next != nil && hops < maxRedirects {
			drain(response)
			_ = response.Body.Close()
			target = next
			continue
		}
		return c.answer(ctx, response)
	}
}

// redirect returns where response leads, nil when it is not to be followed: to
// another origin, out of the base path, or of a call that may change something.
func (c *Client) redirect(call *call, from *url.URL, response *http.Response) *url.URL {
	location := response.Header.Get("Location")
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	if !c.follow || !call.safe() || location == "" {
		return nil
	}
	next, err := from.Parse(location)
	if err != nil || next.Scheme != c.base.Scheme || next.Host != c.base.Host || next.User != nil {
		return nil
	}
	below, inside := strings.CutPrefix(next.EscapedPath(), c.base.EscapedPath())
	if !inside {
		return nil
	}
	ref, err := url.Parse(below)
	if err != nil {
		return nil
	}
	ref.RawQuery = next.RawQuery
	target, err := join(c.base, ref)
	if err != nil {
		return nil
	}
	return target
}
