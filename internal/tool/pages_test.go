package tool_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// answering is an API's client that always gives the same answer.
type answering struct {
	contentType string
	body        []byte
}

func (a answering) Send(context.Context, outbound.Request, oauth.Principal, secret.Value) (*http.Response, string, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {a.contentType}},
		Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)),
	}, "", nil
}

func TestReq076_PagesBecomeOneList(t *testing.T) {
	links := map[string]string{"": `</v1/teams?page=b&x=%2F>; rel="next"`, "page=b&x=%2F": `<?page=c>; rel=next`, "page=c": ""}
	byURL := map[string]string{"": `{"data":{"items":[1, 2]},"next":"%s/v1/teams?page=b"}`, "page=b": `{"data":{"items":[ 3.0 ]},"next":null}`}
	cursors := map[string]string{"": `{"items":["a"],"page":{"next":"b c&"}}`, "cursor=b+c%26": `{"items":["b"],"page":{"next":7}}`, "cursor=7": `{"items":[],"page":{}}`}
	numbers := map[string]string{"": `[1,2]`, "p=2": `[3]`, "p=3": `[]`}
	zero := map[string]string{"": `[1,2]`, "p=1": `[3]`, "p=2": `[]`}
	offsets := map[string]string{"": `[1,2]`, "skip=2": `[3]`, "skip=3": `[]`}
	large := map[string]string{"": `["` + strings.Repeat("x", 3000) + `"]`, "p=2": `["` + strings.Repeat("y", 3000) + `"]`}
	more := func(reason string) string {
		return " | This is not the whole answer: " + reason + ". Ask for less at a time to see the rest."
	}
	for name, tc := range map[string]struct {
		paginate string
		pages    map[string]string // by query; for links, the header
		want     string
		calls    int
	}{
		"links":             {paginate: "paginate: {follow: link}", pages: links, want: `["","page=b&x=%2F","page=c"]`, calls: 3},
		"URLs":              {paginate: "paginate: {follow: url, at: next, items: data.items}", pages: byURL, want: `[1,2,3.0]`, calls: 2},
		"cursors":           {paginate: "paginate: {follow: cursor, at: page.next, query: cursor, items: items}", pages: cursors, want: `["a","b"]`, calls: 3},
		"numbers":           {paginate: "paginate: {follow: page, query: p}", pages: numbers, want: `[1,2,3]`, calls: 3},
		"numbers from zero": {paginate: "paginate: {follow: page, query: p, first: 0}", pages: zero, want: `[1,2,3]`, calls: 3},
		"offsets":           {paginate: "paginate: {follow: offset, query: skip}", pages: offsets, want: `[1,2,3]`, calls: 3},
		"two pages":         {paginate: "paginate: {follow: page, query: p, max_pages: 2}", pages: numbers, want: `[1,2,3]` + more("there are more pages than the 2 that were read"), calls: 2},
		"enough items":      {paginate: "max_items: 1, paginate: {follow: page, query: p}", pages: numbers, want: `[1]` + more("there are more pages than the 1 that were read; 1 further items were left out"), calls: 1},
		"then selected":     {paginate: "select: 'map(select(. > 1))', max_items: 1, paginate: {follow: page, query: p}", pages: numbers, want: `[2]` + more("1 further items were left out"), calls: 3},
		"too many bytes":    {paginate: "select: length, paginate: {follow: page, query: p}", pages: large, want: `1` + more("the items of 2 pages are more than the 4096 bytes allowed, and 1 of the last page were left out"), calls: 2},
		"another host":      {paginate: "paginate: {follow: url, at: next, items: items}", pages: map[string]string{"": `{"items":[1],"next":"https://evil.example/v1/teams?page=2"}`}, want: `[1]` + more("the API puts the next page at another address, which is not followed"), calls: 1},
		"another scheme":    {paginate: "paginate: {follow: url, at: next, items: items}", pages: map[string]string{"": `{"items":[1],"next":"//u:p@evil.example/v1/teams"}`}, want: `[1]` + more("the API puts the next page at another address, which is not followed"), calls: 1},
		"another path":      {paginate: "paginate: {follow: url, at: next, items: items}", pages: map[string]string{"": `{"items":[1],"next":"/v1/admin?page=2"}`}, want: `[1]` + more("the API puts the next page at another address, which is not followed"), calls: 1},
		"a hidden path":     {paginate: "paginate: {follow: url, at: next, items: items}", pages: map[string]string{"": `{"items":[1],"next":"teams/%2e%2e/admin"}`}, want: `[1]` + more("the API puts the next page at another address, which is not followed"), calls: 1},
		"in a circle":       {paginate: "paginate: {follow: url, at: next, items: items}", pages: map[string]string{"": `{"items":[1],"next":"?a"}`, "a": `{"items":[2],"next":"?a"}`}, want: `[1,2]` + more("the next page is one that was read already"), calls: 2},
		"no items":          {paginate: "paginate: {follow: link, items: data.items}", pages: map[string]string{"": ``}, want: `error: t: The API "api" answered with a page that has no list of items where the tool looks for one.`, calls: 1},
		"a page fails":      {paginate: "paginate: {follow: page, query: p}", pages: map[string]string{"": `[1]`}, want: `error: t: The API "api" has nothing there (404 Not Found).`, calls: 2},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			calls := 0
			var server *httptest.Server
			server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				calls++
				page, known := tc.pages[r.URL.RawQuery]
				if !known || r.URL.Path != "/v1/teams" {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				if strings.Contains(tc.paginate, "follow: link") {
					w.Header().Set("Link", page)
					page = fmt.Sprintf("[%q]", r.URL.RawQuery)
				}
				_, _ = io.WriteString(w, strings.ReplaceAll(page, "%s", server.URL))
			}))
			defer server.Close()
			result := call(t, server.URL, ", response: {"+tc.paginate+"}")
			if diff := cmp.Diff(tc.want, shown(t, result)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			mu.Lock()
			defer mu.Unlock()
			if calls != tc.calls {
				t.Errorf("%d requests, want %d", calls, tc.calls)
			}
		})
	}
}
