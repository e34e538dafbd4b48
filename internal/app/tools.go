package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/imports"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// liveTools is the catalogue in use. Reload replaces it whole, or not at all.
type liveTools struct {
	cfg       config.Config
	source    catalogueSource
	policy    egress.Policy
	lookupEnv func(string) (string, bool) // nil: no variables
	logger    *slog.Logger
	telemetry *telemetry.Provider
	current   atomic.Pointer[loadedTools]
	// elevations outlives every catalogue.
	elevations *tool.Elevations
	reloads    metric.Int64Counter

	mu    sync.Mutex     // held while the catalogue is read
	read  []imports.File // when it was last read, well or not
	again bool           // that went wrong, and may go well without a change of a file: it reads from a URL
}

// loadedTools is one catalogue with the clients of its APIs.
type loadedTools struct {
	*tool.Runner
	catalogue *tool.Catalogue
	upstreams *upstreams
}

func newLiveTools(ctx context.Context, opts Options, policy egress.Policy) (*liveTools, error) {
	t := &liveTools{
		cfg: opts.Config, source: catalogueOf(opts.Config, opts.Config.ToolsFile), policy: policy, lookupEnv: opts.LookupEnv, logger: opts.Logger,
		telemetry: opts.Telemetry, elevations: tool.NewElevations(),
	}
	if opts.Catalogue != nil {
		t.source.text = opts.Catalogue
	}
	if err := t.observe(); err != nil {
		return nil, err
	}
	return t, t.load(ctx)
}

// load reads the catalogue and puts it into use. After an error the one before
// goes on serving.
func (t *liveTools) load(ctx context.Context) error {
	read, err := t.source.read(ctx)
	t.read, t.again = read.files, err != nil && read.remote
	if err != nil {
		return err
	}
	source, catalogue := t.source.name(), read.catalogue
	apis := &upstreams{policy: t.policy, lookupEnv: t.lookupEnv, telemetry: t.telemetry, logger: t.logger, senders: map[string]tool.Sender{}}
	var problems []error
	for _, u := range catalogue.Upstreams() {
		if err := apis.add(u); err != nil {
			problems = append(problems, fmt.Errorf("%s: upstreams.%s: %w", source, u.Name, err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	runner, err := tool.NewRunner(tool.RunnerConfig{
		Catalogue: catalogue, Senders: apis.senders, Logger: t.logger, Hierarchy: t.cfg.Hierarchy(),
		ListObtainable: t.cfg.ToolsListed == config.ListObtainable, Elevations: t.elevations, Meter: t.telemetry.Meter(),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	if before := t.current.Swap(&loadedTools{runner, catalogue, apis}); before != nil {
		before.upstreams.close()
	}
	if len(read.notes) > 0 {
		t.logger.LogAttrs(ctx, slog.LevelInfo, "imports left something out or had to decide; tools lint says what", slog.Int("notes", len(read.notes)))
	}
	return nil
}

// close ends idle connections.
func (t *liveTools) close() { t.current.Load().upstreams.close() }

// Definitions returns the tools of the catalogue in use.
func (t *liveTools) Definitions() []tool.Definition { return t.current.Load().Definitions() }

// Definition implements [mcp.Tools].
func (t *liveTools) Definition(name string) (tool.Definition, bool) {
	return t.current.Load().Definition(name)
}

// Listed returns the tools of the catalogue in use that p is shown.
func (t *liveTools) Listed(ctx context.Context, p oauth.Principal) []tool.Definition {
	return t.current.Load().Listed(ctx, p)
}

// Call calls a tool of the catalogue in use.
func (t *liveTools) Call(ctx context.Context, caller tool.Caller, name string, arguments json.RawMessage) (tool.Result, error) {
	return t.current.Load().Call(ctx, caller, name, arguments)
}
