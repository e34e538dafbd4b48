package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// Bounds of one message.
const (
	MaxMessage = 1 << 20 // bytes of an HTTP body on either transport
	maxDepth   = 64      // nested arrays and objects
	maxIDBytes = 256     // of a JSON-RPC id
	maxBatch   = 50      // messages in a batch of 2025-03-26
)

// message is one JSON-RPC 2.0 message from a client.
type message struct {
	id       json.RawMessage // as written; nil for a notification
	method   string          // empty for a response
	params   strictjson.Object
	response bool            // a response to a request of ours
	result   json.RawMessage // of a response; nil when it is an error
}

func (m message) notification() bool { return m.id == nil && !m.response }

// parseBody returns the messages of an HTTP body: one, or several for a batch
// array. The error is always a *protocolError.
func parseBody(body []byte) (raw []json.RawMessage, batch bool, failure *protocolError) {
	if err := strictjson.Check(body, maxDepth); err != nil {
		if errors.Is(err, strictjson.ErrTooDeep) {
			return nil, false, malformed(codeInvalidRequest, "The message cannot be read: "+err.Error())
		}
		return nil, false, malformed(codeParse, "Parse error: the body is not one JSON value; send one JSON-RPC 2.0 message")
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); trimmed[0] != '[' {
		return []json.RawMessage{trimmed}, false, nil
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, true, malformed(codeParse, "Parse error: the batch cannot be read")
	}
	if len(raw) == 0 || len(raw) > maxBatch {
		return nil, true, malformed(codeInvalidRequest, "A batch has 1 to 50 messages")
	}
	return raw, true, nil
}

// parseMessage reads one envelope. When the id could be read it is in the
// message, whatever else is wrong.
func parseMessage(raw json.RawMessage) (message, *protocolError) {
	var m message
	object, err := strictjson.ParseObject(raw)
	if err != nil {
		return m, malformed(codeInvalidRequest, "Invalid request: "+err.Error())
	}
	id, hasID := object.Get("id")
	if hasID && validID(id) {
		m.id = id
	}
	if version, _ := object.Text("jsonrpc"); version != "2.0" {
		return m, malformed(codeInvalidRequest, `Invalid request: "jsonrpc" must be "2.0"`)
	}
	method, hasMethod := object.Get("method")
	if !hasMethod {
		var hasResult bool
		m.result, hasResult = object.Get("result")
		_, hasError := object.Get("error")
		if hasResult != hasError {
			m.response = true
			return m, nil
		}
		return m, malformed(codeInvalidRequest, `Invalid request: "method" is missing`)
	}
	if m.method, _ = object.Text("method"); m.method == "" {
		return m, malformed(codeInvalidRequest, `Invalid request: "method" must be a text, not `+clip(string(method)))
	}
	if hasID && m.id == nil {
		return m, malformed(codeInvalidRequest, `Invalid request: "id" must be a text or a whole number`)
	}
	params, hasParams := object.Get("params")
	if !hasParams {
		return m, nil
	}
	if m.params, err = strictjson.ParseObject(params); err != nil {
		return m, &protocolError{status: 400, code: codeInvalidParams, message: `Invalid params: "params": ` + err.Error()}
	}
	return m, nil
}

// validID reports whether raw is a text or a whole number (MCP allows no
// null).
func validID(raw json.RawMessage) bool {
	if len(raw) > maxIDBytes {
		return false
	}
	if raw[0] == '"' {
		return true
	}
	return strings.Trim(string(raw), "-0123456789") == ""
}

// meta returns the members of params._meta; none is an empty object.
func (m message) meta() (strictjson.Object, *protocolError) {
	raw, ok := m.params.Get("_meta")
	if !ok {
		return nil, nil
	}
	meta, err := strictjson.ParseObject(raw)
	if err != nil {
		return nil, &protocolError{status: 400, code: codeInvalidParams, message: `Invalid params: "_meta": ` + err.Error()}
	}
	return meta, nil
}

// encode writes v as compact JSON on one line, without HTML escapes. What the
// package encodes cannot fail; if it does, that is an internal error answer.
func encode(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"Internal error: the answer cannot be encoded"}}`)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
