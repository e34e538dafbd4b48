package mcp

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// private shows what there is to ana alone.
type private struct{ everything }

func (e private) Resources(ctx context.Context, p oauth.Principal) []Resource {
	if p.Subject != "ana" {
		return nil
	}
	return e.everything.Resources(ctx, p)
}

func (e private) ResourceTemplates(ctx context.Context, p oauth.Principal) []ResourceTemplate {
	if p.Subject != "ana" {
		return nil
	}
	return e.everything.ResourceTemplates(ctx, p)
}

func (e private) Prompts(ctx context.Context, p oauth.Principal) []Prompt {
	if p.Subject != "ana" {
		return nil
	}
	return e.everything.Prompts(ctx, p)
}

// Whoever is shown nothing gets an empty list: what the server can do does not
// depend on who asks, and a cursor of somebody else's longer list leads nowhere.
func TestReq060_ListsAreOfWhoAsks(t *testing.T) {
	h := newHarness(t)
	h.resources, h.prompts, h.completer = private{everything{pageSize + 1}}, private{}, everything{}
	url := h.serve(t) + "/mcp"
	for method, member := range map[string]string{
		"resources/list": "resources", "resources/templates/list": "resourceTemplates", "prompts/list": "prompts",
	} {
		body, header := modern(method, "")
		if list, _ := post(t, url, body, header).rpc.Result[member].([]any); len(list) == 0 {
			t.Errorf("%s: ana is shown nothing", method)
		}
		header["Authorization"] = "Bearer bruno/claude/1"
		got := post(t, url, body, header)
		if list, ok := got.rpc.Result[member].([]any); !ok || len(list) != 0 {
			t.Errorf("%s: bruno is shown %s", method, got.body)
		}
	}
	body, header := modern("server/discover", "")
	header["Authorization"] = "Bearer bruno/claude/1"
	if got := post(t, url, body, header); !strings.Contains(got.body, `"resources":{`) || !strings.Contains(got.body, `"prompts":{`) {
		t.Errorf("bruno's server has less: %s", got.body)
	}
	body, header = modern("resources/list", "")
	next, _ := post(t, url, body, header).rpc.Result["nextCursor"].(string)
	body, header = modern("resources/list", fmt.Sprintf(`"cursor":%q`, next))
	header["Authorization"] = "Bearer bruno/claude/1"
	if got := post(t, url, body, header); next == "" || got.rpc.Error == nil || got.rpc.Error.Code != codeInvalidParams {
		t.Errorf("ana's cursor %q leads bruno to %s", next, got.body)
	}
}
