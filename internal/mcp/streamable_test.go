package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// modern returns the body and headers of a complete 2026-07-28 request.
func modern(method, params string) (string, map[string]string) {
	meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	if params != "" {
		meta += ","
	}
	header := map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
	if method == "tools/call" {
		header["Mcp-Name"] = "teams"
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":%q,"params":{%s%s}}`, method, meta, params), header
}

func with(header map[string]string, name, value string) map[string]string {
	header[name] = value
	return header
}

func legacy(version string) map[string]string {
	return map[string]string{"MCP-Protocol-Version": version}
}

const listBody = `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`

// TestReq058_Req081_Req086_Situations is the table of what each revision answers to what.
func TestReq058_Req081_Req086_Situations(t *testing.T) {
	h := newHarness(t)
	url := h.serve(t) + "/mcp"
	body := func(method, params string) string { b, _ := modern(method, params); return b }
	head := func(method string) map[string]string { _, h := modern(method, ""); return h }
	unknownVersion := strings.ReplaceAll(body("tools/list", ""), "2026-07-28", "2031-01-01")
	noCapabilities := `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`
	for _, tc := range []struct {
		name   string
		body   string
		header map[string]string
		status int
		code   int // 0: a result
	}{
		{"2026: list", body("tools/list", ""), head("tools/list"), 200, 0},
		{"2026: discover", body("server/discover", ""), head("server/discover"), 200, 0},
		{"2026: call", body("tools/call", `"name":"teams","arguments":{}`), head("tools/call"), 200, 0},
		{"2026: encoded name", body("tools/call", `"name":"teams"`), with(head("tools/call"), "Mcp-Name", "=?base64?dGVhbXM=?="), 200, 0},
		{"2026: badly encoded name", body("tools/call", `"name":"teams"`), with(head("tools/call"), "Mcp-Name", "=?base64?dGVhbXM?="), 400, codeHeaderMismatch},
		{"2026: unknown method", body("resources/list", ""), head("resources/list"), 404, codeMethodNotFound},
		{"2026: ping is gone", body("ping", ""), head("ping"), 404, codeMethodNotFound},
		{"2026: initialize is gone", body("initialize", ""), head("initialize"), 404, codeMethodNotFound},
		{"2026: unknown version", unknownVersion, with(head("tools/list"), "MCP-Protocol-Version", "2031-01-01"), 400, codeUnsupportedVersion},
		{"2026: header of another version", body("tools/list", ""), with(head("tools/list"), "MCP-Protocol-Version", "2025-11-25"), 400, codeHeaderMismatch},
		{"2026: no version header", body("tools/list", ""), with(head("tools/list"), "MCP-Protocol-Version", ""), 400, codeHeaderMismatch},
		{"2026: no Mcp-Method", body("tools/list", ""), with(head("tools/list"), "Mcp-Method", ""), 400, codeHeaderMismatch},
		{"2026: other Mcp-Method", body("tools/list", ""), with(head("tools/list"), "Mcp-Method", "tools/call"), 400, codeHeaderMismatch},
		{"2026: Mcp-Method in other case", body("tools/list", ""), with(head("tools/list"), "Mcp-Method", "Tools/List"), 400, codeHeaderMismatch},
		{"2026: no Mcp-Name", body("tools/call", `"name":"teams"`), with(head("tools/call"), "Mcp-Name", ""), 400, codeHeaderMismatch},
		{"2026: other Mcp-Name", body("tools/call", `"name":"teams"`), with(head("tools/call"), "Mcp-Name", "other"), 400, codeHeaderMismatch},
		{"2026: no capabilities", noCapabilities, head("tools/list"), 400, codeInvalidParams},
		{"2026: no _meta", listBody, head("tools/list"), 400, codeInvalidParams},
		{"2026: unknown tool", body("tools/call", `"name":"other"`), with(head("tools/call"), "Mcp-Name", "other"), 200, codeInvalidParams},
		{"2026: response from a client", `{"jsonrpc":"2.0","id":1,"result":{}}`, legacy("2026-07-28"), 400, codeInvalidRequest},
		{"2026: batch", "[" + body("tools/list", "") + "]", head("tools/list"), 400, codeInvalidRequest},
		{"2026: cursor", body("tools/list", `"cursor":"x"`), head("tools/list"), 200, codeInvalidParams},

		{"2025-11-25: list", listBody, legacy("2025-11-25"), 200, 0},
		{"2025-11-25: unknown method", `{"jsonrpc":"2.0","id":7,"method":"resources/list"}`, legacy("2025-11-25"), 200, codeMethodNotFound},
		{"2025-11-25: discover is not there", `{"jsonrpc":"2.0","id":7,"method":"server/discover"}`, legacy("2025-11-25"), 200, codeMethodNotFound},
		{"2025-11-25: batch", "[" + listBody + "]", legacy("2025-11-25"), 400, codeInvalidRequest},
		{"2025-11-25: its own version in _meta", strings.ReplaceAll(body("tools/list", ""), "2026-07-28", "2025-11-25"), legacy("2025-11-25"), 200, 0},
		{"2025-06-18: ping", `{"jsonrpc":"2.0","id":7,"method":"ping"}`, legacy("2025-06-18"), 200, 0},
		{"2025-06-18: batch", "[" + listBody + "]", legacy("2025-06-18"), 400, codeInvalidRequest},
		{"2025-03-26: no header", listBody, nil, 200, 0},
		{"legacy: Mcp-Method is not looked at", listBody, with(legacy("2025-06-18"), "Mcp-Method", "nonsense"), 200, 0},
		{"legacy: newer header without its _meta", listBody, legacy("2026-07-28"), 200, 0},
		{"legacy: unknown version", listBody, legacy("1999-01-01"), 400, codeUnsupportedVersion},
		{"legacy: session id is ignored", listBody, with(legacy("2025-11-25"), "Mcp-Session-Id", "x"), 200, 0},

		{"parse error", `{"jsonrpc":`, nil, 400, codeParse},
		{"two values", listBody + listBody, nil, 400, codeParse},
		{"not UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", nil, 400, codeParse},
		{"no version", `{"id":7,"method":"ping"}`, nil, 400, codeInvalidRequest},
		{"version 1.0", `{"jsonrpc":"1.0","id":7,"method":"ping"}`, nil, 400, codeInvalidRequest},
		{"null id", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, nil, 400, codeInvalidRequest},
		{"fractional id", `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, nil, 400, codeInvalidRequest},
		{"method is a number", `{"jsonrpc":"2.0","id":7,"method":1}`, nil, 400, codeInvalidRequest},
		{"method twice", `{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call"}`, nil, 400, codeInvalidRequest},
		{"params is a list", `{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}`, nil, 400, codeInvalidParams},
		{"name twice", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"teams","name":"other"}}`, nil, 400, codeInvalidParams},
		{"too deep", `{"jsonrpc":"2.0","id":7,"method":"ping","params":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70) + "}", nil, 400, codeInvalidRequest},
		{"wrong content type", listBody, map[string]string{"Content-Type": "text/plain"}, 415, codeInvalidRequest},
		{"no content type", listBody, map[string]string{"Content-Type": ""}, 415, codeInvalidRequest},
		{"accept rules JSON out", listBody, map[string]string{"Accept": "text/html"}, 406, codeInvalidRequest},
		{"any accept", listBody, map[string]string{"Accept": "*/*"}, 200, 0},
		{"too large", `{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":"` + strings.Repeat("x", MaxMessage) + `"}}`, nil, 413, codeInvalidRequest},
		{"empty batch", `[]`, nil, 400, codeInvalidRequest},
		{"call without a name", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}`, nil, 200, codeInvalidParams},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := post(t, url, tc.body, tc.header)
			if got.status != tc.status {
				t.Fatalf("status %d, want %d: %s", got.status, tc.status, got.body)
			}
			if got.header.Get("Content-Type") != "application/json" || got.header.Get("Mcp-Session-Id") != "" {
				t.Errorf("headers %v", got.header)
			}
			switch {
			case tc.code == 0 && got.rpc.Result == nil:
				t.Errorf("no result: %s", got.body)
			case tc.code != 0 && (got.rpc.Error == nil || got.rpc.Error.Code != tc.code):
				t.Errorf("want error %d: %s", tc.code, got.body)
			case tc.code == codeUnsupportedVersion:
				want := []any{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"}
				if diff := cmp.Diff(want, got.rpc.Error.Data["supported"]); diff != "" {
					t.Error(diff)
				}
			}
			if tc.status == 200 && string(got.rpc.ID) != "7" {
				t.Errorf("id %s, want 7", got.rpc.ID)
			}
		})
	}
}

func TestReq082_InitializeNegotiates(t *testing.T) {
	url := newHarness(t).serve(t) + "/mcp"
	for asked, want := range map[string]string{
		"2025-11-25": "2025-11-25", "2025-06-18": "2025-06-18", "2025-03-26": "2025-03-26",
		"2024-11-05": "2024-11-05", "2026-07-28": "2025-11-25", "1.0": "2025-11-25",
	} {
		for _, header := range []map[string]string{nil, legacy("2026-07-28"), legacy("1999-01-01")} {
			got := post(t, url, fmt.Sprintf(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`, asked), header)
			if got.status != 200 || got.rpc.Result["protocolVersion"] != want {
				t.Errorf("initialize %s with %v: %d %s, want %s", asked, header, got.status, got.body, want)
			}
			if got.header.Get("Mcp-Session-Id") != "" {
				t.Error("a session id was issued")
			}
			if diff := cmp.Diff(map[string]any{"tools": map[string]any{}}, got.rpc.Result["capabilities"]); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestReq081_NotificationsAreAccepted(t *testing.T) {
	url := newHarness(t).serve(t) + "/mcp"
	for _, body := range []string{
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`,
		`{"jsonrpc":"2.0","id":4,"result":{}}`,
		`[{"jsonrpc":"2.0","method":"notifications/initialized"}]`,
	} {
		if got := post(t, url, body, nil); got.status != http.StatusAccepted || got.body != "" {
			t.Errorf("%s: %d %q", body, got.status, got.body)
		}
	}
	if got := post(t, url, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, legacy("2026-07-28")); got.status != http.StatusAccepted {
		t.Errorf("modern notification: %d %s", got.status, got.body)
	}
}

func TestReq061_ModernResultsCarryTheirMetadata(t *testing.T) {
	url := newHarness(t).serve(t) + "/mcp"
	for _, method := range []string{"tools/list", "server/discover"} {
		body, header := modern(method, "")
		result := post(t, url, body, header).rpc.Result
		if result["resultType"] != "complete" || result["ttlMs"] != 60000.0 || result["cacheScope"] != "private" {
			t.Errorf("%s: %v", method, result)
		}
		meta, _ := result["_meta"].(map[string]any)
		if diff := cmp.Diff(map[string]any{"name": "test", "version": "1"}, meta[metaServerInfo]); diff != "" {
			t.Errorf("%s: %s", method, diff)
		}
	}
	result := post(t, url, listBody, legacy("2025-11-25")).rpc.Result
	for _, key := range []string{"resultType", "ttlMs", "cacheScope", "_meta"} {
		if _, there := result[key]; there {
			t.Errorf("a legacy result has %s", key)
		}
	}
}

func TestCallErrors(t *testing.T) {
	h := newHarness(t)
	url := h.serve(t) + "/mcp"
	call := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"teams","arguments":{}}}`
	fail := func(err error) {
		h.tools.call = func(context.Context, tool.Caller, json.RawMessage) (tool.Result, error) { return tool.Result{}, err }
	}
	fail(&tool.InvalidArgumentsError{Detail: "there are no arguments"})
	if got := post(t, url, call, legacy("2025-06-18")); got.rpc.Error == nil || got.rpc.Error.Code != codeInvalidParams {
		t.Errorf("2025-06-18: %s", got.body)
	}
	if got := post(t, url, call, legacy("2025-11-25")); got.rpc.Result["isError"] != true || !strings.Contains(got.body, "there are no arguments") {
		t.Errorf("2025-11-25: %s", got.body)
	}
	fail(oauth.InvalidToken("upstream_401", "The API did not accept this access token; sign in again.", nil))
	if got := post(t, url, call, nil); got.status != 401 {
		t.Errorf("refusal: %d %s", got.status, got.body)
	}
	if got := post(t, url, "["+call+"]", nil); got.status != 401 {
		t.Errorf("refusal in a batch of one: %d %s", got.status, got.body)
	}
	got := post(t, url, "["+call+",{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"ping\"}]", nil)
	if got.status != 200 || !strings.Contains(got.body, `"code":401`) || !strings.Contains(got.body, `"id":8,"result":{}`) {
		t.Errorf("refusal in a batch: %d %s", got.status, got.body)
	}
	fail(errors.New("internal detail"))
	if got := post(t, url, call, nil); got.rpc.Error == nil || got.rpc.Error.Code != codeInternal || strings.Contains(got.body, "detail") {
		t.Errorf("internal: %s", got.body)
	}
	h.tools.call = func(context.Context, tool.Caller, json.RawMessage) (tool.Result, error) {
		return tool.Result{Text: "[1]", Structured: json.RawMessage("[1]")}, nil
	}
	if got := post(t, url, call, legacy("2025-11-25")); strings.Contains(got.body, "structuredContent") {
		t.Errorf("a list is no structured content before 2026-07-28: %s", got.body)
	}
	body, header := modern("tools/call", `"name":"teams"`)
	if got := post(t, url, body, header); !strings.Contains(got.body, `"structuredContent":[1]`) {
		t.Errorf("2026-07-28: %s", got.body)
	}
}

func TestReq023_NothingWithoutCaller(t *testing.T) {
	url := newHarness(t).serve(t)
	none := map[string]string{"Authorization": ""}
	if got := post(t, url+"/mcp", listBody, none); got.status != 401 {
		t.Errorf("POST /mcp: %d", got.status)
	}
	if got := post(t, url+"/mcp/sse?session_id=x", listBody, none); got.status != 401 {
		t.Errorf("POST /mcp/sse: %d", got.status)
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/mcp/sse", nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 401 {
		t.Errorf("GET /mcp/sse: %d", response.StatusCode)
	}
}

// A client that goes away cancels its call: before it got anything, and in the
// middle of a stream (2026-07-28 transport, "Cancellation").
func TestReq081_ClientGoneCancelsTheCall(t *testing.T) {
	streamed, header := modern("tools/call", `"name":"teams"`)
	streamed = strings.Replace(streamed, `"_meta":{`, `"_meta":{"progressToken":1,`, 1)
	for name, tc := range map[string]struct {
		body   string
		header map[string]string
	}{
		"before the answer": {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"teams"}}`, nil},
		"on the stream":     {streamed, header},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			began, ended := make(chan struct{}), make(chan error, 1)
			h.tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
				ExchangeFrom(ctx).Progress(1, 2, "")
				close(began)
				<-ctx.Done()
				ended <- ctx.Err()
				return tool.Result{}, ctx.Err()
			}
			ctx, cancel := context.WithCancel(t.Context())
			request, _ := http.NewRequestWithContext(ctx, http.MethodPost, h.serve(t)+"/mcp", strings.NewReader(tc.body))
			for name, value := range tc.header {
				request.Header.Set(name, value)
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer ana/claude/1")
			go func() {
				<-began
				cancel()
			}()
			if response, err := http.DefaultClient.Do(request); err == nil {
				rest, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err == nil || strings.Contains(string(rest), `"id"`) {
					t.Fatalf("the call was answered: %s", rest)
				}
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the call ended with %v", err)
			}
		})
	}
}
