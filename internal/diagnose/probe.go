package diagnose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Bounds of one request of a check.
const (
	requestTimeout = 10 * time.Second
	maxAnswer      = 1 << 20 // bytes of a body that are read
)

// outcome is what a check found.
type outcome struct {
	status Status
	detail string
}

func good(format string, args ...any) outcome { return outcome{OK, fmt.Sprintf(format, args...)} }
func fail(format string, args ...any) outcome { return outcome{Fail, fmt.Sprintf(format, args...)} }
func warn(format string, args ...any) outcome { return outcome{Warning, fmt.Sprintf(format, args...)} }

func skip(format string, args ...any) outcome { return outcome{Skipped, fmt.Sprintf(format, args...)} }

// noAnswer is the outcome of a request that got none.
func noAnswer(err error) outcome { return fail("no answer: %v", err) }

// probe is a server under test as the checks see it.
type probe struct {
	client   *http.Client // follows no redirects
	fetcher  *discovery.Fetcher
	origin   string // scheme and host
	endpoint string // MCP endpoint
	sse      string // HTTP+SSE endpoint; "" when there is none
	token    secret.Value
	browser  string // browser origin that should be allowed
	random   string // for paths and names that nobody has

	sessions []string // every Mcp-Session-Id that the server gave out; the first is used
}

// call is one request.
type call struct {
	method string
	url    string
	host   string // Host header; "" means the URL's
	header http.Header
	body   string
}

// reply is an answer, read within bounds.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends c and reads the answer, at most maxAnswer bytes of it. An event stream
// is read up to its first event.
func (p *probe) do(ctx context.Context, c call) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		return reply{}, errors.New("the URL cannot be requested")
	}
	for name, values := range c.header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "oauth-mcp-server-verify")
	}
	if c.host != "" {
		request.Host = c.host
	}
	response, err := p.client.Do(request)
	if err != nil {
		return reply{}, bare(err)
	}
	defer response.Body.Close()
	r := reply{status: response.StatusCode, header: response.Header}
	limited := io.LimitReader(response.Body, maxAnswer)
	if r.mediaType() == "text/event-stream" {
		r.body, err = firstEvent(limited)
	} else {
		r.body, err = io.ReadAll(limited) //nolint:forbidigo // limited above
	}
	if err != nil {
		return r, fmt.Errorf("reading the answer: %w", bare(err))
	}
	return r, nil
}

// bare takes the URL out of an error of net/http: the report names it already.
func bare(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

func (r reply) mediaType() string {
	mediaType, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return mediaType
}

// json decodes the body, of any media type, as a JSON object.
func (r reply) json() (map[string]json.RawMessage, bool) {
	var object map[string]json.RawMessage
	err := json.Unmarshal(r.body, &object)
	return object, err == nil && object != nil
}

// text returns a member of a JSON object that is a string, or "".
func text(object map[string]json.RawMessage, name string) string {
	var value string
	if json.Unmarshal(object[name], &value) != nil {
		return ""
	}
	return value
}

// header makes a header of name and value pairs; a repeated name adds a line.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

const pingBody = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

// post sends a harmless message to the MCP endpoint, without a token unless
// extra has one.
func (p *probe) post(ctx context.Context, extra http.Header) (reply, error) {
	return p.do(ctx, p.message(pingBody, extra))
}

// message is a POST of body to the MCP endpoint.
func (p *probe) message(body string, extra http.Header) call {
	h := header("Content-Type", "application/json", "Accept", "application/json, text/event-stream")
	for name, values := range extra {
		h[http.CanonicalHeaderKey(name)] = values
	}
	return call{method: http.MethodPost, url: p.endpoint, header: h, body: body}
}

// withCredentials sends the harmless message with a made-up Authorization value.
func (p *probe) withCredentials(ctx context.Context, values ...string) (reply, error) {
	return p.post(ctx, http.Header{"Authorization": values})
}

// authorization is the real token's header.
func (p *probe) authorization() http.Header {
	return header("Authorization", "Bearer "+p.token.Reveal())
}

// openStream asks for an event stream and reads its first event.
func (p *probe) openStream(ctx context.Context, rawURL string, withToken bool) (reply, error) {
	h := header("Accept", "text/event-stream")
	if withToken {
		h.Set("Authorization", p.authorization().Get("Authorization"))
	}
	return p.do(ctx, call{method: http.MethodGet, url: rawURL, header: h})
}

func (p *probe) get(ctx context.Context, rawURL string, extra http.Header) (reply, error) {
	h := header("Accept", "application/json")
	for name, values := range extra {
		h[http.CanonicalHeaderKey(name)] = values
	}
	return p.do(ctx, call{method: http.MethodGet, url: rawURL, header: h})
}

// protected lists the URLs that want a token.
func (p *probe) protected() []string {
	if p.sse == "" {
		return []string{p.endpoint}
	}
	return []string{p.endpoint, p.sse}
}

// resources lists what has a metadata document: the protected URLs and the
// origin as a whole.
func (p *probe) resources() []string {
	resources := []string{p.origin}
	for _, one := range p.protected() {
		if !oauth.SameResource(one, p.origin) {
			resources = append(resources, one)
		}
	}
	return resources
}
