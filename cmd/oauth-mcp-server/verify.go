package main

import (
	"context"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

type verifyCommand struct {
	settings
	URL       string `arg:"" name:"url" help:"MCP endpoint, or the server's URL: then its /mcp is looked for."`
	TokenFile string `name:"token-file" placeholder:"PATH" help:"File with a good access token, or - for standard input; without one some checks are skipped."`
	Origin    string `name:"origin" placeholder:"ORIGIN" help:"Browser origin that the server allows. Default: its own."`
	JSON      bool   `name:"json" help:"Print one JSON object."`
}

// Help returns the examples under --help.
func (verifyCommand) Help() string {
	return `It asks any MCP server what its clients will ask, breaks nothing there and calls no tool. Each line is one check: ok, warning, FAIL or skipped. The exit code is 1 when a check fails; warnings do not count.

Examples:

    oauth-mcp-server verify https://mcp.example.com
    oauth-mcp-server verify http://localhost:8000/mcp --json
    oauth-mcp-server login | oauth-mcp-server verify http://localhost:8000/mcp --token-file -`
}

// Run prints the findings.
func (c *verifyCommand) Run(ctx context.Context, p process) error {
	cfg, err := c.loadOnly(p)
	if err != nil {
		return err
	}
	var token secret.Value
	if c.TokenFile != "" {
		if token, err = p.readToken(c.TokenFile); err != nil {
			return err
		}
	}
	report, err := app.Verify(ctx, app.VerifyOptions{URL: c.URL, Origin: c.Origin, Token: token, Allow: cfg.EgressAllow})
	if err != nil {
		return err
	}
	return p.print(report, c.JSON)
}
