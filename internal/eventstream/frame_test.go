package eventstream

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// parsed is an event as a client has it.
type parsed struct{ name, data string }

// parse reads a stream as WHATWG HTML ("Parsing an event stream") tells clients
// to. It shares nothing with what writes.
func parse(stream string) (events []parsed) {
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	var name string
	var data []string
	for _, line := range strings.SplitAfter(stream, "\n") {
		if !strings.HasSuffix(line, "\n") {
			break // an event that is not complete is not one
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			if data != nil {
				events = append(events, parsed{name, strings.Join(data, "\n")})
			}
			name, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data = append(data, value)
		}
	}
	return events
}

func TestEvent(t *testing.T) {
	for data, want := range map[string]string{
		`{"a":1}`:       "event: message\ndata: {\"a\":1}\n\n",
		"":              "event: message\ndata: \n\n",
		"a\nb":          "event: message\ndata: a\ndata: b\n\n",
		"a\r\nb\rc\n":   "event: message\ndata: a\ndata: b\ndata: c\ndata: \n\n",
		"x\n\nevent: y": "event: message\ndata: x\ndata: \ndata: event: y\n\n",
	} {
		if got := string(Message([]byte(data))); got != want {
			t.Errorf("%q: %q, want %q", data, got, want)
		}
	}
}

// FuzzEvent: whatever the data, a client reads exactly one event, with the same
// data but for how its lines end.
func FuzzEvent(f *testing.F) {
	for _, seed := range []string{`{"jsonrpc":"2.0"}`, "", "\n", "\r\n\r\n", "a\n\ndata: b\n\n", ": x", "a\revent: endpoint\rdata: /evil\r\r"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if !utf8.ValidString(data) {
			return // JSON is
		}
		want := parsed{"message", strings.ReplaceAll(strings.ReplaceAll(data, "\r\n", "\n"), "\r", "\n")}
		stream := string(keepAliveComment) + string(Message([]byte(data))) + string(keepAliveComment)
		if got := parse(stream); len(got) != 1 || got[0] != want {
			t.Errorf("%q became %q", data, got)
		}
	})
}
