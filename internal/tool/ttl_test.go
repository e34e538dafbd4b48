package tool

import (
	"io"
	"strings"
	"testing"
	"time"
)

const givenAgain = `
upstreams:
  otus: {url: "https://otus.example", credential: none, cache: true}
tools:
  - name: t
    description: d
    upstream: otus
    method: GET
    path: /teams
    ttl: 5m
    input: {type: object, additionalProperties: false}
`

func TestTTLReachesTheSender(t *testing.T) {
	for text, want := range map[string]time.Duration{
		givenAgain: 5 * time.Minute,
		strings.Replace(givenAgain, "ttl: 5m", "ttl: 90s", 1):         90 * time.Second,
		strings.Replace(givenAgain, "method: GET", "method: HEAD", 1): 5 * time.Minute,
		strings.Replace(givenAgain, "    ttl: 5m\n", "", 1):           0,
	} {
		sender := &stubSender{status: 200, body: "{}"}
		if _, err := runner(t, text, sender, io.Discard).Call(t.Context(), caller(), "t", nil); err != nil {
			t.Fatal(err)
		}
		if sender.sent.TTL != want || sender.token.Reveal() != testToken {
			t.Errorf("TTL %s of an answer to %q, want %s and that of the caller", sender.sent.TTL, sender.token.Reveal(), want)
		}
	}
}

func TestTTLOfTheFile(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, want string }{
		"zero":         {"5m", "0s", "line 10: tools[0].ttl: want a length of time such as 10s, more than 0 and at most 5m0s"},
		"too long":     {"5m", "5m1s", "line 10: tools[0].ttl: want a length of time"},
		"no unit":      {"5m", "60", "line 10: tools[0].ttl: want a length of time"},
		"POST":         {"GET", "POST", "line 10: tools[0].ttl: only an answer to GET or HEAD can be given again; remove it"},
		"nothing kept": {", cache: true", "", `line 10: tools[0].ttl: the upstream "otus" keeps no answers; write cache: true there`},
		"kept no more": {"cache: true", "cache: false", "keeps no answers"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(givenAgain, tc.old) {
				t.Fatalf("the good tool has no %q", tc.old)
			}
			_, err := Load([]byte(strings.Replace(givenAgain, tc.old, tc.new, 1)), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestTTLOfADeclaration(t *testing.T) {
	reading := func(ttl time.Duration) Declaration {
		d := archive()
		d.Method, d.Body, d.TTL = "GET", nil, ttl
		d.InputSchema = []byte(`{"type":"object","required":["id"],"properties":{"id":{"type":"string"}},"additionalProperties":false}`)
		return d
	}
	writing := archive()
	writing.TTL = time.Minute
	for name, tc := range map[string]struct {
		declaration Declaration
		catalogue   string
		want        string
	}{
		"good":         {reading(time.Minute), givenAgain, ""},
		"negative":     {reading(-time.Minute), givenAgain, "ttl: want a length of time up to 5m0s"},
		"too long":     {reading(time.Hour), givenAgain, "ttl: want a length of time up to 5m0s"},
		"POST":         {writing, givenAgain, "ttl: only an answer to GET or HEAD can be given again"},
		"nothing kept": {reading(time.Minute), string(BuiltIn()), `ttl: the upstream "otus" keeps no answers; write cache: true there`},
	} {
		_, err := mustLoad(t, tc.catalogue).With(Imported{Tools: []Declaration{tc.declaration}})
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func TestTTLOfAnImportedOperation(t *testing.T) {
	imported := mustLoad(t, importing).Imports()[0]
	if d := imported.Treat("listPets", Declaration{}); d.TTL != time.Minute {
		t.Errorf("TTL %s, want a minute", d.TTL)
	}
	if d := imported.Treat("findPets", Declaration{}); d.TTL != 0 {
		t.Errorf("TTL %s of an operation that nothing is said of", d.TTL)
	}
	_, err := Load([]byte(strings.Replace(importing, ", cache: true", "", 1)), nil)
	if err == nil || !strings.Contains(err.Error(), `imports[0].override.listPets.ttl: the upstream "pets" keeps no answers`) {
		t.Errorf("got %v", err)
	}
}
