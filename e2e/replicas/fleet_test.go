package replicas

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
)

// catalogue has one tool, which tells its argument back.
const catalogue = `
upstreams:
  otus:
    url: ${OTUS_URL}
    credential: forward
    timeout: 60s
tools:
  - name: echo
    title: Echo
    description: Tells its argument back.
    upstream: otus
    method: GET
    path: /echo
    query: {call: call}
    input:
      type: object
      additionalProperties: false
      required: [call]
      properties: {call: {type: string}}
    annotations: {read_only: true, destructive: false, idempotent: true, open_world: false}
`

// fleet is several replicas of one server: processes behind a proxy, a store
// between them, and an API of their own.
type fleet struct {
	system *apptest.System // its stack issues the tokens, its logs take everything
	store  *teststore.Store
	api    *api
	proxy  *proxy

	binary   string
	settings []string
	replicas []*apptest.Process
}

// startFleet runs replicas until the test ends. Calls of the tool take delay.
func startFleet(t *testing.T, replicas int, store *teststore.Store, delay time.Duration) *fleet {
	t.Helper()
	f := &fleet{system: apptest.Start(t), store: store, api: startAPI(t, delay), proxy: startProxy(t), binary: apptest.Build(t)}
	tools := filepath.Join(t.TempDir(), "tools.yaml")
	if err := os.WriteFile(tools, []byte(catalogue), 0o600); err != nil {
		t.Fatal(err)
	}
	f.settings = []string{
		"SERVER_URL=" + f.proxy.URL, "OTUS_URL=" + f.api.URL, "TOOLS_FILE=" + tools, "LOG_LEVEL=info",
		"SESSION_KEY=" + strings.Repeat("k", 32), "CLUSTER_URL=" + store.URL, "CLUSTER_CA_FILE=" + store.CAFile,
		"RATE_LIMIT_PRINCIPAL=off", "RATE_LIMIT_TOOL=off", "RATE_LIMIT_GLOBAL=off", // one person makes all the load
	}
	f.replicas = make([]*apptest.Process, replicas)
	for i := range f.replicas {
		f.replace(i)
	}
	return f
}

// replace starts a replica in the place of one that is not there any more, at
// another address, as an orchestrator does.
func (f *fleet) replace(i int) {
	f.replicas[i] = f.system.StartProcess(f.binary, f.settings...)
	var addresses []string
	for _, replica := range f.replicas {
		if replica != nil {
			addresses = append(addresses, replica.Address)
		}
	}
	f.proxy.use(addresses...)
}

// api is what the tool calls. It counts what it is asked.
type api struct {
	URL string

	mu    sync.Mutex
	asked map[string]int    // by argument
	token map[string]string // Authorization, by argument
	gone  map[string]bool   // by argument: who asked did not wait for the answer
}

func startAPI(t *testing.T, delay time.Duration) *api {
	t.Helper()
	a := &api{asked: map[string]int{}, token: map[string]string{}, gone: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		argument := r.URL.Query().Get("call")
		a.mu.Lock()
		a.asked[argument]++
		a.token[argument] = r.Header.Get("Authorization")
		a.mu.Unlock()
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			a.mu.Lock()
			defer a.mu.Unlock()
			a.gone[argument] = true
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"call": argument}) // the caller may be gone
	}))
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

// tokenOf returns the Authorization header that came with an argument.
func (a *api) tokenOf(argument string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.token[argument]
}

// gaveUp reports whether who asked with an argument did not wait for the answer.
func (a *api) gaveUp(argument string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone[argument]
}

// twice returns the arguments that it was asked with more than once.
func (a *api) twice() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var arguments []string
	for argument, times := range a.asked {
		if times > 1 {
			arguments = append(arguments, argument)
		}
	}
	return arguments
}
