package app_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

func request(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

const (
	list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"otus_teams"}}`
)

const otherCatalogue = `
upstreams:
  otus: {url: "${OTUS_URL}", credential: forward}
tools:
  - name: squads
    description: The teams under another name.
    upstream: otus
    method: GET
    path: /teams
    input: {type: object, additionalProperties: false}
`

// A catalogue is replaced whole or not at all, and open streams are told.
func TestReloadTools(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tools.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(otherCatalogue)
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) { c.ToolsFile = file }))
	minted, err := system.Stack.Mint(devstack.Mint{User: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	token := minted.AccessToken
	if _, body := request(t, "POST", system.URL+"/mcp", token, list); !strings.Contains(body, `"name":"squads"`) {
		t.Fatal(body)
	}
	stream, err := http.NewRequestWithContext(t.Context(), http.MethodGet, system.URL+"/mcp/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(stream)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	heard := func(line string) bool {
		for lines.Scan() {
			if lines.Text() == line {
				return true
			}
		}
		return false
	}
	if !heard("event: endpoint") { // from then on the session is told of changes
		t.Fatal("the stream ended")
	}

	write("tools: nonsense")
	system.App.ReloadTools(t.Context())
	if _, body := request(t, "POST", system.URL+"/mcp", token, list); !strings.Contains(body, `"name":"squads"`) {
		t.Errorf("a broken file replaced the catalogue: %s", body)
	}
	write(strings.Replace(otherCatalogue, "squads", "crews", 1))
	system.App.ReloadTools(t.Context())
	if _, body := request(t, "POST", system.URL+"/mcp", token, list); !strings.Contains(body, `"name":"crews"`) {
		t.Errorf("the new catalogue is not in use: %s", body)
	}
	if status, body := request(t, "POST", system.URL+"/mcp", token, strings.Replace(call, "otus_teams", "crews", 1)); status != 200 || !strings.Contains(body, "Albatros") {
		t.Errorf("the new tool does not work: %d %s", status, body)
	}
	if !heard(`data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`) {
		t.Error("the open stream was not told")
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	logger, err := telemetry.NewLogger(t.Output(), "info", "text")
	if err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	for name, change := range map[string]func(*config.Config){
		"invalid configuration": func(c *config.Config) { c.ServerURL = "http://mcp.example.com" },
		"no such catalogue":     func(c *config.Config) { c.ToolsFile = missing },
		"address in use":        func(c *config.Config) { c.ListenAddr = busyAddress(t) },
		"no authority of the cluster": func(c *config.Config) {
			c.SessionKey, c.ClusterURL = secret.New(strings.Repeat("k", 32)), secret.New("rediss://x")
			c.ClusterCAFile = "app.go"
		},
		"no such certificate": func(c *config.Config) {
			c.ServerURL = "https://localhost:8443"
			c.TLSCertFile, c.TLSKeyFile = missing, missing
		},
	} {
		cfg := config.Default()
		change(&cfg)
		if _, err := app.New(t.Context(), app.Options{Config: cfg, Logger: logger}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func busyAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// output is what a command printed, for a test that waits for it.
type output struct {
	mu    sync.Mutex
	b     bytes.Buffer
	wrote chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.b.Write(p)
	select {
	case o.wrote <- struct{}{}:
	default:
	}
	return n, err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func portOf(t *testing.T, listener net.Listener) int {
	t.Helper()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("not a TCP listener")
	}
	return address.Port
}

// What dev prints works when it is typed: the curl line with its ready token.
func TestDevPrintsWhatToTypeNext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stdout := &output{wrote: make(chan struct{}, 1)}
	ended, port := make(chan error, 1), apptest.FreePorts(t)
	go func() {
		ended <- app.Dev(ctx, app.DevOptions{
			Port: port, SignIn: "ana", LogLevel: "warn", LogFormat: "text", Version: "1", Stdout: stdout, Stderr: t.Output(),
		})
	}()
	select {
	case <-stdout.wrote:
	case err := <-ended:
		t.Fatalf("dev ended: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("dev printed nothing")
	}
	printed := stdout.String()
	curl := regexp.MustCompile(`curl -s (\S+) -H 'Content-Type: application/json' -H 'Authorization: Bearer ([^']+)' -d '([^']+)'`).FindStringSubmatch(printed)
	if curl == nil {
		t.Fatalf("no curl line:\n%s", printed)
	}
	if status, body := request(t, "POST", curl[1], curl[2], curl[3]); status != 200 || !strings.Contains(body, "Albatros") {
		t.Errorf("the printed call: %d %s", status, body)
	}
	for _, want := range []string{"claude mcp add --transport http otus " + curl[1], "codex mcp add otus --url " + curl[1], "Ctrl-C", "/ares", "/dev/tokens"} {
		if !strings.Contains(printed, want) {
			t.Errorf("dev does not print %q:\n%s", want, printed)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("dev stopped with %v", err)
	}
}

func TestDevSaysWhichPortsItNeeds(t *testing.T) {
	busy, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	err = app.Dev(t.Context(), app.DevOptions{Port: portOf(t, busy), LogLevel: "warn", LogFormat: "text", Stdout: io.Discard, Stderr: t.Output()})
	if err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("%v", err)
	}
}

// With --exchange the printed call works too, although Otus accepts nothing but
// tokens for Otus alone: what it gets is not the printed token.
func TestDevExchangesTokens(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stdout, stderr := &output{wrote: make(chan struct{}, 1)}, &output{wrote: make(chan struct{}, 1)}
	ended, port := make(chan error, 1), apptest.FreePorts(t)
	go func() {
		ended <- app.Dev(ctx, app.DevOptions{Port: port, SignIn: "ana", Exchange: true, LogLevel: "info", LogFormat: "json", Stdout: stdout, Stderr: stderr})
	}()
	<-stdout.wrote
	curl := regexp.MustCompile(`curl -s (\S+) -H 'Content-Type: application/json' -H 'Authorization: Bearer ([^']+)' -d '([^']+)'`).FindStringSubmatch(stdout.String())
	if curl == nil {
		t.Fatalf("no curl line:\n%s", stdout)
	}
	if status, body := request(t, "POST", curl[1], curl[2], curl[3]); status != 200 || !strings.Contains(body, "Albatros") {
		t.Errorf("the printed call: %d %s", status, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("dev stopped with %v", err)
	}
	if !strings.Contains(stderr.String(), `"credential":"exchange"`) {
		t.Errorf("nothing was exchanged:\n%s", stderr)
	}
}

// With a catalogue of its own dev publishes what the tools need, finds the secrets
// that it names, and prints how to list the tools; the printed token may call them.
func TestDevServesACatalogue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tools.yaml")
	const catalogue = `
upstreams:
  otus: {url: "${OTUS_URL}", credential: forward}
  keyed: {url: "https://keyed.example", credential: static, static: {header: X-Api-Key, secret_env: KEY}}
tools:
  - name: list_teams
    description: List the teams.
    upstream: otus
    method: GET
    path: /teams
    input: {type: object, additionalProperties: false}
    scopes: [teams:read]
  - {name: keyed, description: Lists all., upstream: keyed, method: GET, path: /, input: {type: object, additionalProperties: false}}
`
	if err := os.WriteFile(file, []byte(catalogue), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stdout := &output{wrote: make(chan struct{}, 1)}
	ended, port := make(chan error, 1), apptest.FreePorts(t)
	go func() {
		ended <- app.Dev(ctx, app.DevOptions{
			Port: port, SignIn: "ana", ToolsFile: file, LogLevel: "warn", LogFormat: "text", Stdout: stdout, Stderr: t.Output(),
			LookupEnv: func(name string) (string, bool) { return "0123456789", name == "KEY" },
		})
	}()
	select {
	case <-stdout.wrote:
	case err := <-ended:
		t.Fatalf("dev ended: %v", err)
	}
	curl := regexp.MustCompile(`List the tools as Ana[^\n]*\n  curl -s (\S+) -H 'Content-Type: application/json' -H 'Authorization: Bearer ([^']+)' -d '([^']+)'`).FindStringSubmatch(stdout.String())
	if curl == nil {
		t.Fatalf("no curl line:\n%s", stdout)
	}
	if status, body := request(t, "POST", curl[1], curl[2], curl[3]); status != 200 || !strings.Contains(body, `"name":"list_teams"`) {
		t.Errorf("the printed list: %d %s", status, body)
	}
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_teams"}}`
	if status, body := request(t, "POST", curl[1], curl[2], call); status != 200 || !strings.Contains(body, "Albatros") {
		t.Errorf("a call with the printed token: %d %s", status, body)
	}
	metadata := "http://localhost:" + strconv.Itoa(port) + "/.well-known/oauth-protected-resource"
	if status, body := request(t, "GET", metadata, "", ""); status != 200 || !strings.Contains(body, `"scopes_supported":["openid","profile","email","offline_access","teams:read"]`) {
		t.Errorf("the metadata: %d %s", status, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("dev stopped with %v", err)
	}
}

// A catalogue that cannot be used ends dev before it prints anything.
func TestDevRefusesABadCatalogue(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	stdout := &output{}
	err := app.Dev(t.Context(), app.DevOptions{Port: apptest.FreePorts(t), ToolsFile: missing, LogLevel: "warn", LogFormat: "text", Stdout: stdout, Stderr: t.Output()})
	if err == nil || !strings.Contains(err.Error(), missing) || stdout.String() != "" {
		t.Errorf("%v, printed %q", err, stdout)
	}
}

func TestStackOnlyLeavesTheServerOut(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stdout := &output{wrote: make(chan struct{}, 1)}
	port := apptest.FreePorts(t)
	ended := make(chan error, 1)
	go func() {
		ended <- app.Dev(ctx, app.DevOptions{Port: port, StackOnly: true, LogLevel: "warn", LogFormat: "text", Stdout: stdout, Stderr: t.Output()})
	}()
	<-stdout.wrote
	server, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Errorf("the server's own port is taken: %v", err)
	} else {
		_ = server.Close()
	}
	if !strings.Contains(stdout.String(), "JWT_ISSUER") {
		t.Error(stdout.String())
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Clients compare the two byte for byte (RFC 8414 section 3.3).
func TestReq003_AuthorizationServersAreNamedAsTheyNameThemselves(t *testing.T) {
	for _, slash := range []string{"", "/"} {
		system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
			c.AuthorizationServers = []string{strings.TrimSuffix(c.AuthorizationServers[0], "/") + slash}
		}))
		issuer := system.Stack.URLs().AuthorizationServer
		apptest.Eventually(t, "the server has met its authorization server", func() bool {
			_, body := request(t, "GET", system.URL+"/.well-known/oauth-protected-resource", "", "")
			return strings.Contains(body, `"authorization_servers":["`+issuer+`"]`)
		})
		origin, path, _ := strings.Cut(strings.TrimPrefix(issuer, "http://"), "/")
		if _, body := request(t, "GET", "http://"+origin+"/.well-known/oauth-authorization-server/"+path, "", ""); !strings.Contains(body, `"issuer":"`+issuer+`"`) {
			t.Errorf("%s is not what the authorization server calls itself: %s", issuer, body)
		}
	}
}

// The list of authorization servers is fixed at the start, which is on record.
func TestReq012_AuthorizationServersChangeWithARestartOnly(t *testing.T) {
	cfg := config.Default()
	cfg.ListenAddr = "127.0.0.1:0"
	cfg.AuthorizationServers = []string{"http://localhost:1/first", "http://localhost:1/second"}
	stderr := &output{wrote: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	hangups := make(chan os.Signal, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- app.Serve(ctx, app.ServeOptions{Config: cfg, Version: "1", Stderr: stderr, Reload: hangups})
	}()
	<-stderr.wrote
	hangups <- os.Interrupt // stands for SIGHUP; any signal on the channel counts
	for !strings.Contains(stderr.String(), "tools reloaded") {
		<-stderr.wrote
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := strings.Count(stderr.String(), `"audit":true,"event":"start"`); n != 1 {
		t.Errorf("%d records of the start", n)
	}
	if !strings.Contains(stderr.String(), `"authorization_servers":["http://localhost:1/first","http://localhost:1/second"]`) {
		t.Error("the record does not list the authorization servers in their order")
	}
}
