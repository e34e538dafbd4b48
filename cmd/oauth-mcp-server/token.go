package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// maxTokenInput bounds what is read as a token, in bytes.
const maxTokenInput = 64 << 10

type tokenCommands struct {
	Explain tokenExplainCommand `cmd:"" help:"Say what is in a token and whether the server would accept it."`
}

type tokenExplainCommand struct {
	settings
	TokenFile string `name:"token-file" default:"-" placeholder:"PATH" help:"File with the token. Default: standard input."`
	Offline   bool   `name:"offline" help:"Decode only; ask nobody and check nothing."`
	JSON      bool   `name:"json" help:"Print one JSON object."`
}

// Help returns the examples under --help.
func (tokenExplainCommand) Help() string {
	return `It takes the settings that serve takes and judges the token as the server does. A token is never an argument, where other users of the machine could read it, and is never printed. The exit code is 1 when the token is refused.

Examples:

    oauth-mcp-server token explain < token.txt
    oauth-mcp-server login | oauth-mcp-server token explain
    oauth-mcp-server token explain --token-file token.txt --offline --json`
}

// Run prints the explanation.
func (c *tokenExplainCommand) Run(ctx context.Context, p process) error {
	loaded, err := c.load(p)
	if problems := config.Problems(err); len(problems) > 0 && !c.Offline {
		return errors.Join(p.explain(loaded, problems), errFailed)
	}
	token, err := p.readToken(c.TokenFile)
	if err != nil {
		return err
	}
	explanation, err := app.Explain(ctx, loaded.Config, token, c.Offline)
	if err != nil {
		return err
	}
	return p.print(explanation, c.JSON)
}

// readToken reads a token from a file, or from standard input for "-". The word
// Bearer in front of it does no harm.
func (p process) readToken(path string) (secret.Value, error) {
	input := p.stdin
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the person's own file
		if err != nil {
			return secret.Value{}, err
		}
		defer file.Close()
		input = file
	}
	raw, err := io.ReadAll(io.LimitReader(input, maxTokenInput+1))
	if err != nil {
		return secret.Value{}, fmt.Errorf("reading the token: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if len(token) >= len("Bearer ") && strings.EqualFold(token[:len("Bearer ")], "Bearer ") {
		token = strings.TrimSpace(token[len("Bearer "):])
	}
	switch {
	case token == "":
		return secret.Value{}, errors.New("there is no token in the input")
	case len(raw) > maxTokenInput:
		return secret.Value{}, fmt.Errorf("the input is longer than %d bytes", maxTokenInput)
	case strings.ContainsAny(token, " \t\r\n"):
		return secret.Value{}, errors.New("the input is more than one token")
	}
	return secret.New(token), nil
}
