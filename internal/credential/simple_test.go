package credential

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

func TestStatic(t *testing.T) {
	key, err := NewStatic("x-api-key", secret.New("Token k1"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		from applier
		want http.Header
	}{
		"none":   {None{}, http.Header{}},
		"header": {key, http.Header{"X-Api-Key": {"Token k1"}}},
		"basic":  {NewBasic("svc", secret.New("pä:ss")), http.Header{"Authorization": {"Basic c3ZjOnDDpDpzcw=="}}},
	} {
		header, actor := apply(t, tc.from)
		if diff := cmp.Diff(tc.want, header); diff != "" || actor != "" {
			t.Errorf("%s: actor %q, header (-want +got):\n%s", name, actor, diff)
		}
		if tc.from.Rejected(header, ana(), secret.New(subjectToken)) {
			t.Errorf("%s: a second try", name)
		}
	}
	for _, bad := range []string{"", " a", "a ", "a\r\nX-Evil: 1", "ä"} {
		if _, err := NewStatic("X-Api-Key", secret.New(bad)); err == nil || strings.Contains(err.Error(), "Evil") {
			t.Errorf("NewStatic(%q): %v", bad, err)
		}
	}
}

func TestReq065_TokenThatCannotTravelUnchangedIsNotSent(t *testing.T) {
	server := startServer(t, good)
	for _, token := range []string{"", " a", "a ", "a b", "a\r\nX-Evil: 1", "a\x00", "t\u00f6ken"} {
		for _, from := range []applier{Forward{Upstream: "billing"}, server.exchange(t, nil)} {
			header := http.Header{}
			_, err := from.Apply(t.Context(), header, ana(), secret.New(token))
			wantFailure(t, err, NoToken)
			if len(header) != 0 {
				t.Errorf("%q was put into %v", token, header)
			}
			if token != "" && strings.Contains(err.Error(), token) {
				t.Errorf("the error repeats the token: %v", err)
			}
		}
	}
	if server.count() != 0 {
		t.Errorf("%d exchanges, want none", server.count())
	}
}

func TestKindsAndSentencesAreDistinct(t *testing.T) {
	words, sentences := map[string]bool{}, map[string]bool{}
	for kind := range Unreadable + 1 {
		failure := &Failure{Kind: kind, Upstream: "billing"}
		if words[kind.String()] || sentences[failure.Safe()] {
			t.Errorf("kind %d repeats %q or %q", int(kind), kind, failure.Safe())
		}
		words[kind.String()], sentences[failure.Safe()] = true, true
	}
	if got := (&Failure{Kind: Outage, Upstream: "billing", Seconds: 7}).Safe(); !strings.Contains(got, "in 7 seconds") {
		t.Errorf("got %q", got)
	}
}
