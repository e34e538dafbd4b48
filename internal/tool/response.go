package tool

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/shape"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// Response says what becomes of an API's answer. The zero Response takes it as
// what the API says it is, and passes JSON through byte for byte.
type Response struct {
	As       Form
	Select   string    // a jq filter of the JSON; "" selects all
	MaxItems int       // of an array, or of every array that is a member of an object; 0: all
	MaxBytes int       // of the result; 0: what the upstream may send
	Paginate *Paginate // nil: one page
}

// Form is what an answer is taken for.
type Form string

// The forms of answers.
const (
	AsSent   Form = "" // by its content type
	AsJSON   Form = "json"
	AsText   Form = "text"
	AsBinary Form = "binary"
)

// Paginate says how the pages of a list are found. The result is one list of
// all their items.
type Paginate struct {
	Follow   Follow
	At       string // FollowURL, FollowCursor: where the next one is in a page, names joined by dots
	Query    string // FollowCursor, FollowPage, FollowOffset: the parameter that asks for it
	Items    string // where the items are in a page, names joined by dots; "" is the page itself
	FromZero bool   // FollowPage: the first page has the number 0, not 1
	MaxPages int    // 0 means defaultPages
}

// Follow is the way from one page to the next.
type Follow string

// The ways. A page of another origin or path is never followed.
const (
	FollowLink   Follow = "link"   // the Link header field (RFC 8288)
	FollowURL    Follow = "url"    // a URL in the page
	FollowCursor Follow = "cursor" // a token in the page
	FollowPage   Follow = "page"   // a number that counts pages
	FollowOffset Follow = "offset" // a number that counts items
)

// Bounds of a response.
const (
	maxItems     = 10_000
	maxPages     = 100
	defaultPages = 10
)

var (
	forms   = []Form{AsJSON, AsText, AsBinary}
	follows = []Follow{FollowLink, FollowURL, FollowCursor, FollowPage, FollowOffset}
)

// response is a Response that was checked.
type response struct {
	Response

	filter *shape.Filter // nil: none
}

// onlyJSON reports whether nothing but JSON makes a result.
func (r response) onlyJSON() bool {
	return r.As == AsJSON || r.filter != nil || r.Paginate != nil
}

// accept is the Accept header field of requests.
func (r Response) accept() string {
	switch r.As {
	case AsText:
		return "text/*, */*;q=0.5"
	case AsBinary:
		return "*/*"
	case AsSent, AsJSON:
	}
	return "application/json"
}

// response checks what is declared of the answer.
func (b *binder) response() response {
	r := response{Response: b.declaration.Response}
	fault := func(format string, args ...any) { b.fault(partResponse, 0, format, args...) }
	if r.As != AsSent && !slices.Contains(forms, r.As) {
		fault("unknown form %q; write as: json, text or binary", strictyaml.Clip(string(r.As)))
	}
	if r.Select != "" {
		var err error
		if r.filter, err = shape.Compile(r.Select); err != nil {
			fault("select is %v", err)
		}
	}
	if r.MaxItems < 0 || r.MaxItems > maxItems || r.MaxBytes < 0 || r.MaxBytes > maxMaxResponse {
		fault("want max_items up to %d and max_bytes up to %d", maxItems, maxMaxResponse)
	}
	if (r.As == AsText || r.As == AsBinary) && (r.Select != "" || r.MaxItems > 0 || r.Paginate != nil || b.declaration.OutputSchema != nil) {
		fault("select, max_items, paginate and output are for JSON; remove them, or as: %s", r.As)
	}
	if r.Paginate != nil {
		paginate := *r.Paginate
		b.paginate(&paginate)
		r.Paginate = &paginate
	}
	return r
}

// paginate checks how pages are found, and completes it.
func (b *binder) paginate(p *Paginate) {
	fault := func(format string, args ...any) { b.fault(partResponse, 0, format, args...) }
	if b.declaration.Method != http.MethodGet {
		fault("only a GET has pages; remove paginate")
	}
	if !slices.Contains(follows, p.Follow) {
		fault("unknown way %q to the next page; write follow: link, url, cursor, page or offset", strictyaml.Clip(string(p.Follow)))
		return
	}
	inPage := p.Follow == FollowURL || p.Follow == FollowCursor
	asks := p.Follow != FollowLink && p.Follow != FollowURL
	for _, rule := range []struct {
		key          string
		wanted, said bool
	}{{"at", inPage, p.At != ""}, {"query", asks, p.Query != ""}} {
		if rule.wanted && !rule.said {
			fault("follow: %s needs %s", p.Follow, rule.key)
		} else if !rule.wanted && rule.said {
			fault("follow: %s has no %s; remove it", p.Follow, rule.key)
		}
	}
	if p.Query != "" && !parameterPattern.MatchString(p.Query) {
		fault("query: want the parameter's name")
	}
	if b.taken[string(InQuery)+" "+p.Query] {
		fault("the parameter %q is filled by an argument already; unbind it, or remove paginate", strictyaml.Clip(p.Query))
	}
	for _, path := range []string{p.At, p.Items} {
		if path != "" && slices.Contains(strings.Split(path, "."), "") {
			fault("%q is not names joined by dots, such as paging.next", strictyaml.Clip(path))
		}
	}
	if p.MaxPages < 0 || p.MaxPages > maxPages {
		fault("want max_pages up to %d", maxPages)
	}
	if p.MaxPages == 0 {
		p.MaxPages = defaultPages
	}
}

// missing says what of an answer is not in its result.
type missing []string

func (m *missing) add(format string, args ...any) { *m = append(*m, fmt.Sprintf(format, args...)) }

// note is one sentence for the model.
func (m missing) note() string {
	return "This is not the whole answer: " + strings.Join(m, "; ") + ". Ask for less at a time to see the rest."
}
