package mcp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/wireschema"
	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// fuzzServer has one of everything and a tool that can be replaced.
func fuzzServer(tb testing.TB, tools Tools) *Server {
	tb.Helper()
	server, err := New(Config{
		Tools: tools, Resources: everything{2*pageSize + 1}, Prompts: everything{}, Completer: everything{}, Logging: true,
		Info: Info{Name: "fuzz", Version: "1"}, Logger: slog.New(slog.DiscardHandler), MessagePath: "/mcp/sse",
	})
	if err != nil {
		tb.Fatal(err)
	}
	return server
}

// deadlineRecorder is a recorder that takes streams.
type deadlineRecorder struct{ *httptest.ResponseRecorder }

func (deadlineRecorder) SetWriteDeadline(time.Time) error { return nil }

// postAs sends a message as PERSON/CLIENT, without a socket, and holds the
// answer against the schema of its revision. A refusal of HTTP is an answer
// without a body.
func postAs(tb testing.TB, server *Server, party, body string, header map[string]string) *httptest.ResponseRecorder {
	tb.Helper()
	person, client, _ := strings.Cut(party, "/")
	access := bearer.Access{Token: secret.New("t"), Principal: oauth.Principal{
		Issuer: "https://issuer.example", Subject: person, ClientID: client, Expiry: time.Now().Add(time.Hour),
	}}
	request := httptest.NewRequestWithContext(bearer.WithAccess(tb.Context(), access), http.MethodPost, "/mcp", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	if err := server.Post(deadlineRecorder{w}, request); err != nil {
		w.Code = oauth.AsRefusal(err).Status
		return w
	}
	if w.Code == http.StatusAccepted {
		if w.Body.Len() > 0 {
			tb.Fatalf("202 with a body: %s", w.Body)
		}
		return w
	}
	for _, objection := range wireschema.Objections(request, []byte(body), w.Code, w.Header(), w.Body.Bytes()) {
		tb.Errorf("%q with %q: %s", body, header, objection)
	}
	return w
}

// FuzzPost: whatever comes as a body, the answer is a message that the revision
// in force allows, for the id that was asked.
func FuzzPost(f *testing.F) {
	server := fuzzServer(f, &fakeTools{})
	modernCall, _ := modern("tools/call", `"name":"teams"`)
	modernRead, _ := modern("resources/read", `"uri":"test://text"`)
	for _, seed := range []string{
		listBody, `[` + listBody + `]`, `[` + listBody + `,{"jsonrpc":"2.0","method":"x"}]`, `{"jsonrpc":"2.0","id":1,"result":{}}`,
		`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"teams","_meta":{}}}`, modernCall, modernRead,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}`,
		`{"jsonrpc":"2.0","id":1,"ID":2,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`,
	} {
		for _, version := range []string{"", "2025-11-25", "2026-07-28"} {
			f.Add(seed, version, "tools/call", "teams")
		}
	}
	f.Fuzz(func(t *testing.T, body, version, method, name string) {
		if strings.Contains(body, methodListen) {
			return // its answer does not end
		}
		header := map[string]string{headerVersion: version, headerMethod: method, headerName: name}
		maps.DeleteFunc(header, func(_, value string) bool { return value == "" })
		w := postAs(t, server, "ana/claude", body, header)
		if !slices.Contains([]int{200, 202, 400, 404, 413}, w.Code) {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}

// agreeingTools notes what is called.
type agreeingTools struct {
	headerTools

	called *string
}

func (a agreeingTools) Call(_ context.Context, _ tool.Caller, name string, arguments json.RawMessage) (tool.Result, error) {
	*a.called = name + " " + string(arguments)
	return tool.Result{Text: "ok"}, nil
}

var sentinel = regexp.MustCompile(`(?s)\A=\?base64\?(.*)\?=\z`)

// carried is what a mirrored header says, read again by its definition
// (2026-07-28 transport, "Value Encoding").
func carried(written string) (value string, ok bool) {
	if match := sentinel.FindStringSubmatch(written); match != nil {
		decoded, err := base64.StdEncoding.DecodeString(match[1])
		return string(decoded), err == nil && base64.StdEncoding.EncodeToString(decoded) == match[1]
	}
	return written, strings.Trim(written, "\t"+printable) == ""
}

// printable is what a plain value is made of.
var printable = func() string {
	var b strings.Builder
	for c := byte(' '); c <= '~'; c++ {
		b.WriteByte(c)
	}
	return b.String()
}()

// FuzzReq058_HeadersAgreeWithTheBody: in 2026-07-28 a tool runs if and only if
// every mirrored header says what the body says.
func FuzzReq058_HeadersAgreeWithTheBody(f *testing.F) {
	var called string
	server := fuzzServer(f, agreeingTools{called: &called})
	f.Add("2026-07-28", "tools/call", "teams", "teams", "us", "us")
	f.Add("2026-07-28", "tools/call", "=?base64?dGVhbXM=?=", "teams", "=?base64?w7E=?=", "ñ")
	f.Add("2026-07-28", "Tools/Call", "teams", "teams", "", "")
	f.Add("2026-07-28", "tools/call", "other", "teams", "us", "us")
	f.Add("2026-07-28", "tools/call", "teams", "other", "us", "us")
	f.Add("2026-07-28", "tools/call", "teams", "teams", "eu", "us")
	f.Add("2025-11-25", "tools/call", "teams", "teams", "us", "us")
	f.Add("2026-07-28", "tools/call", "=?base64?dGVhbXN=?=", "teams", "us", "US")
	f.Add("2026-07-28", "tools/call", "=?base64?=", "=?base64?=", "=?BASE64?dXM=?=", "us")
	f.Fuzz(func(t *testing.T, version, method, name, bodyName, region, bodyRegion string) {
		for _, value := range []string{version, method, name, region} {
			if !httpguts.ValidHeaderFieldValue(value) {
				return // no server gets to see it
			}
		}
		if !utf8.ValidString(bodyName) || !utf8.ValidString(bodyRegion) || bodyName == "" {
			return // JSON cannot say it, or it is no name
		}
		body, _ := modern("tools/call", fmt.Sprintf(`"name":%s,"arguments":{"region":%s}`, encode(bodyName), encode(bodyRegion)))
		called = ""
		w := postAs(t, server, "ana/claude", body, map[string]string{
			headerVersion: version, headerMethod: method, headerName: name, "Mcp-Param-Region": region,
		})
		saidName, readable := carried(name)
		agrees := version == "2026-07-28" && method == "tools/call" && readable && saidName == bodyName
		if bodyName == "teams" { // the one that declares the header
			saidRegion, readable := carried(region)
			agrees = agrees && readable && saidRegion == bodyRegion
		}
		if ran := called != ""; ran != agrees {
			t.Errorf("%q ran: %v, and the headers %q %q %q %q agree with %s: %v (%s)", called, ran, version, method, name, region, body, agrees, w.Body)
		}
		if agrees && !strings.HasPrefix(called, bodyName+" ") {
			t.Errorf("%q was called under %q", called, bodyName)
		}
	})
}

// FuzzEventStream: whatever handlers say, each message is one event for whoever
// reads the stream by the book, and says the same there.
func FuzzEventStream(f *testing.F) {
	tools := &fakeTools{}
	server := fuzzServer(f, tools)
	f.Add("a", `"t"`, "text", `{"a":1}`)
	f.Add("a\n\nevent: message\ndata: {}\n\n", "1", "b\r\n\rdata: x", "{\n\"a\":\r\n1\n}")
	f.Add("\u2028\u2029\ufeff\x00\xff", `"\n"`, ": comment", "[1,\n2]")
	f.Fuzz(func(t *testing.T, said, token, text, structured string) {
		if !utf8.ValidString(token+structured) || !json.Valid([]byte(token)) || !validID([]byte(token)) || !json.Valid([]byte(structured)) {
			return // not what gets here
		}
		tools.call = func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
			ExchangeFrom(ctx).Progress(1, 2, said)
			ExchangeFrom(ctx).Log("error", said, text)
			return tool.Result{Text: text, Structured: json.RawMessage(structured)}, nil
		}
		body, header := modern("tools/call", `"name":"teams"`)
		body = strings.Replace(body, `"_meta":{`, `"_meta":{"progressToken":`+token+`,"io.modelcontextprotocol/logLevel":"info",`, 1)
		w := postAs(t, server, "ana/claude", body, header)
		events := wireschema.Events(w.Body.String())
		if w.Header().Get("Content-Type") != "text/event-stream" || len(events) != 3 {
			t.Fatalf("%d events for three messages: %q", len(events), w.Body)
		}
		var messages [3]struct {
			Params struct {
				Message, Logger, Data string
			}
			Result struct {
				Content           [1]struct{ Text string }
				StructuredContent any
			}
		}
		for i, event := range events {
			if err := json.Unmarshal([]byte(event.Data), &messages[i]); err != nil || event.Name != "message" {
				t.Fatalf("event %q with %q: %v", event.Name, event.Data, err)
			}
		}
		got := []string{messages[0].Params.Message, messages[1].Params.Logger, messages[1].Params.Data, messages[2].Result.Content[0].Text}
		if want := []string{replaced(said), replaced(said), replaced(text), replaced(text)}; !slices.Equal(got, want) {
			t.Errorf("the stream says %q, want %q", got, want)
		}
		var want any
		_ = json.Unmarshal([]byte(structured), &want) // it is valid
		if string(encode(messages[2].Result.StructuredContent)) != string(encode(want)) {
			t.Errorf("structured content %v, want %v", messages[2].Result.StructuredContent, want)
		}
	})
}

// replaced is text as JSON carries it: every byte that is no UTF-8 becomes
// U+FFFD.
func replaced(text string) string { return string([]rune(text)) }

// sealing is a server whose tool keeps a state, with a cursor of resources/list
// and a requestState of that tool that belongs to owner.
func sealing(tb testing.TB, owner string) (server *Server, cursor, state string) {
	tb.Helper()
	tools := &fakeTools{call: func(ctx context.Context, _ tool.Caller, _ json.RawMessage) (tool.Result, error) {
		if state := ExchangeFrom(ctx).State(); state != nil {
			return tool.Result{Text: string(state)}, nil
		}
		return tool.Result{}, &InputRequired{State: []byte("kept")}
	}}
	server = fuzzServer(tb, tools)
	body, header := modern("resources/list", "")
	cursor = member(tb, postAs(tb, server, owner, body, header), "nextCursor")
	body, header = modern("tools/call", `"name":"teams"`)
	return server, cursor, member(tb, postAs(tb, server, owner, body, header), "requestState")
}

// FuzzSealed: a cursor and a requestState work as they were given, and the
// state for whom it was given; no other text ever does.
func FuzzSealed(f *testing.F) {
	f.Add(0, byte(0), "")
	f.Add(3, byte(1), "ana/codex")
	f.Add(-1, byte(0x20), "bruno/claude")
	f.Add(20, byte('=')^byte('A'), "ana/claude")
	const owner = "ana/claude"
	server, cursor, state := sealing(f, owner)
	f.Fuzz(func(t *testing.T, at int, change byte, party string) {
		for _, sealed := range []struct {
			text, method, params string
			bound                bool // to who got it
		}{
			{cursor, "resources/list", `"cursor":%s`, false},
			{state, "tools/call", `"name":"teams","requestState":%s`, true},
		} {
			altered := alter(sealed.text, at, change)
			body, header := modern(sealed.method, fmt.Sprintf(sealed.params, encode(altered)))
			works := strings.Contains(postAs(t, server, party, body, header).Body.String(), `"resultType":"complete"`)
			if want := altered == sealed.text && (!sealed.bound || party == owner); works != want {
				t.Errorf("%s takes %q as %q from %q: %v, want %v", sealed.method, sealed.text, altered, party, works, want)
			}
		}
	})
}

// What is sealed for one thing opens nothing else.
func TestSealedTextsStayWhereTheyBelong(t *testing.T) {
	server, cursor, state := sealing(t, "ana/claude")
	for _, elsewhere := range []struct{ method, params string }{
		{"tools/list", `"cursor":` + string(encode(cursor))},
		{"resources/templates/list", `"cursor":` + string(encode(cursor))},
		{"resources/list", `"cursor":` + string(encode(state))},
		{"tools/call", `"name":"teams","requestState":` + string(encode(cursor))},
		{"prompts/get", `"name":"teams","requestState":` + string(encode(state))},
	} {
		body, header := modernNamed(elsewhere.method, "teams", elsewhere.params)
		if got := postAs(t, server, "ana/claude", body, header).Body.String(); !strings.Contains(got, `"code":-32602`) {
			t.Errorf("%s takes what was not given for it: %s", elsewhere.method, got)
		}
	}
}

// alter changes the byte at a place, counted round and round.
func alter(text string, at int, change byte) string {
	altered := []byte(text)
	altered[((at%len(altered))+len(altered))%len(altered)] ^= change
	return string(altered)
}

func member(tb testing.TB, w *httptest.ResponseRecorder, name string) string {
	tb.Helper()
	var answer struct{ Result map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		tb.Fatal(err)
	}
	text, ok := answer.Result[name].(string)
	if !ok || text == "" {
		tb.Fatalf("no %s in %s", name, w.Body)
	}
	return text
}
