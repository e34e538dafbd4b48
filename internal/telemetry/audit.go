package telemetry

import (
	"context"
	"log/slog"
	"time"
)

// Audit is one record of a security decision: who asked for what, what was
// decided and why. It holds pseudonyms, never a token or a name.
type Audit struct {
	Event       string // "authentication", "tool_call" or "elevation"
	Decision    string // "allow" or "deny"
	Reason      string // closed-list word; "ok" when allowed
	Issuer      string
	SubjectHash string // pseudonym of (issuer, subject)
	ClientID    string
	TokenHash   string        // pseudonym of the token's jti
	Tool        string        // tool_call and elevation
	Upstream    string        // tool_call only
	Credential  string        // tool_call only: forward, none, ...
	Status      int           // tool_call only: the upstream's HTTP status, 0 without an answer
	Latency     time.Duration // tool_call only

	// Of a call that was challenged for more scopes, and of the elevation when
	// some of them come. The correlation is the same in all records of one.
	ScopesAsked   string // what the tool needs, space-separated
	ScopesGranted string // elevation only: what the caller has of it since
	Correlation   string
}

// Write puts the record into logger at info level, marked "audit": true.
func (a Audit) Write(ctx context.Context, logger *slog.Logger) {
	attrs := []slog.Attr{
		slog.Bool("audit", true),
		slog.String("event", a.Event),
		slog.String("decision", a.Decision),
		slog.String("reason", a.Reason),
	}
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("issuer", a.Issuer)
	text("subject_hash", a.SubjectHash)
	text("client_id", a.ClientID)
	text("token_hash", a.TokenHash)
	text("tool", a.Tool)
	text("upstream", a.Upstream)
	text("credential", a.Credential)
	text("scopes_asked", a.ScopesAsked)
	text("scopes_granted", a.ScopesGranted)
	text("elevation_id", a.Correlation)
	if a.Status != 0 {
		attrs = append(attrs, slog.Int("upstream_status", a.Status))
	}
	if a.Latency != 0 {
		attrs = append(attrs, slog.Duration("latency", a.Latency))
	}
	logger.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
}
