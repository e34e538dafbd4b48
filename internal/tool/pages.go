package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/shape"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// pager reads the pages of a list.
type pager struct {
	Paginate

	base  *url.URL      // of the upstream
	first *http.Request // whose query the others extend
	seen  map[string]bool
	items []json.RawMessage
	bytes int64
	full  bool // there is no room for more bytes
	pages int
	left  missing

	more  bool   // there is another page,
	query string // which this asks for
}

// pages makes one result of the items of all pages, beginning with the one that
// is there. A page that fails fails the call: a list with a hole looks whole.
func (r *Runner) pages(ctx context.Context, c *call, request *http.Request, answer *http.Response) (Result, error) {
	p := &pager{Paginate: *c.tool.response.Paginate, first: request, seen: map[string]bool{request.URL.RawQuery: true}}
	var err error
	if p.base, err = url.Parse(c.upstream.URL); err != nil {
		return Result{}, oauth.AsRefusal(err) // not of a catalogue that was loaded
	}
	failure := c.page(p, answer)
	for failure == nil && p.more {
		following := request.Clone(ctx)
		following.URL.RawQuery = p.query
		response, err := r.send(ctx, c, following)
		if err != nil {
			return r.failed(ctx, c, err)
		}
		if response.StatusCode < 200 || response.StatusCode > 299 {
			defer func() { _ = response.Body.Close() }()
			return c.answer(ctx, response)
		}
		failure = c.page(p, response)
		_ = response.Body.Close()
	}
	if failure != nil {
		return *failure, nil
	}
	return c.json(ctx, shape.Join(p.items), p.left), nil
}

// page adds a page to p, which then knows whether there is another. It returns
// the result of a call whose page is none.
func (c *call) page(p *pager, answer *http.Response) *Result {
	p.more = false
	body, without := c.body(answer)
	switch {
	case without != nil && p.pages > 0 && !without.IsError:
		return nil // some APIs end a list with no content
	case without != nil:
		return without
	}
	if mediaType, _ := mediaTypeOf(answer); c.form(mediaType) != AsJSON || strictjson.Check(body, maxResultDepth) != nil {
		result := c.notJSON()
		return &result
	}
	count, ok := p.take(body, c.upstream.MaxResponse)
	if !ok {
		c.outcome = "not_pages"
		result := c.toolError(fmt.Sprintf("The API %q answered with a page that has no list of items where the tool looks for one.", c.upstream.Name))
		return &result
	}
	p.query, p.more = p.next(answer.Header.Values("Link"), body, count)
	p.more = p.more && !p.enough(c.tool.response)
	return nil
}

// take adds the items of a page, up to a number of bytes in all, and returns how
// many the page has; false when it has no list of items.
func (p *pager) take(page []byte, limit int64) (count int, ok bool) {
	p.pages++
	raw, found := shape.At(page, p.Items)
	items, ok := shape.Array(raw)
	if !found || !ok {
		return 0, false
	}
	for i, item := range items {
		if p.bytes += int64(len(item)) + 1; p.bytes > limit {
			p.left.add("the items of %d pages are more than the %d bytes allowed, and %d of the last page were left out", p.pages, limit, len(items)-i)
			p.full = true
			break
		}
		p.items = append(p.items, item)
	}
	return len(items), true
}

// enough reports whether no further page is wanted, and notes that there is one.
func (p *pager) enough(response response) bool {
	switch {
	case p.full: // which is noted
		return true
	case p.pages >= p.MaxPages:
		p.left.add("there are more pages than the %d that were read", p.pages)
		return true
	case response.filter == nil && response.MaxItems > 0 && len(p.items) >= response.MaxItems:
		p.left.add("there are more pages than the %d that were read", p.pages)
		return true
	default:
		return false
	}
}

// next returns the query of the next page, and false when there is none.
func (p *pager) next(links []string, page []byte, count int) (query string, more bool) {
	switch p.Follow {
	case FollowLink:
		target, found := shape.Next(links)
		query, more = p.inside(target, found)
	case FollowURL:
		target := scalarAt(page, p.At)
		query, more = p.inside(target, target != "")
	case FollowCursor:
		cursor := scalarAt(page, p.At)
		query, more = p.with(cursor), cursor != ""
	case FollowPage:
		number := p.pages + 1
		if p.FromZero {
			number--
		}
		query, more = p.with(strconv.Itoa(number)), count > 0
	case FollowOffset:
		query, more = p.with(strconv.Itoa(len(p.items))), count > 0
	}
	if more && p.seen[query] {
		p.left.add("the next page is one that was read already")
		return "", false
	}
	p.seen[query] = true
	return query, more
}

// scalarAt returns a string or number in a page as text, "" for anything else.
func scalarAt(page []byte, path string) string {
	raw, found := shape.At(page, path)
	var text string
	var number json.Number
	switch {
	case !found:
		return ""
	case json.Unmarshal(raw, &text) == nil:
		return text
	case json.Unmarshal(raw, &number) == nil:
		return number.String()
	default:
		return ""
	}
}

// with returns the first request's query with the parameter that asks for a page.
func (p *pager) with(value string) string {
	query := url.QueryEscape(p.Query) + "=" + url.QueryEscape(value)
	if before := p.first.URL.RawQuery; before != "" {
		query = before + "&" + query
	}
	return query
}

// inside returns the query of a link that an API gave, if it leads to the same
// origin and path: the credential goes nowhere else (RFC 9700 section 4.11 has
// the same concern for redirects).
func (p *pager) inside(target string, found bool) (query string, more bool) {
	if !found {
		return "", false
	}
	here := *p.base
	here.Path = strings.TrimSuffix(p.base.Path, "/") + p.first.URL.Path
	here.RawPath = strings.TrimSuffix(p.base.EscapedPath(), "/") + p.first.URL.EscapedPath()
	reference, err := url.Parse(target)
	if err == nil {
		reference = here.ResolveReference(reference)
	}
	if err != nil || reference.User != nil || !sameOrigin(&here, reference) || reference.EscapedPath() != here.EscapedPath() {
		p.left.add("the API puts the next page at another address, which is not followed")
		return "", false
	}
	return reference.RawQuery, true
}

func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" {
			return p
		}
		return map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}
