package tool_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/credential"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
	"tecrolabs.dev/oauth-mcp-server/internal/upstream"
)

// list is a tool without arguments, called t, with more about its answer.
func list(url, more string) string {
	return "upstreams: {api: {url: '" + url + "/v1', credential: none, max_response: 4096}}\ntools:\n" +
		"  - {name: t, description: d, upstream: api, method: GET, path: /teams, input: {type: object, additionalProperties: false}" + more + "}\n"
}

// call calls the tool of list over HTTP.
func call(t *testing.T, url, more string) tool.Result {
	t.Helper()
	catalogue, err := tool.Load([]byte(list(url, more)), nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := egress.NewTransport(egress.Policy{AllowLoopback: true}, nil)
	t.Cleanup(transport.CloseIdleConnections)
	client, err := upstream.New(upstream.Config{
		Name: "api", URL: url + "/v1", Credentials: credential.None{}, Timeout: 5 * time.Second, MaxResponse: 4096, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	runner, err := tool.NewRunner(tool.RunnerConfig{Catalogue: catalogue, Senders: map[string]tool.Sender{"api": client}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	result, err := runner.Call(t.Context(), tool.Caller{}, "t", nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// shown is what a client shows of a result.
func shown(t *testing.T, result tool.Result) string {
	t.Helper()
	if result.IsError {
		return "error: " + result.Text
	}
	if result.Content == nil {
		return result.Text
	}
	var blocks []string
	for _, raw := range result.Content {
		var content struct{ Type, Text, Data, MimeType string }
		if err := json.Unmarshal(raw, &content); err != nil {
			t.Fatal(err)
		}
		if content.Type == "text" {
			blocks = append(blocks, content.Text)
		} else {
			blocks = append(blocks, string(raw))
		}
	}
	return strings.Join(blocks, " | ")
}

func TestReq076_AnswersBecomeResults(t *testing.T) {
	const png, teams = "\x89PNG\r\n\x1a\n", `{"teams":[{"id":1,"name":"a"},{"id":2.50,"name":"b"},{"id":3,"name":"c"}],"total":3}`
	for name, tc := range map[string]struct {
		contentType, body, more string
		want                    string
		structured              string
	}{
		"JSON as it is":     {contentType: "application/json", body: ` {"a" : 1.0 } `, want: ` {"a" : 1.0 } `, structured: ` {"a" : 1.0 } `},
		"selected":          {contentType: "application/json", body: teams, more: ", response: {select: '{ids: [.teams[].id]}'}", want: `{"ids":[1,2.50,3]}`, structured: `{"ids":[1,2.50,3]}`},
		"not selectable":    {contentType: "application/json", body: `{"teams":"private"}`, more: ", response: {select: '.teams[].id'}", want: `error: t: The answer of the API "api" could not be read as the tool does it: the filter cannot be applied to this answer.`},
		"items":             {contentType: "application/json", body: teams, more: ", response: {max_items: 1}", want: `{"teams":[{"id":1,"name":"a"}],"total":3} | This is not the whole answer: 2 further items were left out. Ask for less at a time to see the rest.`, structured: `{"teams":[{"id":1,"name":"a"}],"total":3}`},
		"enough items":      {contentType: "application/json", body: teams, more: ", response: {max_items: 3, max_bytes: 100}", want: teams, structured: teams},
		"bytes":             {contentType: "application/json", body: teams, more: ", response: {max_bytes: 63}", want: `{"teams":[{"id":1,"name":"a"}],"total":3} | This is not the whole answer: it was cut to 41 bytes. Ask for less at a time to see the rest.`, structured: `{"teams":[{"id":1,"name":"a"}],"total":3}`},
		"bytes and schema":  {contentType: "application/json", body: teams, more: ", response: {max_bytes: 9}, output: {type: object, required: [total]}", want: `error: t: The answer of the API "api" is larger than the 9 bytes allowed and cannot be shortened; ask for less at a time.`},
		"schema of the cut": {contentType: "application/json", body: teams, more: ", response: {select: .total}, output: {type: object}", want: `error: t: The API "api" answered with JSON that does not match the tool's output schema.`},
		"JSON by decree":    {contentType: "text/plain", body: `{"a":1}`, more: ", response: {as: json}", want: `{"a":1}`, structured: `{"a":1}`},
		"text":              {contentType: "text/plain; charset=UTF-8", body: "a\x1b[31mb\xff\n", want: "a\ufffd[31mb\ufffd\n"},
		"Latin-1":           {contentType: "text/csv; charset=ISO-8859-1", body: "caf\xe9", want: "café"},
		"another charset":   {contentType: "text/plain; charset=koi8-r", body: "x", want: `error: t: The API "api" answered with text in a character set that this server does not read; it reads UTF-8 and ISO-8859-1.`},
		"long text":         {contentType: "text/plain", body: "aäb", more: ", response: {max_bytes: 2}", want: "a | This is not the whole answer: it was cut to 1 bytes. Ask for less at a time to see the rest."},
		"JSON as text":      {contentType: "application/json", body: `{"a":1}`, more: ", response: {as: text}", want: `{"a":1}`},
		"XML":               {contentType: "application/atom+xml", body: "<a/>", want: "<a/>"},
		"a web page":        {contentType: "text/html", body: "<p>Sign in", want: `error: t: The API "api" answered with something else than JSON (200 OK).`},
		"a wanted page":     {contentType: "text/html", body: "<p>Hello", more: ", response: {as: text}", want: "<p>Hello"},
		"no JSON":           {contentType: "text/plain", body: "x", more: ", response: {as: json}", want: `error: t: The API "api" answered with JSON that is not valid or nests deeper than 200 (200 OK).`},
		"text for a schema": {contentType: "text/plain", body: "x", more: ", output: {type: object}", want: `error: t: The API "api" answered with something else than JSON (200 OK).`},
		"nothing, a schema": {contentType: "application/json", body: "", more: ", output: {type: object}", want: `error: t: The API "api" did it and answered without content (200 OK), which is not what the tool's output schema says.`},
		"image":             {contentType: "image/png", body: png, want: `{"data":"iVBORw0KGgo=","mimeType":"image/png","type":"image"}`},
		"file":              {contentType: "application/pdf; x=y", body: "%PDF\xff", want: `{"resource":{"blob":"JVBERv8=","mimeType":"application/pdf","uri":"ni:///sha-256;ZiTSHZgcZlfjnIh_NOAbPberUTGTfVmOObWJveCaaQ4"},"type":"resource"}`},
		"bytes by decree":   {contentType: "text/plain", body: "a\xff", more: ", response: {as: binary}", want: `{"resource":{"blob":"Yf8=","mimeType":"text/plain","uri":"ni:///sha-256;jdBrWra1lCV-QbfY3UQKQGLt3Gf9q1wTtNwwAXaJb24"},"type":"resource"}`},
		"a large file":      {contentType: "application/pdf", body: "12345", more: ", response: {max_bytes: 4}", want: `error: t: The API "api" answered with 5 bytes; at most 4 are allowed.`},
		"over the bound":    {contentType: "application/pdf", body: strings.Repeat("x", 4097), want: `error: t: The API "api" sent more than the 4096 bytes allowed for an answer.`},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tc.contentType)
				_, _ = io.WriteString(w, tc.body)
			}))
			defer server.Close()
			result := call(t, server.URL, tc.more)
			if diff := cmp.Diff(tc.want, shown(t, result)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if string(result.Structured) != tc.structured {
				t.Errorf("structured content %s, want %s", result.Structured, tc.structured)
			}
		})
	}
}

// Whatever an API sends, the result is text without control characters, valid
// JSON within the limit, or content in Base64.
func FuzzReq076_Results(f *testing.F) {
	for _, contentType := range []string{"application/json", "text/plain", "image/png", "application/pdf", "", "text/html; charset=iso-8859-1"} {
		f.Add(contentType, []byte(`{"a":[1,2,"\u001b"],"b":"xxxxxxxxxxxxxxxxxxxxxxxxxxx"}`), 20)
		f.Add(contentType, []byte("a\x1b\xff"), 2)
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte, limit int) {
		if limit < 1 || limit > 4096 || len(body) > 4096 {
			return
		}
		catalogue, err := tool.Load([]byte(list("https://api.example", fmt.Sprintf(", response: {max_items: 2, max_bytes: %d}", limit))), nil)
		if err != nil {
			t.Fatal(err)
		}
		runner, err := tool.NewRunner(tool.RunnerConfig{
			Catalogue: catalogue, Senders: map[string]tool.Sender{"api": answering{contentType, body}}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		result, err := runner.Call(t.Context(), tool.Caller{}, "t", nil)
		if err != nil {
			t.Fatal(err)
		}
		wantClean(t, result, limit)
	})
}

func wantClean(t *testing.T, result tool.Result, limit int) {
	t.Helper()
	control := func(r rune) bool { return r < 0x20 && r != '\n' && r != '\r' && r != '\t' || 0x7f <= r && r <= 0x9f }
	if result.Structured != nil {
		if !json.Valid(result.Structured) || len(result.Structured) > limit || string(result.Structured) != result.Text {
			t.Errorf("structured content %q for a limit of %d", result.Structured, limit)
		}
		return
	}
	if !utf8.ValidString(result.Text) || strings.ContainsFunc(result.Text, control) {
		t.Errorf("text %q", result.Text)
	}
	for _, raw := range result.Content {
		var block struct {
			Type     string
			Data     string
			Resource struct{ Blob string }
		}
		if err := json.Unmarshal(raw, &block); err != nil {
			t.Fatal(err)
		}
		content, err := base64.StdEncoding.DecodeString(block.Data + block.Resource.Blob)
		if err != nil || len(content) > limit {
			t.Errorf("block %s for a limit of %d: %v", raw, limit, err)
		}
	}
}
