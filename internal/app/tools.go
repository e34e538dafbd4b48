package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// liveTools is the catalogue in use. Reload replaces it whole, or not at all.
type liveTools struct {
	cfg       config.Config
	builtIn   []byte // where the configuration names no file
	policy    egress.Policy
	lookupEnv func(string) (string, bool) // nil: no variables
	logger    *slog.Logger
	telemetry *telemetry.Provider
	current   atomic.Pointer[loadedTools]
	// elevations outlives every catalogue.
	elevations *tool.Elevations
	reloads    metric.Int64Counter

	mu   sync.Mutex  // held while the catalogue is read
	read os.FileInfo // of the file when it was last read, well or not; nil: none was there
}

// loadedTools is one catalogue with the clients of its APIs.
type loadedTools struct {
	*tool.Runner
	catalogue *tool.Catalogue
	upstreams *upstreams
}

func newLiveTools(opts Options, policy egress.Policy) (*liveTools, error) {
	t := &liveTools{
		cfg: opts.Config, builtIn: opts.Catalogue, policy: policy, lookupEnv: opts.LookupEnv, logger: opts.Logger,
		telemetry: opts.Telemetry, elevations: tool.NewElevations(),
	}
	if t.builtIn == nil {
		t.builtIn = tool.BuiltIn()
	}
	if err := t.observe(); err != nil {
		return nil, err
	}
	return t, t.load()
}

// load reads the catalogue and puts it into use. After an error the one before
// goes on serving.
func (t *liveTools) load() error {
	source, data := "the built-in catalogue", t.builtIn
	if t.cfg.ToolsFile != "" {
		var err error
		source = t.cfg.ToolsFile
		if data, t.read, err = readCatalogue(source); err != nil {
			return err
		}
	}
	catalogue, err := tool.Load(data, catalogueVariables(t.cfg))
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	apis := &upstreams{policy: t.policy, lookupEnv: t.lookupEnv, telemetry: t.telemetry, senders: map[string]tool.Sender{}}
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
	return nil
}

// close ends idle connections.
func (t *liveTools) close() { t.current.Load().upstreams.close() }

// readCatalogue returns the text of a catalogue, and which file it was: that of
// the moment before it was read, so that a change while it is read is seen later.
func readCatalogue(path string) ([]byte, os.FileInfo, error) {
	file, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, nil, fmt.Errorf("TOOLS_FILE: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("TOOLS_FILE: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(file, tool.MaxCatalogue+1)) //nolint:forbidigo // bounded by the line's own limit
	if err == nil && len(data) > tool.MaxCatalogue {
		err = fmt.Errorf("it is larger than %d bytes", tool.MaxCatalogue)
	}
	if err != nil {
		return nil, info, fmt.Errorf("TOOLS_FILE %s: %w", path, err)
	}
	return data, info, nil
}

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
