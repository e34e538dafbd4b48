package main

import (
	"fmt"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

type toolsCommands struct {
	List toolsListCommand `cmd:"" default:"withargs" help:"List the tools in use."`
	Lint toolsLintCommand `cmd:"" help:"Check a catalogue and print every problem with its line."`
}

type toolsListCommand struct {
	settings
	JSON bool `name:"json" help:"Print the definitions as clients see them."`
}

// Help returns the examples under --help.
func (toolsListCommand) Help() string {
	return `It reads TOOLS_FILE as the server does, or shows the built-in catalogue.

Examples:

    oauth-mcp-server tools list
    oauth-mcp-server tools --tools-file tools.yaml
    oauth-mcp-server tools list --json | jq '.tools[].inputSchema'`
}

// Run prints the catalogue.
func (c *toolsListCommand) Run(p process) error {
	cfg, err := c.loadOnly(p)
	if err != nil {
		return err
	}
	return app.ListTools(p.stdout, cfg, c.JSON)
}

type toolsLintCommand struct {
	File string `arg:"" name:"file" help:"Catalogue, in YAML or JSON."`
}

// Help returns the examples under --help.
func (toolsLintCommand) Help() string {
	return `The exit code is 1 when there is a problem.

Examples:

    oauth-mcp-server tools lint tools.yaml`
}

// Run checks the file.
func (c *toolsLintCommand) Run(p process) error {
	count, err := app.LintTools(c.File, config.Default())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s: no problems, tools: %d\n", c.File, count)
	return err
}
