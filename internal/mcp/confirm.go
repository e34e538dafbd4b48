package mcp

import (
	"context"
	"encoding/json"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// confirmQuestion names the question whether a call may be made, and the box
// that the person ticks: accepting a form that asks nothing is too easily done by
// a client alone.
const confirmQuestion = "confirm"

// confirmationRequest asks the person for a tool. Where the client cannot be
// asked, the call is denied.
func confirmationRequest(needed *tool.ConfirmationNeededError) *InputRequired {
	params := encode(map[string]any{
		"message": needed.Question,
		"requestedSchema": map[string]any{
			"type":       "object",
			"properties": map[string]any{confirmQuestion: map[string]any{"type": "boolean", "title": "Yes, do it"}},
			"required":   []string{confirmQuestion},
		},
	})
	return &InputRequired{
		State:    needed.State,
		Requests: map[string]InputRequest{confirmQuestion: {Method: "elicitation/create", Params: params}},
	}
}

// confirmation reads what the person answered; nil when nobody was asked.
func confirmation(ctx context.Context) *tool.Confirmation {
	x := ExchangeFrom(ctx)
	raw, answered := x.Responses()[confirmQuestion]
	if !answered || x.State() == nil {
		return nil
	}
	return &tool.Confirmation{State: x.State(), Accepted: accepted(raw)}
}

// accepted reports whether an answer is that the box was ticked. What cannot be
// read is no.
func accepted(raw json.RawMessage) bool {
	answer, err := strictjson.ParseObject(raw)
	if err != nil {
		return false
	}
	action, _ := answer.Text("action")
	form, _ := answer.Get("content")
	content, err := strictjson.ParseObject(form)
	if err != nil {
		return false
	}
	ticked, _ := content.Get(confirmQuestion)
	return action == "accept" && string(ticked) == "true"
}
