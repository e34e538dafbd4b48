package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/mcp"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// questionTools cannot answer without asking the client.
func questionTools() []fixtureTool {
	return append([]fixtureTool{
		{define("test_missing_capability", "Needs a client that declares sampling", anyObject), missingCapability},
		{define("test_sampling", "Asks the client's model", `{"type":"object","properties":{"prompt":{"type":"string"}},"required":["prompt"]}`), sampling},
		{define("test_elicitation", "Asks the user", `{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}`), elicitation},
		{
			define("test_elicitation_sep1034_defaults", "Asks with default values", anyObject),
			asksOnce("Please confirm these values", defaultsForm),
		},
		{
			define("test_elicitation_sep1330_enums", "Asks with choices of every kind", anyObject),
			asksOnce("Please choose", choicesForm),
		},
	}, roundTools()...)
}

// roundTools are the fixtures of multi round-trip requests.
func roundTools() []fixtureTool {
	const prefix = "test_input_required_result_"
	return []fixtureTool{
		{define(prefix+"elicitation", "Asks for a name", anyObject), greet},
		{define(prefix+"sampling", "Asks the client's model for a capital", anyObject), capital},
		{define(prefix+"list_roots", "Asks for the client's roots", anyObject), countRoots},
		{define(prefix+"request_state", "Keeps a state between its rounds", anyObject), keepsState},
		{define(prefix+"tampered_state", "Keeps a state that nobody may change", anyObject), keepsState},
		{define(prefix+"multiple_inputs", "Asks three questions at once", anyObject), threeAtOnce},
		{define(prefix+"multi_round", "Asks two questions, one after the other", anyObject), twoRounds},
		{define(prefix+"capabilities", "Asks only what the client can answer", anyObject), whatItCan},
	}
}

// form is the schema of a form with one field.
func form(field, kind string) string {
	return fmt.Sprintf(`{"type":"object","properties":{%q:{"type":%q}},"required":[%q]}`, field, kind, field)
}

const defaultsForm = `{"type":"object","properties":{
	"name":{"type":"string","default":"John Doe"},
	"age":{"type":"integer","default":30},
	"score":{"type":"number","default":95.5},
	"status":{"type":"string","enum":["active","inactive","pending"],"default":"active"},
	"verified":{"type":"boolean","default":true}
},"required":[]}`

const choicesForm = `{"type":"object","properties":{
	"untitledSingle":{"type":"string","enum":["option1","option2","option3"]},
	"titledSingle":{"type":"string","oneOf":[
		{"const":"value1","title":"First Option"},{"const":"value2","title":"Second Option"},{"const":"value3","title":"Third Option"}]},
	"legacyEnum":{"type":"string","enum":["opt1","opt2","opt3"],"enumNames":["Option One","Option Two","Option Three"]},
	"untitledMulti":{"type":"array","items":{"type":"string","enum":["option1","option2","option3"]}},
	"titledMulti":{"type":"array","items":{"anyOf":[
		{"const":"value1","title":"First Choice"},{"const":"value2","title":"Second Choice"},{"const":"value3","title":"Third Choice"}]}}
},"required":[]}`

func askUser(message, schema string) mcp.InputRequest {
	return mcp.InputRequest{Method: "elicitation/create", Params: encode(map[string]any{
		"message": message, "requestedSchema": json.RawMessage(schema),
	})}
}

func askModel(prompt string) mcp.InputRequest {
	return mcp.InputRequest{Method: "sampling/createMessage", Params: encode(map[string]any{
		"messages":  []any{map[string]any{"role": "user", "content": map[string]any{"type": "text", "text": prompt}}},
		"maxTokens": 100,
	})}
}

func askRoots() mcp.InputRequest {
	return mcp.InputRequest{Method: "roots/list", Params: encode(map[string]any{})}
}

// ask ends a round with one question.
func ask(name string, question mcp.InputRequest, state string) error {
	return &mcp.InputRequired{Requests: map[string]mcp.InputRequest{name: question}, State: []byte(state)}
}

// accepted returns what a user entered into the form called name; nil when it
// was declined, is not there or makes no sense.
func accepted(ctx context.Context, name string) map[string]any {
	var answer struct {
		Action  string         `json:"action"`
		Content map[string]any `json:"content"`
	}
	if json.Unmarshal(mcp.ExchangeFrom(ctx).Responses()[name], &answer) != nil || answer.Action != "accept" {
		return nil
	}
	return answer.Content
}

// sampled returns what the client's model said.
func sampled(ctx context.Context, name string) string {
	var answer struct {
		Content struct {
			Text string `json:"text"`
		} `json:"content"`
	}
	if json.Unmarshal(mcp.ExchangeFrom(ctx).Responses()[name], &answer) != nil {
		return ""
	}
	return answer.Content.Text
}

// roots returns the URIs of the client's roots, and whether it told them.
func roots(ctx context.Context, name string) (uris []string, ok bool) {
	var answer struct {
		Roots []struct {
			URI string `json:"uri"`
		} `json:"roots"`
	}
	if json.Unmarshal(mcp.ExchangeFrom(ctx).Responses()[name], &answer) != nil || answer.Roots == nil {
		return nil, false
	}
	for _, root := range answer.Roots {
		uris = append(uris, root.URI)
	}
	return uris, true
}

// missingCapability asks a client without sampling, which the server refuses on
// its behalf.
func missingCapability(ctx context.Context, _ map[string]any) (tool.Result, error) {
	if !mcp.ExchangeFrom(ctx).Capable("sampling") {
		return tool.Result{}, ask("answer", askModel("Are you there?"), "")
	}
	return tool.Result{Text: "The client can sample."}, nil
}

func sampling(ctx context.Context, arguments map[string]any) (tool.Result, error) {
	if answer := sampled(ctx, "answer"); answer != "" {
		return tool.Result{Text: "LLM response: " + answer}, nil
	}
	return tool.Result{}, ask("answer", askModel(text(arguments, "prompt")), "")
}

func elicitation(ctx context.Context, arguments map[string]any) (tool.Result, error) {
	return asksOnce(text(arguments, "message"), form("username", "string"))(ctx, nil)
}

// asksOnce shows a form and answers with what the user did with it.
func asksOnce(message, schema string) func(context.Context, map[string]any) (tool.Result, error) {
	return func(ctx context.Context, _ map[string]any) (tool.Result, error) {
		if answer, ok := mcp.ExchangeFrom(ctx).Responses()["form"]; ok {
			return tool.Result{Text: "User response: " + string(answer)}, nil
		}
		return tool.Result{}, ask("form", askUser(message, schema), "")
	}
}

func greet(ctx context.Context, _ map[string]any) (tool.Result, error) {
	if name := text(accepted(ctx, "user_name"), "name"); name != "" {
		return tool.Result{Text: "Hello, " + name + "!"}, nil
	}
	return tool.Result{}, ask("user_name", askUser("What is your name?", form("name", "string")), "")
}

func capital(ctx context.Context, _ map[string]any) (tool.Result, error) {
	if answer := sampled(ctx, "capital_question"); answer != "" {
		return tool.Result{Text: "The model says: " + answer}, nil
	}
	return tool.Result{}, ask("capital_question", askModel("What is the capital of France?"), "")
}

func countRoots(ctx context.Context, _ map[string]any) (tool.Result, error) {
	if uris, ok := roots(ctx, "client_roots"); ok {
		return tool.Result{Text: fmt.Sprintf("%d roots: %s", len(uris), strings.Join(uris, ", "))}, nil
	}
	return tool.Result{}, ask("client_roots", askRoots(), "")
}

// keepsState finishes only with the state it gave out in the first round; that
// the state is untouched is the server's to know.
func keepsState(ctx context.Context, _ map[string]any) (tool.Result, error) {
	const state = "first round"
	if accepted(ctx, "confirm") == nil || string(mcp.ExchangeFrom(ctx).State()) != state {
		return tool.Result{}, ask("confirm", askUser("Please confirm", form("ok", "boolean")), state)
	}
	return tool.Result{Text: "state-ok"}, nil
}

func threeAtOnce(ctx context.Context, _ map[string]any) (tool.Result, error) {
	name, greeting := text(accepted(ctx, "user_name"), "name"), sampled(ctx, "greeting")
	uris, ok := roots(ctx, "client_roots")
	if name == "" || greeting == "" || !ok {
		return tool.Result{}, &mcp.InputRequired{Requests: map[string]mcp.InputRequest{
			"user_name":    askUser("What is your name?", form("name", "string")),
			"greeting":     askModel("Write a greeting"),
			"client_roots": askRoots(),
		}, State: []byte("three at once")}
	}
	return tool.Result{Text: fmt.Sprintf("%s %s, you have %d roots", greeting, name, len(uris))}, nil
}

// twoRounds carries the answer of the first round in the state.
func twoRounds(ctx context.Context, _ map[string]any) (tool.Result, error) {
	name, second := strings.CutPrefix(string(mcp.ExchangeFrom(ctx).State()), "name=")
	if !second {
		if name = text(accepted(ctx, "step1"), "name"); name == "" {
			return tool.Result{}, ask("step1", askUser("What is your name?", form("name", "string")), "first")
		}
	}
	if color := text(accepted(ctx, "step2"), "color"); second && color != "" {
		return tool.Result{Text: name + " likes " + color}, nil
	}
	return tool.Result{}, ask("step2", askUser("What is your favourite colour?", form("color", "string")), "name="+name)
}

func whatItCan(ctx context.Context, _ map[string]any) (tool.Result, error) {
	exchange := mcp.ExchangeFrom(ctx)
	if len(exchange.Responses()) > 0 {
		return tool.Result{Text: "The client answered what it can."}, nil
	}
	questions := map[string]mcp.InputRequest{}
	if exchange.Capable("elicitation") {
		questions["user_name"] = askUser("What is your name?", form("name", "string"))
	}
	if exchange.Capable("sampling") {
		questions["greeting"] = askModel("Write a greeting")
	}
	if exchange.Capable("roots") {
		questions["client_roots"] = askRoots()
	}
	if len(questions) == 0 {
		return tool.Result{Text: "The client cannot be asked anything."}, nil
	}
	return tool.Result{}, &mcp.InputRequired{Requests: questions}
}
