package openapi

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const shop = `
openapi: 3.1.0
paths:
  /orders:
    get: {operationId: listOrders, tags: [orders], summary: List the orders of a customer}
    post: {operationId: createOrder, tags: [orders, write]}
  /orders/{id}:
    get: {operationId: getOrder, tags: [orders]}
    delete: {operationId: deleteOrder, tags: [orders, write]}
  /orders/{id}/items/{item}:
    get: {operationId: getItem, tags: [items], description: One line of an order}
  /status:
    get: {tags: []}
  /old:
    get: {operationId: old, deprecated: true}
`

func TestSelect(t *testing.T) {
	document := mustLoad(t, shop)
	for name, tc := range map[string]struct {
		selection Selection
		want      string
	}{
		"everything":             {Selection{}, "listOrders createOrder getOrder deleteOrder getItem GET /status"},
		"deprecated":             {Selection{Deprecated: true}, "listOrders createOrder getOrder deleteOrder getItem GET /status old"},
		"by operation":           {Selection{Include: Match{Operations: []string{"getItem", "GET /status"}}}, "getItem GET /status"},
		"by tag":                 {Selection{Include: Match{Tags: []string{"orders"}}}, "listOrders createOrder getOrder deleteOrder"},
		"by tag and method":      {Selection{Include: Match{Tags: []string{"orders"}, Methods: []string{"get", "DELETE"}}}, "listOrders getOrder deleteOrder"},
		"excluding":              {Selection{Exclude: Match{Tags: []string{"write"}, Paths: []string{"/status"}}}, "listOrders getOrder getItem"},
		"within a segment":       {Selection{Include: Match{Paths: []string{"/orders/*"}}}, "getOrder deleteOrder"},
		"at any depth":           {Selection{Include: Match{Paths: []string{"/orders/**"}}}, "getOrder deleteOrder getItem"},
		"parts of segments":      {Selection{Include: Match{Paths: []string{"/*rders", "/**{item}"}}}, "listOrders createOrder getItem"},
		"exclusion wins":         {Selection{Include: Match{Tags: []string{"items"}}, Exclude: Match{Operations: []string{"listOrders"}}}, "getItem"},
		"a maximum that is kept": {Selection{Max: 6}, "listOrders createOrder getOrder deleteOrder getItem GET /status"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := document.Select(tc.selection)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, strings.Join(keys(got), " ")); diff != "" {
				t.Errorf("selected (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSelectOverrides(t *testing.T) {
	document := mustLoad(t, shop)
	got, err := document.Select(Selection{
		Include:  Match{Methods: []string{"delete"}},
		Override: map[string]Override{"deleteOrder": {Name: "cancel_order", Description: "Cancels it."}},
	})
	if err != nil || len(got) != 1 || got[0].Name != "cancel_order" || got[0].Description != "Cancels it." {
		t.Errorf("got %+v, %v", got, err)
	}
	if document.Operations[3].Name != "delete_order" {
		t.Error("the document was changed")
	}
}

func TestSelectRefuses(t *testing.T) {
	document := mustLoad(t, shop)
	for name, tc := range map[string]struct {
		selection Selection
		want      []string
	}{
		"typing errors": {
			Selection{Include: Match{Tags: []string{"order"}, Methods: []string{"PATCH", ""}}, Exclude: Match{Operations: []string{"x"}}},
			[]string{`include.tags: "order" matches no operation`, `include.methods: "PATCH" matches no operation`, "include.methods: an entry is empty", `exclude.operations: "x" matches no operation`},
		},
		"names": {
			Selection{Override: map[string]Override{"getItem": {Name: "Get-Item"}, "getOrder": {Name: "list_orders"}, "nope": {Name: "x"}}},
			[]string{`override "getItem": "Get-Item" is not a name`, `the name "list_orders" is that of two operations, at the lines 5 and 8`, `no selected operation is called "nope"`},
		},
		"nothing left": {Selection{Include: Match{Tags: []string{"items"}, Methods: []string{"POST"}}}, []string{"no operation is selected"}},
		"too many": {
			Selection{Max: 3, Deprecated: true},
			[]string{`7 operations are selected, and at most 3 may be; choose with include and exclude by operations, tags, paths or methods, or raise max. By tag: "orders" 4, no tag 2, "write" 2, "items" 1`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := document.Select(tc.selection)
			if err == nil {
				t.Fatalf("selected %q", keys(got))
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant %q", err, want)
				}
			}
		})
	}
}

func TestSelectionsOfLargeDocumentsAreExplained(t *testing.T) {
	var b strings.Builder
	b.WriteString("openapi: 3.1.0\npaths:\n")
	for i := range 41 {
		fmt.Fprintf(&b, "  /x%d: {get: {tags: [t%d]}}\n", i, i)
	}
	_, err := mustLoad(t, b.String()).Select(Selection{})
	tooMany, ok := errors.AsType[*TooManyError](err)
	if !ok || tooMany.Count != 41 || tooMany.Max != DefaultMax || len(tooMany.Tags) != 41 || !strings.HasSuffix(err.Error(), "and 21 more tags") {
		t.Errorf("got %v", err)
	}
}

func TestSearch(t *testing.T) {
	index := NewIndex(mustLoad(t, shop).Operations)
	for query, want := range map[string]string{
		"create order":       "createOrder listOrders getOrder deleteOrder getItem",
		"orders":             "listOrders createOrder getOrder deleteOrder getItem",
		"Customer's ORDERS!": "listOrders createOrder getOrder deleteOrder getItem",
		"item":               "getItem",
		"stat":               "GET /status",
		"delete":             "deleteOrder",
		"line of an order":   "getItem listOrders createOrder getOrder deleteOrder",
		"nothing like it":    "",
		"":                   "",
		"\x00\xff ***":       "",
	} {
		if diff := cmp.Diff(want, strings.Join(keys(index.Search(query, 5, nil)), " ")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	if got := index.Search("order", 2, nil); len(got) != 2 {
		t.Errorf("a limit of 2 gave %d", len(got))
	}
	if got := index.Search("order", -1, nil); got != nil {
		t.Errorf("a limit of -1 gave %d", len(got))
	}
}

func TestSearchIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("openapi: 3.1.0\npaths:\n")
	for i := range 200 {
		fmt.Fprintf(&b, "  /x%d: {get: {summary: same %s}}\n", i, strings.Repeat("word", 50))
	}
	index := NewIndex(mustLoad(t, b.String()).Operations)
	if got := index.Search(strings.Repeat("same ", 10_000), 1000, nil); len(got) != MaxFound || got[0].Path != "/x0" {
		t.Errorf("found %d", len(got))
	}
}

// What is said of one operation never holds for another: an operationId that is
// there twice, or cut, names none.
func TestReq053_AmbiguousOperationIDsNameNothing(t *testing.T) {
	long := strings.Repeat("x", maxShown)
	document := mustLoad(t, `
openapi: 3.1.0
paths:
  /a: {get: {operationId: same}, post: {operationId: own}}
  /b: {delete: {operationId: same}, put: {operationId: `+long+`1}}
`)
	if diff := cmp.Diff("GET /a, own, PUT /b, DELETE /b", strings.Join(keys(document.Operations), ", ")); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for _, id := range []string{"same", long, long + "1"} {
		if _, err := document.Select(Selection{Include: Match{Operations: []string{id}}}); err == nil {
			t.Errorf("%s was selected", id)
		}
		if _, err := document.Select(Selection{Override: map[string]Override{id: {Name: "x"}}}); err == nil {
			t.Errorf("%s was overridden", id)
		}
	}
}
