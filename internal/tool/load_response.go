package tool

import "tecrolabs.dev/oauth-mcp-server/internal/strictyaml"

// The keys that say what becomes of an answer.
var (
	responseKeys = []string{"as", "select", "max_items", "max_bytes", "paginate"}
	paginateKeys = []string{"follow", "at", "query", "items", "first", "max_pages"}
)

// response reads what becomes of the answer.
func (l *loader) response(entry strictyaml.Object) Response {
	response := Response{
		As:       Form(entry.Text("as")),
		Select:   entry.Text("select"),
		MaxItems: entry.Count("max_items", 0, 1, maxItems),
		MaxBytes: entry.Count("max_bytes", 0, 1, maxMaxResponse),
	}
	node := entry.Fields["paginate"]
	if node == nil {
		return response
	}
	block := l.Object(node, entry.At("paginate"), paginateKeys)
	follow := block.Required("follow", "write one of: link, url, cursor, page, offset")
	if follow == "" {
		return response
	}
	response.Paginate = &Paginate{
		Follow:   Follow(follow),
		At:       block.Text("at"),
		Query:    block.Text("query"),
		Items:    block.Text("items"),
		FromZero: block.Count("first", 1, 0, 1) == 0,
		MaxPages: block.Count("max_pages", defaultPages, 1, maxPages),
	}
	return response
}
