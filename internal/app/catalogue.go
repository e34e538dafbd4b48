package app

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// readTools reads the catalogue that a server of this configuration uses, and
// returns its text too.
func readTools(cfg config.Config) (*tool.Catalogue, []byte, error) {
	data := tool.BuiltIn()
	if cfg.ToolsFile != "" {
		var err error
		if _, data, err = readCatalogue(cfg.ToolsFile); err != nil {
			return nil, nil, err
		}
	}
	catalogue, err := tool.Load(data, map[string]string{"OTUS_URL": cfg.OtusURL})
	return catalogue, data, err
}

// ListTools writes the catalogue in use: a table for people, or the definitions
// as clients see them.
func ListTools(w io.Writer, cfg config.Config, asJSON bool) error {
	catalogue, data, err := readTools(cfg)
	if err != nil {
		return err
	}
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"tools": catalogue.Definitions()})
	}
	// A checked catalogue has the requests in plain text.
	var declared struct {
		Tools []struct{ Name, Upstream, Method, Path string }
	}
	if err := yaml.Unmarshal(data, &declared); err != nil {
		return err
	}
	credentials := map[string]string{}
	for _, upstream := range catalogue.Upstreams() {
		credentials[upstream.Name] = upstream.Credential
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tUPSTREAM\tREQUEST\tCREDENTIAL\tSCOPES") // Flush reports the error
	for _, definition := range catalogue.Definitions() {
		for _, one := range declared.Tools {
			if one.Name != definition.Name {
				continue
			}
			scopes := definition.Access.Scopes.String()
			if scopes == "" {
				scopes = "-"
			}
			_, _ = fmt.Fprintln(table, strings.Join([]string{one.Name, one.Upstream, one.Method + " " + one.Path, credentials[one.Upstream], scopes}, "\t"))
		}
	}
	return table.Flush()
}

// LintTools checks a catalogue that no server uses yet. Every problem is in the
// error, on a line of its own.
func LintTools(path string, cfg config.Config) (tools int, err error) {
	_, data, err := readCatalogue(path)
	if err != nil {
		return 0, err
	}
	catalogue, err := tool.Load(data, map[string]string{"OTUS_URL": cfg.OtusURL})
	if err != nil {
		return 0, err
	}
	return len(catalogue.Definitions()), nil
}
