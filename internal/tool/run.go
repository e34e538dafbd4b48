package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// Sender performs one request against an upstream for the person as, whose own
// token is token. The answer's body is complete, bounded and in memory; it may be
// one that the same caller was given before. actor says who acts for the person
// in the credential that was sent, "" for nobody. Errors that are an
// *oauth.Refusal are the caller's to know; others with a method Safe() string
// have a sentence for the caller.
type Sender interface {
	Send(ctx context.Context, r outbound.Request, as oauth.Principal, token secret.Value) (response *http.Response, actor string, err error)
}

// Caller is who calls a tool: a verified principal and the token it came with.
type Caller struct {
	Principal oauth.Principal
	Token     secret.Value
	// Confirmation is what the person said to the question of this call; nil when
	// nobody was asked.
	Confirmation *Confirmation
}

// Result is what a call gives back. Something that went wrong behind this
// server is a result too: IsError is set and Text says what happened.
type Result struct {
	Text       string
	Structured json.RawMessage // valid JSON exactly as the API sent it, or nil
	IsError    bool
	// Content replaces Text where a result is more than one text: MCP content
	// blocks, verbatim.
	Content []json.RawMessage
}

// RunnerConfig is what a [Runner] is made of.
type RunnerConfig struct {
	Catalogue *Catalogue
	Senders   map[string]Sender // by upstream name; one for each
	Logger    *slog.Logger
	Hierarchy oauth.Hierarchy // which scopes stand for others
	// ListObtainable lists too what a caller could use after asking for more scopes
	// or signing in again.
	ListObtainable bool
	// Elevations is kept from one catalogue to the next; nil means a new one.
	Elevations *Elevations
	Meter      metric.Meter // nil: nothing is counted
}

// Runner calls tools. It is safe for concurrent use.
type Runner struct {
	catalogue *Catalogue
	tools     map[string]*declaredTool
	upstreams map[string]Upstream
	senders   map[string]Sender
	logger    *slog.Logger
	hierarchy oauth.Hierarchy

	listObtainable bool
	elevations     *Elevations
	decisions      metric.Int64Counter
}

// NewRunner returns a runner. A missing catalogue, logger or sender is an
// error; a call must not be the one to find out.
func NewRunner(cfg RunnerConfig) (*Runner, error) {
	if cfg.Catalogue == nil || cfg.Logger == nil {
		return nil, errors.New("tool: a runner needs a catalogue and a logger")
	}
	if len(cfg.Catalogue.imports) > 0 && !cfg.Catalogue.imported {
		return nil, errors.New("tool: what the catalogue imports is missing")
	}
	r := &Runner{
		catalogue: cfg.Catalogue, logger: cfg.Logger, hierarchy: cfg.Hierarchy,
		listObtainable: cfg.ListObtainable, elevations: cfg.Elevations,
		tools: map[string]*declaredTool{}, upstreams: map[string]Upstream{}, senders: map[string]Sender{},
	}
	if r.elevations == nil {
		r.elevations = NewElevations()
	}
	if cfg.Meter == nil {
		cfg.Meter = noop.Meter{}
	}
	var err error
	if r.decisions, err = cfg.Meter.Int64Counter("oauth_mcp_server.tool_decisions", metric.WithUnit("{decision}"),
		metric.WithDescription("Calls of tools, by what was decided about them and why.")); err != nil {
		return nil, fmt.Errorf("tool: %w", err)
	}
	for _, upstream := range cfg.Catalogue.upstreams {
		sender := cfg.Senders[upstream.Name]
		if sender == nil {
			return nil, fmt.Errorf("tool: the upstream %q has no sender", upstream.Name)
		}
		r.upstreams[upstream.Name], r.senders[upstream.Name] = upstream, sender
	}
	for _, tool := range cfg.Catalogue.tools {
		r.tools[tool.definition.Name] = tool
	}
	return r, nil
}

// Definitions returns the tools sorted by name.
func (r *Runner) Definitions() []Definition { return r.catalogue.Definitions() }

// Definition returns the tool of that name, whoever asks.
func (r *Runner) Definition(name string) (Definition, bool) {
	tool := r.tools[name]
	if tool == nil {
		return Definition{}, false
	}
	return tool.definition, true
}

// Call calls the tool name for caller. It returns
//   - *[UnknownToolError] and *[InvalidArgumentsError] for a call that makes no sense,
//   - *[oauth.Refusal] for one that the caller may not make: a scope is missing,
//     the person did not sign in as the tool asks, a rule denies, the token does
//     not name the API's audience, or the API itself said 401 or 403 to the
//     caller's token,
//   - *[ConfirmationNeededError] and *[DeclinedError] for a tool that the person
//     has to agree to,
//   - a [Result] for everything else, failures of the API included.
//
// Nothing is sent before all checks passed. Every call leaves one audit record.
func (r *Runner) Call(ctx context.Context, caller Caller, name string, arguments json.RawMessage) (Result, error) {
	c := &call{caller: caller, applicant: r.applicant(caller.Principal), tool: r.tools[name], started: time.Now()}
	result, err := r.perform(ctx, c, name, arguments)
	r.record(ctx, c, err)
	return result, err
}

// perform does what a call of the tool means.
func (r *Runner) perform(ctx context.Context, c *call, name string, arguments json.RawMessage) (Result, error) {
	if c.tool == nil {
		return Result{}, &UnknownToolError{Name: name}
	}
	switch c.tool.role {
	case searches:
		return r.search(ctx, c, arguments)
	case calls:
		tool, inner, err := r.catalogue.directory.chosen(ctx, c.tool, arguments)
		if _, broken := errors.AsType[*brokenOperationError](err); broken {
			return r.failed(ctx, c, err)
		}
		if err != nil {
			return Result{}, err
		}
		c.tool, c.through, arguments = tool, c.tool, inner
	case sends:
	}
	c.upstream = r.upstreams[c.tool.upstream]
	return r.run(ctx, c, arguments)
}

// call is the state of one call.
type call struct {
	caller    Caller
	applicant *applicant
	tool      *declaredTool // nil when the name is unknown
	through   *declaredTool // that the call is one of, when tool is an operation of the directory; else nil
	upstream  Upstream
	started   time.Time
	undecided bool   // the arguments decide what the tool's rule says
	actor     string // who acts for the caller in the credential, "" for nobody
	status    int    // the upstream's, 0 without an answer
	outcome   string // closed-list word

	asked       oauth.Scopes // by the challenge that the call got; nil: none
	correlation string       // of the records of one elevation
}

// run checks, sends and maps.
func (r *Runner) run(ctx context.Context, c *call, arguments json.RawMessage) (Result, error) {
	if err := r.authorize(ctx, c); err != nil {
		return Result{}, err
	}
	checked, err := checkArguments(c.tool.input, arguments, c.tool.maxArguments())
	if err != nil {
		return Result{}, err
	}
	if err := r.authorizeArguments(ctx, c, checked); err != nil {
		return Result{}, err
	}
	request, err := c.tool.binding.request(ctx, checked)
	if err != nil {
		return Result{}, unbound(err)
	}
	if err := c.confirmed(checked); err != nil {
		return Result{}, err
	}
	response, err := r.send(ctx, c, request)
	if err != nil {
		return r.failed(ctx, c, err)
	}
	defer func() { _ = response.Body.Close() }()
	if c.tool.response.Paginate != nil && response.StatusCode >= 200 && response.StatusCode <= 299 {
		return r.pages(ctx, c, request, response)
	}
	return c.answer(ctx, response)
}

// send sends a request as the upstream's credential mode says.
func (r *Runner) send(ctx context.Context, c *call, request *http.Request) (*http.Response, error) {
	var token secret.Value
	if c.upstream.Personal() || c.upstream.Cache { // what is kept of answers is the caller's own
		token = c.caller.Token
	}
	response, actor, err := r.senders[c.upstream.Name].Send(ctx, c.tool.outbound(request), c.caller.Principal, token)
	c.actor = actor
	if err == nil {
		c.status = response.StatusCode
		r.warnOfRejection(ctx, c)
	}
	return response, err
}

// warnOfRejection tells the operator that an API turned down a credential that
// is this server's, not the caller's: nobody but the operator can help.
func (r *Runner) warnOfRejection(ctx context.Context, c *call) {
	if c.status == http.StatusUnauthorized && c.upstream.Credential != CredentialForward {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "the API rejects this server's credential",
			slog.String("tool", c.tool.definition.Name), slog.String("upstream", c.upstream.Name), slog.String("credential", c.upstream.Credential))
	}
}

// unbound returns the error of arguments that fit the schema and not their place
// in the request. Anything else that goes wrong there is this server's fault.
func unbound(err error) error {
	if wrong, ok := errors.AsType[*InvalidArgumentsError](err); ok {
		return wrong
	}
	return oauth.AsRefusal(err)
}

// safeError is a failure that has a sentence for the caller.
type safeError interface {
	error
	Safe() string
}

// failed maps a call without an answer and tells the operator why. It is an
// error only where the caller's own token is at fault.
func (r *Runner) failed(ctx context.Context, c *call, err error) (Result, error) {
	if refusal, ok := errors.AsType[*oauth.Refusal](err); ok {
		return Result{}, refusal
	}
	c.outcome = "failed"
	if reason, ok := errors.AsType[interface {
		error
		Reason() string
	}](err); ok {
		c.outcome = reason.Reason()
	}
	sentence := fmt.Sprintf("The API %q could not be called.", c.upstream.Name)
	attrs := []slog.Attr{
		slog.String("tool", c.tool.definition.Name), slog.String("upstream", c.upstream.Name), slog.String("outcome", c.outcome),
	}
	// Only an error that tells its faces apart is known to hold no URL.
	if safe, ok := errors.AsType[safeError](err); ok {
		sentence = safe.Safe()
		attrs = append(attrs, slog.String("error", safe.Error()))
	}
	r.logger.LogAttrs(ctx, slog.LevelWarn, "upstream call failed", attrs...)
	return c.toolError(sentence), nil
}

// toolError is a result that says what went wrong.
func (c *call) toolError(sentence string) Result {
	return Result{Text: c.tool.definition.Name + ": " + sentence, IsError: true}
}

// audit begins a record of what c is about. A name that is no tool's is the
// caller's own text and is not recorded.
func (c *call) audit(event string) telemetry.Audit {
	principal := c.caller.Principal
	audit := telemetry.Audit{
		Event:  event,
		Issuer: principal.Issuer, Subject: principal.Subject, SubjectHash: principal.SubjectHash(), ClientID: principal.ClientID,
		TokenHash: principal.TokenIDHash(),
	}
	switch {
	case c.through != nil:
		audit.Tool, audit.Operation = c.through.definition.Name, c.tool.definition.Name
	case c.tool != nil:
		audit.Tool = c.tool.definition.Name
	}
	return audit
}

// record leaves the audit record and adds to the access line.
func (r *Runner) record(ctx context.Context, c *call, err error) {
	audit := c.audit(telemetry.EventToolCall)
	audit.Decision, audit.Reason = "allow", "ok"
	audit.Upstream, audit.Credential, audit.Actor = c.upstream.Name, c.upstream.Credential, c.actor
	audit.Status, audit.Latency = c.status, time.Since(c.started)
	if err != nil {
		audit.Decision, audit.Reason = "deny", reasonOf(err)
		audit.ScopesAsked, audit.Correlation = c.asked.String(), c.correlation
		c.outcome = audit.Reason
	}
	if c.tool != nil {
		telemetry.Annotate(ctx, slog.String("tool", audit.Tool))
	}
	if c.through != nil {
		telemetry.Annotate(ctx, slog.String("operation", audit.Operation))
	}
	if c.status != 0 {
		telemetry.Annotate(ctx, slog.Int("upstream_status", c.status))
	}
	telemetry.Annotate(ctx, slog.String("tool_outcome", c.outcome))
	audit.Write(ctx, r.logger)
	r.count(ctx, audit)
}

// count counts a decision. Its attributes come from closed lists; an unknown tool
// is counted without a name.
func (r *Runner) count(ctx context.Context, a telemetry.Audit) {
	attributes := []attribute.KeyValue{telemetry.KeyDecision.String(a.Decision), telemetry.KeyReason.String(a.Reason)}
	if a.Tool != "" {
		attributes = append(attributes, telemetry.KeyTool.String(a.Tool))
	}
	r.decisions.Add(ctx, 1, metric.WithAttributes(attributes...))
}

func reasonOf(err error) string {
	if _, ok := errors.AsType[*UnknownToolError](err); ok {
		return "unknown_tool"
	}
	if _, ok := errors.AsType[*InvalidArgumentsError](err); ok {
		return "invalid_arguments"
	}
	if _, ok := errors.AsType[*ConfirmationNeededError](err); ok {
		return "confirmation_needed"
	}
	if _, ok := errors.AsType[*DeclinedError](err); ok {
		return "confirmation_declined"
	}
	return oauth.AsRefusal(err).Reason
}
