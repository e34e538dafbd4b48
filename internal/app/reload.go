package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"tecrolabs.dev/oauth-mcp-server/internal/imports"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// reasonCatalogue is why a change of the catalogue is refused.
const reasonCatalogue = "invalid_catalogue"

// observe makes the counter of reloads.
func (t *liveTools) observe() error {
	meter := t.telemetry.Meter()
	if meter == nil {
		meter = noop.Meter{}
	}
	var err error
	if t.reloads, err = meter.Int64Counter("oauth_mcp_server.catalogue_reloads", metric.WithUnit("{reload}"),
		metric.WithDescription("Catalogues of tools that were read after the start, by whether they are in use and why not.")); err != nil {
		return fmt.Errorf("tools: %w", err)
	}
	return nil
}

// reload reads the catalogue again and says what is another one now. What came
// of it is in the log, on record and counted.
func (t *liveTools) reload(ctx context.Context) tool.Changes {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.current.Load().catalogue
	if err := t.load(ctx); err != nil {
		t.logger.LogAttrs(ctx, slog.LevelError, "tools not reloaded, the earlier catalogue goes on serving", slog.String("error", err.Error()))
		t.record(ctx, telemetry.Audit{Decision: "deny", Reason: reasonCatalogue, CatalogueHash: before.Hash()})
		return tool.Changes{}
	}
	now := t.current.Load().catalogue
	changes := tool.Compare(before, now)
	audit := telemetry.Audit{Decision: "allow", Reason: "ok", CatalogueHash: now.Hash()}
	if now.Hash() != before.Hash() {
		audit.CatalogueBefore = before.Hash()
	}
	for _, change := range changes.All {
		audit.Changes = append(audit.Changes, telemetry.Change(change))
	}
	t.record(ctx, audit)
	t.logger.LogAttrs(ctx, slog.LevelInfo, "tools reloaded", slog.Int("tools", len(now.Definitions())),
		slog.Int("changes", len(changes.All)), slog.String("catalogue_hash", now.Hash()))
	return changes
}

// record leaves the audit record of a reload and counts it. A catalogue that is
// the same as before is no decision.
func (t *liveTools) record(ctx context.Context, audit telemetry.Audit) {
	t.reloads.Add(ctx, 1, metric.WithAttributes(telemetry.KeyDecision.String(audit.Decision), telemetry.KeyReason.String(audit.Reason)))
	if audit.Reason == "ok" && audit.CatalogueBefore == "" && len(audit.Changes) == 0 {
		return
	}
	audit.Event = telemetry.EventCatalogue
	audit.Write(ctx, t.logger)
}

// outdated reports whether reading again may bring something else: a file that was
// read last is another one now, or what came from a URL could not be used.
func (t *liveTools) outdated() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.again || slices.ContainsFunc(t.read, isOutdated)
}

// files returns what was read last, the catalogue first.
func (t *liveTools) files() []imports.File {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.read
}

// ReloadTools reads the catalogue again, and tells open streams of lists that
// may be others now. On an error the catalogue before goes on serving.
func (a *App) ReloadTools(ctx context.Context) {
	changes := a.tools.reload(ctx)
	if changes.Tools {
		a.mcp.ToolsChanged()
	}
	if changes.Resources {
		a.mcp.ResourcesChanged()
	}
	if changes.Prompts {
		a.mcp.PromptsChanged()
	}
}

// reloadOn does what SIGHUP asks for, until ctx ends.
func (a *App) reloadOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			a.ReloadTools(ctx)
			if err := a.auditor.Reopen(); err != nil {
				a.logger.LogAttrs(ctx, slog.LevelError, "audit log not reopened, the open one stays in use", slog.String("error", err.Error()))
			}
		}
	}
}
