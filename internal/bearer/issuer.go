package bearer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
)

// The fetch policy: when keys are loaded, and how long they are used
// (docs/adr/0005-keys-outlive-outages.md).
const (
	refreshEvery = 5 * time.Minute  // by Run
	refreshLazy  = 10 * time.Minute // by Verify, when Run did not
	maxKeyAge    = 24 * time.Hour   // last good keys survive an outage of this length
	refetchPause = 30 * time.Second // between fetches that tokens without a fitting key cause
	demandPause  = time.Second      // between failed loads when there are no keys
	demandRetry  = 5 * time.Second  // Retry-After when there are no keys
	loadTimeout  = 10 * time.Second // metadata and key set together
)

// errNoNewerKeys means that the issuer was asked a moment ago and published
// nothing else.
var errNoNewerKeys = errors.New("no newer keys")

// issuer is one trusted issuer with its keys. Loads never run side by side:
// whoever needs one joins the one in progress.
type issuer struct {
	config  IssuerConfig // complete
	label   string       // the configured name; tokens carry it or its other slash form
	fetcher *discovery.Fetcher
	logger  *slog.Logger
	now     func() time.Time
	metrics instruments

	introspector *introspector // nil: it is not asked about tokens

	current atomic.Pointer[keySet] // last good keys; nil before the first load
	wake    chan time.Duration     // asks Run for a load after this wait

	mu      sync.Mutex
	loading *load
	triedAt time.Time // end of the last load
	lastErr error     // its result
	doubtAt time.Time // last load that a token without a fitting key caused
	asked   bool      // Run owes a load to such tokens
	warned  bool      // about the trailing slash
}

// load is one attempt to get the keys. keys and err may be read after done is
// closed.
type load struct {
	done   chan struct{}
	cancel context.CancelFunc
	keys   *keySet
	err    error
}

func (l *load) wait(ctx context.Context) (*keySet, error) {
	select {
	case <-l.done:
		return l.keys, l.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin returns the load in progress, starting one if there is none. i.mu must
// be held. The load outlives the request that happened to need it first, and
// ends by itself within loadTimeout.
func (i *issuer) begin(ctx context.Context) *load {
	if i.loading != nil {
		return i.loading
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
	l := &load{done: make(chan struct{}), cancel: cancel}
	i.loading = l
	go func() {
		defer cancel()
		l.keys, l.err = i.fetch(ctx)
		i.mu.Lock()
		i.finish(ctx, l)
		i.mu.Unlock()
		close(l.done)
	}()
	return l
}

// finish keeps what l brought. i.mu must be held. A failed load, an empty set
// included, leaves the last good keys as they are.
func (i *issuer) finish(ctx context.Context, l *load) {
	i.loading, i.triedAt, i.lastErr = nil, i.now(), l.err
	i.metrics.fetched(ctx, i.label, l.err)
	before := i.current.Load()
	if l.err != nil {
		attributes := []slog.Attr{slog.String("issuer", i.label), slog.Any("error", l.err)}
		if before != nil {
			attributes = append(attributes, slog.Duration("keys_age", i.triedAt.Sub(before.loadedAt)))
		}
		i.logger.LogAttrs(ctx, slog.LevelWarn, "signing keys not loaded", attributes...)
		return
	}
	l.keys.loadedAt = i.triedAt
	changed := !l.keys.same(before)
	if before != nil {
		l.keys.generation = before.generation
	}
	if changed {
		l.keys.generation++
	}
	i.current.Store(l.keys)
	if l.keys.issuer != i.label && !i.warned {
		i.warned = true
		i.logger.LogAttrs(ctx, slog.LevelWarn, "configured issuer differs from the published one by a trailing slash; using the published one",
			slog.String("configured", i.label), slog.String("published", l.keys.issuer))
	}
	if changed {
		i.logger.LogAttrs(ctx, slog.LevelInfo, "signing keys loaded", slog.String("issuer", l.keys.issuer),
			slog.Int("keys", len(l.keys.keys)), slog.Int("ignored_keys", l.keys.ignored))
	}
}

// usable returns the last good keys unless they are too old.
func (i *issuer) usable() (*keySet, bool) {
	keys := i.current.Load()
	return keys, keys != nil && i.now().Sub(keys.loadedAt) < maxKeyAge
}

// keys returns the issuer's keys without any I/O when there are some, however
// the identity provider does. Otherwise it loads them, once for all callers and
// at most once a second. Errors are [*oauth.Refusal] with 503.
func (i *issuer) keys(ctx context.Context) (*keySet, error) {
	if keys, ok := i.usable(); ok {
		i.refreshBehind(ctx, keys)
		return keys, nil
	}
	i.mu.Lock()
	if keys, ok := i.usable(); ok { // somebody was faster
		i.mu.Unlock()
		return keys, nil
	}
	if i.loading == nil && i.lastErr != nil && i.now().Sub(i.triedAt) < demandPause {
		err := i.lastErr
		i.mu.Unlock()
		return nil, unavailable(demandRetry, err)
	}
	l := i.begin(ctx)
	i.mu.Unlock()
	keys, err := l.wait(ctx)
	if err != nil {
		return nil, unavailable(demandRetry, err)
	}
	return keys, nil
}

// refreshBehind starts a load that nobody waits for when the keys are older
// than Run lets them become: a Verifier without Run follows rotations too.
func (i *issuer) refreshBehind(ctx context.Context, keys *keySet) {
	if i.now().Sub(keys.loadedAt) < refreshLazy {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.loading == nil && i.now().Sub(i.triedAt) >= refetchPause {
		i.begin(ctx)
	}
}

// newer returns other keys than seen, of which none has verified a token: its
// key id is unknown, or the key under it is another one. It fetches at most once
// per refetchPause; everybody who comes meanwhile waits for that fetch, and everybody who comes after it gets its outcome:
// [errNoNewerKeys] when the issuer answered, a [*oauth.Refusal] with 503 when
// it did not, because then nobody knows whether the key exists.
func (i *issuer) newer(ctx context.Context, seen *keySet) (*keySet, error) {
	i.mu.Lock()
	if keys := i.current.Load(); keys != seen {
		i.mu.Unlock()
		return keys, nil
	}
	if i.loading == nil {
		now := i.now()
		if wait := i.doubtAt.Add(refetchPause).Sub(now); !i.doubtAt.IsZero() && wait > 0 {
			err := i.lastErr
			i.asked = i.asked || err == nil
			i.mu.Unlock()
			if err != nil {
				return nil, unavailable(wait, err)
			}
			i.remind(wait)
			return nil, errNoNewerKeys
		}
		i.doubtAt = now
	}
	l := i.begin(ctx)
	i.mu.Unlock()
	keys, err := l.wait(ctx)
	if err != nil {
		return nil, unavailable(refetchPause, err)
	}
	return keys, nil
}

// remind asks Run, if it is running, for a load when the pause ends.
func (i *issuer) remind(wait time.Duration) {
	select {
	case i.wake <- wait:
	default: // one reminder is waiting already
	}
}

// fetch gets the keys, following the metadata's jwks_uri as it is now.
func (i *issuer) fetch(ctx context.Context) (*keySet, error) {
	name, location, err := i.locate(ctx)
	if err != nil {
		return nil, err
	}
	body, err := i.fetcher.Document(ctx, location)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeySet(body, i.config.Algorithms)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", location, err)
	}
	keys.issuer = name
	return keys, nil
}

// locate returns the issuer's exact name and where its keys are published.
// Metadata that names another issuer is not used (RFC 8414 section 3.3); the
// other trailing-slash form of the same one is, as published.
func (i *issuer) locate(ctx context.Context) (name, location string, err error) {
	name, location = i.config.Issuer, i.config.JWKSURL
	if name != "" && location != "" {
		return name, location, nil
	}
	metadata, err := i.config.Source.Metadata(ctx)
	if err != nil {
		return "", "", err
	}
	if location == "" {
		if metadata.JWKSURI == "" {
			return "", "", fmt.Errorf("the metadata of %s has no jwks_uri; set JWKS_URL", i.label)
		}
		location = metadata.JWKSURI
	}
	if !sameButSlash(metadata.Issuer, i.label) {
		return "", "", fmt.Errorf("the metadata of %s is of the issuer %q", i.label, metadata.Issuer)
	}
	return metadata.Issuer, location, nil
}

// name returns what tokens of this issuer carry, as far as it is known.
func (i *issuer) name() string {
	if keys := i.current.Load(); keys != nil {
		return keys.issuer
	}
	return i.label
}
