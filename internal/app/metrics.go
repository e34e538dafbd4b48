package app

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"tecrolabs.dev/oauth-mcp-server/internal/edge"
)

// MetricsAddr returns where Prometheus may ask, nil when it may not.
func (a *App) MetricsAddr() net.Addr {
	if a.metrics == nil {
		return nil
	}
	return a.metrics.Addr()
}

// serveMetrics answers GET /metrics, and nothing else, on a listener of its own
// until ctx ends: later than the public one, so that a shutdown can be watched.
// A server that cannot be measured goes on serving.
func (a *App) serveMetrics(ctx context.Context) {
	scrapes := a.telemetry.Handler()
	err := edge.Serve(ctx, edge.ServerConfig{
		Listener: a.metrics,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path != "/metrics":
				http.NotFound(w, r)
			case r.Method != http.MethodGet && r.Method != http.MethodHead:
				w.Header().Set("Allow", "GET, HEAD")
				http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			default:
				scrapes.ServeHTTP(w, r)
			}
		}),
		Timeout: a.cfg.ShutdownTimeout,
		Logger:  a.logger,
	})
	if err != nil {
		a.logger.LogAttrs(ctx, slog.LevelError, "metrics are not served", slog.String("error", err.Error()))
	}
}
