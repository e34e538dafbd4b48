package app

import (
	"context"
	"log/slog"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
)

// How soon an authorization server that does not answer is asked again, and how
// often one that does.
const (
	learnRetry   = time.Second
	learnMaximum = 30 * time.Second
	learnRefresh = 10 * time.Minute
)

// learn keeps an authorization server's metadata fresh, so that the sign-in is
// quick and the published issuer is the server's own spelling.
func (a *App) learn(ctx context.Context, server *discovery.Source) {
	wait, known := learnRetry, false
	for {
		metadata, err := server.Metadata(ctx)
		switch {
		case err == nil && !known:
			known, wait = true, learnRefresh
			if metadata.Issuer != server.Issuer() {
				a.logger.LogAttrs(ctx, slog.LevelWarn, "the authorization server spells its issuer with another slash at the end; its own spelling is published",
					slog.String("configured", server.Issuer()), slog.String("discovered", metadata.Issuer))
			}
		case err != nil && ctx.Err() == nil:
			a.logger.LogAttrs(ctx, slog.LevelWarn, "authorization server metadata not available, trying again",
				slog.String("issuer", server.Issuer()), slog.Duration("in", wait), slog.String("error", err.Error()))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if !known {
			wait = min(2*wait, learnMaximum)
		}
	}
}
