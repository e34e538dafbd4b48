package tool

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
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

func challengeHeader(values ...string) http.Header {
	return http.Header{"Content-Type": {"application/json"}, "Www-Authenticate": values}
}

// The mapping is fixed: status by credential mode.
func TestReq077_StatusMapping(t *testing.T) {
	const canary = "private-text-of-the-api"
	unauthorized := &refusal{401, "invalid_token", "upstream_401", true, "", "The"}
	forbidden := &refusal{403, "access_denied", "upstream_403", false, "", "The"}
	stepUp := &refusal{403, "insufficient_scope", "upstream_403", true, "openid teams:read teams:admin", "This"}
	for _, tc := range []struct {
		status  int
		header  http.Header
		forward *refusal // nil: a tool error
		want    string   // in a tool error's sentence
	}{
		{status: 300, want: "redirect"},
		{status: 302, header: http.Header{"Location": {"https://evil.example/" + canary}}, want: "redirect, which is not followed (302 Found)"},
		{status: 304, want: "redirect"},
		{status: 400, want: "refused the request (400 Bad Request)"},
		{status: 401, forward: unauthorized, want: "did not accept this server"},
		{status: 401, header: challengeHeader(`Bearer realm="` + canary + `", error="invalid_token"`), forward: unauthorized, want: "did not accept"},
		{status: 403, forward: forbidden, want: "does not let this server"},
		{status: 403, header: challengeHeader(`Bearer error="insufficient_scope", scope="teams:admin"`), forward: stepUp, want: "does not let"},
		{status: 403, header: challengeHeader(`Basic realm="a, b"`, `DPoP error="x", Bearer Error=insufficient_scope , scope = "teams:admin"`), forward: stepUp, want: "does not let"},
		{status: 403, header: challengeHeader(`Bearer error="insufficient_scope", scope="teams:read"`), forward: forbidden, want: "does not let"}, // has it
		{status: 403, header: challengeHeader(`Bearer error="insufficient_scope"`), forward: forbidden, want: "does not let"},
		{status: 403, header: challengeHeader(`Bearer error="insufficient_scope", scope="a\\b"`), forward: forbidden, want: "does not let"},
		{status: 403, header: challengeHeader(`Bearer error="invalid_token", scope="teams:admin"`), forward: forbidden, want: "does not let"},
		{status: 403, header: challengeHeader(`Basic error="insufficient_scope", scope="teams:admin"`), forward: forbidden, want: "does not let"},
		{status: 403, header: challengeHeader(`Bearer error="insufficient_scope", scope="` + strings.Repeat("a", 5000) + `"`), forward: forbidden, want: "does not let"},
		{status: 403, header: challengeHeader(`Bearer x="error=insufficient_scope, scope=teams:admin"`), forward: forbidden, want: "does not let"},
		{status: 404, want: "has nothing there (404 Not Found)"},
		{status: 409, want: "conflicts"},
		{status: 410, want: "refused the request (410 Gone)"},
		{status: 422, want: "refused the request"},
		{status: 429, want: "too many requests (429 Too Many Requests); try again later."},
		{status: 429, header: http.Header{"Retry-After": {"17"}}, want: "try again in 17 seconds."},
		{status: 429, header: http.Header{"Retry-After": {"17; " + canary}}, want: "try again later."},
		{status: 429, header: http.Header{"Retry-After": {"-1"}}, want: "try again later."},
		{status: 429, header: http.Header{"Retry-After": {"99999999"}}, want: "try again later."},
		{status: 500, want: "failed (500 Internal Server Error); try again later."},
		{status: 503, header: http.Header{"Retry-After": {"3"}}, want: "failed (503 Service Unavailable); try again in 3 seconds."},
		{status: 599, want: "failed (599); try"},
		{status: 101, want: "does not understand (101"},
		{status: 600, want: "does not understand (600)"},
	} {
		for _, credential := range credentialModes {
			t.Run(fmt.Sprintf("%d %s %v", tc.status, credential, tc.header), func(t *testing.T) {
				sender := &stubSender{status: tc.status, header: tc.header, body: canary}
				result, err := runner(t, withCredential(credential), sender, io.Discard).Call(t.Context(), caller(), "otus_teams", nil)
				if credential == "forward" && tc.forward != nil {
					if diff := cmp.Diff(*tc.forward, refusalOf(t, err)); diff != "" {
						t.Errorf("refusal (-want +got):\n%s", diff)
					}
					if strings.Contains(err.Error(), canary) {
						t.Errorf("the refusal repeats the API's text: %v", err)
					}
					return
				}
				want := tc.want
				if tc.status == 403 && credential == "exchange" {
					want = "says this user may not do this"
				}
				wantToolError(t, result, err, want)
				if strings.Contains(result.Text, canary) || strings.Contains(result.Text, "own words") {
					t.Errorf("the sentence repeats the API's text: %s", result.Text)
				}
			})
		}
	}
}

// wantToolError checks that a result is an error in one safe sentence.
func wantToolError(t *testing.T, result Result, err error, want string) {
	t.Helper()
	if err != nil || !result.IsError || result.Structured != nil {
		t.Fatalf("got %+v, %v, want a tool error", result, err)
	}
	if !strings.HasPrefix(result.Text, "otus_teams: ") || !strings.Contains(result.Text, want) ||
		!strings.HasSuffix(result.Text, ".") || strings.Contains(result.Text, "\n") || len(result.Text) > 300 {
		t.Errorf("got %q, want one sentence with %q", result.Text, want)
	}
}

func TestReq076_OnlyValidJSONBecomesAResult(t *testing.T) {
	const schema = "path: /teams\n    output: {type: object, required: [teams], properties: {teams: {type: array}}}"
	for name, tc := range map[string]struct {
		status            int
		contentType, body string
		output            bool
		want              string // in a tool error's sentence; "" is a result
	}{
		"object":                {status: 200, contentType: "application/json", body: `{"a":1}`},
		"charset":               {status: 200, contentType: "application/json; charset=utf-8", body: `{}`},
		"vendor type":           {status: 200, contentType: "application/vnd.otus+json", body: `{}`},
		"scalar":                {status: 200, contentType: "application/json", body: `17`},
		"created":               {status: 201, contentType: "APPLICATION/JSON", body: `[]`},
		"as deep as allowed":    {status: 200, contentType: "application/json", body: strings.Repeat("[", maxResultDepth) + strings.Repeat("]", maxResultDepth)},
		"no type":               {status: 200, body: `{}`, want: "something else than JSON (200 OK)"},
		"HTML":                  {status: 200, contentType: "text/html", body: `{}`, want: "something else than JSON"},
		"broken type":           {status: 200, contentType: "application/json;;", body: `{}`, want: "something else than JSON"},
		"cut off":               {status: 200, contentType: "application/json", body: `{"a":`, want: "not valid"},
		"two values":            {status: 200, contentType: "application/json", body: `{}{}`, want: "not valid"},
		"HTML called JSON":      {status: 200, contentType: "application/json", body: `<html>`, want: "not valid"},
		"NUL":                   {status: 200, contentType: "application/json", body: "{\"a\":\"\x00\"}", want: "not valid"},
		"only NUL":              {status: 200, contentType: "application/json", body: "\x00", want: "not valid"},
		"not UTF-8":             {status: 200, contentType: "application/json", body: "{\"a\":\"\xff\"}", want: "not valid"},
		"too deep":              {status: 200, contentType: "application/json", body: strings.Repeat("[", maxResultDepth+1) + strings.Repeat("]", maxResultDepth+1), want: "deeper than 200"},
		"far too deep":          {status: 200, contentType: "application/json", body: strings.Repeat("[", 1<<19), want: "not valid"},
		"over the bound":        {status: 200, contentType: "application/json", body: `"` + strings.Repeat("a", 1<<20) + `"`, want: "within the 1048576 bytes allowed"},
		"as the schema says":    {status: 200, contentType: "application/json", body: `{"teams":[]}`, output: true},
		"not as the schema":     {status: 200, contentType: "application/json", body: `{"teams":{}}`, output: true, want: "output schema"},
		"a key twice":           {status: 200, contentType: "application/json", body: `{"teams":[],"teams":[]}`, output: true, want: "output schema"},
		"no object":             {status: 200, contentType: "application/json", body: `[]`, output: true, want: "output schema"},
		"number out of a range": {status: 200, contentType: "application/json", body: `{"teams":[1e999]}`, output: true, want: "output schema"},
	} {
		t.Run(name, func(t *testing.T) {
			catalogue := teamsCatalogue("forward", "")
			if tc.output {
				catalogue = strings.Replace(catalogue, "path: /teams", schema, 1)
			}
			sender := &stubSender{status: tc.status, header: http.Header{}, body: tc.body}
			if tc.contentType != "" {
				sender.header.Set("Content-Type", tc.contentType)
			}
			result, err := runner(t, catalogue, sender, io.Discard).Call(t.Context(), caller(), "otus_teams", nil)
			if tc.want != "" {
				wantToolError(t, result, err, tc.want)
				return
			}
			want := Result{Text: tc.body, Structured: json.RawMessage(tc.body)}
			if diff := cmp.Diff(want, result); diff != "" || err != nil {
				t.Errorf("%v, result (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestNoContentIsASentence(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
	}{{204, ""}, {200, ""}, {202, " \n"}} {
		sender := &stubSender{status: tc.status, header: http.Header{}, body: tc.body}
		result, err := runner(t, teamsCatalogue("forward", ""), sender, io.Discard).Call(t.Context(), caller(), "otus_teams", nil)
		if err != nil || result.IsError || result.Structured != nil || !strings.Contains(result.Text, "without content") {
			t.Errorf("%d: got %+v, %v", tc.status, result, err)
		}
	}
}

type facedError struct{}

func (facedError) Error() string  { return "dial tcp 10.0.0.7:443: refused" }
func (facedError) Safe() string   { return "The API \"otus\" could not be reached; try again later." }
func (facedError) Reason() string { return "unreachable" }

func TestFailuresOfTheSenderAreToolErrors(t *testing.T) {
	for want, err := range map[string]error{
		"could not be reached": fmt.Errorf("wrapped: %w", facedError{}),
		"could not be called":  errors.New("GET https://otus.internal/teams?secret=1: boom"),
	} {
		result, callErr := runner(t, teamsCatalogue("forward", ""), &stubSender{err: err}, io.Discard).Call(t.Context(), caller(), "otus_teams", nil)
		wantToolError(t, result, callErr, want)
		if strings.Contains(result.Text, "10.0.0.7") || strings.Contains(result.Text, "secret") {
			t.Errorf("the sentence has private text: %s", result.Text)
		}
	}
}

// brokenBody fails while it is read, which no complete body does.
type brokenBody struct{}

func (brokenBody) Send(context.Context, outbound.Request, oauth.Principal, secret.Value) (*http.Response, string, error) {
	body := io.NopCloser(io.MultiReader(strings.NewReader("{"), failingReader{}))
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, ContentLength: -1}, "", nil
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBodyThatBreaksIsAToolError(t *testing.T) {
	result, err := runner(t, teamsCatalogue("forward", ""), brokenBody{}, io.Discard).Call(t.Context(), caller(), "otus_teams", nil)
	wantToolError(t, result, err, "did not deliver an answer")
}

func FuzzChallenges(f *testing.F) {
	for _, seed := range []string{`Bearer error="insufficient_scope", scope="a b"`, `Bearer scope="a\",b`, `,=,"`, `Negotiate abc==`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if scopes := neededScopes([]string{value}); scopes.Validate() != nil || len(scopes) > maxNeededScopes {
			t.Errorf("neededScopes(%q) = %q", value, scopes)
		}
	})
}
