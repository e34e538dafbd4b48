package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// everything offers one of each feature, and n resources.
type everything struct{ n int }

func (everything) HasResources() bool { return true }

func (e everything) Resources(context.Context, oauth.Principal) []Resource {
	var all []Resource
	for i := range e.n {
		all = append(all, Resource{URI: fmt.Sprintf("test://%d", i), Name: fmt.Sprint(i)})
	}
	return all
}

func (everything) ResourceTemplates(context.Context, oauth.Principal) []ResourceTemplate {
	return []ResourceTemplate{{URITemplate: "test://{n}", Name: "numbered"}}
}

func (everything) ToolOf(string) string { return "" }

func (everything) ReadResource(_ context.Context, _ tool.Caller, uri string) ([]ResourceContents, error) {
	switch uri {
	case "test://text":
		return []ResourceContents{{URI: uri, MIMEType: "text/plain", Text: "hello"}}, nil
	case "test://blob":
		return []ResourceContents{{URI: uri, MIMEType: "image/png", Blob: []byte{1, 2, 3}}}, nil
	case "test://broken":
		return nil, errors.New("private detail")
	}
	return nil, &UnknownResourceError{URI: uri}
}

func (everything) HasPrompts() bool { return true }

func (everything) Prompts(context.Context, oauth.Principal) []Prompt {
	return []Prompt{{Name: "greet", Arguments: []PromptArgument{{Name: "who", Required: true}}}}
}

func (everything) GetPrompt(ctx context.Context, _ tool.Caller, name string, arguments map[string]string) (PromptResult, error) {
	if name == "ask" {
		if ExchangeFrom(ctx).Responses() == nil {
			return PromptResult{}, &InputRequired{Requests: map[string]InputRequest{"q": {Method: "elicitation/create", Params: json.RawMessage(`{"message":"?","requestedSchema":{"type":"object","properties":{}}}`)}}}
		}
		return PromptResult{Messages: []PromptMessage{{Role: "user", Content: json.RawMessage(`{"type":"text","text":"asked"}`)}}}, nil
	}
	if name != "greet" {
		return PromptResult{}, &UnknownPromptError{Name: name}
	}
	if arguments["who"] == "" {
		return PromptResult{}, &tool.InvalidArgumentsError{Detail: "who is missing"}
	}
	return PromptResult{Messages: []PromptMessage{{Role: "user", Content: json.RawMessage(`{"type":"text","text":"hello ` + arguments["who"] + `"}`)}}}, nil
}

func (everything) Complete(_ context.Context, _ tool.Caller, r CompletionRequest) (Completion, error) {
	var values []string
	for i := range 150 {
		values = append(values, fmt.Sprint(r.Prompt, r.Template, ".", r.Argument, ".", r.Value, i))
	}
	return Completion{Values: values}, nil
}

func featured(t *testing.T, n int) (*harness, string) {
	t.Helper()
	h := newHarness(t)
	h.resources, h.prompts, h.completer, h.logging = everything{n}, everything{}, everything{}, true
	return h, h.serve(t) + "/mcp"
}

func modernNamed(method, name, params string) (string, map[string]string) {
	body, header := modern(method, params)
	header["Mcp-Name"] = name
	return body, header
}

func TestFeatureAnswers(t *testing.T) {
	_, url := featured(t, 2)
	for _, tc := range []struct {
		name, method, target, params string
		code                         int
		want                         string
	}{
		{"resources", "resources/list", "", "", 0, `"resources":[{"uri":"test://0","name":"0"},{"uri":"test://1","name":"1"}]`},
		{"templates", "resources/templates/list", "", "", 0, `"resourceTemplates":[{"uriTemplate":"test://{n}","name":"numbered"}]`},
		{"read text", "resources/read", "test://text", `"uri":"test://text"`, 0, `"contents":[{"uri":"test://text","mimeType":"text/plain","text":"hello"}]`},
		{"read blob", "resources/read", "test://blob", `"uri":"test://blob"`, 0, `"blob":"AQID"`},
		{"read unknown", "resources/read", "test://no", `"uri":"test://no"`, codeInvalidParams, `"data":{"uri":"test://no"}`},
		{"read broken", "resources/read", "test://broken", `"uri":"test://broken"`, codeInternal, ""},
		{"read nothing", "resources/read", "", ``, codeInvalidParams, ""},
		{"prompts", "prompts/list", "", "", 0, `"prompts":[{"name":"greet","arguments":[{"name":"who","required":true}]}]`},
		{"prompt", "prompts/get", "greet", `"name":"greet","arguments":{"who":"Ana"}`, 0, `"messages":[{"role":"user","content":{"type":"text","text":"hello Ana"}}]`},
		{"prompt without its argument", "prompts/get", "greet", `"name":"greet"`, codeInvalidParams, "who is missing"},
		{"prompt with a number", "prompts/get", "greet", `"name":"greet","arguments":{"who":1}`, codeInvalidParams, ""},
		{"unknown prompt", "prompts/get", "no", `"name":"no"`, codeInvalidParams, "Unknown prompt"},
		{"completion", "completion/complete", "", `"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"v"}`, 0, `"total":150,"hasMore":true`},
		{"template completion", "completion/complete", "", `"ref":{"type":"ref/resource","uri":"t"},"argument":{"name":"a","value":""},"context":{"arguments":{"b":"c"}}`, 0, `"t.a.0"`},
		{"completion of nothing", "completion/complete", "", `"ref":{"type":"ref/prompt"},"argument":{"name":"a","value":"v"}`, codeInvalidParams, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body, header := modernNamed(tc.method, tc.target, tc.params)
			got := post(t, url, body, header)
			if tc.code == 0 && (got.status != 200 || got.rpc.Result["resultType"] != "complete") || tc.code != 0 && (got.rpc.Error == nil || got.rpc.Error.Code != tc.code) {
				t.Errorf("%d %s", got.status, got.body)
			}
			if !strings.Contains(got.body, tc.want) || strings.Contains(got.body, "private detail") {
				t.Errorf("%s, want %s", got.body, tc.want)
			}
		})
	}
	for body, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"test://no"}}`:          `"code":-32002`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"test://text"}}`:   `"result":{}`,
		`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}}`:          `"result":{}`,
		`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}`:           `"code":-32602`,
		`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"ask"}}`:                  `needs revision 2026-07-28`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`: `"capabilities":{"tools":{},"resources":{},"prompts":{},"completions":{},"logging":{}}`,
	} {
		if got := post(t, url, body, legacy("2025-11-25")); !strings.Contains(got.body, want) {
			t.Errorf("%s: %s, want %s", body, got.body, want)
		}
	}
}

// What a server does not have it does not declare and does not answer.
func TestFeaturesThatAreNotThere(t *testing.T) {
	url := newHarness(t).serve(t) + "/mcp"
	for _, method := range []string{"resources/list", "resources/templates/list", "prompts/list", "completion/complete"} {
		body, header := modern(method, "")
		if got := post(t, url, body, header); got.status != 404 {
			t.Errorf("%s: %d", method, got.status)
		}
	}
	body, header := modern("server/discover", "")
	if diff := cmp.Diff(map[string]any{"tools": map[string]any{"listChanged": true}}, post(t, url, body, header).rpc.Result["capabilities"]); diff != "" {
		t.Error(diff)
	}
}

// Every page is as private as the list.
func TestReq061_PagesFollowSealedCursors(t *testing.T) {
	h, url := featured(t, 2*pageSize+1)
	seen, params, pages := map[string]bool{}, "", 0
	for {
		body, header := modern("resources/list", params)
		result := post(t, url, body, header).rpc.Result
		list, _ := result["resources"].([]any)
		for _, one := range list {
			resource, _ := one.(map[string]any)
			seen[fmt.Sprint(resource["uri"])] = true
		}
		pages++
		if result["cacheScope"] != "private" || result["ttlMs"] != 60000.0 {
			t.Errorf("page %d: scope %v, lifetime %v", pages, result["cacheScope"], result["ttlMs"])
		}
		next, more := result["nextCursor"].(string)
		if !more {
			break
		}
		if strings.Contains(next, "100") {
			t.Errorf("the cursor %q tells where it is", next)
		}
		body, header = modern("resources/templates/list", fmt.Sprintf(`"cursor":%q`, next))
		if got := post(t, url, body, header); got.rpc.Error == nil {
			t.Error("a cursor of one list works for another")
		}
		params = fmt.Sprintf(`"cursor":%q`, next)
	}
	if pages != 3 || len(seen) != 2*pageSize+1 {
		t.Errorf("%d pages with %d resources", pages, len(seen))
	}
	for _, bad := range []string{`""`, `"x"`, `7`, `"` + h.cursors.Seal([]byte("-1"), "resources/list") + `"`, `"` + h.cursors.Seal([]byte("9999"), "resources/list") + `"`} {
		body, header := modern("resources/list", `"cursor":`+bad)
		if got := post(t, url, body, header); got.rpc.Error == nil || got.rpc.Error.Code != codeInvalidParams {
			t.Errorf("cursor %s: %s", bad, got.body)
		}
	}
}

func TestProgressAndLogsComeBeforeTheAnswer(t *testing.T) {
	h, url := featured(t, 0)
	h.tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
		x := ExchangeFrom(ctx)
		x.Progress(0, 2, "")
		x.Log("debug", "l", "not wanted")
		x.Log("warning", "l", map[string]int{"n": 1})
		x.Progress(1, 2, "half")
		x.Progress(1, 2, "again")
		x.Log("nonsense", "l", 1)
		return tool.Result{Text: "done"}, nil
	}
	call := func(meta string) (string, map[string]string) {
		body, header := modern("tools/call", `"name":"teams"`)
		return strings.Replace(body, `"_meta":{`, `"_meta":{`+meta, 1), header
	}
	body, header := call(`"progressToken":"p","io.modelcontextprotocol/logLevel":"info",`)
	got := post(t, url, body, header)
	want := []string{
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":0,"total":2}}`,
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"warning","logger":"l","data":{"n":1}}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1,"total":2,"message":"half"}}`,
	}
	events := eventData(got.body)
	if got.header.Get("Content-Type") != "text/event-stream" || len(events) != 4 {
		t.Fatalf("%s %s", got.header.Get("Content-Type"), got.body)
	}
	if diff := cmp.Diff(want, events[:3]); diff != "" || !strings.Contains(events[3], `"id":7,"result"`) {
		t.Errorf("%s %s", diff, events[3])
	}
	// Nobody asked, or there is no stream to say it on: one JSON answer.
	body, header = call("")
	if got := post(t, url, body, header); got.header.Get("Content-Type") != "application/json" {
		t.Errorf("without asking: %s", got.body)
	}
	body, header = call(`"progressToken":"p",`)
	if got := post(t, url, body, with(header, "Accept", "application/json")); got.header.Get("Content-Type") != "application/json" || got.status != 200 {
		t.Errorf("without a stream: %s", got.body)
	}
	// A refusal after the first byte is a message on the stream.
	h.tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
		ExchangeFrom(ctx).Progress(1, 0, "")
		return tool.Result{}, &tool.UnknownToolError{Name: "x"}
	}
	body, header = call(`"progressToken":1,`)
	if got := post(t, url, body, header); got.status != 200 || !strings.Contains(got.body, `"code":-32602`) {
		t.Errorf("late error: %d %s", got.status, got.body)
	}
	ExchangeFrom(t.Context()).Progress(1, 1, "outside of a request")
}

func eventData(body string) []string {
	var data []string
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			data = append(data, strings.TrimSpace(text))
		}
	}
	return data
}

func TestRounds(t *testing.T) {
	h, url := featured(t, 0)
	h.tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
		x := ExchangeFrom(ctx)
		if answer, ok := x.Responses()["name"]; ok && string(x.State()) == "round 1" {
			return tool.Result{Text: string(answer)}, nil
		}
		return tool.Result{}, &InputRequired{
			State:    []byte("round 1"),
			Requests: map[string]InputRequest{"name": {Method: "elicitation/create", Params: json.RawMessage(`{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}`)}},
		}
	}
	call := func(extra, token string, capabilities string) reply {
		body, header := modern("tools/call", `"name":"teams"`+extra)
		body = strings.Replace(body, `clientCapabilities":{}`, `clientCapabilities":`+capabilities, 1)
		return post(t, url, body, with(header, "Authorization", "Bearer "+token))
	}
	const able = `{"elicitation":{}}`
	first := call("", "ana/claude/1", able)
	state, _ := first.rpc.Result["requestState"].(string)
	if first.rpc.Result["resultType"] != "input_required" || state == "" || strings.Contains(state, "round") || !strings.Contains(first.body, `"inputRequests":{"name":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}}`) {
		t.Fatalf("%s", first.body)
	}
	answer := fmt.Sprintf(`,"inputResponses":{"name":{"action":"accept"}},"requestState":%q`, state)
	if got := call(answer, "ana/claude/2", able); !strings.Contains(got.body, `{\"action\":\"accept\"}`) {
		t.Errorf("second round, newer token: %s", got.body)
	}
	for name, got := range map[string]reply{
		"another person":  call(answer, "bruno/claude/1", able),
		"another client":  call(answer, "ana/codex/1", able),
		"tampered":        call(strings.Replace(answer, state[:4], "AAAA", 1), "ana/claude/1", able),
		"not a text":      call(`,"requestState":7`, "ana/claude/1", able),
		"no object":       call(`,"inputResponses":[]`, "ana/claude/1", able),
		"a cursor's seal": call(fmt.Sprintf(`,"requestState":%q`, h.cursors.Seal([]byte(`{"exp":99999999999}`), "x")), "ana/claude/1", able),
	} {
		if got.rpc.Error == nil || got.rpc.Error.Code != codeInvalidParams {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	unable := call("", "ana/claude/1", `{}`)
	if unable.status != 400 || unable.rpc.Error == nil || unable.rpc.Error.Code != codeMissingCapability {
		t.Errorf("without the capability: %d %s", unable.status, unable.body)
	}
	if diff := cmp.Diff(map[string]any{"requiredCapabilities": map[string]any{"elicitation": map[string]any{}}}, unable.rpc.Error.Data); diff != "" {
		t.Error(diff)
	}
	// The same for a prompt.
	body, header := modernNamed("prompts/get", "ask", `"name":"ask"`)
	body = strings.Replace(body, `clientCapabilities":{}`, `clientCapabilities":`+able, 1)
	if got := post(t, url, body, header); got.rpc.Result["resultType"] != "input_required" {
		t.Errorf("prompt: %s", got.body)
	}
}

func TestSubscriptionsOfEveryKind(t *testing.T) {
	h, _ := featured(t, 0)
	filter := `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":false,"resourceSubscriptions":["test://a"]}`
	wanted, err := strictjson.ParseObject([]byte(filter))
	if err != nil {
		t.Fatal(err)
	}
	wants, failure := h.subscription(wanted)
	if failure != nil {
		t.Fatal(failure)
	}
	var got []string
	watcher := &watcher{wants, func(about notice) { got = append(got, string(about.message(json.RawMessage("3")))) }}
	h.notices.add(watcher)
	h.ResourceUpdated("test://b")
	h.ResourcesChanged()
	h.ResourceUpdated("test://a")
	h.PromptsChanged()
	h.ToolsChanged()
	h.notices.remove(watcher)
	h.ToolsChanged()
	meta := `"_meta":{"io.modelcontextprotocol/subscriptionId":3}`
	want := []string{
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{` + meta + `,"uri":"test://a"}}`,
		`{"jsonrpc":"2.0","method":"notifications/prompts/list_changed","params":{` + meta + `}}`,
		`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{` + meta + `}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := string(acknowledgement(json.RawMessage("3"), wants)); !strings.Contains(got, `"notifications":{"promptsListChanged":true,"resourceSubscriptions":["test://a"],"toolsListChanged":true}`) {
		t.Error(got)
	}
	wanted, err = strictjson.ParseObject([]byte(`{"resourceSubscriptions":[` + strings.TrimSuffix(strings.Repeat(`"test://x",`, maxSubscribedResources+1), ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, failure := h.subscription(wanted); failure == nil {
		t.Error("a subscription to 101 resources is taken")
	}
}

// An HTTP+SSE stream hears of every list that there is.
func TestStreamsHearOfEveryList(t *testing.T) {
	h, url := featured(t, 0)
	base := strings.TrimSuffix(url, "/mcp")
	s := connect(t, http.DefaultClient, base, "ana/claude/1")
	s.send("ana/claude/1", initializeWith(`{}`))
	if got := s.message(); !strings.Contains(got, `"tools":{"listChanged":true},"resources":{"listChanged":true},"prompts":{"listChanged":true}`) {
		t.Errorf("capabilities: %s", got)
	}
	for kind, change := range map[string]func(){"tools": h.ToolsChanged, "prompts": h.PromptsChanged, "resources": h.ResourcesChanged} {
		change()
		if got := s.message(); got != `{"jsonrpc":"2.0","method":"notifications/`+kind+`/list_changed"}` {
			t.Errorf("%s: %s", kind, got)
		}
	}
	bare := newHarness(t)
	s = connect(t, http.DefaultClient, bare.serve(t), "ana/claude/1")
	bare.PromptsChanged()
	bare.ResourcesChanged()
	bare.ToolsChanged()
	if got := s.message(); !strings.Contains(got, "tools/list_changed") {
		t.Errorf("a server without prompts tells of %s", got)
	}
}

// headerTools has one tool whose parameters are mirrored into headers.
type headerTools struct{ fakeTools }

func (h headerTools) Definition(name string) (tool.Definition, bool) {
	return tool.Find(h.Definitions(), name)
}

func (headerTools) Definitions() []tool.Definition {
	return []tool.Definition{{Name: "teams", InputSchema: json.RawMessage(`{"type":"object","properties":{
		"region":{"type":"string","x-mcp-header":"Region"},
		"limit":{"type":"integer","x-mcp-header":"Limit"},
		"flag":{"type":"boolean","x-mcp-header":"Flag"},
		"where":{"type":"object","properties":{"city":{"type":"string","x-mcp-header":"City"}}},
		"free":{"type":"string"}}}`)}}
}

func (h headerTools) Listed(context.Context, oauth.Principal) []tool.Definition {
	return h.Definitions()
}

func TestReq058_ParameterHeadersAgreeWithTheArguments(t *testing.T) {
	h := newHarness(t)
	h.Server.tools = &headerTools{}
	url := h.serve(t) + "/mcp"
	for _, tc := range []struct {
		name, arguments string
		header          map[string]string
		ok              bool
	}{
		{"none", `{"free":"x"}`, nil, true},
		{"text", `{"region":"us"}`, map[string]string{"Mcp-Param-Region": "us"}, true},
		{"encoded", `{"region":"Cádiz"}`, map[string]string{"mcp-param-region": "=?base64?Q8OhZGl6?="}, true},
		{"number", `{"limit":42}`, map[string]string{"Mcp-Param-Limit": "42.0"}, true},
		{"boolean", `{"flag":true}`, map[string]string{"Mcp-Param-Flag": "true"}, true},
		{"nested", `{"where":{"city":"León"}}`, map[string]string{"Mcp-Param-City": "=?base64?TGXDs24=?="}, true},
		{"null", `{"region":null}`, nil, true},
		{"unknown header", `{}`, map[string]string{"Mcp-Param-Other": "x"}, true},
		{"missing", `{"region":"us"}`, nil, false},
		{"different", `{"region":"us"}`, map[string]string{"Mcp-Param-Region": "eu"}, false},
		{"other case", `{"region":"us"}`, map[string]string{"Mcp-Param-Region": "US"}, false},
		{"without a value", `{}`, map[string]string{"Mcp-Param-Region": "us"}, false},
		{"with null", `{"region":null}`, map[string]string{"Mcp-Param-Region": "us"}, false},
		{"badly encoded", `{"region":"us"}`, map[string]string{"Mcp-Param-Region": "=?base64?!?="}, false},
		{"number as text", `{"limit":42}`, map[string]string{"Mcp-Param-Limit": "many"}, false},
		{"object", `{"region":{}}`, map[string]string{"Mcp-Param-Region": "{}"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body, header := modern("tools/call", `"name":"teams","arguments":`+tc.arguments)
			maps.Copy(header, tc.header)
			got := post(t, url, body, header)
			if tc.ok != (got.status == 200) || !tc.ok && (got.rpc.Error == nil || got.rpc.Error.Code != codeHeaderMismatch) {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}
