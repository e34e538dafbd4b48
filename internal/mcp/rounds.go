package mcp

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// Bounds of a request that needs several rounds (2026-07-28, patterns/mrtr).
const (
	stateLifetime = 10 * time.Minute // between two rounds
	maxQuestions  = 16               // in one round
	maxRounds     = 8                // of one call on a stream
)

// codeMissingCapability answers a request that needs what the client did not
// declare.
const codeMissingCapability = -32021

// capabilityOf says what a client must have declared to be asked.
var capabilityOf = map[string]string{
	"elicitation/create":     "elicitation",
	"sampling/createMessage": "sampling",
	"roots/list":             "roots",
}

// sealedState is what a requestState holds.
type sealedState struct {
	Expires int64  `json:"exp"` // Unix seconds
	State   []byte `json:"state,omitempty"`
}

// roundContext binds a state to who got it and for what: nobody else can go on
// with it, and not with another call.
func (c call) roundContext() string {
	p := c.caller.Principal
	target, _ := c.message.params.Text(namedBy[c.message.method])
	return string(encode([]string{p.Issuer, p.Subject, p.ClientID, c.message.method, target}))
}

// readRound fills x with what the client brings from an earlier round.
func (s *Server) readRound(c call, x *Exchange) *protocolError {
	if !c.revision.modern() {
		return nil
	}
	if raw, ok := c.message.params.Get("inputResponses"); ok {
		responses, err := strictjson.ParseObject(raw)
		if err != nil || len(responses) > maxQuestions {
			return invalidParams(`Invalid params: "inputResponses" must be an object of at most 16 answers`)
		}
		x.responses = make(map[string]json.RawMessage, len(responses))
		for _, response := range responses {
			x.responses[response.Key] = response.Value
		}
	}
	if _, there := c.message.params.Get("requestState"); !there {
		return nil
	}
	text, _ := c.message.params.Text("requestState")
	plain, ok := s.states.Open(text, c.roundContext())
	var state sealedState
	if !ok || json.Unmarshal(plain, &state) != nil || time.Now().Unix() >= state.Expires {
		return invalidParams("Invalid params: this requestState is not one of yours for this request, or it is too old; begin again without it")
	}
	x.state = state.State
	return nil
}

// inputRequired answers a request whose handler has questions.
func (s *Server) inputRequired(c call, x *Exchange, required *InputRequired) (any, error) {
	if !c.revision.modern() {
		return nil, &protocolError{status: 200, code: codeInvalidRequest, message: "This request has to ask you something, which needs revision 2026-07-28"}
	}
	missing := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(required.Requests)) {
		capability, known := capabilityOf[required.Requests[name].Method]
		if !known {
			return nil, &protocolError{status: 200, code: codeInternal, message: "Internal error: the server has a question that cannot be asked"}
		}
		if !x.Capable(capability) {
			missing[capability] = map[string]any{}
		}
	}
	if len(missing) > 0 {
		return nil, &protocolError{
			status: 400, code: codeMissingCapability,
			message: "Missing required client capability",
			data:    map[string]any{"requiredCapabilities": missing},
		}
	}
	state := encode(sealedState{Expires: time.Now().Add(stateLifetime).Unix(), State: required.State})
	answer := struct {
		common
		InputRequests map[string]InputRequest `json:"inputRequests,omitempty"`
		RequestState  string                  `json:"requestState"`
	}{s.common(c.revision), required.Requests, s.states.Seal(state, c.roundContext())}
	answer.ResultType = "input_required"
	return answer, nil
}
