package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// shelf is a directory of declarations; a search finds all, in their order.
type shelf struct {
	list  []Declaration
	asked []string // for declarations
}

func (s *shelf) About() string { return "There are some." }

func (s *shelf) Search(_ string, limit int, keep func(Listing) bool) []Listing {
	var found []Listing
	for _, d := range s.list {
		listing := Listing{Name: d.Name, Summary: d.Description, Method: d.Method, Path: d.Path, Access: d.Access}
		if len(found) < limit && keep(listing) {
			found = append(found, listing)
		}
	}
	return found
}

func (s *shelf) Declaration(_ context.Context, name string) (Declaration, bool, error) {
	s.asked = append(s.asked, name)
	at := slices.IndexFunc(s.list, func(d Declaration) bool { return d.Name == name })
	switch {
	case at < 0:
		return Declaration{}, false, nil
	case s.list[at].Description == "broken":
		return Declaration{}, true, errors.New("line 7: its schema is no schema")
	}
	return s.list[at], true, nil
}

// shelved is an operation with scopes, whose schema has about that many bytes.
func shelved(name, scope string, size int) Declaration {
	d := archive()
	d.Name, d.Access.Scopes = name, oauth.Scopes{scope}
	d.InputSchema = json.RawMessage(strings.Replace(string(d.InputSchema), `"type":"string"`, fmt.Sprintf(`"type":"string","description":%q`, strings.Repeat("x", size)), 1))
	return d
}

func shelfRunner(t *testing.T, s *shelf, sender Sender, change func(*RunnerConfig)) (*Runner, *bytes.Buffer) {
	t.Helper()
	catalogue, err := mustLoad(t, string(BuiltIn())).With(Imported{Directory: s})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cfg := RunnerConfig{Catalogue: catalogue, Senders: map[string]Sender{"otus": sender}, Logger: slog.New(slog.NewJSONHandler(&log, nil))}
	if change != nil {
		change(&cfg)
	}
	r, err := NewRunner(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r, &log
}

func search(t *testing.T, r *Runner, arguments string) (names []string, schemas int, note string) {
	t.Helper()
	result, err := r.Call(t.Context(), caller(), SearchOperations, json.RawMessage(arguments))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Operations []found
		Note       string
	}
	if err := json.Unmarshal(result.Structured, &answer); err != nil || result.Text != string(result.Structured) {
		t.Fatalf("%v in %s", err, result.Text)
	}
	for _, one := range answer.Operations {
		names = append(names, one.Operation)
		if one.Arguments != nil {
			schemas++
		}
	}
	return names, schemas, answer.Note
}

func TestReq060_ASearchShowsWhatTheCallerMayCall(t *testing.T) {
	t.Parallel()
	s := &shelf{list: []Declaration{shelved("secret", "admin", 1), shelved("a", "teams:read", 1), shelved("b", "teams:read", 1)}}
	broken := shelved("broken", "teams:read", 1)
	broken.Description = "broken"
	s.list = append(s.list, broken)
	for obtainable, want := range map[bool][]string{false: {"a", "b"}, true: {"secret", "a", "b"}} {
		r, _ := shelfRunner(t, s, &stubSender{}, func(c *RunnerConfig) { c.ListObtainable = obtainable })
		names, schemas, note := search(t, r, `{"query":"x"}`)
		if diff := cmp.Diff(want, names); diff != "" || schemas != len(want) || note != "" {
			t.Errorf("obtainable %v: %d schemas, note %q (-want +got):\n%s", obtainable, schemas, note, diff)
		}
		if names, _, _ := search(t, r, `{"query":"x","limit":1.0}`); len(names) != 1 {
			t.Errorf("limit 1: %q", names)
		}
	}
	r, _ := shelfRunner(t, &shelf{}, &stubSender{}, nil)
	if names, _, note := search(t, r, `{"query":"x"}`); names != nil || !strings.HasPrefix(note, "Nothing was found") {
		t.Errorf("%q, %q", names, note)
	}
	for _, wrong := range []string{`{}`, `{"query":""}`, `{"query":"x","limit":21}`, `{"query":"x","size":1}`} {
		if _, err := r.Call(t.Context(), caller(), SearchOperations, json.RawMessage(wrong)); !isInvalid(err) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func isInvalid(err error) bool {
	_, ok := errors.AsType[*InvalidArgumentsError](err)
	return ok
}

// All schemas of an answer together stay within a bound, but the first, which
// may be the only one that is wanted.
func TestASearchIsBounded(t *testing.T) {
	t.Parallel()
	s := &shelf{list: []Declaration{shelved("a", "teams:read", maxFoundSchema), shelved("b", "teams:read", maxFoundSchema), shelved("c", "teams:read", 1)}}
	s.list[2].Description = strings.Repeat("y", 2*maxSummary)
	r, _ := shelfRunner(t, s, &stubSender{}, nil)
	names, schemas, note := search(t, r, `{"query":"x"}`)
	if len(names) != 3 || schemas != 2 || !strings.Contains(note, "exact name") {
		t.Errorf("%q with %d schemas, note %q", names, schemas, note)
	}
	result, err := r.Call(t.Context(), caller(), SearchOperations, json.RawMessage(`{"query":"x"}`))
	if err != nil || strings.Contains(result.Text, strings.Repeat("y", maxSummary+1)) {
		t.Errorf("the summary is not cut, %v", err)
	}
}

func TestACallOfAnOperationIsOneOfItsTool(t *testing.T) {
	t.Parallel()
	s := &shelf{list: []Declaration{shelved("get", "teams:read", 1)}}
	sender := &stubSender{status: 200, body: `{"a":1}`}
	r, log := shelfRunner(t, s, sender, nil)
	for range 3 {
		result, err := r.Call(t.Context(), caller(), CallOperation, json.RawMessage(`{"operation":"get","arguments":{"id":"7","body":{"tags":["x"]}}}`))
		if err != nil || string(result.Structured) != `{"a":1}` {
			t.Fatalf("%+v, %v", result, err)
		}
	}
	if got := sender.request.Method + " " + sender.request.URL.String(); got != "POST /teams/7/archive" || sender.token.Reveal() != testToken {
		t.Errorf("request %s", got)
	}
	if len(s.asked) != 1 {
		t.Errorf("the operation was made a tool %d times", len(s.asked))
	}
	if record := lastAudit(t, log); record["tool"] != CallOperation || record["operation"] != "get" || record["upstream"] != "otus" {
		t.Errorf("record %v", record)
	}
}

func lastAudit(t *testing.T, log *bytes.Buffer) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	var record map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &record); err != nil || record["audit"] != true {
		t.Fatalf("no record: %v in %s", err, lines[len(lines)-1])
	}
	return record
}

func TestReq055_CallsOfOperationsAreJudged(t *testing.T) {
	t.Parallel()
	list := []Declaration{shelved("get", "teams:read", 1), shelved("drop", "teams:write", 1), shelved("ask", "teams:read", 1), shelved("odd", "teams:read", 1)}
	list[2].Confirm = "Really?"
	list[3].Description = "broken"
	for name, tc := range map[string]struct {
		arguments string
		check     func(t *testing.T, result Result, err error)
	}{
		"missing scope": {`{"operation":"drop","arguments":{"id":"7"}}`, func(t *testing.T, _ Result, err error) {
			t.Helper()
			if refusal := oauth.AsRefusal(err); refusal.Status != http.StatusForbidden || refusal.Code != oauth.CodeInsufficientScope || !slices.Contains(refusal.Scope, "teams:write") {
				t.Errorf("got %v", err)
			}
		}},
		"confirmation": {`{"operation":"ask","arguments":{"id":"7"}}`, func(t *testing.T, _ Result, err error) {
			t.Helper()
			if needed, ok := errors.AsType[*ConfirmationNeededError](err); !ok || !strings.Contains(needed.Question, "Tool: ask") {
				t.Errorf("got %v", err)
			}
		}},
		"unknown":           {`{"operation":"nothing"}`, refused(`There is no operation "nothing"; search_operations finds`)},
		"no operation":      {`{"arguments":{}}`, refused(`"operation" is missing`)},
		"another argument":  {`{"operation":"get","arguments":{"id":"7","x":1}}`, refused(`There is no argument "x"`)},
		"without arguments": {`{"operation":"get"}`, refused(`"id" is missing`)},
		"null":              {`{"operation":"get","arguments":null}`, refused(`"id" is missing`)},
		"beside arguments":  {`{"operation":"get","id":"7"}`, refused(`There is no argument "id"`)},
		"a tool":            {`{"operation":"otus_teams"}`, refused(`There is no operation "otus_teams"`)},
		"broken": {`{"operation":"odd"}`, func(t *testing.T, result Result, err error) {
			t.Helper()
			if err != nil || !result.IsError || !strings.Contains(result.Text, "cannot be called") {
				t.Errorf("got %+v, %v", result, err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sender := &stubSender{status: 200, body: "{}"}
			r, log := shelfRunner(t, &shelf{list: list}, sender, nil)
			result, err := r.Call(t.Context(), caller(), CallOperation, json.RawMessage(tc.arguments))
			tc.check(t, result, err)
			if sender.calls != 0 {
				t.Error("something was sent")
			}
			if record := lastAudit(t, log); record["tool"] != CallOperation {
				t.Errorf("record %v", record)
			}
		})
	}
}

func refused(text string) func(*testing.T, Result, error) {
	return func(t *testing.T, _ Result, err error) {
		t.Helper()
		wantInvalid(t, err, text)
	}
}

// The dry run knows the two tools.
func TestRequestOfAnOperation(t *testing.T) {
	t.Parallel()
	r, _ := shelfRunner(t, &shelf{list: []Declaration{shelved("get", "teams:read", 1)}}, &stubSender{}, nil)
	upstream, request, err := r.catalogue.Request(t.Context(), CallOperation, json.RawMessage(`{"operation":"get","arguments":{"id":"7"}}`))
	if err != nil || upstream != "otus" || request.URL.String() != "/teams/7/archive" {
		t.Errorf("%s %v, %v", upstream, request, err)
	}
	if _, request, err := r.catalogue.Request(t.Context(), SearchOperations, json.RawMessage(`{"query":"x"}`)); err != nil || request != nil {
		t.Errorf("%v, %v", request, err)
	}
	if _, _, err := r.catalogue.Request(t.Context(), SearchOperations, nil); !isInvalid(err) {
		t.Errorf("%v", err)
	}
}

// A name that the directory's tools have is taken.
func TestDirectoryToolsAreTools(t *testing.T) {
	t.Parallel()
	catalogue := mustLoad(t, strings.Replace(string(BuiltIn()), "name: otus_teams", "name: "+CallOperation, 1))
	if _, err := catalogue.With(Imported{Directory: &shelf{}}); err == nil || !strings.Contains(err.Error(), "the name is taken") {
		t.Errorf("got %v", err)
	}
}
