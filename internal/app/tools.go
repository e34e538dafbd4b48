package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
	"tecrolabs.dev/oauth-mcp-server/internal/upstream"
)

// credentialModes are the words of a catalogue for what an upstream gets to
// see of the caller.
var credentialModes = map[string]upstream.Mode{
	"forward": upstream.Forward,
	"none":    upstream.None,
}

// liveTools is the catalogue in use. Reload replaces it whole, or not at all.
type liveTools struct {
	cfg    config.Config
	logger *slog.Logger
	runner atomic.Pointer[tool.Runner]
	// transport reaches every upstream of every catalogue.
	transport *http.Transport
	telemetry *telemetry.Provider
	// elevations outlives every catalogue.
	elevations *tool.Elevations
}

func newLiveTools(cfg config.Config, policy egress.Policy, logger *slog.Logger, measure *telemetry.Provider) (*liveTools, error) {
	t := &liveTools{cfg: cfg, logger: logger, transport: egress.NewTransport(policy, nil), telemetry: measure, elevations: tool.NewElevations()}
	return t, t.load()
}

// load reads the catalogue and puts it into use. After an error the one before
// goes on serving.
func (t *liveTools) load() error {
	source, data := "the built-in catalogue", tool.BuiltIn()
	if t.cfg.ToolsFile != "" {
		var err error
		if source, data, err = readCatalogue(t.cfg.ToolsFile); err != nil {
			return err
		}
	}
	catalogue, err := tool.Load(data, map[string]string{"OTUS_URL": t.cfg.OtusURL})
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	senders := map[string]tool.Sender{}
	for _, u := range catalogue.Upstreams() {
		client, err := upstream.New(upstream.Config{
			Name:        u.Name,
			URL:         u.URL,
			Credential:  credentialModes[u.Credential],
			Timeout:     u.Timeout,
			MaxResponse: u.MaxResponse,
			Transport:   t.transport,
			Meter:       t.telemetry.Meter(),
			Tracer:      t.telemetry.Tracer(),
			Propagator:  t.telemetry.Propagator(),
		})
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		senders[u.Name] = client
	}
	runner, err := tool.NewRunner(tool.RunnerConfig{
		Catalogue: catalogue, Senders: senders, Logger: t.logger, Hierarchy: t.cfg.Hierarchy(),
		ListObtainable: t.cfg.ToolsListed == config.ListObtainable, Elevations: t.elevations, Meter: t.telemetry.Meter(),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	t.runner.Store(runner)
	return nil
}

func readCatalogue(path string) (source string, data []byte, err error) {
	file, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		return "", nil, fmt.Errorf("TOOLS_FILE: %w", err)
	}
	defer file.Close()
	data, err = io.ReadAll(io.LimitReader(file, tool.MaxCatalogue+1)) //nolint:forbidigo // bounded by the line's own limit
	if err == nil && len(data) > tool.MaxCatalogue {
		err = fmt.Errorf("it is larger than %d bytes", tool.MaxCatalogue)
	}
	if err != nil {
		return "", nil, fmt.Errorf("TOOLS_FILE %s: %w", path, err)
	}
	return path, data, nil
}

// Definitions returns the tools of the catalogue in use.
func (t *liveTools) Definitions() []tool.Definition { return t.runner.Load().Definitions() }

// Listed returns the tools of the catalogue in use that p is shown.
func (t *liveTools) Listed(ctx context.Context, p oauth.Principal) []tool.Definition {
	return t.runner.Load().Listed(ctx, p)
}

// Call calls a tool of the catalogue in use.
func (t *liveTools) Call(ctx context.Context, caller tool.Caller, name string, arguments json.RawMessage) (tool.Result, error) {
	return t.runner.Load().Call(ctx, caller, name, arguments)
}

// ReloadTools reads the catalogue again and tells open streams. On an error
// the one before goes on serving.
func (a *App) ReloadTools(ctx context.Context) {
	if err := a.tools.load(); err != nil {
		a.logger.LogAttrs(ctx, slog.LevelError, "tools not reloaded, the earlier catalogue goes on serving", slog.String("error", err.Error()))
		return
	}
	a.mcp.ToolsChanged()
	a.logger.LogAttrs(ctx, slog.LevelInfo, "tools reloaded", slog.Int("tools", len(a.tools.Definitions())))
}
