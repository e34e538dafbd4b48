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

// said is one JSON-RPC message of either side, as far as it could be read.
type said struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Meta map[string]json.RawMessage `json:"_meta"`
	} `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code float64 `json:"code"`
	} `json:"error"`
}

// readSaid reads the one message, or the batch, of a body: at least one. A
// member of another type is left out, and so is everything of a body that is
// no JSON.
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
	switch raw, there := m.Params.Meta[metaVersion]; {
	case there && json.Unmarshal(raw, &declared) == nil && known(declared):
		return declared
	case there:
		return rev20260728
	case m.Method == "initialize":
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

// negotiated is the revision that an answer to initialize settles on.
func negotiated(answer []byte) string {
	var m struct {
		Result struct {
			Version string `json:"protocolVersion"`
		} `json:"result"`
	}
	if json.Unmarshal(answer, &m) == nil && known(m.Result.Version) {
		return m.Result.Version
	}
	return rev20250326
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
