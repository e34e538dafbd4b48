package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
)

const programName = "oauth-mcp-server"

// process is what a command sees of the process it runs in.
type process struct {
	lookupEnv func(string) (string, bool)
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer
}

// errFailed ends a command whose output has said already what is wrong.
var errFailed = errors.New("failed")

// commands is the command line. Each command's Run is given the process, and the
// context where it waits for something.
type commands struct {
	Serve       serveCommand       `cmd:"" help:"Run the server."`
	Dev         devCommand         `cmd:"" help:"Run the server with a development authorization server and Otus API, all on loopback."`
	CheckConfig checkConfigCommand `cmd:"" help:"Print the effective configuration, or every problem at once."`
	Doctor      doctorCommand      `cmd:"" help:"Check the configuration and every system it names."`
	Verify      verifyCommand      `cmd:"" help:"Check a running MCP server from outside, against the specifications."`
	Login       loginCommand       `cmd:"" help:"Sign in at an MCP server with a browser and print the access token."`
	Token       tokenCommands      `cmd:"" help:"Look into access tokens."`
	Revoke      revokeCommand      `cmd:"" help:"Refuse tokens that were issued, on all replicas at once."`
	Tools       toolsCommands      `cmd:"" help:"Look into the catalogue of tools."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask the server on this machine whether it is alive; for a container's HEALTHCHECK."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// newCommands returns the commands with the flags that come from the
// configuration.
func newCommands() *commands {
	return &commands{
		Serve:       serveCommand{settings: newSettings(allSettings)},
		CheckConfig: checkConfigCommand{settings: newSettings(allSettings)},
		Doctor:      doctorCommand{settings: newSettings(allSettings)},
		Verify:      verifyCommand{settings: newSettings(outsideSettings)},
		Login:       loginCommand{settings: newSettings(outsideSettings)},
		Token:       tokenCommands{Explain: tokenExplainCommand{settings: newSettings(allSettings)}},
		Tools: toolsCommands{
			List: toolsListCommand{settings: newSettings(toolSettings)},
			Call: toolsCallCommand{settings: newSettings(allSettings)},
		},
		Revoke:      revokeCommand{settings: newSettings(sharedSettings)},
		Healthcheck: healthcheckCommand{settings: newSettings(reachSettings)},
	}
}

// execute parses args, runs the command and returns the exit code.
func execute(ctx context.Context, p process, args []string) int {
	helpShown := false
	parser, err := kong.New(newCommands(),
		kong.Name(programName),
		kong.Description("Puts an existing HTTP API behind MCP as an OAuth 2.1 protected resource."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helpShown = true }), // only --help ends parsing early
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return p.fail(err, exitFailed)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if helpShown {
		return exitOK
	}
	if err != nil {
		return p.fail(fmt.Errorf("%w; see %s --help", err, programName), exitUsage)
	}
	if err := command.Run(p); err != nil {
		return p.fail(err, exitFailed)
	}
	return exitOK
}

// fail writes err for people, unless its command has, and returns code.
func (p process) fail(err error, code int) int {
	if !errors.Is(err, errFailed) {
		_, _ = fmt.Fprintf(p.stderr, "%s: %v\n", programName, err) // nobody is left to tell
	}
	return code
}
