package upstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
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
	maxKeptBody  = 256 << 10       // bytes of one answer
	maxFresh     = 5 * time.Minute // whatever the API allows
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
}

// keptAnswer is one answer with status 200. It does not change.
type keptAnswer struct {
	owner     digest // the person
	header    http.Header
	body      []byte
	validator http.Header // what asks whether it still holds; empty: nothing does
	fresh     time.Time   // until then nobody is asked
}

func newMemory() *memory { return &memory{now: time.Now, entries: map[digest]*keptAnswer{}} }

// remembered answers a call from memory as far as the API allows, and by
// attempts otherwise.
func (c *Client) remembered(ctx context.Context, call *call, as oauth.Principal, token secret.Value) (*http.Response, error) {
	if c.memory == nil {
		return c.presented(ctx, call)
	}
	owner := sum(as.Issuer, as.Subject)
	if call.method != http.MethodGet {
		response, err := c.presented(ctx, call)
		if !call.safe() {
			c.memory.forget(owner) // they may have changed what they had seen
		}
		return response, err
	}
	key := requestKey(call, as, token)
	found := c.memory.get(key)
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
		c.memory.put(key, c.memory.renew(found, response.Header))
		return found.response(), nil
	}
	if response, err = c.memory.keep(key, owner, response); err != nil {
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
// names in Vary (RFC 9111 section 4.1) is part of it.
func requestKey(call *call, as oauth.Principal, token secret.Value) digest {
	parts := []string{as.Issuer, as.Subject, token.Reveal(), call.target.String()}
	for _, name := range slices.Sorted(maps.Keys(call.header)) {
		if name != "Authorization" { // it may be another one each time
			parts = append(parts, name, strings.Join(call.header[name], "\x01"))
		}
	}
	return sum(parts...)
}

func sum(parts ...string) digest { return sha256.Sum256([]byte(strings.Join(parts, "\x00"))) }

func (m *memory) get(key digest) *keptAnswer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries[key]
}

// put keeps an answer; nil forgets what was there.
func (m *memory) put(key digest, answer *keptAnswer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
	if answer == nil {
		return
	}
	for other := range m.entries {
		if len(m.entries) < maxKept && m.bytes+len(answer.body) <= maxKeptBytes {
			break
		}
		m.drop(other)
	}
	m.entries[key] = answer
	m.bytes += len(answer.body)
}

// forget drops everything of one person (RFC 9111 section 4.4, and more: what a
// call changes need not be at its own URL).
func (m *memory) forget(owner digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
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

// keep remembers response as far as the API allows and returns it, to be read
// once more.
func (m *memory) keep(key, owner digest, response *http.Response) (*http.Response, error) {
	allowed := response.StatusCode == http.StatusOK && response.ContentLength <= maxKeptBody && response.Header.Get("Vary") != "*"
	answer := &keptAnswer{owner: owner, header: http.Header{}, validator: http.Header{}}
	if allowed {
		answer = m.renew(answer, response.Header)
		allowed = answer != nil
	}
	if !allowed {
		if response.StatusCode < 500 { // an outage does not make what is kept wrong
			m.put(key, nil)
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
	m.put(key, answer)
	response.Body = io.NopCloser(bytes.NewReader(answer.body))
	return response, nil
}

// renew returns answer with the freshness and the validator that header gives
// it, nil when it may not be kept or keeping it serves nothing.
func (m *memory) renew(answer *keptAnswer, header http.Header) *keptAnswer {
	renewed := *answer
	if tag := header.Get("Etag"); tag != "" {
		renewed.validator = http.Header{"If-None-Match": {tag}}
	} else if modified := header.Get("Last-Modified"); modified != "" {
		renewed.validator = http.Header{"If-Modified-Since": {modified}}
	}
	lifetime, store := freshness(header)
	renewed.fresh = m.now().Add(lifetime)
	if !store || lifetime <= 0 && len(renewed.validator) == 0 {
		return nil
	}
	return &renewed
}

// freshness reads Cache-Control (RFC 9111 section 5.2.2): how long an answer may
// be used without asking, and whether it may be kept at all. An API that does
// not say how long is asked every time.
func freshness(header http.Header) (lifetime time.Duration, store bool) {
	store, ask := true, false
	for _, value := range header.Values("Cache-Control") {
		for directive := range strings.SplitSeq(value, ",") {
			name, argument, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch strings.ToLower(name) {
			case "no-store":
				store = false
			case "no-cache":
				ask = true
			case "max-age":
				if seconds, err := strconv.Atoi(strings.Trim(argument, `"`)); err == nil && seconds > 0 {
					lifetime = min(time.Duration(min(seconds, 1<<30))*time.Second, maxFresh)
				}
			default: // the others are for shared caches, or allow more than is done
			}
		}
	}
	if age, err := strconv.Atoi(header.Get("Age")); err == nil && age > 0 {
		lifetime -= time.Duration(min(age, 1<<30)) * time.Second
	}
	if ask {
		lifetime = 0
	}
	return max(lifetime, 0), store
}

// response returns a copy to be read once.
func (a *keptAnswer) response() *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header.Clone(), ContentLength: int64(len(a.body)), Body: io.NopCloser(bytes.NewReader(a.body)),
	}
}
