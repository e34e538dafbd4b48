package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/credential"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
	"tecrolabs.dev/oauth-mcp-server/internal/upstream"
)

// CallOptions says which call to try.
type CallOptions struct {
	Config    config.Config
	Tool      string
	Arguments json.RawMessage
	Token     secret.Value // unset: who may call is not checked
	Send      bool         // make the call, for which a token is needed
	// LookupEnv reads the variables that a catalogue names for secrets; nil has
	// none.
	LookupEnv func(string) (string, bool)
}

// CallReport is what a call would do, or did. It holds no credential.
type CallReport struct {
	Tool    string         `json:"tool"`
	Passed  bool           `json:"ok"`
	Sent    bool           `json:"sent"`
	Checks  []CallCheck    `json:"checks"`
	Request *CalledRequest `json:"request,omitempty"`
	Result  *CallResult    `json:"result,omitempty"`
}

// CallCheck is one thing that a call has to pass, in their order.
type CallCheck struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, FAIL or skipped
	Detail string `json:"detail"`
}

// CalledRequest is the request to the API, without its credential.
type CalledRequest struct {
	Method     string      `json:"method"`
	URL        string      `json:"url"`
	Header     http.Header `json:"headers"`
	Credential string      `json:"credential"` // the mode: what goes along
	Body       string      `json:"body,omitempty"`
}

// CallResult is what the client would get.
type CallResult struct {
	IsError bool            `json:"is_error"`
	Text    string          `json:"text,omitempty"`
	Content json.RawMessage `json:"structured,omitempty"`
}

// CallTool shows the request of a call and holds the call against all that the
// server checks; with Send it makes the call as the server does. The error is
// that the configuration does not work.
func CallTool(ctx context.Context, opts CallOptions) (CallReport, error) {
	read, err := catalogueOf(opts.Config, opts.Config.ToolsFile).read(ctx)
	if err != nil {
		return CallReport{}, err
	}
	c := &trial{CallOptions: opts, catalogue: read.catalogue, report: CallReport{Tool: opts.Tool, Passed: true}}
	if !c.draft(ctx) {
		return c.report, nil
	}
	if !opts.Token.IsSet() {
		c.check("caller", "skipped", "no token was given, so nobody was asked whether this caller may")
		return c.report, nil
	}
	return c.report, c.call(ctx)
}

// trial is the state of one CallTool.
type trial struct {
	CallOptions
	catalogue *tool.Catalogue
	api       string // that the tool is of
	report    CallReport
}

func (c *trial) check(name, status, detail string) {
	c.report.Checks = append(c.report.Checks, CallCheck{name, status, printable(c.redact(detail))})
	c.report.Passed = c.report.Passed && status != "FAIL"
}

// draft shows the request, and reports whether there is one.
func (c *trial) draft(ctx context.Context) bool {
	name, relative, err := c.catalogue.Request(ctx, c.Tool, c.Arguments)
	if _, unknown := errors.AsType[*tool.UnknownToolError](err); unknown {
		c.check("tool", "FAIL", "there is no such tool; tools list shows all")
		return false
	}
	c.check("tool", "ok", "it is declared")
	if err != nil {
		c.check("arguments", "FAIL", err.Error())
		return false
	}
	c.check("arguments", "ok", "they match the input schema")
	if relative == nil {
		c.check("request", "skipped", "this tool answers without calling an API")
		return true
	}
	c.api = name
	declared, _ := c.catalogue.Upstream(name) // a tool has one that there is
	request, err := c.complete(ctx, declared, relative)
	if err != nil {
		c.check("request", "FAIL", err.Error())
		return false
	}
	c.check("request", "ok", "it stays below the base URL of "+name)
	c.report.Request = &CalledRequest{Method: request.Method, URL: request.URL.String(), Header: request.Header, Credential: declared.Credential}
	if request.Body != nil {
		body, err := io.ReadAll(request.Body) //nolint:forbidigo // made of arguments, which are bounded
		if err != nil {
			c.check("request", "FAIL", "its body cannot be made")
			return false
		}
		c.report.Request.Body = string(body)
	}
	return true
}

// complete returns the request as the API would get it, but for the credential,
// whose files need not be here.
func (c *trial) complete(ctx context.Context, declared tool.Upstream, relative *http.Request) (*http.Request, error) {
	transport := egress.NewTransport(egressPolicy(c.Config), nil) // sends nothing
	client, err := upstream.New(upstream.Config{
		Name: declared.Name, URL: declared.URL, Credentials: credential.None{}, Header: fixedHeader(declared), Transport: transport,
	})
	if err != nil {
		return nil, err
	}
	return client.Draft(ctx, relative)
}

// senders returns what calls go through: the API with its credential, or, where
// nothing is to be sent, nobody.
func (c *trial) senders() (senders map[string]tool.Sender, done func(), err error) {
	apis := &upstreams{policy: egressPolicy(c.Config), lookupEnv: c.LookupEnv, senders: map[string]tool.Sender{}}
	for _, declared := range c.catalogue.Upstreams() {
		apis.senders[declared.Name] = rehearsal{}
		if !c.Send || declared.Name != c.api {
			continue
		}
		if err := apis.add(declared); err != nil {
			return nil, nil, fmt.Errorf("upstreams.%s: %w", declared.Name, err)
		}
	}
	return apis.senders, apis.close, nil
}

// call judges the caller and, with Send, makes the call.
func (c *trial) call(ctx context.Context) error {
	verify, done, err := tokenVerifier(c.Config)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	principal, err := verify(ctx, c.Token)
	if err != nil {
		c.check("token", "FAIL", sentence(err))
		return nil
	}
	c.check("token", "ok", "the server would accept it")
	senders, closeAll, err := c.senders()
	if err != nil {
		return err
	}
	defer closeAll()
	runner, err := tool.NewRunner(tool.RunnerConfig{
		Catalogue: c.catalogue, Senders: senders, Logger: slog.New(slog.DiscardHandler), Hierarchy: c.Config.Hierarchy(),
	})
	if err != nil {
		return err
	}
	result, err := runner.Call(ctx, tool.Caller{Principal: principal, Token: c.Token}, c.Tool, c.Arguments)
	if err != nil {
		c.check("caller", "FAIL", sentence(err))
		return nil
	}
	c.check("caller", "ok", "may make this call")
	if !c.Send {
		return nil
	}
	c.report.Sent, c.report.Passed = true, !result.IsError
	c.report.Result = &CallResult{IsError: result.IsError, Text: c.redact(result.Text)}
	if result.Structured != nil {
		c.report.Result = &CallResult{IsError: result.IsError, Content: json.RawMessage(c.redact(string(result.Structured)))}
	}
	return nil
}

// sentence is what the caller would be told.
func sentence(err error) string {
	refusal := oauth.AsRefusal(err)
	text := fmt.Sprintf("%d %s: %s", refusal.Status, refusal.Code, refusal.Description)
	if len(refusal.Scope) > 0 {
		text += " (asks for: " + refusal.Scope.String() + ")"
	}
	return text
}

// redact takes the token out of text that is not ours: an API may repeat it.
func (c *trial) redact(text string) string {
	if !c.Token.IsSet() {
		return text
	}
	return strings.ReplaceAll(text, c.Token.Reveal(), "(the token)")
}

// rehearsal is a sender that sends nothing.
type rehearsal struct{}

// Send implements [tool.Sender].
func (rehearsal) Send(context.Context, outbound.Request, oauth.Principal, secret.Value) (*http.Response, string, error) {
	return nil, "", errors.New("nothing was sent")
}

// OK reports whether the call passed everything and, when it was made, went well.
func (r CallReport) OK() bool { return r.Passed }

// WriteJSON writes the report as one JSON object.
func (r CallReport) WriteJSON(w io.Writer) error { return writeJSON(w, r) }

// WriteText writes the request as HTTP does, then the checks, then the result.
func (r CallReport) WriteText(w io.Writer) error {
	var b strings.Builder
	if request := r.Request; request != nil {
		fmt.Fprintf(&b, "%s %s\n", request.Method, request.URL)
		for _, name := range slices.Sorted(maps.Keys(request.Header)) {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(request.Header[name], ", "))
		}
		fmt.Fprintf(&b, "(credential: %s)\n", request.Credential)
		if request.Body != "" {
			b.WriteString("\n" + printable(request.Body) + "\n")
		}
		b.WriteString("\n")
	}
	for _, check := range r.Checks {
		fmt.Fprintf(&b, "%-7s  %-9s  %s\n", check.Status, check.Name, check.Detail)
	}
	switch result := r.Result; {
	case result != nil && result.Content != nil:
		var indented bytes.Buffer
		if json.Indent(&indented, result.Content, "", "  ") == nil {
			b.WriteString("\n" + printable(indented.String()) + "\n")
		}
	case result != nil:
		b.WriteString("\n" + printable(result.Text) + "\n")
	case r.Passed:
		b.WriteString("\nNothing was sent.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printable replaces control characters, which could rewrite a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
