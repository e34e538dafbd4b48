package tool

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// documented returns the blocks of docs/requests-and-responses.md in a language.
func documented(t *testing.T, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/requests-and-responses.md")
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(string(text), "```"+language+"\n") {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	return blocks[1:]
}

func TestDocumentedToolsLoad(t *testing.T) {
	const upstreams = "upstreams: {otus: {url: 'https://otus.example', credential: none}}\n"
	for _, block := range documented(t, "yaml") {
		mustLoad(t, upstreams+block)
	}
	request, body, err := requestOf(t, upstreams+documented(t, "yaml")[0], `{"team": 7, "member": "ada b", "role": "writer", "fields": ["id", "role"]}`)
	if err != nil {
		t.Fatal(err)
	}
	got := request.Method + " " + request.URL.String() + " HTTP/1.1\n"
	for _, name := range []string{"Accept", "Content-Type"} {
		got += http.CanonicalHeaderKey(name) + ": " + request.Header.Get(name) + "\n"
	}
	if got += "\n" + body + "\n"; got != documented(t, "http")[0] {
		t.Errorf("the documented request is\n%s", got)
	}
}
