package tool_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/credential"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
	"tecrolabs.dev/oauth-mcp-server/internal/upstream"
)

// everywhere has an argument in every place a request has.
const everywhere = `
upstreams: {api: {url: "https://api.example.com/base", credential: forward}}
tools:
  - name: put
    description: d
    upstream: api
    method: PUT
    path: /teams/{id}/x{label}/v-{list}.json
    query: {q: q}
    params:
      - {argument: label, in: path, style: label}
      - {argument: list, in: path, style: matrix, explode: true, allow_reserved: true}
      - {argument: keys, in: query}
      - {argument: trace, in: header, name: X-Trace}
      - {argument: cookie, in: cookie, name: c}
    body: {content_type: json, argument: body}
    input:
      type: object
      required: [id, label, list]
      properties:
        id: {type: string}
        label: {type: string}
        list: {type: array, items: {type: string}}
        q: {type: string}
        keys: {type: object}
        trace: {type: string}
        cookie: {type: string}
        body: {}
      additionalProperties: false
`

// caught keeps the request that goes out.
type caught struct{ request *http.Request }

func (c *caught) RoundTrip(r *http.Request) (*http.Response, error) {
	c.request = r
	return &http.Response{StatusCode: 204, Header: http.Header{}, Body: http.NoBody}, nil
}

// Whatever an argument holds, the request goes to the declared host and route,
// and is one request (CWE-22, CWE-113, CWE-918). What is refused is refused with
// a sentence, before anything is sent.
func FuzzReq071_Req072_NothingChangesTheRoute(f *testing.F) {
	for _, seed := range []string{"a", ".", "..", "a/b", `\`, "%2e%2e%2f", "a?b#c", "//evil.example", "@evil.example", "a\r\nHost: evil", "\u0085", "..;", ";a=1", "ü", "\x00", "%", "{id}", "a&q=1", " "} {
		f.Add(seed, "k", "v")
	}
	catalogue, err := tool.Load([]byte(everywhere), nil)
	if err != nil {
		f.Fatal(err)
	}
	sent := &caught{}
	client, err := upstream.New(upstream.Config{
		Name: "api", URL: "https://api.example.com/base", Credentials: credential.Forward{Upstream: "api"}, Timeout: time.Minute, Transport: sent,
	})
	if err != nil {
		f.Fatal(err)
	}
	runner, err := tool.NewRunner(tool.RunnerConfig{Catalogue: catalogue, Senders: map[string]tool.Sender{"api": client}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, key, other string) {
		arguments, err := json.Marshal(map[string]any{
			"id": text, "label": other, "list": []string{text, other}, "q": text, "keys": map[string]string{key: text},
			"trace": text, "cookie": other, "body": map[string]any{key: []string{text, other}},
		})
		if err != nil {
			t.Fatal(err)
		}
		sent.request = nil
		result, err := runner.Call(t.Context(), tool.Caller{Token: secret.New("a.b.c")}, "put", arguments)
		if err != nil {
			if _, ok := errors.AsType[*tool.InvalidArgumentsError](err); !ok || sent.request != nil {
				t.Fatalf("%s: %v, sent %v", arguments, err, sent.request)
			}
			return
		}
		if result.IsError || sent.request == nil {
			t.Fatalf("%s was accepted and not sent: %s", arguments, result.Text)
		}
		wantDeclaredRequest(t, sent.request, string(arguments))
	})
}

// wantDeclaredRequest checks a request of the tool everywhere.
func wantDeclaredRequest(t *testing.T, r *http.Request, arguments string) {
	t.Helper()
	u := r.URL
	segments := strings.Split(u.EscapedPath(), "/")
	if u.Scheme != "https" || u.Host != "api.example.com" || r.Host != "api.example.com" || u.User != nil || u.Fragment != "" || len(segments) != 6 ||
		segments[1] != "base" || segments[2] != "teams" || !strings.HasPrefix(segments[4], "x.") ||
		!strings.HasPrefix(segments[5], "v-;list=") || !strings.HasSuffix(segments[5], ".json") {
		t.Errorf("%s became %s", arguments, u)
	}
	for _, segment := range segments[1:] {
		text, err := url.PathUnescape(segment)
		if err != nil || text == "" || text == "." || text == ".." || strings.ContainsAny(text, "/\\%\x00\r\n") {
			t.Errorf("%s has the segment %q", u, segment)
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(query) > 2 || len(query["q"]) != 1 {
		t.Errorf("%s has the query %v, %v", u, query, err)
	}
	if got := len(r.Header); got > 7 || len(r.Header["Authorization"]) != 1 || len(r.Header["Cookie"]) > 1 {
		t.Errorf("%s became the header %v", arguments, r.Header)
	}
	for name, values := range r.Header {
		if strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
			t.Errorf("the header %s breaks: %q", name, values)
		}
	}
	if cookies := r.Cookies(); len(cookies) > 1 || len(cookies) == 1 && cookies[0].Name != "c" {
		t.Errorf("%s became the cookies %v", arguments, cookies)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || !strings.Contains(arguments, string(body)) || !json.Valid(body) {
		t.Errorf("%s became the body %s, %v", arguments, body, err)
	}
}
