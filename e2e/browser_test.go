package e2e

import (
	"net/http"
	"net/http/cookiejar"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// browser follows redirects and keeps cookies.
type browser struct{ client *http.Client }

func newBrowser(t *testing.T, system *apptest.System) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser{&http.Client{Jar: jar, Transport: system.Client().Transport}}
}

// get ends where no redirect leads on. It asks for JSON, as scripts do.
func (b browser) get(t *testing.T, url string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	got, err := b.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := readAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, body}
}
