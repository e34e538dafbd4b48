package main

import (
	"context"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
)

type revokeCommand struct {
	settings
	TokenID string        `name:"jti" placeholder:"ID" xor:"what" required:"" help:"Tokens with this jti."`
	Subject string        `name:"subject" placeholder:"SUB" xor:"what" required:"" help:"Tokens of this subject (sub)."`
	Client  string        `name:"client" placeholder:"ID" xor:"what" required:"" help:"Tokens of this client (client_id or azp)."`
	Issuer  string        `name:"issuer" placeholder:"URL" help:"Issuer of the subject, exactly as in its tokens. Default: any."`
	For     time.Duration `name:"for" default:"24h" placeholder:"DURATION" help:"How long, up to 720h: at least as long as tokens live. Default: 24h."`
	Undo    bool          `name:"undo" help:"Take it back."`
	JSON    bool          `name:"json" help:"Print one JSON object."`
}

// Help returns the examples under --help.
func (revokeCommand) Help() string {
	return `It adds to the list that all replicas share (CLUSTER_URL) and look at on every request. Each of them knows within a second: what is revoked is refused, its streams close and its calls end. New tokens of a revoked subject or client are refused as well, until the time is over; whether somebody may sign in is up to the identity provider. SERVER_URL and SESSION_KEY must be those of the replicas.

Examples:

    oauth-mcp-server revoke --subject 'auth0|ana' --for 1h
    oauth-mcp-server revoke --subject 'auth0|ana' --undo
    oauth-mcp-server revoke --jti 4f0c1d7e --json`
}

// Run prints what was revoked.
func (c *revokeCommand) Run(ctx context.Context, p process) error {
	cfg, err := c.loadOnly(p)
	if err != nil {
		return err
	}
	result, err := app.Revoke(ctx, app.RevokeOptions{
		Config:     cfg,
		Revocation: bearer.Revocation{TokenID: c.TokenID, Subject: c.Subject, Issuer: c.Issuer, ClientID: c.Client},
		For:        c.For,
		Undo:       c.Undo,
	})
	if err != nil {
		return err
	}
	return p.print(result, c.JSON)
}
