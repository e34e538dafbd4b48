package mcp

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// Reserved _meta keys of 2026-07-28 (basic/index, "_meta").
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaLogLevel     = "io.modelcontextprotocol/logLevel"
	metaServerInfo   = "io.modelcontextprotocol/serverInfo"
	metaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// Headers that mirror the body (2026-07-28 transport, "Request Metadata").
const (
	headerVersion = "Mcp-Protocol-Version"
	headerMethod  = "Mcp-Method"
	headerName    = "Mcp-Name"
)

// namedBy says which parameter Mcp-Name mirrors, by method.
var namedBy = map[string]string{
	"tools/call":     "name",
	"resources/read": "uri",
	"prompts/get":    "name",
}

// era decides which revision a message is spoken in, and whether it has what
// that revision wants around it. A modern _meta decides; without one the
// header does, as far as real clients can be believed:
//
//   - an initialize is always legacy, whatever the header says;
//   - a client that negotiated an older revision and then sends the header of a
//     newer one, without its _meta and without Mcp-Method, is served as the
//     newest legacy revision (it happens, and the request is complete);
//   - no header means 2025-03-26, which had none.
//
// The reasons are in docs/adr/0012-era-rules.md.
func era(header http.Header, m message) (Revision, *protocolError) {
	meta, failure := m.meta()
	if failure != nil {
		return latestLegacy, failure
	}
	declared, hasMeta := meta.Text(metaVersion)
	if _, present := meta.Get(metaVersion); present && !hasMeta {
		return Rev20260728, &protocolError{status: 400, code: codeInvalidParams, message: `Invalid params: "` + metaVersion + `" must be a text`}
	}
	announced := header.Get(headerVersion)
	switch {
	case hasMeta && Revision(declared).known() && !Revision(declared).modern():
		return Revision(declared), nil
	case hasMeta:
		return modernEra(header, m, meta, declared)
	case m.method == "initialize", announced == "":
		return Rev20250326, nil
	case !Revision(announced).known():
		return latestLegacy, unsupportedVersion(announced)
	case Revision(announced).modern() && header.Get(headerMethod) != "" && !m.notification() && !m.response:
		return Revision(announced), &protocolError{
			status: 400, code: codeInvalidParams,
			message: fmt.Sprintf("Invalid params: revision %s needs %q and %q in params._meta", announced, metaVersion, metaCapabilities),
		}
	case Revision(announced).modern() && (m.notification() || m.response):
		return Revision(announced), nil
	case Revision(announced).modern():
		return latestLegacy, nil
	}
	return Revision(announced), nil
}

// modernEra checks what a message of a stateless revision must have: a
// revision this server speaks, the same in the header; the client's
// capabilities; Mcp-Method and Mcp-Name as in the body.
func modernEra(header http.Header, m message, meta strictjson.Object, declared string) (Revision, *protocolError) {
	if announced, failure := single(header, headerVersion); failure != nil {
		return Rev20260728, failure
	} else if announced != declared {
		return Rev20260728, headerMismatch(fmt.Sprintf("MCP-Protocol-Version is %q, the body says %q", clip(announced), clip(declared)))
	}
	if !Revision(declared).known() {
		return Rev20260728, unsupportedVersion(declared)
	}
	if failure := agree(header, m); failure != nil {
		return Rev20260728, failure
	}
	if capabilities, ok := meta.Get(metaCapabilities); !ok || !isObject(capabilities) {
		return Rev20260728, &protocolError{
			status: 400, code: codeInvalidParams,
			message: fmt.Sprintf("Invalid params: %q is missing from params._meta", metaCapabilities),
		}
	}
	return Revision(declared), nil
}

// agree holds Mcp-Method and Mcp-Name against the body (2026-07-28 transport,
// "Server Validation"), so that nothing in front of the server can be made to
// decide on another call than the one that runs.
func agree(header http.Header, m message) *protocolError {
	method, failure := single(header, headerMethod)
	if failure != nil {
		return failure
	}
	if method != m.method {
		return headerMismatch(fmt.Sprintf("Mcp-Method is %q, the body says %q", clip(method), clip(m.method)))
	}
	parameter, named := namedBy[m.method]
	if !named {
		return nil
	}
	want, ok := m.params.Text(parameter)
	if !ok {
		return nil // the method itself will say what is missing
	}
	written, failure := single(header, headerName)
	if failure != nil {
		return failure
	}
	name, err := decodeHeaderValue(written)
	if err != nil {
		return headerMismatch("Mcp-Name " + err.Error())
	}
	if name != want {
		return headerMismatch(fmt.Sprintf("Mcp-Name is %q, the body says %q", clip(name), clip(want)))
	}
	return nil
}

// single returns the one value of a required header.
func single(header http.Header, name string) (string, *protocolError) {
	values := header.Values(name)
	display := name
	if name == headerVersion {
		display = "MCP-Protocol-Version"
	}
	switch {
	case len(values) == 0:
		return "", headerMismatch("the header " + display + " is missing")
	case len(values) > 1:
		return "", headerMismatch("the header " + display + " is there more than once")
	}
	return values[0], nil
}

// The sentinel of a header value that plain ASCII cannot carry (2026-07-28
// transport, "Value Encoding"). Case-sensitive.
const (
	sentinelPrefix = "=?base64?"
	sentinelSuffix = "?="
)

// decodeHeaderValue returns the value that a client put into a mirrored header.
func decodeHeaderValue(written string) (string, error) {
	if inner, ok := strings.CutPrefix(written, sentinelPrefix); ok {
		if inner, ok = strings.CutSuffix(inner, sentinelSuffix); ok {
			decoded, err := base64.StdEncoding.Strict().DecodeString(inner)
			if err != nil {
				return "", fmt.Errorf("is not valid base64 between its markers")
			}
			return string(decoded), nil
		}
	}
	for i := range len(written) {
		if b := written[i]; b != '\t' && (b < 0x20 || b > 0x7e) {
			return "", fmt.Errorf("has a character that a plain header value may not have; encode it as =?base64?...?=")
		}
	}
	return written, nil
}
