package telemetry

import (
	"context"
	"log/slog"
	"time"
)

// LevelAudit is the level of audit records: above all others, so that no
// LOG_LEVEL hides one.
const LevelAudit = slog.Level(12)

// Events of audit records.
const (
	EventAuthentication = "authentication" // one for each decision of the bearer gate
	EventToolCall       = "tool_call"      // one for each call, allowed or not
	EventElevation      = "elevation"      // a caller came back with scopes that it was challenged for
	EventSignIn         = "sign_in"        // /auth/callback
	EventTokenRefresh   = "token_refresh"  // /auth/refresh
	EventStart          = "start"          // the server began to serve, with these issuers, audiences and tools
	EventCatalogue      = "catalogue"      // the catalogue of tools changed, or a change of it was refused
	EventGap            = "audit_gap"      // records that stand among the log lines instead, see [Auditor]
)

// events is the closed list, with what docs/audit.schema.json says of each.
var events = []struct{ name, about string }{
	{EventAuthentication, "the bearer gate took or refused a request"},
	{EventToolCall, "a tool was called, or the call was refused"},
	{EventElevation, "a caller that was challenged for scopes came back with some of them"},
	{EventSignIn, "a browser sign-in ended"},
	{EventTokenRefresh, "a refresh token was used at /auth/refresh"},
	{EventStart, "the server began to serve"},
	{EventCatalogue, "the catalogue of tools was read again and is another one, or was refused and the earlier one serves on"},
	{EventGap, "so many records before this one could not be written here and stand in the log instead"},
}

// Audit is one record of a security decision: who asked for what, what was
// decided and why. It holds no token. Members with a zero value are not written.
type Audit struct {
	Event       string // one of the Event constants
	Decision    string // "allow" or "deny"
	Reason      string // closed-list word; "ok" when allowed
	Issuer      string
	Subject     string // written only where AUDIT_SUBJECT is value
	SubjectHash string // pseudonym of (issuer, subject)
	ClientID    string
	TokenHash   string        // pseudonym of the token's jti
	Tool        string        // tool_call and elevation
	Operation   string        // what Tool called, where it stands for many operations
	Upstream    string        // tool_call only
	Credential  string        // tool_call only: forward, none, ...
	Actor       string        // tool_call only: who acts for the subject in the credential, current one first
	Status      int           // tool_call only: the upstream's HTTP status, 0 without an answer
	Latency     time.Duration // tool_call only

	// Of a call that was challenged for more scopes, and of the elevation when
	// some of them come. The correlation is the same in all records of one.
	ScopesAsked   string // what the tool needs, space-separated
	ScopesGranted string // elevation only: what the caller has of it since
	Correlation   string

	Version              string   // start only
	ServerURL            string   // start only
	AuthorizationServers []string // start only: clients register anew when they change
	Audiences            []string // start only

	CatalogueHash   string   // start and catalogue: SHA-256 of the text in use
	CatalogueBefore string   // catalogue only: the one before, of a change
	Changes         []Change // catalogue only

	Records int // audit_gap only: how many are missing before this one
}

// Change is an entry that another catalogue has changed: the SHA-256 of what
// clients see of it, before and after, and what differs in its declaration.
type Change struct {
	Kind   string   `json:"kind"` // tool, resource or prompt
	Name   string   `json:"name"`
	Before string   `json:"before,omitempty"` // "" for a new entry
	After  string   `json:"after,omitempty"`  // "" for one that is gone
	Keys   []string `json:"keys,omitempty"`   // of the catalogue
}

// auditField is one member of a record. The table below is the only list of
// them: records are written and docs/audit.schema.json is generated from it.
type auditField struct {
	key     string
	kind    string // JSON type; an array is one of strings, and "changes" one of Change
	pattern string // of a string
	about   string
	value   func(*Audit) slog.Value
}

var auditFields = []auditField{
	{"event", "string", "", "what the record is about", func(a *Audit) slog.Value { return slog.StringValue(a.Event) }},
	{"decision", "string", "^(allow|deny)$", "what was decided", func(a *Audit) slog.Value { return slog.StringValue(a.Decision) }},
	{"reason", "string", "^[a-z0-9_]+$", "why, a word of a closed list; ok when allowed", func(a *Audit) slog.Value { return slog.StringValue(a.Reason) }},
	{"issuer", "string", "", "issuer of the token that was accepted", func(a *Audit) slog.Value { return slog.StringValue(a.Issuer) }},
	{keySubject, "string", "", "subject of the token, only where AUDIT_SUBJECT is value", func(a *Audit) slog.Value { return subjectValue(a.Subject) }},
	{keySubjectHash, "string", "^[0-9a-f]{16}$", "pseudonym of issuer and subject, keyed with SESSION_KEY", func(a *Audit) slog.Value { return slog.StringValue(a.SubjectHash) }},
	{"client_id", "string", "", "client of the token", func(a *Audit) slog.Value { return slog.StringValue(a.ClientID) }},
	{"token_hash", "string", "^[0-9a-f]{16}$", "first 64 bits of the SHA-256 of the token's jti", func(a *Audit) slog.Value { return slog.StringValue(a.TokenHash) }},
	{"tool", "string", "", "name of a declared tool", func(a *Audit) slog.Value { return slog.StringValue(a.Tool) }},
	{"operation", "string", "", "name of the operation that call_operation called", func(a *Audit) slog.Value { return slog.StringValue(a.Operation) }},
	{"upstream", "string", "", "name of the API behind the tool", func(a *Audit) slog.Value { return slog.StringValue(a.Upstream) }},
	{"credential", "string", "^[a-z_]+$", "what the API got to see of the caller", func(a *Audit) slog.Value { return slog.StringValue(a.Credential) }},
	{keyActor, "string", "", "who acts for the subject in the credential: client ids, or person: and a pseudonym, the current one first", func(a *Audit) slog.Value { return slog.StringValue(a.Actor) }},
	{"upstream_status", "integer", "", "HTTP status of the API's answer", func(a *Audit) slog.Value { return slog.IntValue(a.Status) }},
	{"latency", "integer", "", "duration of the call in nanoseconds", func(a *Audit) slog.Value { return slog.DurationValue(a.Latency) }},
	{"scopes_asked", "string", "", "scopes that the tool needs, space-separated", func(a *Audit) slog.Value { return slog.StringValue(a.ScopesAsked) }},
	{"scopes_granted", "string", "", "those of them that the caller has since it was challenged", func(a *Audit) slog.Value { return slog.StringValue(a.ScopesGranted) }},
	{"elevation_id", "string", "", "the same in all records of one elevation", func(a *Audit) slog.Value { return slog.StringValue(a.Correlation) }},
	{"version", "string", "", "version of the server", func(a *Audit) slog.Value { return slog.StringValue(a.Version) }},
	{"server_url", "string", "", "public URL of the server", func(a *Audit) slog.Value { return slog.StringValue(a.ServerURL) }},
	{"authorization_servers", "array", "", "where clients are sent, in this order", func(a *Audit) slog.Value { return listValue(a.AuthorizationServers) }},
	{"audiences", "array", "", "what tokens must be meant for", func(a *Audit) slog.Value { return listValue(a.Audiences) }},
	{"catalogue_hash", "string", sha256Pattern, "SHA-256 of the text of the catalogue in use, as sha256sum prints it", func(a *Audit) slog.Value { return slog.StringValue(a.CatalogueHash) }},
	{"catalogue_before", "string", sha256Pattern, "the same of the catalogue before", func(a *Audit) slog.Value { return slog.StringValue(a.CatalogueBefore) }},
	{"catalogue_changes", "changes", "", "each tool, resource and prompt that is not the same", func(a *Audit) slog.Value { return changesValue(a.Changes) }},
	{"records", "integer", "", "how many records before this one stand in the log instead", func(a *Audit) slog.Value { return slog.IntValue(a.Records) }},
}

const sha256Pattern = "^[0-9a-f]{64}$"

func changesValue(changes []Change) slog.Value {
	if len(changes) == 0 {
		return slog.Value{}
	}
	return slog.AnyValue(changes)
}

func listValue(list []string) slog.Value {
	if len(list) == 0 {
		return slog.Value{}
	}
	return slog.AnyValue(list)
}

// Write puts the record into logger, marked "audit": true. Where it goes from
// there is the logger's business, see [Auditor].
func (a Audit) Write(ctx context.Context, logger *slog.Logger) {
	attrs := make([]slog.Attr, 1, len(auditFields)+1)
	attrs[0] = slog.Bool("audit", true)
	for _, field := range auditFields {
		if value := field.value(&a); !empty(value) {
			attrs = append(attrs, slog.Attr{Key: field.key, Value: value})
		}
	}
	logger.LogAttrs(ctx, LevelAudit, "audit", attrs...)
}

func empty(value slog.Value) bool {
	switch value.Kind() {
	case slog.KindString:
		return value.String() == ""
	case slog.KindInt64:
		return value.Int64() == 0
	case slog.KindDuration:
		return value.Duration() == 0
	default:
		return value.Equal(slog.Value{})
	}
}
