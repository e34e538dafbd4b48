package app_test

import (
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

// limitedAnswer is what matters of an answer.
type limitedAnswer struct {
	status     int
	retryAfter string
	body       string
}

// callTool calls the API's tool at a server.
func callTool(t *testing.T, url, token string) limitedAnswer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(call))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return limitedAnswer{response.StatusCode, response.Header.Get("Retry-After"), string(body)}
}

func TestReq062_LimitsOfARunningServer(t *testing.T) {
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
		c.RateLimitPrincipal = config.Rate{Count: 4, Per: time.Hour}
		c.RateLimitAddress = config.Rate{Count: 5, Per: time.Hour}
	}))
	for n := range 4 { // a new token is the same person
		if got := callTool(t, system.URL+"/mcp", system.Token("ana")); got.status != http.StatusOK {
			t.Fatal(n, got.status, got.body)
		}
	}
	got := callTool(t, system.URL+"/mcp", system.Token("ana"))
	seconds, err := strconv.Atoi(got.retryAfter)
	if got.status != http.StatusTooManyRequests || err != nil || seconds < 800 || seconds > 900 ||
		!strings.Contains(got.body, "You have made more requests than this server allows, 4 in 3600 seconds; try again in "+strconv.Itoa(seconds)+" seconds.") {
		t.Errorf("%d, Retry-After %q, %s", got.status, got.retryAfter, got.body)
	}
	if n := len(system.Stack.OtusRequests()); n != 4 {
		t.Errorf("Otus got %d requests, want 4", n)
	}
	if got := callTool(t, system.URL+"/mcp", system.Token("carla")); got.status != http.StatusOK {
		t.Errorf("somebody else: %d %s", got.status, got.body)
	}
	for range 5 {
		if got := callTool(t, system.URL+"/mcp", "not.a.token"); got.status != http.StatusUnauthorized {
			t.Errorf("%d, want 401", got.status)
		}
	}
	if got := callTool(t, system.URL+"/mcp", system.Token("carla")); got.status != http.StatusTooManyRequests || !strings.Contains(got.body, "came from this address") {
		t.Errorf("an address that keeps failing: %d %s", got.status, got.body)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, _ := request(t, "GET", system.URL+path, "", ""); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// TestReq062_ReadingAToolsAnswerIsACallOfIt reads a resource after all calls of its
// tool are used up; one that is no tool's is read on.
func TestReq062_ReadingAToolsAnswerIsACallOfIt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tools.yaml")
	writeFile(t, file, otherCatalogue+`
resources:
  - {uri: "teams://all", name: all, tool: squads}
  - {uri: "docs://guide", name: guide, text: Read me.}
`)
	system := apptest.Start(t, withTools(file), apptest.WithConfig(func(c *config.Config) { c.RateLimitTool = config.Rate{Count: 1, Per: time.Hour} }))
	token := system.Token("ana")
	read := func(uri string) int {
		status, _ := request(t, http.MethodPost, system.URL+"/mcp", token, `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"`+uri+`"}}`)
		return status
	}
	if got := []int{read("teams://all"), read("teams://all"), read("docs://guide"), read("docs://guide")}; !slices.Equal(got, []int{200, 429, 200, 200}) {
		t.Errorf("got %v", got)
	}
}

// TestReq062_ReplicasLimitTogether also takes the store away: then each replica
// counts for itself, and no request fails for it.
func TestReq062_ReplicasLimitTogether(t *testing.T) {
	store := teststore.Start(t)
	first := apptest.Start(t, withStore(store), apptest.WithConfig(func(c *config.Config) {
		c.RateLimitPrincipal = config.Rate{Count: 20, Per: time.Hour}
	}))
	replicas := []string{first.URL, anotherReplica(t, first, app.Features{})}
	apptest.Eventually(t, "both replicas have connected", func() bool {
		return strings.Count(first.Logs.String(), "connected to the cluster's store") == 2
	})
	allowed, token := 0, first.Token("ana")
	for n := range 30 {
		got := callTool(t, replicas[n%2]+"/mcp", token)
		switch got.status {
		case http.StatusOK:
			allowed++
		case http.StatusTooManyRequests:
		default:
			t.Fatal(got.status, got.body)
		}
	}
	if allowed != 20 {
		t.Errorf("%d requests were allowed, want 20 altogether", allowed)
	}
	store.Stop()
	other := first.Token("carla")
	allowed = 0
	for n := range 50 {
		got := callTool(t, replicas[n%2]+"/mcp", other)
		switch got.status {
		case http.StatusOK:
			allowed++
		case http.StatusTooManyRequests:
		default:
			t.Fatal(got.status, got.body)
		}
	}
	if allowed != 40 {
		t.Errorf("without the store %d requests were allowed, want 20 on each replica", allowed)
	}
}
