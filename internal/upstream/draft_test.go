package upstream

import (
	"net/http"
	"testing"
)

// A draft shows what is sent, and that is what the tool declares.
func TestDraftHasTheToolsOwnFields(t *testing.T) {
	r := get(t, "/teams?page=2")
	r.Header = http.Header{"Idempotency-Key": {"k"}, "Accept": {"text/csv"}, "Connection": {"close"}}
	draft, err := client(t, "https://otus.example/v1", nil).Draft(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := draft.Method + " " + draft.URL.String(); got != "GET https://otus.example/v1/teams?page=2" {
		t.Errorf("the request is %s", got)
	}
	for name, want := range map[string]string{"Idempotency-Key": "k", "Accept": "text/csv", "Connection": "", "Authorization": ""} {
		if got := draft.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
