package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// ServeOptions is what the serve command hands over.
type ServeOptions struct {
	Config  config.Config
	Version string
	Stdout  io.Writer // takes audit records where AUDIT_LOG says so; nil means the process' own
	Stderr  io.Writer
	// LookupEnv reads the environment: the variables that a catalogue names for
	// secrets, and the OTEL_* variables, which OpenTelemetry's SDK reads from the
	// process itself; nil has no secrets and exports nothing.
	LookupEnv func(name string) (string, bool)
	// Reload asks for the catalogue to be read again (SIGHUP); may be nil.
	Reload <-chan os.Signal
}

// Serve runs the production server until ctx ends.
func Serve(ctx context.Context, opts ServeOptions) error {
	logger, err := telemetry.NewLogger(opts.Stderr, opts.Config.LogLevel, opts.Config.LogFormat)
	if err != nil {
		return err
	}
	telemetry.ReportTo(ctx, logger)
	measure, err := telemetry.NewProvider(ctx, telemetry.ProviderConfig{
		Service: Name, Version: opts.Version, LookupEnv: opts.LookupEnv, Scrape: opts.Config.MetricsAddr != "", Logger: logger,
	})
	if err != nil {
		return err
	}
	a, err := New(ctx, Options{
		Config: opts.Config, Logger: logger, Version: opts.Version, LookupEnv: opts.LookupEnv, Telemetry: measure, Stdout: opts.Stdout,
	})
	if err != nil {
		return errors.Join(err, flush(ctx, measure))
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
	if err := flush(ctx, measure); err != nil { // no reason to call the shutdown unclean
		logger.LogAttrs(context.WithoutCancel(ctx), slog.LevelWarn, "telemetry not flushed", slog.String("error", err.Error()))
	}
	logger.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "stopped")
	return err
}

// flushTimeout bounds the last export: a collector that is away must not hold
// up a shutdown.
const flushTimeout = 3 * time.Second

func flush(ctx context.Context, measure *telemetry.Provider) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	return measure.Shutdown(ctx)
}

func issuerNames(keys []bearer.KeyStatus) []string {
	names := make([]string, 0, len(keys))
	for _, status := range keys {
		names = append(names, status.Issuer)
	}
	return names
}

// logStart says what runs. It is on record too: the list of authorization
// servers changes with a restart only, and clients have to register anew when it
// does.
func (a *App) logStart(ctx context.Context) {
	a.logger.LogAttrs(ctx, slog.LevelInfo, "serving",
		slog.String("version", a.version),
		slog.String("server_url", a.cfg.ServerURL),
		slog.String("listen_addr", a.listener.Addr().String()),
		slog.Bool("production", a.cfg.Production()),
		slog.Any("issuers", issuerNames(a.verifier.Keys())),
		slog.Int("tools", len(a.tools.Definitions())))
	telemetry.Audit{
		Event: telemetry.EventStart, Version: a.version, ServerURL: a.cfg.ServerURL,
		AuthorizationServers: a.cfg.AuthorizationServers, Audiences: a.cfg.Audiences(),
		CatalogueHash: a.tools.current.Load().catalogue.Hash(),
	}.Write(ctx, a.logger)
}
