package negotiate

import (
	"fmt"
	"net/http"
	"testing"
)

func TestMediaTypes(t *testing.T) {
	var many string // more than are looked at
	for i := range maxPreferences {
		many += fmt.Sprintf("a/%d,", i)
	}
	for _, tc := range []struct {
		accept             string
		html, json, stream bool // prefers HTML, prefers JSON, accepts text/event-stream
	}{
		{"", false, false, true},
		{"*/*", false, false, true},
		{"application/json", false, true, false},
		{"text/html", true, false, false},
		{"text/*", true, false, true},
		{"application/json, text/html", false, false, false},
		{"application/json, text/event-stream", false, true, true},
		{"text/html,application/xhtml+xml,*/*;q=0.8", true, false, true},
		{"text/html;q=0.5, application/json", false, true, false},
		{"text/html;q=0", false, false, false},
		{"text/event-stream;q=0, */*", false, false, false},
		{"APPLICATION/JSON ; Q=0.9", false, true, false},
		{"text/html;q=nonsense", false, false, false},
		{many + "text/html", false, false, false},
	} {
		header := http.Header{}
		if tc.accept != "" {
			header.Set("Accept", tc.accept)
		}
		if got := PrefersHTML(header); got != tc.html {
			t.Errorf("PrefersHTML(%.40q) = %v", tc.accept, got)
		}
		if got := PrefersJSON(header); got != tc.json {
			t.Errorf("PrefersJSON(%.40q) = %v", tc.accept, got)
		}
		if got := Accepts(header, "text/event-stream"); got != tc.stream {
			t.Errorf("Accepts(%.40q, event stream) = %v", tc.accept, got)
		}
	}
}

func TestNames(t *testing.T) {
	for accept, want := range map[string]bool{
		"application/json, text/event-stream": true, "text/event-stream;q=0": false, "*/*": false, "text/*": false, "": false,
	} {
		if got := Names(http.Header{"Accept": {accept}}, "text/event-stream"); got != want {
			t.Errorf("Names(%q) = %v", accept, got)
		}
	}
}

func TestLanguage(t *testing.T) {
	for accept, want := range map[string]string{
		"": English, "es": Spanish, "es-MX,es;q=0.9,en;q=0.8": Spanish, "en-US,en;q=0.9,es;q=0.8": English,
		"de, es;q=0.5": Spanish, "de": English, "es;q=0": English, "*": English,
	} {
		if got := Language(http.Header{"Accept-Language": {accept}}); got != want {
			t.Errorf("Language(%q) = %s", accept, got)
		}
	}
}
