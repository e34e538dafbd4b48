package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

const testToken = "eyJ.the-callers.token"

// stubSender stands for an API's client: it answers and remembers.
type stubSender struct {
	status  int
	header  http.Header
	body    string
	err     error
	calls   int
	request *http.Request
	sent    outbound.Request
	token   secret.Value
	actor   string
}

func (s *stubSender) Send(_ context.Context, r outbound.Request, _ oauth.Principal, token secret.Value) (*http.Response, string, error) {
	s.calls++
	s.request, s.sent, s.token = r.HTTP, r, token
	if s.err != nil {
		return nil, s.actor, s.err
	}
	header := s.header
	if header == nil {
		header = http.Header{"Content-Type": {"application/json"}}
	}
	return &http.Response{
		StatusCode: s.status, Status: "999 the API's own words", Header: header,
		Body: io.NopCloser(strings.NewReader(s.body)), ContentLength: int64(len(s.body)),
	}, s.actor, nil
}

// teamsCatalogue is the built-in tool with a credential mode and a rule more.
func teamsCatalogue(credential, more string) string {
	text := strings.Replace(string(BuiltIn()), "credential: forward", "credential: "+credential+"\n    "+more, 1)
	return strings.Replace(text, "path: /teams", "path: /teams\n    scopes: [teams:read]", 1)
}

func runner(tb testing.TB, catalogue string, sender Sender, log io.Writer) *Runner {
	tb.Helper()
	r, err := NewRunner(RunnerConfig{
		Catalogue: mustLoad(tb, catalogue), Senders: map[string]Sender{"otus": sender},
		Logger: slog.New(slog.NewJSONHandler(log, nil)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func caller() Caller {
	return Caller{
		Principal: oauth.Principal{
			Issuer: "https://as.example", Subject: "user|1", ClientID: "claude", TokenID: "jti-1",
			Scopes: oauth.Scopes{"openid", "teams:read"}, Audience: []string{"https://mcp.example"},
		},
		Token: secret.New(testToken),
	}
}

func TestReq065_CallForwardsTheTokenAndReturnsTheJSON(t *testing.T) {
	const body = " [ {\"name\": \"red\",  \"id\": 9007199254740993, \"note\": \"<\\u0000>\"} ]\n"
	sender := &stubSender{status: 200, body: body}
	result, err := runner(t, teamsCatalogue("forward", ""), sender, io.Discard).Call(t.Context(), caller(), "otus_teams", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Result{Text: body, Structured: json.RawMessage(body)}, result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if got := sender.token.Reveal(); got != testToken {
		t.Errorf("token %q, want %q", got, testToken)
	}
	if got := sender.request.Method + " " + sender.request.URL.String(); got != "GET /teams" {
		t.Errorf("request %q, want GET /teams", got)
	}
	if diff := cmp.Diff(http.Header{"Accept": {"application/json"}}, sender.request.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestReq064_TokenIsHandedOnlyToAForwardingUpstream(t *testing.T) {
	sender := &stubSender{status: 200, body: "{}"}
	bound := caller() // a bound token may call what it is not forwarded to
	bound.Principal.Confirmation.KeyThumbprint = "k"
	_, err := runner(t, teamsCatalogue("none", ""), sender, io.Discard).Call(t.Context(), bound, "otus_teams", nil)
	if err != nil || sender.calls != 1 || sender.token.IsSet() {
		t.Errorf("got %v after %d calls with token %v, want no token", err, sender.calls, sender.token.IsSet())
	}
}

// refusal is what of a Refusal the caller or the log sees.
type refusal struct {
	Status            int
	Code, Reason      string
	Challenge         bool
	Scope             string
	DescriptionsStart string
}

func refusalOf(t *testing.T, err error) refusal {
	t.Helper()
	r, ok := errors.AsType[*oauth.Refusal](err)
	if !ok {
		t.Fatalf("got %v, want a refusal", err)
	}
	start, _, _ := strings.Cut(r.Description, " ")
	return refusal{r.Status, r.Code, r.Reason, r.Challenge, r.Scope.String(), start}
}

func TestCallsAreRefusedBeforeAnythingIsSent(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Caller)
		more   string
		want   refusal
	}{
		"scope missing": {
			change: func(c *Caller) { c.Principal.Scopes = oauth.Scopes{"openid"} },
			want:   refusal{403, "insufficient_scope", "insufficient_scope", true, "openid teams:read", "This"},
		},
		"bound to a DPoP key": {
			change: func(c *Caller) { c.Principal.Confirmation.KeyThumbprint = "k" },
			want:   refusal{403, "forbidden", "upstream_bound_token", false, "", "This"},
		},
		"bound to a certificate": {
			change: func(c *Caller) { c.Principal.Confirmation.CertificateThumbprint = "k" },
			want:   refusal{403, "forbidden", "upstream_bound_token", false, "", "This"},
		},
		"no token": {
			change: func(c *Caller) { c.Token = secret.Value{} },
			want:   refusal{401, "unauthorized", "no_token", true, "", "No"},
		},
		"token without the API's audience": {
			more: "audience: https://otus.example",
			want: refusal{403, "forbidden", "upstream_audience", false, "", "This"},
		},
		"audience is no prefix": {
			change: func(c *Caller) {
				c.Principal.Audience = []string{"https://otus.example.evil", "https://otus.example/x"}
			},
			more: "audience: https://otus.example",
			want: refusal{403, "forbidden", "upstream_audience", false, "", "This"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sender, who := &stubSender{status: 200, body: "{}"}, caller()
			if tc.change != nil {
				tc.change(&who)
			}
			_, err := runner(t, teamsCatalogue("forward", tc.more), sender, io.Discard).Call(t.Context(), who, "otus_teams", nil)
			if diff := cmp.Diff(tc.want, refusalOf(t, err)); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
			if sender.calls != 0 {
				t.Errorf("%d requests were sent, want none", sender.calls)
			}
		})
	}
}

func TestReq064_TokenWithTheUpstreamsAudienceIsForwarded(t *testing.T) {
	sender, who := &stubSender{status: 200, body: "{}"}, caller()
	who.Principal.Audience = []string{"https://mcp.example", "https://otus.example/"}
	r := runner(t, teamsCatalogue("forward", "audience: https://otus.example"), sender, io.Discard)
	if _, err := r.Call(t.Context(), who, "otus_teams", nil); err != nil || sender.calls != 1 {
		t.Errorf("got %v after %d calls", err, sender.calls)
	}
}

func TestUnknownToolAndInvalidArguments(t *testing.T) {
	sender := &stubSender{status: 200, body: "{}"}
	r := runner(t, teamsCatalogue("forward", ""), sender, io.Discard)
	_, err := r.Call(t.Context(), caller(), "otus_team", nil)
	if unknown, ok := errors.AsType[*UnknownToolError](err); !ok || unknown.Name != "otus_team" {
		t.Errorf("got %v", err)
	}
	_, err = r.Call(t.Context(), caller(), "otus_teams", json.RawMessage(`{"a":1}`))
	if _, ok := errors.AsType[*InvalidArgumentsError](err); !ok {
		t.Errorf("got %v", err)
	}
	if sender.calls != 0 {
		t.Errorf("%d requests were sent, want none", sender.calls)
	}
}

func TestNewRunnerWantsEverything(t *testing.T) {
	catalogue, logger := mustLoad(t, string(BuiltIn())), slog.New(slog.DiscardHandler)
	senders := map[string]Sender{"otus": &stubSender{}}
	for name, cfg := range map[string]RunnerConfig{
		"nothing":      {},
		"no logger":    {Catalogue: catalogue, Senders: senders},
		"no catalogue": {Senders: senders, Logger: logger},
		"no sender":    {Catalogue: catalogue, Logger: logger},
		"nil sender":   {Catalogue: catalogue, Senders: map[string]Sender{"otus": nil}, Logger: logger},
	} {
		if _, err := NewRunner(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEveryCallLeavesOneAuditRecord(t *testing.T) {
	const canary = "private-text-of-the-api"
	for name, tc := range map[string]struct {
		sender    stubSender
		tool      string
		arguments string
		want      map[string]any // what differs from the usual
		line      map[string]any
	}{
		"ok": {
			sender: stubSender{status: 200, body: `{"a":"` + canary + `"}`},
			want:   map[string]any{"decision": "allow", "reason": "ok", "upstream_status": 200.0},
			line:   map[string]any{"tool": "otus_teams", "upstream_status": int64(200), "tool_outcome": "ok"},
		},
		"tool error": {
			sender: stubSender{status: 500, body: canary},
			want:   map[string]any{"decision": "allow", "reason": "ok", "upstream_status": 500.0},
			line:   map[string]any{"tool": "otus_teams", "upstream_status": int64(500), "tool_outcome": "upstream_500"},
		},
		"no answer": {
			sender: stubSender{err: errors.New(canary)},
			want:   map[string]any{"decision": "allow", "reason": "ok"},
			line:   map[string]any{"tool": "otus_teams", "tool_outcome": "failed"},
		},
		"upstream 401": {
			sender: stubSender{status: 401, body: canary},
			want:   map[string]any{"decision": "deny", "reason": "upstream_401", "upstream_status": 401.0},
			line:   map[string]any{"tool": "otus_teams", "upstream_status": int64(401), "tool_outcome": "upstream_401"},
		},
		"invalid arguments": {
			arguments: `{"` + canary + `":1}`,
			want:      map[string]any{"decision": "deny", "reason": "invalid_arguments"},
			line:      map[string]any{"tool": "otus_teams", "tool_outcome": "invalid_arguments"},
		},
		"unknown tool": {
			tool: canary,
			want: map[string]any{"decision": "deny", "reason": "unknown_tool", "tool": nil, "upstream": nil, "credential": nil},
			line: map[string]any{"tool_outcome": "unknown_tool"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			ctx, line := telemetry.NewLine(t.Context(), nil)
			who := caller()
			toolName := "otus_teams"
			if tc.tool != "" {
				toolName = tc.tool
			}
			_, _ = runner(t, teamsCatalogue("forward", ""), &tc.sender, &log).Call(ctx, who, toolName, json.RawMessage(tc.arguments))

			if text := log.String(); strings.Contains(text, canary) || strings.Contains(text, testToken) || strings.Contains(text, "user|1") {
				t.Errorf("the log has private text: %s", text)
			}
			want := map[string]any{
				"audit": true, "event": "tool_call", "tool": "otus_teams", "upstream": "otus", "credential": "forward",
				"issuer": "https://as.example", "client_id": "claude",
				"subject_hash": who.Principal.SubjectHash(), "token_hash": who.Principal.TokenIDHash(),
			}
			for key, value := range tc.want {
				if want[key] = value; value == nil {
					delete(want, key)
				}
			}
			if diff := cmp.Diff([]map[string]any{want}, auditRecords(t, log.Bytes())); diff != "" {
				t.Errorf("audit records (-want +got):\n%s", diff)
			}
			got := map[string]any{}
			for _, attr := range line.Attrs() {
				got[attr.Key] = attr.Value.Any()
			}
			if diff := cmp.Diff(tc.line, got); diff != "" {
				t.Errorf("access line (-want +got):\n%s", diff)
			}
		})
	}
}

// auditRecords returns the audit records of a log without what varies.
func auditRecords(t *testing.T, log []byte) []map[string]any {
	t.Helper()
	var records []map[string]any
	for line := range bytes.Lines(log) {
		var record map[string]any
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		if record["audit"] != true {
			continue
		}
		for _, key := range []string{"time", "level", "msg", "latency"} {
			if record[key] == nil {
				t.Errorf("an audit record has no %s: %s", key, line)
			}
			delete(record, key)
		}
		records = append(records, record)
	}
	return records
}

func BenchmarkCall(b *testing.B) {
	sender := &stubSender{status: 200, body: `{"teams":[` + strings.Repeat(`{"id":1,"name":"red"},`, 100) + `{}]}`}
	r := runner(b, teamsCatalogue("forward", ""), sender, io.Discard)
	who := caller()
	who.Principal.Expiry = time.Now().Add(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Call(b.Context(), who, "otus_teams", nil); err != nil {
			b.Fatal(err)
		}
	}
}
