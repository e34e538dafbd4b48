package wireschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// values reads a JSON text as the messages it is.
func values(body []byte) (messages []any, batch bool, err error) {
	value, err := one(string(body))
	if err != nil {
		return nil, false, err
	}
	list, batch := value.([]any)
	if !batch {
		return []any{value}, false, nil
	}
	if len(list) == 0 {
		return nil, true, errors.New("an empty batch")
	}
	return list, true, nil
}

// one reads exactly one JSON value.
func one(data string) (value any, err error) { return value, json.Unmarshal([]byte(data), &value) }

func text(value any) string {
	written, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(written)
}

func sameJSON(raw json.RawMessage, value any) bool {
	other, err := one(string(raw))
	return err == nil && bytes.Equal([]byte(text(other)), []byte(text(value)))
}

// message judges one message. methods is what it may answer: one, or several
// that were asked under the same id on HTTP+SSE; none if the request went to a
// server that is not heard here.
func (h *hearing) message(revision string, methods []string, value any) {
	h.messages++
	if err := h.schemas[revision].message(methods, value); err != nil {
		h.object("%v: %.500s", err, text(value))
	}
}

func (p *published) message(methods []string, value any) error {
	object, ok := value.(map[string]any)
	if !ok {
		return errors.New("no object")
	}
	method, isRequest := object["method"].(string)
	switch {
	case isRequest:
		return p.request(method, object)
	case object["error"] != nil:
		return p.failure(object)
	}
	return p.result(methods, object)
}

// request judges what a server may say by itself.
func (p *published) request(method string, object map[string]any) error {
	name, envelope := p.byMethod[method], "JSONRPCNotification"
	if object["id"] != nil {
		envelope = "JSONRPCRequest"
	}
	if !p.fromServer[name] || strings.HasSuffix(name, "Request") != (envelope == "JSONRPCRequest") {
		return fmt.Errorf("servers of %s do not send %s like this", p.revision, method)
	}
	return errors.Join(p.check(envelope, object), p.check(name, object))
}

// failure judges an error. JSON-RPC 2.0, section 5, answers a request whose id
// cannot be read with a null id. No schema of MCP has room for that; 2025-11-25
// and later leave the id out instead, the ones before cannot do that either, so
// there null may stand.
func (p *published) failure(object map[string]any) error {
	if id, there := object["id"]; there && id == nil && p.revision < rev20251125 {
		judged := map[string]any{"id": "null"}
		for key, value := range object {
			if key != "id" {
				judged[key] = value
			}
		}
		object = judged
	}
	err := p.check(p.first("JSONRPCErrorResponse", "JSONRPCError"), object)
	inner, _ := object["error"].(map[string]any)
	if code, ok := inner["code"].(float64); ok && p.byCode[int(code)] != "" {
		err = errors.Join(err, p.check(p.byCode[int(code)], object))
	}
	return err
}

// result judges a result: the envelope, and what the method it answers returns.
func (p *published) result(methods []string, object map[string]any) error {
	if err := p.check(p.first("JSONRPCResultResponse", "JSONRPCResponse"), object); err != nil {
		return err
	}
	if len(methods) == 0 {
		return p.check("ServerResult", object["result"])
	}
	var failed error
	for _, method := range methods {
		name := p.byMethod[method]
		if name == "" {
			failed = errors.Join(failed, fmt.Errorf("%s has no %q to answer", p.revision, method))
			continue
		}
		err := p.check(p.resultOf(name, object["result"]), object["result"])
		if err == nil {
			return nil
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// resultOf is the definition of the result of a request. Only the requests that
// may have several rounds can be answered with questions (2026-07-28,
// basic/patterns/mrtr).
func (p *published) resultOf(request string, result any) string {
	object, _ := result.(map[string]any)
	if object["resultType"] == "input_required" {
		for _, several := range []string{"CallToolRequest", "GetPromptRequest", "ReadResourceRequest"} {
			if request == several && p.definitions["InputRequiredResult"] != nil {
				return "InputRequiredResult"
			}
		}
	}
	return p.first(strings.TrimSuffix(request, "Request")+"Result", "EmptyResult")
}
