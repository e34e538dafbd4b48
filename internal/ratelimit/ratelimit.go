// Package ratelimit bounds how often things happen: requests of one principal,
// calls of one tool, requests of everybody, and failed authentications from one
// address.
//
// Start with [New] and [Limiter.AdmitRequest]. Each limit is a bucket that holds
// as many tokens as it allows in its period and fills up evenly. Every replica
// has its own; with a [Store] they share one as well, and what either refuses is
// refused. A store that is away leaves the replica's own.
//
// It defends the server and the APIs behind it against a client in a circle and
// against guessing. It does not know HTTP: a refusal is an [oauth.Refusal] with a
// time to wait.
package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/site"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// Bounds of what the limits themselves cost.
const (
	maxBuckets   = 8192                   // of each kind, twice
	storeTimeout = 250 * time.Millisecond // of one question to the store
	storePause   = time.Second            // without questions after one failed
)

// Rate is how often something may happen: Count times in Per, all at once or
// spread. The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

func (r Rate) limits() bool { return r.Count > 0 && r.Per > 0 }

// Demand is one token of one bucket.
type Demand struct {
	Key   string
	Count int // of its rate
	Per   time.Duration
}

// Store is the buckets that replicas share.
type Store interface {
	// Take takes a token from each bucket, or none. refused is the index of the
	// bucket that has none, -1 when all had, and wait how long until it does.
	Take(ctx context.Context, demands []Demand) (refused int, wait time.Duration, err error)
}

// Config is what a [Limiter] is made of.
type Config struct {
	Principal Rate  // requests of one person or service
	Tool      Rate  // calls of one tool, by everybody
	Everybody Rate  // requests altogether
	Address   Rate  // requests from one address that fail authentication
	Store     Store // nil: there is one replica
	Logger    *slog.Logger
	Meter     metric.Meter // nil: nothing is counted
}

// Limiter is all limits of a server. Use [New]. It is safe for concurrent use.
type Limiter struct {
	principal, tool, everybody, address *buckets

	store    Store
	logger   *slog.Logger
	refusals metric.Int64Counter

	mu          sync.Mutex
	pausedUntil time.Time // of questions to the store
}

// New returns a Limiter. It fails without a logger.
func New(cfg Config) (*Limiter, error) {
	if cfg.Logger == nil {
		return nil, errors.New("ratelimit: a logger is required")
	}
	if cfg.Meter == nil {
		cfg.Meter = noop.Meter{}
	}
	refusals, err := cfg.Meter.Int64Counter("oauth_mcp_server.rate_limit_refusals", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that a rate limit refused, by its kind."))
	if err != nil {
		return nil, fmt.Errorf("ratelimit: %w", err)
	}
	return &Limiter{
		principal: newBuckets("principal", cfg.Principal),
		tool:      newBuckets("tool", cfg.Tool),
		everybody: newBuckets("global", cfg.Everybody),
		address:   newBuckets("address", cfg.Address),
		store:     cfg.Store, logger: cfg.Logger, refusals: refusals,
	}, nil
}

// AdmitRequest counts one request of p: against its own limit, against that of
// the tool it calls ("" for none; the name of a declared tool, never a client's
// own text), and against everybody's. A request that one limit refuses takes
// nothing from the others. The error is an [*oauth.Refusal].
func (l *Limiter) AdmitRequest(ctx context.Context, p oauth.Principal, tool string) error {
	claims := []claim{{l.principal, p.SubjectHash()}}
	if tool != "" {
		claims = append(claims, claim{l.tool, tool})
	}
	claims = append(claims, claim{l.everybody, ""})
	refused, wait := l.take(ctx, claims)
	if refused == nil {
		return nil
	}
	var sentence string
	switch refused {
	case l.principal:
		sentence = fmt.Sprintf("You have made more requests than this server allows, %s", refused)
	case l.tool:
		sentence = fmt.Sprintf("This tool is called more often than this server allows, %s by everybody together", refused)
	default:
		sentence = "This server gets more requests than it can take"
	}
	return l.refuse(ctx, refused, wait, sentence)
}

// AdmitAddress refuses an address that has failed to authenticate too often,
// before its next token costs anything. It does not count: most requests are
// good, and whole offices share an address. The error is an [*oauth.Refusal].
func (l *Limiter) AdmitAddress(ctx context.Context, address netip.Addr) error {
	wait := l.address.blocked(time.Now(), site.Key(address))
	if wait == 0 {
		return nil
	}
	return l.refuse(ctx, l.address, wait, "Too many requests without an acceptable token came from this address")
}

// CountFailure counts a request from address that did not authenticate.
func (l *Limiter) CountFailure(ctx context.Context, address netip.Addr) {
	key := site.Key(address)
	if refused, wait := l.take(ctx, []claim{{l.address, key}}); refused != nil {
		l.address.block(time.Now(), key, wait)
	}
}

func (l *Limiter) refuse(ctx context.Context, refused *buckets, wait time.Duration, sentence string) error {
	whole := max((wait + time.Second - 1).Truncate(time.Second), time.Second)
	l.refusals.Add(ctx, 1, metric.WithAttributes(telemetry.KeyLimit.String(refused.kind)))
	return &oauth.Refusal{
		Status: http.StatusTooManyRequests, Code: oauth.CodeTooManyRequests, Reason: "rate_" + refused.kind,
		RetryAfter:  whole,
		Description: fmt.Sprintf("%s; try again in %d seconds.", sentence, int64(whole.Seconds())),
	}
}

// claim is one token of the bucket key of some buckets.
type claim struct {
	buckets *buckets
	key     string
}

// take takes all claims or none: here first, which costs nothing, then in the
// store. It returns the buckets that refuse, nil for none.
func (l *Limiter) take(ctx context.Context, claims []claim) (refused *buckets, wait time.Duration) {
	now := time.Now()
	var undo []func()
	var demands []Demand
	var asked []*buckets
	for _, c := range claims {
		if !c.buckets.rate.limits() {
			continue
		}
		back, wait := c.buckets.take(now, c.key)
		if wait > 0 {
			for _, one := range undo {
				one()
			}
			return c.buckets, wait
		}
		undo = append(undo, back)
		asked = append(asked, c.buckets)
		demands = append(demands, Demand{Key: c.buckets.kind + ":" + c.key, Count: c.buckets.rate.Count, Per: c.buckets.rate.Per})
	}
	index, wait, ok := l.ask(ctx, demands)
	if !ok || index < 0 || index >= len(asked) {
		return nil, 0
	}
	for _, one := range undo {
		one()
	}
	return asked[index], wait
}

// ask asks the store. It reports false when there is no answer: then the
// replica's own limits are all there is, which is better than none and better
// than no service.
func (l *Limiter) ask(ctx context.Context, demands []Demand) (refused int, wait time.Duration, ok bool) {
	if l.store == nil || len(demands) == 0 || l.paused() {
		return -1, 0, false
	}
	asking, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	refused, wait, err := l.store.Take(asking, demands)
	if err != nil {
		if ctx.Err() == nil { // the store's fault, not a client that went away
			l.pause(ctx, err)
		}
		return -1, 0, false
	}
	return refused, wait, true
}

func (l *Limiter) paused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.pausedUntil)
}

func (l *Limiter) pause(ctx context.Context, err error) {
	l.mu.Lock()
	first := time.Since(l.pausedUntil) > 10*storePause
	l.pausedUntil = time.Now().Add(storePause)
	l.mu.Unlock()
	if first { // not once a second while it lasts
		l.logger.LogAttrs(ctx, slog.LevelWarn, "the cluster's store does not count; each replica limits for itself", slog.String("error", err.Error()))
	}
}
