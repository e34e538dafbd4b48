package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

type serveCommand struct {
	settings
}

// Help returns the examples under --help.
func (serveCommand) Help() string {
	return `Settings come from flags, the environment and a .env file in the working directory, in this order. SIGTERM and SIGINT end the server in order, SIGHUP reads TOOLS_FILE and opens the audit log again.

Examples:

    oauth-mcp-server serve
    SERVER_URL=https://mcp.example.com TRUSTED_PROXIES=10.0.0.0/8 oauth-mcp-server serve
    oauth-mcp-server serve --listen-addr 0.0.0.0:8443 --tls-cert-file cert.pem --tls-key-file key.pem`
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, p process) error {
	loaded, err := c.load(p)
	if problems := config.Problems(err); len(problems) > 0 {
		return errors.Join(p.explain(loaded, problems), errFailed)
	}
	if err := p.logWarnings(ctx, loaded); err != nil {
		return err
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	return app.Serve(ctx, app.ServeOptions{
		Config:    loaded.Config,
		Version:   readBuild().Version,
		Stdout:    p.stdout,
		Stderr:    p.stderr,
		LookupEnv: p.lookupEnv,
		Reload:    reload,
	})
}

// logWarnings puts the configuration's warnings into the log, where whoever
// operates a server looks.
func (p process) logWarnings(ctx context.Context, loaded config.Loaded) error {
	logger, err := telemetry.NewLogger(p.stderr, loaded.Config.LogLevel, loaded.Config.LogFormat)
	if err != nil {
		return err
	}
	for _, warning := range loaded.Warnings {
		logger.LogAttrs(ctx, slog.LevelWarn, "configuration warning",
			slog.String("setting", warning.Name), slog.String("text", warning.Text))
	}
	return nil
}
