package e2e

import (
	"encoding/json"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// teamCount is how many teams the development Otus API has.
const teamCount = 12

// endpoint returns the URL that a person types for a transport.
func endpoint(system *apptest.System, transport string) string {
	if transport == "sse" {
		return system.URL + "/mcp/sse"
	}
	return system.URL + "/mcp"
}

// toolResult is the result of tools/call, in every revision.
type toolResult struct {
	Content []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"content"`
	StructuredContent json.RawMessage `json:"structuredContent"`
	IsError           bool            `json:"isError"`
}

// wantTeams checks that tools has otus_teams and nothing else, and that result
// has the teams, twice the same: as text and as structured content.
func wantTeams(t *testing.T, tools []json.RawMessage, result json.RawMessage) {
	t.Helper()
	var tool struct {
		Name string `json:"name"`
	}
	if len(tools) != 1 || json.Unmarshal(tools[0], &tool) != nil || tool.Name != "otus_teams" {
		t.Errorf("tools = %s, want otus_teams", tools)
	}
	wantResult(t, result)
}

func wantResult(t *testing.T, result json.RawMessage) {
	t.Helper()
	var got toolResult
	if err := json.Unmarshal(result, &got); err != nil {
		t.Fatalf("result %s: %v", result, err)
	}
	if got.IsError || len(got.Content) != 1 || got.Content[0].Type != "text" {
		t.Fatalf("result = %s, want one text", result)
	}
	for _, raw := range []json.RawMessage{got.StructuredContent, json.RawMessage(got.Content[0].Text)} {
		var answer struct {
			Teams []struct {
				Name string `json:"name"`
			} `json:"teams"`
		}
		if err := json.Unmarshal(raw, &answer); err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		if len(answer.Teams) != teamCount || answer.Teams[0].Name != "Albatros" {
			t.Errorf("%d teams, want %d: %s", len(answer.Teams), teamCount, raw)
		}
	}
}
