package tool

import (
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
)

// archive is a declaration without a file.
func archive() Declaration {
	return Declaration{
		Definition: Definition{
			Name: "archive", Description: "d",
			InputSchema: json.RawMessage(`{"type":"object","required":["id"],"properties":{"id":{"type":"string"},"body":{"type":"object"}},"additionalProperties":false}`),
		},
		Upstream: "otus", Method: "POST", Path: "/teams/{team-id}/archive",
		Parameters: []Parameter{{Argument: "id", In: InPath, Write: paramstyle.Parameter{Name: "team-id"}}},
		Body: &Body{Kind: BodyForm, Argument: "body", Fields: []Field{
			{Write: paramstyle.Parameter{Name: "tags", Style: paramstyle.PipeDelimited}},
		}},
	}
}

func TestDeclaredToolsAreCalledLikeThoseOfTheFile(t *testing.T) {
	base := mustLoad(t, string(BuiltIn()))
	catalogue, err := base.With(Imported{Tools: []Declaration{archive()}})
	if err != nil {
		t.Fatal(err)
	}
	if names := catalogue.Definitions(); len(names) != 2 || names[0].Name != "archive" || len(base.Definitions()) != 1 {
		t.Fatalf("got %v, and the catalogue before has %d tools", names, len(base.Definitions()))
	}
	sender := &stubSender{status: 200, body: "{}"}
	r, err := NewRunner(RunnerConfig{Catalogue: catalogue, Senders: map[string]Sender{"otus": sender}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Call(t.Context(), caller(), "archive", json.RawMessage(`{"id":"a b","body":{"tags":["x","y"],"deep":{"a":1}}}`)); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(io.LimitReader(sender.request.Body, 1<<10))
	if got := sender.request.URL.String() + " " + string(body); err != nil || got != "/teams/a%20b/archive tags=x%7Cy&deep=%7B%22a%22%3A1%7D" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestWrongDeclarations(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Declaration)
		want   string
	}{
		"name":           {func(d *Declaration) { d.Name = "Archive It" }, `tool "Archive It": a name has`},
		"taken":          {func(d *Declaration) { d.Name = "otus_teams" }, "the name is taken"},
		"upstream":       {func(d *Declaration) { d.Upstream = "ares" }, `there is no upstream "ares"`},
		"method":         {func(d *Declaration) { d.Method = "" }, "want a method and a path"},
		"other method":   {func(d *Declaration) { d.Method = "FETCH" }, `method: unknown method "FETCH"`},
		"path":           {func(d *Declaration) { d.Path = "" }, "want a method and a path"},
		"no input":       {func(d *Declaration) { d.InputSchema = nil }, "input: "},
		"open input":     {func(d *Declaration) { d.InputSchema = json.RawMessage(`{"type":"object"}`) }, "input: want an object without further properties"},
		"output":         {func(d *Declaration) { d.OutputSchema = json.RawMessage(`{"type":1}`) }, "output: "},
		"parameter":      {func(d *Declaration) { d.Parameters[0].In = "body" }, `parameters[0]: unknown place "body"`},
		"field":          {func(d *Declaration) { d.Body.Fields[0].Argument = "id" }, "fields[0]: the body is either one argument"},
		"too many tools": {nil, "there are 129 tools; clients take at most 128"},
	} {
		t.Run(name, func(t *testing.T) {
			declarations := []Declaration{archive()}
			if tc.change != nil {
				tc.change(&declarations[0])
			} else {
				declarations = make([]Declaration, maxTools)
			}
			if _, err := mustLoad(t, string(BuiltIn())).With(Imported{Tools: declarations}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
