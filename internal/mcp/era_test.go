package mcp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What claude.ai is reported to do (PITFALLS 24, the SparkyFitness case): it
// negotiates 2025-11-25 and then sends the header of 2026-07-28 without
// anything else of it. It is served as what it negotiated.
func TestPitfall24_NegotiatedDownThenNewerHeader(t *testing.T) {
	url := newHarness(t).serve(t) + "/mcp"
	initialize := `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"claude","version":"1"}}}`
	for _, first := range []map[string]string{nil, legacy("2025-11-25"), legacy("2026-07-28")} {
		if got := post(t, url, initialize, first); got.status != http.StatusOK || got.rpc.Result["protocolVersion"] != "2025-11-25" {
			t.Fatalf("initialize with %v: %d %s", first, got.status, got.body)
		}
	}
	newer := legacy("2026-07-28")
	if got := post(t, url, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, newer); got.status != http.StatusAccepted {
		t.Errorf("initialized: %d %s", got.status, got.body)
	}
	for _, body := range []string{listBody, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, callBody} {
		got := post(t, url, body, newer)
		if _, stateless := got.rpc.Result["resultType"]; got.status != http.StatusOK || got.rpc.Result == nil || stateless {
			t.Errorf("%s: %d %s, want the answer of 2025-11-25", body, got.status, got.body)
		}
	}
	if got := post(t, url, `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`, newer); got.status != http.StatusOK || got.rpc.Error == nil || got.rpc.Error.Code != codeMethodNotFound {
		t.Errorf("a method of 2026-07-28 without its metadata: %d %s", got.status, got.body)
	}
}

// TestErasByHeader is docs/adr/0012-era-rules.md as a grid: which revision a
// message is spoken in, or with which code it is refused, by what it brings
// (rows) and by its MCP-Protocol-Version (columns). 2511 is 2025-11-25.
func TestErasByHeader(t *testing.T) {
	meta := func(version string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"` + version + `","io.modelcontextprotocol/clientCapabilities":{}}}}`
	}
	columns := []string{"", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "2031-01-01", "1999-01-01"}
	for _, row := range []struct {
		name, body, method string // method: the Mcp-Method header
		want               string // one for each column
	}{
		{"initialize", `{"jsonrpc":"2.0","id":1,"method":"initialize"}`, "", "2503 2503 2503 2503 2503 2503 2503 2503"},
		{"request", listBody, "", "2503 2411 2503 2506 2511 2511 -32022 -32022"},
		{"request with Mcp-Method", listBody, "tools/list", "2503 2411 2503 2506 2511 -32602 -32022 -32022"},
		{"notification", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "", "2503 2411 2503 2506 2511 2607 -32022 -32022"},
		{"response", `{"jsonrpc":"2.0","id":1,"result":{}}`, "", "2503 2411 2503 2506 2511 2607 -32022 -32022"},
		{"its own older version", meta("2025-06-18"), "", "2506 2506 2506 2506 2506 2506 2506 2506"},
		{"metadata", meta("2026-07-28"), "tools/list", "-32020 -32020 -32020 -32020 -32020 2607 -32020 -32020"},
		{"metadata without Mcp-Method", meta("2026-07-28"), "", "-32020 -32020 -32020 -32020 -32020 -32020 -32020 -32020"},
		{"metadata of an unknown version", meta("2031-01-01"), "tools/list", "-32020 -32020 -32020 -32020 -32020 -32020 -32022 -32020"},
		{"version is a number", strings.Replace(meta(""), `""`, "1", 1), "", "-32602 -32602 -32602 -32602 -32602 -32602 -32602 -32602"},
	} {
		for i, want := range strings.Fields(row.want) {
			header := http.Header{}
			for name, value := range map[string]string{headerVersion: columns[i], headerMethod: row.method} {
				if value != "" {
					header.Set(name, value)
				}
			}
			m, failure := parseMessage([]byte(row.body))
			if failure != nil {
				t.Fatal(failure)
			}
			revision, failure := era(header, m)
			got := strings.ReplaceAll(string(revision)[2:7], "-", "")
			if failure != nil {
				got = fmt.Sprint(failure.code)
			}
			if got != want {
				t.Errorf("%s under %q: %s, want %s", row.name, columns[i], got, want)
			}
		}
	}
}
