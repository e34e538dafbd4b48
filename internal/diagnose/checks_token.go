package diagnose

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The revisions the checks speak.
const (
	legacyRevision = "2025-11-25"
	modernRevision = "2026-07-28"
	noRevision     = "1999-01-01"
)

// rpc sends a JSON-RPC message with the token and returns the answer's object.
func (p *probe) rpc(ctx context.Context, body string, extra http.Header) (reply, map[string]json.RawMessage, error) {
	h := p.authorization()
	if len(p.sessions) > 0 {
		h.Set("Mcp-Session-Id", p.sessions[0])
	}
	maps.Copy(h, extra)
	r, err := p.do(ctx, p.message(body, h))
	if err != nil {
		return r, nil, err
	}
	p.noteSession(r)
	if r.mediaType() == "text/event-stream" {
		_, data := lastEvent(r.body)
		r.body = []byte(data)
	}
	object, _ := r.json()
	return r, object, nil
}

// noteSession remembers a session that the server opened, to close it.
func (p *probe) noteSession(r reply) {
	if id := r.header.Get("Mcp-Session-Id"); id != "" && !slices.Contains(p.sessions, id) {
		p.sessions = append(p.sessions, id)
	}
}

// closeSessions ends what the checks opened. Whether the server takes that is no
// finding.
func (p *probe) closeSessions(ctx context.Context) {
	for _, id := range p.sessions {
		h := p.authorization()
		h.Set("Mcp-Session-Id", id)
		if _, err := p.do(ctx, call{method: http.MethodDelete, url: p.endpoint, header: h}); err != nil {
			return
		}
	}
}

// errorCode returns the JSON-RPC error code of an answer, 0 for none.
func errorCode(object map[string]json.RawMessage) int {
	var failure struct {
		Code int `json:"code"`
	}
	if json.Unmarshal(object["error"], &failure) != nil {
		return 0
	}
	return failure.Code
}

const initializeBody = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"` + legacyRevision +
	`","capabilities":{},"clientInfo":{"name":"oauth-mcp-server-verify","version":"1"}}}`

func checkTokenAccepted(ctx context.Context, p *probe) outcome {
	r, object, err := p.rpc(ctx, initializeBody, nil)
	if err != nil {
		return noAnswer(err)
	}
	var result struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	switch {
	case r.status == http.StatusUnauthorized:
		c, _ := tokenChallenge(r.header)
		return fail("the token gets 401: %s", c.params["error_description"])
	case r.status != http.StatusOK:
		return fail("initialize with the token gets %d", r.status)
	case json.Unmarshal(object["result"], &result) != nil || result.ProtocolVersion == "":
		return fail("initialize has no protocolVersion in its result")
	}
	return good("revision %s", result.ProtocolVersion)
}

func checkSchemeCase(ctx context.Context, p *probe) outcome {
	r, err := p.do(ctx, p.message(initializeBody, header("Authorization", "bEARER "+p.token.Reveal())))
	if err != nil {
		return noAnswer(err)
	}
	p.noteSession(r)
	if r.status != http.StatusOK {
		return fail("the scheme written bEARER gets %d; schemes have no case", r.status)
	}
	return good("200")
}

func checkAnswersNotStored(ctx context.Context, p *probe) outcome {
	r, _, err := p.rpc(ctx, initializeBody, nil)
	if err != nil {
		return noAnswer(err)
	}
	return notStored(r)
}

func checkToolsList(ctx context.Context, p *probe) outcome {
	version := header("Mcp-Protocol-Version", legacyRevision)
	if _, _, err := p.rpc(ctx, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, version); err != nil {
		return noAnswer(err)
	}
	var lists []string
	var names []string
	for range 2 {
		r, object, err := p.rpc(ctx, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`, version)
		if err != nil {
			return noAnswer(err)
		}
		var result struct {
			Tools []struct {
				Name string `json:"name"`
			} `json:"tools"`
		}
		if r.status != http.StatusOK || json.Unmarshal(object["result"], &result) != nil {
			return fail("tools/list gets %d and JSON-RPC error %d; every good token may list", r.status, errorCode(object))
		}
		names = nil
		for _, tool := range result.Tools {
			names = append(names, tool.Name)
		}
		lists = append(lists, strings.Join(names, ", "))
	}
	if lists[0] != lists[1] {
		return fail("two tools/list in a row come in a different order")
	}
	return good("%d tools: %s", len(names), lists[0])
}

func checkGetWithToken(ctx context.Context, p *probe) outcome {
	r, err := p.openStream(ctx, p.endpoint, true)
	switch {
	case r.mediaType() == "text/event-stream": // may stay silent until the check's own time is over
		return good("a stream")
	case err != nil:
		return noAnswer(err)
	case r.status == http.StatusMethodNotAllowed && r.header.Get("Allow") == "":
		return fail("GET gets 405 without Allow")
	case r.status >= 500 || r.status == http.StatusUnauthorized || r.status < 400:
		return fail("GET with the token gets %d; want 405 or a stream", r.status)
	}
	return good("%d", r.status)
}

// modern is a message of a stateless revision with the headers that mirror it.
func (p *probe) modern(ctx context.Context, revision, method, claimed string) (reply, map[string]json.RawMessage, error) {
	body := `{"jsonrpc":"2.0","id":3,"method":"` + method + `","params":{"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"` + revision + `",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"oauth-mcp-server-verify","version":"1"},` +
		`"io.modelcontextprotocol/clientCapabilities":{}}}}`
	return p.rpc(ctx, body, header("Mcp-Protocol-Version", revision, "Mcp-Method", claimed))
}

func checkDiscover(ctx context.Context, p *probe) outcome {
	versions, result := p.discover(ctx)
	if result.status == OK {
		result.detail = strings.Join(versions, ", ")
	}
	return result
}

// discover returns the revisions that a modern server offers.
func (p *probe) discover(ctx context.Context) ([]string, outcome) {
	r, object, err := p.modern(ctx, modernRevision, "server/discover", "server/discover")
	if err != nil {
		return nil, noAnswer(err)
	}
	var result struct {
		SupportedVersions []string `json:"supportedVersions"`
	}
	switch {
	case r.status == http.StatusUnauthorized:
		return nil, fail("server/discover with the token gets 401")
	case r.status >= 500:
		return nil, fail("server/discover gets %d", r.status)
	case r.status >= 400, errorCode(object) != 0:
		return nil, skip("the server does not speak %s", modernRevision)
	case json.Unmarshal(object["result"], &result) != nil || !slices.Contains(result.SupportedVersions, modernRevision):
		return nil, fail("server/discover does not list %s in supportedVersions", modernRevision)
	}
	return result.SupportedVersions, good("")
}

func checkUnknownVersion(ctx context.Context, p *probe) outcome {
	if _, result := p.discover(ctx); result.status != OK {
		return skip("the server does not speak %s", modernRevision)
	}
	r, object, err := p.modern(ctx, noRevision, "server/discover", "server/discover")
	if err != nil {
		return noAnswer(err)
	}
	const unsupported = -32022
	if r.status != http.StatusBadRequest || errorCode(object) != unsupported || !strings.Contains(string(object["error"]), `"supported"`) {
		return fail("revision %s gets %d and JSON-RPC error %d; want 400 and %d with data.supported", noRevision, r.status, errorCode(object), unsupported)
	}
	return good("400, %d", unsupported)
}

func checkHeaderMismatch(ctx context.Context, p *probe) outcome {
	if _, result := p.discover(ctx); result.status != OK {
		return skip("the server does not speak %s", modernRevision)
	}
	r, object, err := p.modern(ctx, modernRevision, "server/discover", "tools/list")
	if err != nil {
		return noAnswer(err)
	}
	const mismatch = -32020
	if r.status != http.StatusBadRequest || errorCode(object) != mismatch {
		return fail("Mcp-Method that differs from the body gets %d and JSON-RPC error %d; want 400 and %d", r.status, errorCode(object), mismatch)
	}
	return good("400, %d", mismatch)
}

// openSSE opens the HTTP+SSE stream and returns the URL for messages.
func (p *probe) openSSE(ctx context.Context) (reply, string, outcome) {
	if p.sse == "" {
		return reply{}, "", skip("there is no HTTP+SSE endpoint beside the MCP endpoint")
	}
	r, err := p.openStream(ctx, p.sse, true)
	if err != nil {
		return r, "", noAnswer(err)
	}
	if r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed {
		return r, "", skip("%s is no HTTP+SSE endpoint (%d)", p.sse, r.status)
	}
	if r.status != http.StatusOK || r.mediaType() != "text/event-stream" {
		return r, "", fail("GET %s with the token gets %d and Content-Type %q; want an event stream", p.sse, r.status, r.header.Get("Content-Type"))
	}
	name, data := lastEvent(r.body)
	base, err := url.Parse(p.sse)
	if name != "endpoint" || err != nil {
		return r, "", fail("the first event is %q; want endpoint", name)
	}
	target, err := base.Parse(data)
	if err != nil || target.Scheme != base.Scheme || target.Host != base.Host {
		return r, "", fail("the endpoint event names another origin")
	}
	return r, target.String(), good("")
}

func checkSSEStream(ctx context.Context, p *probe) outcome {
	r, _, result := p.openSSE(ctx)
	if result.status != OK {
		return result
	}
	control := strings.ToLower(r.header.Get("Cache-Control"))
	switch {
	case !strings.Contains(control, "no-store") && !strings.Contains(control, "no-cache"):
		return fail("the stream has Cache-Control %q; want no-store", control)
	case !strings.EqualFold(r.header.Get("X-Accel-Buffering"), "no"):
		return warn("the stream has no X-Accel-Buffering: no; some proxies hold it back")
	}
	return good("endpoint event first")
}

func checkSSEMessageWithoutToken(ctx context.Context, p *probe) outcome {
	_, target, result := p.openSSE(ctx)
	if result.status != OK {
		return skip("there is no stream")
	}
	c := p.message(pingBody, nil)
	c.url = target
	r, err := p.do(ctx, c)
	if err != nil {
		return noAnswer(err)
	}
	if r.status != http.StatusUnauthorized {
		return fail("a message for a stream without a token gets %d; want 401", r.status)
	}
	return good("401")
}
