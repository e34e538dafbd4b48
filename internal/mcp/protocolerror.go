package mcp

import (
	"encoding/json"
	"net/http"
)

// JSON-RPC 2.0 error codes, and those of MCP 2026-07-28 (basic/index, "Error
// Codes").
const (
	codeParse              = -32700
	codeInvalidRequest     = -32600
	codeMethodNotFound     = -32601
	codeInvalidParams      = -32602
	codeInternal           = -32603
	codeHeaderMismatch     = -32020
	codeUnsupportedVersion = -32022
)

// protocolError is a JSON-RPC error with the HTTP status it travels under on
// Streamable HTTP.
type protocolError struct {
	status  int // HTTP status on Streamable HTTP
	code    int // JSON-RPC code
	message string
	data    any // nil for none
}

// Error returns the message; it is safe for the client.
func (e *protocolError) Error() string { return e.message }

// malformed is a message that cannot be taken as a request at all.
func malformed(code int, message string) *protocolError {
	return &protocolError{status: http.StatusBadRequest, code: code, message: message}
}

// invalidParams is a well-formed request whose parameters are wrong: an answer
// within the protocol, so HTTP says 200.
func invalidParams(message string) *protocolError {
	return &protocolError{status: http.StatusOK, code: codeInvalidParams, message: message}
}

// methodNotFound answers an unknown method: HTTP 404 in 2026-07-28 (transport,
// "Protocol Version Header"), within the protocol before.
func methodNotFound(revision Revision, method string) *protocolError {
	status := http.StatusOK
	if revision.modern() {
		status = http.StatusNotFound
	}
	return &protocolError{status: status, code: codeMethodNotFound, message: "Method not found: " + clip(method)}
}

// unsupportedVersion answers a revision this server does not speak, listing
// those it does.
func unsupportedVersion(requested string) *protocolError {
	return &protocolError{
		status:  http.StatusBadRequest,
		code:    codeUnsupportedVersion,
		message: "Unsupported protocol version",
		data: map[string]any{
			"supported": versions(streamable),
			"requested": clip(requested),
		},
	}
}

// headerMismatch answers headers of 2026-07-28 that are missing or differ from
// the body.
func headerMismatch(detail string) *protocolError {
	return &protocolError{status: http.StatusBadRequest, code: codeHeaderMismatch, message: "Header mismatch: " + detail}
}

// maxEcho bounds what an error repeats of a client's text, in bytes.
const maxEcho = 100

func clip(text string) string {
	if len(text) > maxEcho {
		text = text[:maxEcho] + "..."
	}
	return text
}

// errorObject is the "error" member of a JSON-RPC response.
type errorObject struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// encodeError returns the JSON-RPC error response for id. A message whose id
// could not be read is answered with a null id as JSON-RPC 2.0, section 5, has
// it, or with none since 2025-11-25, whose schema allows that and no null.
func encodeError(revision Revision, id json.RawMessage, object errorObject) []byte {
	if id == nil && revision < Rev20251125 {
		id = json.RawMessage("null")
	}
	return encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Error   errorObject     `json:"error"`
	}{"2.0", id, object})
}

func (e *protocolError) encode(revision Revision, id json.RawMessage) []byte {
	return encodeError(revision, id, errorObject{Code: e.code, Message: e.message, Data: e.data})
}
