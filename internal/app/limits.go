package app

import (
	"context"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/cluster"
	"tecrolabs.dev/oauth-mcp-server/internal/ratelimit"
)

// newLimits makes the limits of the configuration, shared where there is a
// cluster.
func (a *App) newLimits() (*ratelimit.Limiter, error) {
	cfg := a.cfg
	limits := ratelimit.Config{
		Principal: ratelimit.Rate(cfg.RateLimitPrincipal),
		Tool:      ratelimit.Rate(cfg.RateLimitTool),
		Everybody: ratelimit.Rate(cfg.RateLimitGlobal),
		Address:   ratelimit.Rate(cfg.RateLimitAddress),
		Logger:    a.logger,
		Meter:     a.telemetry.Meter(),
	}
	if a.cluster != nil {
		limits.Store = sharedBuckets{a.cluster}
	}
	return ratelimit.New(limits)
}

// sharedBuckets is the cluster's store as the limits see it.
type sharedBuckets struct{ bus *cluster.Bus }

// Take implements [ratelimit.Store].
func (s sharedBuckets) Take(ctx context.Context, demands []ratelimit.Demand) (refused int, wait time.Duration, err error) {
	shared := make([]cluster.Demand, len(demands))
	for i, demand := range demands {
		shared[i] = cluster.Demand(demand)
	}
	return s.bus.Take(ctx, shared)
}
