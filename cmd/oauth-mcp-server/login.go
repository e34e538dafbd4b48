package main

import (
	"context"
	"errors"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

type loginCommand struct {
	settings
	URL         string        `name:"url" placeholder:"URL" help:"MCP endpoint. Default: /mcp of SERVER_URL."`
	ClientID    string        `name:"client-id" placeholder:"ID" help:"Client to sign in as. Default: one is registered."`
	Scope       string        `name:"scope" placeholder:"SCOPES" help:"Scopes to ask for, separated by spaces. Default: what the server asks for."`
	RedirectURI string        `name:"redirect-uri" default:"http://127.0.0.1:0/callback" placeholder:"URI" help:"Loopback redirect, as registered for the client; port 0 takes a free one. Default: http://127.0.0.1:0/callback."`
	NoBrowser   bool          `name:"no-browser" help:"Print the URL only."`
	Timeout     time.Duration `name:"timeout" default:"5m" placeholder:"DURATION" help:"How long to wait for the browser. Default: 5m."`
	JSON        bool          `name:"json" help:"Print the whole token response as one JSON object."`
	Output      string        `name:"output" placeholder:"PATH" help:"Write to this file, readable by its owner only, instead of standard output."`
}

// Help returns the examples under --help.
func (loginCommand) Help() string {
	return `It signs in as an MCP client does: discovery, PKCE and a redirect to this machine. The access token goes to standard output and everything else to standard error. BROWSER names another browser.

Examples:

    oauth-mcp-server login
    TOKEN=$(oauth-mcp-server login --url https://mcp.example.com/mcp)
    oauth-mcp-server login --client-id my-client --redirect-uri http://localhost:8765/callback --output token.json --json`
}

// Validate is called by kong after parsing.
func (c *loginCommand) Validate() error {
	if c.Timeout <= 0 {
		return errors.New("--timeout must be positive")
	}
	return nil
}

// Run prints the token.
func (c *loginCommand) Run(ctx context.Context, p process) error {
	cfg, err := c.loadOnly(p)
	if err != nil {
		return err
	}
	if c.URL == "" {
		c.URL = cfg.Endpoint("/mcp")
	}
	browser, _ := p.lookupEnv("BROWSER")
	return app.Login(ctx, app.LoginOptions{
		URL: c.URL, ClientID: c.ClientID, Scopes: oauth.ParseScopes(c.Scope), RedirectURI: c.RedirectURI,
		Timeout: c.Timeout, Browser: browser, NoBrowser: c.NoBrowser, Allow: cfg.EgressAllow,
		JSON: c.JSON, Output: c.Output, Stdout: p.stdout, Stderr: p.stderr,
	})
}
