package app

import (
	"context"
	"io"
	"log/slog"
	"os"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// ServeOptions is what the serve command hands over.
type ServeOptions struct {
	Config  config.Config
	Version string
	Stderr  io.Writer
	// Reload asks for the catalogue to be read again (SIGHUP); may be nil.
	Reload <-chan os.Signal
}

// Serve runs the production server until ctx ends.
func Serve(ctx context.Context, opts ServeOptions) error {
	logger, err := telemetry.NewLogger(opts.Stderr, opts.Config.LogLevel, opts.Config.LogFormat)
	if err != nil {
		return err
	}
	a, err := New(ctx, Options{Config: opts.Config, Logger: logger, Version: opts.Version})
	if err != nil {
		return err
	}
	a.logStart(ctx)
	reloads, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.reloadOn(reloads, opts.Reload)
	}()
	err = a.Run(ctx)
	stop()
	<-done
	logger.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "stopped")
	return err
}

func (a *App) reloadOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			a.ReloadTools(ctx)
		}
	}
}

// logStart says what runs, and which guarded deviations are in force.
func (a *App) logStart(ctx context.Context) {
	// The list of authorization servers changes with a restart only, and each
	// start is on record: clients have to register anew when it changes.
	a.logger.LogAttrs(ctx, slog.LevelInfo, "serving",
		slog.Bool("audit", true),
		slog.String("event", "start"),
		slog.String("version", a.version),
		slog.String("server_url", a.cfg.ServerURL),
		slog.String("listen_addr", a.listener.Addr().String()),
		slog.Bool("production", a.cfg.Production()),
		slog.Any("authorization_servers", a.cfg.AuthorizationServers),
		slog.Any("audiences", a.cfg.Audiences()),
		slog.Int("tools", len(a.tools.Definitions())))
}
