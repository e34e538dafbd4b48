package openapi

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// found is one operation that search_operations has found.
type found struct {
	Operation string
	Request   string
	Arguments json.RawMessage
}

// search returns what is found, best first.
func (c *client) search(t *testing.T, query string, limit int) []found {
	t.Helper()
	got, err := c.call(t, "search_operations", map[string]any{"query": query, "limit": limit})
	if err != nil {
		t.Fatalf("search for %q: %v", query, err)
	}
	var answer struct{ Operations []found }
	if err := json.Unmarshal(got.StructuredContent, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Operations
}

// chosen calls an operation by its name.
func (c *client) chosen(t *testing.T, operation string, arguments map[string]any) (result, error) {
	t.Helper()
	return c.call(t, "call_operation", map[string]any{"operation": operation, "arguments": arguments})
}

// every is which of the operations that can be found are looked for and called: all
// would take a minute.
const every = 4

// TestReq072_ThousandOperations serves all of authentik's by search, and a few as
// tools besides. An operation that is looked for by its name comes first, with a
// schema that is good for a call; the call is what it would be of a tool.
func TestReq072_ThousandOperations(t *testing.T) {
	text := textOf(t, documents["authentik"])
	a := stand(t, text)
	before, start := heap(), time.Now()
	c := serve(t, a, text, nil, "include: {tags: [oauth2, rac]}", "offer: search")
	t.Logf("serves after %s, with %d KiB more on the heap", time.Since(start).Round(time.Millisecond), (heap()-before)>>10)

	direct := map[string]listed{}
	for _, tool := range c.tools(t) {
		direct[tool.Name] = tool
	}
	if len(direct) != 12+13+2 {
		t.Errorf("%d tools, want those of two tags and the two that search and call", len(direct))
	}
	if words := c.search(t, "list applications", 5); !slices.ContainsFunc(words, func(f found) bool { return f.Operation == "core_applications_list" }) {
		t.Errorf("not found by words: %v", words)
	}
	counted, looked, compared := &tally{}, 0, 0
	for i, o := range load(t, text).Operations {
		tool, isTool := direct[o.Name]
		if i%every != 0 && !isTool {
			continue
		}
		looked++
		best := c.search(t, o.Name, 1)
		if len(best) != 1 || best[0].Operation != o.Name || best[0].Request != o.Method+" "+o.Path {
			t.Errorf("%s: found %v", o.Name, best)
			continue
		}
		r, err := read(listed{Name: o.Name, InputSchema: best[0].Arguments})
		if err != nil {
			t.Errorf("%s: %v", o.Name, err)
			continue
		}
		one := newCall(t, a, o, r, counted)
		one.useTwice(t, counted, func(arguments map[string]any) (result, error) { return c.chosen(t, o.Name, arguments) })
		if isTool {
			compared++
			compareCalls(t, c, one, tool)
		}
	}
	counted.log(t)
	if judged := len(counted.counts[operations]); judged != looked || judged < documents["authentik"].operations/every || compared != len(direct)-2 {
		t.Errorf("of %d operations %d were judged, and %d compared with tools", looked, judged, compared)
	}
}

// compareCalls holds what arrives from call_operation against what arrives from the
// tool of the same operation.
func compareCalls(t *testing.T, c *client, one *call, tool listed) {
	t.Helper()
	if diff := cmp.Diff(plain(t, tool.InputSchema), plain(t, one.tool.InputSchema)); diff != "" {
		t.Errorf("%s: the schemas of the tool and of the search differ:\n%s", tool.Name, diff)
	}
	var arrived []string
	for _, send := range []func() (result, error){
		func() (result, error) { return c.call(t, tool.Name, one.arguments) },
		func() (result, error) { return c.chosen(t, tool.Name, one.arguments) },
	} {
		if _, err := send(); err != nil {
			t.Fatalf("%s: %v", tool.Name, err)
		}
		got := one.api.next(t)
		got.Request.Header.Del("Traceparent")
		var b strings.Builder
		if err := got.Request.Header.Write(&b); err != nil {
			t.Fatal(err)
		}
		arrived = append(arrived, got.Request.Method+" "+got.Request.URL.String()+"\n"+b.String()+string(got.body))
	}
	if diff := cmp.Diff(arrived[0], arrived[1]); diff != "" {
		t.Errorf("%s: the requests of the tool and of call_operation differ:\n%s", tool.Name, diff)
	}
}

// TestReq054_ScopesOfFoundOperations has a caller who may read and not write, as
// the document itself says who may what.
func TestReq054_ScopesOfFoundOperations(t *testing.T) {
	text := textOf(t, documents["Train Travel"])
	a := stand(t, text)
	if scopes := scopesOf(a); !slices.Equal(scopes, []string{"read", "write"}) {
		t.Fatalf("the document has the scopes %v", scopes)
	}
	c := serve(t, a, text, []string{"read"}, "offer: search")
	a.answer = []byte(`{"arrived":true}`)
	if _, err := c.chosen(t, "get_stations", map[string]any{}); err != nil {
		t.Errorf("what the caller may read: %v", err)
	}
	a.next(t)
	answer := c.ask(t, "tools/call", map[string]any{"name": "call_operation", "arguments": map[string]any{
		"operation": "create_booking", "arguments": map[string]any{"body": map[string]any{}},
	}})
	challenge := answer.header.Get("WWW-Authenticate")
	if answer.status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) || !regexp.MustCompile(`scope="[^"]*\bwrite\b`).MatchString(challenge) {
		t.Errorf("what the caller may not write: %d with the challenge %q", answer.status, challenge)
	}
	if len(a.arrived) > 0 {
		t.Error("the API got a request that its caller has no scope for")
	}
}
