package main

import (
	"errors"
	"fmt"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

type checkConfigCommand struct {
	settings
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help returns the examples under --help.
func (checkConfigCommand) Help() string {
	return `Secrets are masked. The exit code is 1 when there is a problem.

Examples:

    oauth-mcp-server check-config
    oauth-mcp-server check-config --server-url https://mcp.example.com
    oauth-mcp-server check-config --json | jq .problems`
}

// Run prints the configuration, or its problems.
func (c *checkConfigCommand) Run(p process) error {
	loaded, err := c.load(p)
	problems := config.Problems(err)
	if c.JSON {
		if err := loaded.WriteJSON(p.stdout, problems); err != nil {
			return err
		}
	} else if err := c.text(p, loaded, problems); err != nil {
		return err
	}
	if len(problems) > 0 {
		return errFailed
	}
	return nil
}

func (c *checkConfigCommand) text(p process, loaded config.Loaded, problems []*config.Problem) error {
	if len(problems) > 0 {
		return p.explain(loaded, problems)
	}
	rules := "development rules (SERVER_URL is loopback)"
	if loaded.Config.Production() {
		rules = "production rules"
	}
	_, err := fmt.Fprintf(p.stdout, "Configuration is valid under %s.\n\n", rules)
	return errors.Join(err, loaded.WriteText(p.stdout), loaded.WriteIssuers(p.stdout), config.WriteWarnings(p.stderr, loaded.Warnings))
}

// explain writes why the server does not start with this configuration.
func (p process) explain(loaded config.Loaded, problems []*config.Problem) error {
	noun := "problems"
	if len(problems) == 1 {
		noun = "problem"
	}
	_, err := fmt.Fprintf(p.stderr, "The configuration has %d %s:\n\n", len(problems), noun)
	return errors.Join(err, config.WriteProblems(p.stderr, problems), config.WriteWarnings(p.stderr, loaded.Warnings))
}
