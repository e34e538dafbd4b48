package main

import (
	"context"
	"encoding/json"
	"errors"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

type toolsCommands struct {
	List   toolsListCommand   `cmd:"" default:"withargs" help:"List the tools in use."`
	Lint   toolsLintCommand   `cmd:"" help:"Check a catalogue and print every problem with its line."`
	Import toolsImportCommand `cmd:"" help:"Write a catalogue whose tools are operations of an OpenAPI document."`
	Diff   toolsDiffCommand   `cmd:"" help:"Compare two catalogues, tool by tool."`
	Call   toolsCallCommand   `cmd:"" help:"Show the request that a call would make, or make it."`
}

type toolsListCommand struct {
	settings
	JSON bool `name:"json" help:"Print the definitions as clients see them, each with its hash."`
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
func (c *toolsListCommand) Run(ctx context.Context, p process) error {
	cfg, err := c.loadOnly(p)
	if err != nil {
		return err
	}
	return app.ListTools(ctx, p.stdout, cfg, c.JSON)
}

type toolsLintCommand struct {
	File   string `arg:"" name:"file" help:"Catalogue, in YAML or JSON."`
	Strict bool   `name:"strict" help:"Fail for warnings too."`
	JSON   bool   `name:"json" help:"Print one JSON object."`
}

// Help returns the examples under --help.
func (toolsLintCommand) Help() string {
	return `A problem is what the server would refuse. A warning is what works and is likely to be a mistake: a description that a model cannot choose by, hints that are missing, a write that everybody may make. The exit code is 1 when there is a problem, with --strict also when there is a warning.

Examples:

    oauth-mcp-server tools lint tools.yaml
    oauth-mcp-server tools lint --strict tools.yaml
    oauth-mcp-server tools lint --json tools.yaml | jq '.warnings[]'`
}

// Run checks the file.
func (c *toolsLintCommand) Run(ctx context.Context, p process) error {
	lint, err := app.LintTools(ctx, c.File, config.Default(), c.Strict)
	if err != nil {
		return err
	}
	return p.print(lint, c.JSON)
}

type toolsDiffCommand struct {
	Old  string `arg:"" name:"old" help:"Catalogue before."`
	New  string `arg:"" name:"new" help:"Catalogue after."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Help returns the examples under --help.
func (toolsDiffCommand) Help() string {
	return `Each tool, resource and prompt that is new, gone or changed has a line, with the SHA-256 of its definition; what differs is below. The hashes are those of tools list --json and of the audit records. The exit code is 1 when something differs.

Examples:

    oauth-mcp-server tools diff tools.yaml tools.new.yaml
    git show HEAD:tools.yaml > /tmp/before.yaml && oauth-mcp-server tools diff /tmp/before.yaml tools.yaml
    oauth-mcp-server tools diff --json tools.yaml tools.new.yaml | jq '.changes[].name'`
}

// Run compares the files.
func (c *toolsDiffCommand) Run(ctx context.Context, p process) error {
	diff, err := app.DiffTools(ctx, c.Old, c.New, config.Default())
	if err != nil {
		return err
	}
	return p.print(diff, c.JSON)
}

type toolsCallCommand struct {
	settings
	Tool      string `arg:"" name:"name" help:"Name of the tool."`
	Args      string `name:"args" default:"{}" placeholder:"JSON" help:"Arguments of the call, a JSON object. Default: none."`
	TokenFile string `name:"token-file" placeholder:"PATH" help:"File with the caller's access token; - is standard input. Without one, whether somebody may call is not checked."`
	Send      bool   `name:"send" help:"Make the call. It needs a token."`
	JSON      bool   `name:"json" help:"Print one JSON object."`
}

// Help returns the examples under --help.
func (toolsCallCommand) Help() string {
	return `It takes the settings that serve takes, and checks what the server checks: that the tool exists, the arguments against its schema, the token, and whether its owner may call. It prints the request to the API and sends nothing, unless --send is given. No credential is printed, and a token is never an argument, where other users of the machine could read it. The exit code is 1 when a check fails, or the call does.

Examples:

    oauth-mcp-server tools call otus_teams
    oauth-mcp-server tools call list_members --args '{"team":"red"}' --tools-file tools.yaml
    oauth-mcp-server login | oauth-mcp-server tools call otus_teams --token-file - --send`
}

// Run tries the call.
func (c *toolsCallCommand) Run(ctx context.Context, p process) error {
	loaded, err := c.load(p)
	if problems := config.Problems(err); len(problems) > 0 {
		return errors.Join(p.explain(loaded, problems), errFailed)
	}
	if c.Send && c.TokenFile == "" {
		return errors.New("a call is made as somebody: --send needs --token-file")
	}
	options := app.CallOptions{Config: loaded.Config, Tool: c.Tool, Arguments: json.RawMessage(c.Args), Send: c.Send, LookupEnv: p.lookupEnv}
	if c.TokenFile != "" {
		if options.Token, err = p.readToken(c.TokenFile); err != nil {
			return err
		}
	}
	report, err := app.CallTool(ctx, options)
	if err != nil {
		return err
	}
	return p.print(report, c.JSON)
}
