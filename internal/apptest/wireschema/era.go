package wireschema

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
)

// Where the protocol is spoken.
const (
	streamablePath = "/mcp"
	ssePath        = "/mcp/sse"
)

// Reserved keys and headers of the revisions that have them.
const (
	metaVersion   = "io.modelcontextprotocol/protocolVersion"
	headerVersion = "Mcp-Protocol-Version"
	headerMethod  = "Mcp-Method"
)

// said is one JSON-RPC message of a client, as far as it could be read.
type said struct {
	ID     json.RawMessage
	Method string
	Meta   map[string]json.RawMessage
}

// UnmarshalJSON takes members by their exact names, which encoding/json alone
// does not. A member of another type is left out.
func (m *said) UnmarshalJSON(raw []byte) error {
	var members, params map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	*m = said{ID: members["id"]}
	for member, value := range map[string]any{"method": &m.Method, "params": &params} {
		if members[member] != nil {
			_ = json.Unmarshal(members[member], value) // as far as it goes
		}
	}
	if params["_meta"] != nil {
		_ = json.Unmarshal(params["_meta"], &m.Meta) // as far as it goes
	}
	return nil
}

// readSaid reads the one message, or the batch, of a body: at least one, which
// is empty for what is no JSON.
func readSaid(body []byte) (messages []said, batch bool) {
	if body = bytes.TrimSpace(body); len(body) > 0 && body[0] == '[' {
		batch = true
		_ = json.Unmarshal(body, &messages) // as far as it goes
	}
	if len(messages) == 0 {
		messages = make([]said, 1)
		_ = json.Unmarshal(body, &messages[0]) // as far as it goes
	}
	return messages, batch
}

// revision is the revision that a request is spoken in, as
// docs/adr/0012-era-rules.md has it. answer is what came back.
func (e exchange) revision(m said, answer []byte) string {
	if e.url.Path == ssePath {
		return rev20241105
	}
	header := e.header.Get(headerVersion)
	var declared string
	switch raw, there := m.Meta[metaVersion]; {
	case there && json.Unmarshal(raw, &declared) == nil && known(declared):
		return declared
	case there:
		return rev20260728
	case m.Method == "initialize" && negotiated(answer) != "":
		return negotiated(answer)
	case header == "":
		return rev20250326
	case !known(header):
		return rev20251125
	case header == rev20260728 && m.Method != "" && m.ID != nil && e.header.Get(headerMethod) == "":
		return rev20251125 // an older client that sends a newer header
	}
	return header
}

func known(revision string) bool {
	return slices.Contains([]string{rev20241105, rev20250326, rev20250618, rev20251125, rev20260728}, revision)
}

// negotiated is the revision that an answer to initialize settles on, "" when it
// is an error.
func negotiated(answer []byte) string {
	var m struct {
		Result struct {
			Version string `json:"protocolVersion"`
		} `json:"result"`
	}
	if json.Unmarshal(answer, &m) == nil && known(m.Result.Version) {
		return m.Result.Version
	}
	return ""
}

// speaks reports whether the exchange is one of the protocol.
func (e exchange) speaks() bool {
	switch e.url.Path {
	case streamablePath:
		return e.method == http.MethodPost
	case ssePath:
		return e.method == http.MethodPost || e.method == http.MethodGet
	}
	return false
}
