package main

import (
	"context"
	"io"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

type doctorCommand struct {
	settings
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help returns the examples under --help.
func (doctorCommand) Help() string {
	return `It takes the settings that serve takes, and asks the authorization servers, the key sets and the APIs they name, without credentials. The exit code is 1 when there is a problem; warnings do not count.

Examples:

    oauth-mcp-server doctor
    oauth-mcp-server doctor --server-url https://mcp.example.com --trusted-proxies 10.0.0.0/8
    oauth-mcp-server doctor --json | jq '.findings[] | select(.status != "ok")'`
}

// Run prints what is wrong.
func (c *doctorCommand) Run(ctx context.Context, p process) error {
	loaded, err := c.load(p)
	return p.print(app.Doctor(ctx, loaded, config.Problems(err)), c.JSON)
}

// report is a list of findings with a verdict.
type report interface {
	WriteText(w io.Writer) error
	WriteJSON(w io.Writer) error
	OK() bool
}

// print writes a report, and fails with it.
func (p process) print(r report, asJSON bool) error {
	write := r.WriteText
	if asJSON {
		write = r.WriteJSON
	}
	if err := write(p.stdout); err != nil {
		return err
	}
	if !r.OK() {
		return errFailed
	}
	return nil
}
