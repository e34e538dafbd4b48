package main

import (
	"context"
	"errors"
	"fmt"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
)

// maxDevPort leaves room for the two ports after it.
const maxDevPort = 65533

type devCommand struct {
	Port      int    `name:"port" default:"8000" placeholder:"PORT" help:"Port of the server; the authorization server and the Otus API take the next two. Default: 8000."`
	SignIn    string `name:"sign-in" placeholder:"USER" help:"Sign this person in without asking: ana, bruno or carla."`
	Exchange  bool   `name:"exchange" help:"Let the Otus API accept only tokens that were exchanged for it (RFC 8693), and the server exchange them."`
	ToolsFile string `name:"tools-file" placeholder:"PATH" help:"Catalogue of declared tools, instead of the built-in one; $${OTUS_URL} in it is the development Otus API. The scopes of its tools are published, and it is read again when it changes."`
	StackOnly bool   `name:"stack-only" help:"Start only the authorization server and the Otus API, for a server that runs elsewhere on this machine."`
	LogLevel  string `name:"log-level" default:"warn" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error. Default: warn."`
	LogFormat string `name:"log-format" default:"text" enum:"json,text" placeholder:"FORMAT" help:"Form of the log lines on stderr: json or text. Default: text."`
}

// Help returns the examples under --help.
func (devCommand) Help() string {
	return `It needs nothing: no configuration, no .env file and no network. Everything listens on loopback, keys are new at every start, and what to type next is printed.

Examples:

    oauth-mcp-server dev
    oauth-mcp-server dev --sign-in ana
    oauth-mcp-server dev --tools-file tools.yaml
    oauth-mcp-server dev --exchange
    oauth-mcp-server dev --port 9000 --log-level debug`
}

// Validate is called by kong after parsing.
func (c *devCommand) Validate() error {
	if c.Port < 1 || c.Port > maxDevPort {
		return fmt.Errorf("--port must be from 1 to %d", maxDevPort)
	}
	if c.Exchange && c.StackOnly {
		return errors.New("--exchange needs the server; leave --stack-only out")
	}
	if c.ToolsFile != "" && (c.Exchange || c.StackOnly) {
		return errors.New("--tools-file needs the server and says itself what goes along; leave --exchange and --stack-only out")
	}
	return nil
}

// Run serves until ctx ends.
func (c *devCommand) Run(ctx context.Context, p process) error {
	return app.Dev(ctx, app.DevOptions{
		Port:      c.Port,
		SignIn:    c.SignIn,
		Exchange:  c.Exchange,
		ToolsFile: c.ToolsFile,
		StackOnly: c.StackOnly,
		LogLevel:  c.LogLevel,
		LogFormat: c.LogFormat,
		Version:   readBuild().Version,
		LookupEnv: p.lookupEnv,
		Stdout:    p.stdout,
		Stderr:    p.stderr,
	})
}
