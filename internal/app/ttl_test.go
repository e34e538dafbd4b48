package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// TestAnswersAreGivenAgainThroughTheWholeServer: what a tool allows reaches the
// memory of its API, where an answer is for one person with one token, and a new
// catalogue begins with none.
func TestAnswersAreGivenAgainThroughTheWholeServer(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"answer":%d}`, requests.Add(1))
	}))
	t.Cleanup(api.Close)
	file := filepath.Join(t.TempDir(), "tools.yaml")
	catalogue := `
upstreams: {api: {url: "` + api.URL + `", credential: forward, cache: true}}
tools:
  - {name: teams, description: Lists the teams., upstream: api, method: GET, path: /teams, ttl: 5m, input: {type: object, additionalProperties: false}}
`
	writeFile(t, file, catalogue)
	system := apptest.Start(t, withTools(file))
	ask := func(token string, want int) {
		t.Helper()
		status, body := request(t, http.MethodPost, system.URL+"/mcp", token, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"teams"}}`)
		if status != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"structuredContent":{"answer":%d}`, want)) {
			t.Errorf("%d %s, want answer %d", status, body, want)
		}
	}
	ana, again, bruno := system.Token("ana"), system.Token("ana"), system.Token("bruno")
	ask(ana, 1)
	ask(ana, 1)
	ask(bruno, 2)
	ask(again, 3)
	ask(ana, 1)
	writeFile(t, file, strings.Replace(catalogue, "Lists", "List", 1))
	system.App.ReloadTools(t.Context())
	ask(ana, 4)
}
