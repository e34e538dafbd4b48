package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// Bounds of introspection (docs/adr/0017-introspection.md).
const (
	maxIntrospectionAge  = 60 * time.Second // an issuer's word counts at most that long
	inactiveFor          = 5 * time.Second  // and that long when it is no
	introspectionTimeout = 5 * time.Second
	introspectionPause   = time.Second // between questions to an issuer that does not answer
	maxIntrospections    = 32          // questions in flight to one issuer
	maxIntrospection     = 64 << 10    // bytes of an answer
)

// Introspect says which tokens an issuer is asked about.
type Introspect string

// The choices. The zero value is none.
const (
	IntrospectNone   Introspect = ""
	IntrospectOpaque Introspect = "opaque" // those that are no signed JWT
	IntrospectJWT    Introspect = "jwt"    // its JWTs, on top of every other check: a revoked one is refused
	IntrospectAll    Introspect = "all"    // both
)

func (i Introspect) opaque() bool { return i == IntrospectOpaque || i == IntrospectAll }
func (i Introspect) jwts() bool   { return i == IntrospectJWT || i == IntrospectAll }

// isOpaque reports whether err says of a token that only its issuer can read it.
func isOpaque(err error) bool {
	reason := Reason(oauth.AsRefusal(err).Reason)
	return reason == OpaqueToken || reason == EncryptedToken
}

// examineOpaque asks the one issuer that answers for opaque tokens, and holds
// its answer to the same checks as the claims of a JWT (RFC 7662 section 4). It
// is the issuer's key set that says how the issuer writes its name.
func (v *Verifier) examineOpaque(ctx context.Context, of fingerprint, raw string) (*token, error) {
	i := v.opaque
	keys, err := i.keys(ctx)
	if err != nil {
		return nil, err
	}
	told, err := i.introspector.ask(ctx, of, raw, keys.issuer)
	if err != nil {
		return nil, err
	}
	t := &token{payload: told.body, members: told.members, signer: i, keys: keys, now: v.now(), heard: told.at}
	t.issuer, _ = t.members.Text("iss")
	if name := t.members.FoldedCollision(registered...); name != "" {
		return nil, AmbiguousMember.refuse(ambiguousHint, fmt.Errorf("member %q of an introspection response", clip(name)))
	}
	return t, v.verifyClaims(ctx, t)
}

// told is what an issuer said of a token that is active.
type told struct {
	at      time.Time
	body    []byte
	members strictjson.Object
}

// introspector asks one issuer about tokens. One token is asked about once at a
// time, whoever needs it; two tokens never share an answer.
type introspector struct {
	issuer   *issuer
	client   *http.Client
	identify identification
	inactive memory[struct{}]

	mu       sync.Mutex
	asking   map[fingerprint]*question
	failedAt time.Time
	failure  error
}

// question is one call in flight. told and err may be read after done is closed.
type question struct {
	done   chan struct{}
	cancel context.CancelFunc
	told   told
	err    error
}

func newIntrospector(i *issuer, transport http.RoundTripper) (*introspector, error) {
	identify, err := i.config.Introspection.identification(i.now)
	if err != nil {
		return nil, fmt.Errorf("bearer: introspection at %s: %w", i.label, err)
	}
	return &introspector{
		issuer: i, identify: identify, asking: map[fingerprint]*question{},
		// A redirect would take the token and the credentials elsewhere.
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// errInactive means that the issuer says that a token is not good.
var errInactive = errors.New("not active")

// errOddAnswer means that the issuer works and said something of one token that
// cannot be used. It is no reason not to ask about others.
var errOddAnswer = errors.New("the answer is of no use")

// ask returns what the issuer says of an active token. name is how the issuer
// calls itself. Errors are [*oauth.Refusal]: 401 for a token that is not active,
// 503 when the issuer gives no answer that can be used.
func (n *introspector) ask(ctx context.Context, of fingerprint, raw, name string) (told, error) {
	if _, known := n.inactive.get(of, n.issuer.now()); known {
		return told{}, inactive()
	}
	q, err := n.join(ctx, of, raw, name)
	if err != nil {
		return told{}, introspectionUnavailable(err)
	}
	select {
	case <-q.done:
	case <-ctx.Done():
		return told{}, introspectionUnavailable(context.Cause(ctx))
	}
	switch {
	case errors.Is(q.err, errInactive):
		return told{}, inactive()
	case errors.Is(q.err, strictjson.ErrDuplicate):
		return told{}, AmbiguousMember.refuse(ambiguousHint, q.err)
	case q.err != nil:
		return told{}, introspectionUnavailable(q.err)
	}
	return q.told, nil
}

func inactive() error {
	return InactiveToken.refuse("The identity provider says that the token is not active: it expired, was revoked or is none of its own. Sign in again.", nil)
}

func introspectionUnavailable(cause error) error {
	return IntrospectionUnavailable.unavailable("The identity provider cannot be asked about the token at the moment.", introspectionPause, cause)
}

// join returns the question in flight about a token, putting it if there is
// none. It is an error to ask an issuer too much at once, or one that has just
// failed to answer.
func (n *introspector) join(ctx context.Context, of fingerprint, raw, name string) (*question, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if q := n.asking[of]; q != nil {
		return q, nil
	}
	if n.failure != nil && n.issuer.now().Sub(n.failedAt) < introspectionPause {
		return nil, n.failure
	}
	if len(n.asking) >= maxIntrospections {
		return nil, fmt.Errorf("%d questions are in flight", maxIntrospections)
	}
	// The question outlives the request that happened to need it first, and ends
	// by itself.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), introspectionTimeout)
	q := &question{done: make(chan struct{}), cancel: cancel}
	n.asking[of] = q
	go func() {
		defer cancel()
		q.told, q.err = n.call(ctx, raw, name)
		n.finish(ctx, of, q.err)
		close(q.done)
	}()
	return q, nil
}

// finish keeps what is worth knowing of an answer.
func (n *introspector) finish(ctx context.Context, of fingerprint, err error) {
	word := "active"
	switch {
	case errors.Is(err, errInactive):
		word = "inactive"
		now := n.issuer.now()
		n.inactive.put(of, struct{}{}, 0, now, now.Add(inactiveFor), n.inactive.begin())
		err = nil
	case err != nil:
		word = "failed"
	}
	n.issuer.metrics.introspected(ctx, n.issuer.label, word)
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.asking, of)
	n.failedAt, n.failure = n.issuer.now(), err
	if errors.Is(err, errOddAnswer) {
		n.failure = nil
	}
	if err != nil {
		n.issuer.logger.LogAttrs(ctx, slog.LevelWarn, "introspection failed", slog.String("issuer", n.issuer.label), slog.Any("error", err))
	}
}

// stop ends what is in flight and waits for it.
func (n *introspector) stop() {
	n.mu.Lock()
	var left []*question
	for _, q := range n.asking {
		left = append(left, q)
	}
	n.mu.Unlock()
	for _, q := range left {
		q.cancel()
		<-q.done
	}
}

// call puts the question (RFC 7662 section 2.1) and reads the answer. The error
// holds nothing of the token and of the answer.
func (n *introspector) call(ctx context.Context, raw, name string) (told, error) {
	endpoint, err := n.endpoint(ctx)
	if err != nil {
		return told{}, err
	}
	form := url.Values{"token": {raw}, "token_type_hint": {"access_token"}}
	header := http.Header{
		"Accept":       {"application/json"},
		"Content-Type": {"application/x-www-form-urlencoded"},
		"User-Agent":   {"oauth-mcp-server"},
	}
	if err := n.identify(header, form, name); err != nil {
		return told{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return told{}, fmt.Errorf("introspection: %w", err)
	}
	request.Header = header
	response, err := n.client.Do(request)
	if err != nil {
		return told{}, err // *url.Error already names the URL
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return told{}, fmt.Errorf("%s answers with status %d", endpoint, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxIntrospection+1)) //nolint:forbidigo // bounded by the line's own limit
	if err != nil {
		return told{}, fmt.Errorf("%s: %w", endpoint, err)
	}
	if len(body) > maxIntrospection {
		return told{}, fmt.Errorf("%s: %w: it has more than %d bytes", endpoint, errOddAnswer, maxIntrospection)
	}
	members, err := readIntrospection(body)
	if err != nil {
		return told{}, fmt.Errorf("%s: %w", endpoint, err)
	}
	return told{at: n.issuer.now(), body: body, members: members}, nil
}

// readIntrospection reads an answer (RFC 7662 section 2.2). Only the JSON value
// true makes a token active: not "true", not 1, and not an answer that says
// nothing of it. The error is errInactive only for the JSON value false.
func readIntrospection(body []byte) (strictjson.Object, error) {
	err := strictjson.Check(body, maxDepth)
	var members strictjson.Object
	if err == nil {
		members, err = strictjson.ParseObject(body)
	}
	switch {
	case errors.Is(err, strictjson.ErrSyntax), errors.Is(err, strictjson.ErrNotObject):
		return nil, fmt.Errorf("the answer is unreadable: %w", err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errOddAnswer, err)
	}
	active, _ := members.Get("active")
	switch string(active) {
	case "true":
		return members, nil
	case "false":
		return nil, errInactive
	}
	return nil, fmt.Errorf("%w: it has no \"active\" that is true or false", errOddAnswer)
}

// endpoint returns where the issuer is asked.
func (n *introspector) endpoint(ctx context.Context) (string, error) {
	if configured := n.issuer.config.Introspection.URL; configured != "" {
		return configured, nil
	}
	metadata, err := n.issuer.config.Source.Metadata(ctx)
	switch {
	case err != nil:
		return "", err
	case metadata.IntrospectionEndpoint == "":
		return "", fmt.Errorf("the metadata of %s has no introspection_endpoint; set INTROSPECTION_URL", n.issuer.label)
	}
	return metadata.IntrospectionEndpoint, nil
}
