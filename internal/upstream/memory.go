package upstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Bounds of what is kept of one API's answers.
const (
	maxKept      = 1024
	maxKeptBytes = 16 << 20
	maxKeptBody  = 256 << 10 // bytes of one answer
)

// digest stands for a request of a caller, or for a caller. Nothing keeps a
// token.
type digest [sha256.Size]byte

// memory is a private cache (RFC 9111): an answer is kept for the token it was
// given to, so that neither another person nor the same one with other rights
// ever sees it. What is kept is either fresh, and then nobody is asked, or it
// has a validator, and then the API is asked whether it still holds (RFC 9110
// section 13). At its bounds it forgets any entry. Use [newMemory].
type memory struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[digest]*keptAnswer
	bytes   int
	changes uint64 // calls that may have changed something
}

// keptAnswer is one answer with status 200. It does not change.
type keptAnswer struct {
	owner     digest // the person
	header    http.Header
	body      []byte
	validator http.Header // what asks whether it still holds; empty: nothing does
	terms     http.Header // what the API says about how long it holds
	fresh     time.Time   // until then nobody is asked
}

// lookup is one call for which memory is looked at.
type lookup struct {
	key, owner digest
	ttl        time.Duration // see [outbound.Request]
	changes    uint64        // that there were when it began
}

func newMemory() *memory { return &memory{now: time.Now, entries: map[digest]*keptAnswer{}} }

// remembered answers a call from memory as far as the API and the tool allow, and
// by attempts otherwise.
func (c *Client) remembered(ctx context.Context, call *call, as oauth.Principal, token secret.Value) (*http.Response, error) {
	if c.memory == nil {
		return c.presented(ctx, call)
	}
	l := lookup{owner: sum(as.Issuer, as.Subject), ttl: call.ttl}
	if !call.safe() {
		response, err := c.presented(ctx, call)
		c.memory.forget(l.owner) // they may have changed what they had seen
		return response, err
	}
	l.key = requestKey(call, as, token)
	found := c.memory.get(&l)
	if found != nil && c.memory.now().Before(found.fresh) {
		return found.response(), nil
	}
	if found != nil {
		maps.Copy(call.header, found.validator)
	}
	response, err := c.try(ctx, call)
	if err != nil {
		return nil, err
	}
	if found != nil && len(found.validator) > 0 && response.StatusCode == http.StatusNotModified {
		c.memory.put(l, c.memory.renew(found, response.Header, l.ttl))
		return found.response(), nil
	}
	if response, err = c.memory.keep(l, response); err != nil {
		return nil, c.failure(ClosedEarly, err)
	}
	return presentable(response), nil
}

func (c *Client) presented(ctx context.Context, call *call) (*http.Response, error) {
	response, err := c.try(ctx, call)
	if err != nil {
		return nil, err
	}
	return presentable(response), nil
}

// requestKey is what a call and its caller are, so far as an answer could depend
// on them: every header field that the tool declared, so that whatever the API
// names in Vary (RFC 9111 section 4.1) is part of it. A tool has no use of what was
// kept because another one allows it.
func requestKey(call *call, as oauth.Principal, token secret.Value) digest {
	parts := []string{as.Issuer, as.Subject, token.Reveal(), call.method, call.target.String(), call.ttl.String()}
	for _, name := range slices.Sorted(maps.Keys(call.header)) {
		if name != "Authorization" { // it may be another one each time
			parts = append(parts, name, strings.Join(call.header[name], "\x01"))
		}
	}
	return sum(parts...)
}

func sum(parts ...string) digest { return sha256.Sum256([]byte(strings.Join(parts, "\x00"))) }

// get returns what is kept, nil for nothing, and begins l.
func (m *memory) get(l *lookup) *keptAnswer {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.changes = m.changes
	return m.entries[l.key]
}

// put keeps an answer; nil forgets what was there. An answer that was asked for
// before the latest change, whoever made it, may be older than that change, and is
// not kept.
func (m *memory) put(l lookup, answer *keptAnswer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(l.key)
	if answer == nil || l.changes != m.changes {
		return
	}
	for other := range m.entries {
		if len(m.entries) < maxKept && m.bytes+len(answer.body) <= maxKeptBytes {
			break
		}
		m.drop(other)
	}
	m.entries[l.key] = answer
	m.bytes += len(answer.body)
}

// forget drops everything of one person (RFC 9111 section 4.4, and more: what a
// call changes need not be at its own URL).
func (m *memory) forget(owner digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	for key, answer := range m.entries {
		if answer.owner == owner {
			m.drop(key)
		}
	}
}

// drop removes one entry. m.mu must be held.
func (m *memory) drop(key digest) {
	if answer, ok := m.entries[key]; ok {
		m.bytes -= len(answer.body)
		delete(m.entries, key)
	}
}

// keep remembers response as far as the API and the tool allow and returns it, to
// be read once more.
func (m *memory) keep(l lookup, response *http.Response) (*http.Response, error) {
	allowed := response.StatusCode == http.StatusOK && response.ContentLength <= maxKeptBody && !variesWithAll(response.Header)
	answer := &keptAnswer{owner: l.owner, header: http.Header{}, validator: http.Header{}}
	if allowed {
		answer = m.renew(answer, response.Header, l.ttl)
		allowed = answer != nil
	}
	if !allowed {
		if response.StatusCode < 500 { // an outage does not make what is kept wrong
			m.put(l, nil)
		}
		return response, nil
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(io.LimitReader(response.Body, maxKeptBody)); err != nil { // it is in memory
		return nil, err
	}
	answer.body = body.Bytes()
	for _, name := range kept {
		if values := response.Header[name]; len(values) > 0 {
			answer.header[name] = values
		}
	}
	m.put(l, answer)
	response.Body = io.NopCloser(bytes.NewReader(answer.body))
	return response, nil
}

// renew returns answer with the validator and the freshness that header gives it,
// nil when it may not be kept or keeping it serves nothing. An API that confirms
// an answer and does not repeat its terms leaves them as they are (RFC 9111
// section 3.2).
func (m *memory) renew(answer *keptAnswer, header http.Header, ttl time.Duration) *keptAnswer {
	renewed := *answer
	if tag := header.Get("Etag"); tag != "" {
		renewed.validator = http.Header{"If-None-Match": {tag}}
	} else if modified := header.Get("Last-Modified"); modified != "" {
		renewed.validator = http.Header{"If-Modified-Since": {modified}}
	}
	renewed.terms = http.Header{}
	for _, name := range terms {
		if values := header[name]; len(values) > 0 {
			renewed.terms[name] = values
		} else if values := answer.terms[name]; len(values) > 0 {
			renewed.terms[name] = values
		}
	}
	now := m.now()
	lifetime, store := freshness(renewed.terms, header, ttl, now)
	renewed.fresh = now.Add(lifetime)
	if !store || lifetime <= 0 && len(renewed.validator) == 0 {
		return nil
	}
	return &renewed
}

// response returns a copy to be read once.
func (a *keptAnswer) response() *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header.Clone(), ContentLength: int64(len(a.body)), Body: io.NopCloser(bytes.NewReader(a.body)),
	}
}
