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
		if data, _, err = readCatalogue(cfg.ToolsFile); err != nil {
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
	_, _ = fmt.Fprintln(table, "NAME\tUPSTREAM\tREQUEST\tCREDENTIAL\tSCOPES\tSIGN-IN\tRULE") // Flush reports the error
	for _, definition := range catalogue.Definitions() {
		for _, one := range declared.Tools {
			if one.Name != definition.Name {
				continue
			}
			row := append([]string{one.Name, one.Upstream, one.Method + " " + one.Path, credentials[one.Upstream]}, accessColumns(definition.Access)...)
			_, _ = fmt.Fprintln(table, strings.Join(row, "\t"))
		}
	}
	return table.Flush()
}

// accessColumns says who may call a tool: scopes, sign-in, rule; "-" where a tool
// asks for nothing.
func accessColumns(access tool.Access) []string {
	scopes, signIn, rule := access.Scopes.String(), strings.Join(access.ACR, " or "), "-"
	if access.MaxAge > 0 {
		signIn = strings.TrimSpace(signIn + " within " + access.MaxAge.String())
	}
	switch {
	case access.Nobody:
		rule = "nobody (default: deny)"
	case access.Rule != nil:
		rule = strings.Join(strings.Fields(access.Rule.String()), " ") // in one line
	}
	for _, column := range []*string{&scopes, &signIn} {
		if *column == "" {
			*column = "-"
		}
	}
	return []string{scopes, signIn, rule}
}

// LintTools checks a catalogue that no server uses yet. Every problem is in the
// error, on a line of its own.
func LintTools(path string, cfg config.Config) (tools int, err error) {
	data, _, err := readCatalogue(path)
	if err != nil {
		return 0, err
	}
	catalogue, err := tool.Load(data, map[string]string{"OTUS_URL": cfg.OtusURL})
	if err != nil {
		return 0, err
	}
	return len(catalogue.Definitions()), nil
}
