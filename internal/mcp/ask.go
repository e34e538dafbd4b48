package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// askTimeout is how long a person has for a question on a stream.
const askTimeout = 5 * time.Minute

// conversation is what a server may ask on an HTTP+SSE stream, and who waits
// for the answers. Requests go out on the stream; responses come in POSTs.
type conversation struct {
	mu           sync.Mutex
	capabilities map[string]bool // declared in initialize
	waiting      map[string]chan json.RawMessage
}

// note keeps the capabilities that an initialize declares.
func (v *conversation) note(m message) {
	if m.method != "initialize" {
		return
	}
	raw, _ := m.params.Get("capabilities")
	declared, err := strictjson.ParseObject(raw)
	if err != nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.capabilities = make(map[string]bool, len(declared))
	for _, capability := range declared {
		v.capabilities[capability.Key] = true
	}
}

// answered hands a response to who waits for it, and reports whether somebody
// did. A response nobody waits for is dropped.
func (v *conversation) answered(m message) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	answer, waited := v.waiting[string(m.id)]
	if waited {
		delete(v.waiting, string(m.id))
		answer <- m.result // has room for the one answer
	}
	return waited
}

// expect registers a question and returns its id and where the answer comes.
// The caller must call forget.
func (v *conversation) expect() (id json.RawMessage, answer <-chan json.RawMessage, forget func()) {
	id = encode("ask-" + rand.Text())
	slot := make(chan json.RawMessage, 1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.waiting == nil {
		v.waiting = map[string]chan json.RawMessage{}
	}
	v.waiting[string(id)] = slot
	return id, slot, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.waiting, string(id))
	}
}

func (v *conversation) capable(method string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.capabilities[capabilityOf[method]]
}

// converse gives a call what only a stream has: room for notifications and
// questions, and a client that said once what it can do.
func (s *session) converse(c *call) {
	c.notify, c.ask, c.declared = s.send, s.ask, s.conversation.declared()
}

// ask puts every question on the stream and waits for all answers. Questions
// are at most maxQuestions at a time, and only of kinds that the client can
// answer.
func (s *session) ask(ctx context.Context, questions map[string]InputRequest) (map[string]json.RawMessage, error) {
	if len(questions) > maxQuestions {
		return nil, &protocolError{status: 200, code: codeInternal, message: "Internal error: the server has too many questions"}
	}
	for _, question := range questions {
		if !s.conversation.capable(question.Method) {
			return nil, &protocolError{
				status: 200, code: codeInvalidRequest,
				message: fmt.Sprintf("This request has to ask you something (%s), which your client does not support", clip(question.Method)),
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	pending := map[string]<-chan json.RawMessage{}
	for name, question := range questions {
		id, answer, forget := s.conversation.expect()
		defer forget()
		pending[name] = answer
		s.send(encode(struct {
			Version string          `json:"jsonrpc"`
			ID      json.RawMessage `json:"id"`
			Method  string          `json:"method"`
			Params  json.RawMessage `json:"params,omitempty"`
		}{"2.0", id, question.Method, question.Params}))
	}
	answers := map[string]json.RawMessage{}
	for name, answer := range pending {
		select {
		case answers[name] = <-answer:
		case <-ctx.Done():
			return nil, &protocolError{status: 200, code: codeInvalidRequest, message: "The question of this request was not answered in time"}
		}
		if answers[name] == nil {
			return nil, &protocolError{status: 200, code: codeInvalidRequest, message: "The client answered the question of this request with an error"}
		}
	}
	return answers, nil
}
