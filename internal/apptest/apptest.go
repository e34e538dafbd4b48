package apptest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/wireschema"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// Version is what the server under test calls itself.
const Version = "0.0.0-test"

// shutdownTimeout bounds the shutdown of the server under test.
const shutdownTimeout = 10 * time.Second

// System is a running server with the development stack around it. Use [Start].
type System struct {
	URL    string            // of the server, http://localhost:PORT
	App    *app.App          // the server
	Stack  *devstack.Stack   // authorization server, token signer and Otus
	Logs   *Logs             // everything both logged
	Config config.Config     // as the server has it
	Judge  *wireschema.Judge // of everything the server says

	t          testing.TB
	label      string
	stackOnce  sync.Once
	stopOnce   sync.Once
	stopApp    context.CancelFunc
	stopStack  context.CancelFunc
	stackCtx   context.Context //nolint:containedctx // StartStack runs under it whenever it is called
	appDone    chan error
	stackDone  chan error
	mu         sync.Mutex
	secrets    []string
	httpClient *http.Client
	measured   *measured
	wire       *wire
}

// Start runs a system and waits until it is ready. Ana is signed in at the
// authorization server and never asked, unless an option says otherwise.
func Start(tb testing.TB, opts ...Option) *System {
	tb.Helper()
	o := options{signIn: "ana", ready: true, stack: true}
	for _, apply := range opts {
		apply(&o)
	}
	label := tb.Name() + " " + strconv.FormatInt(time.Now().UnixNano(), 36)
	logs := newLogs(tb)
	logger, err := telemetry.NewLogger(logs, "debug", "json")
	if err != nil {
		tb.Fatal(err)
	}
	listener, serverURL := listen(tb)
	authListener, _ := listen(tb)
	otusListener, _ := listen(tb)
	stack, err := devstack.New(devstack.Config{
		AuthListener: authListener, OtusListener: otusListener,
		ServerURL: serverURL, SignIn: o.signIn, TokenLifetime: o.tokenLifetime,
		Logger: logger.With(slog.String("part", "devstack")),
	})
	if err != nil {
		tb.Fatalf("development stack: %v", err)
	}
	stack.SetIdPFault(o.idpFault)
	cfg := configure(serverURL, listener.Addr().String(), stack.URLs())
	for _, change := range o.configure {
		change(&cfg, stack)
	}
	measured, wire := measure(tb, cfg), &wire{}
	judge := wireschema.New(tb)
	server, err := app.New(tb.Context(), app.Options{
		Config: cfg, Logger: logger, Version: Version, Listener: judge.Listen(wire.tap(listener)), Features: o.features,
		LookupEnv: environment(stack), Telemetry: measured.provider,
	})
	if err != nil {
		tb.Fatalf("server: %v", err)
	}
	s := &System{
		URL: serverURL, App: server, Stack: stack, Logs: logs, Config: cfg, Judge: judge,
		t: tb, label: label, appDone: make(chan error, 1), stackDone: make(chan error, 1),
		httpClient: newClient(), measured: measured, wire: wire,
		secrets: []string{stack.ServiceSecret().Reveal()},
	}
	var appCtx context.Context
	background := context.WithoutCancel(tb.Context()) // the cleanup ends it, after the test's own
	appCtx, s.stopApp = context.WithCancel(background)
	s.stackCtx, s.stopStack = context.WithCancel(background)
	tb.Cleanup(s.verify)
	labelled(label, func() { s.appDone <- server.Run(appCtx) })
	if o.stack {
		s.StartStack()
	}
	if o.ready {
		Eventually(tb, "the server is ready", func() bool { return len(server.Unready()) == 0 })
	}
	return s
}

// ServiceSecretEnv is the environment variable that a catalogue under test finds
// the secret of [devstack.ServiceClientID] in.
const ServiceSecretEnv = "DEV_SERVICE_SECRET" //nolint:gosec // the name of a variable

func environment(stack *devstack.Stack) func(string) (string, bool) {
	return func(name string) (string, bool) {
		return stack.ServiceSecret().Reveal(), name == ServiceSecretEnv
	}
}

// configure is what the dev command sets.
func configure(serverURL, listenAddr string, urls devstack.URLs) config.Config {
	cfg := config.Default()
	cfg.ServerURL = serverURL
	cfg.ListenAddr = listenAddr
	cfg.AuthorizationServers = []string{urls.AuthorizationServer}
	cfg.JWTIssuer = urls.TokenIssuer
	cfg.OAuthClientID = urls.ClientID
	cfg.OtusURL = urls.Otus
	cfg.ShutdownTimeout = shutdownTimeout
	return cfg
}

func listen(tb testing.TB) (l net.Listener, url string) {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() }) // usually its server has
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		tb.Fatalf("listener address %v is not TCP", l.Addr())
	}
	return l, "http://localhost:" + strconv.Itoa(address.Port)
}

// StartStack runs the development stack of a system that was started
// [WithoutStack]. Further calls do nothing.
func (s *System) StartStack() {
	s.stackOnce.Do(func() {
		labelled(s.label, func() { s.stackDone <- s.Stack.Run(s.stackCtx) })
	})
}

// Client returns an HTTP client that follows no redirects.
func (s *System) Client() *http.Client { return s.httpClient }

func newClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Token returns a good access token of user for the server.
func (s *System) Token(user string) string {
	s.t.Helper()
	return s.Mint(devstack.Mint{User: user})
}

// Mint returns the access token that m describes.
func (s *System) Mint(m devstack.Mint) string {
	s.t.Helper()
	minted, err := s.Stack.Mint(m)
	if err != nil {
		s.t.Fatal(err)
	}
	return minted.AccessToken
}

// Secret adds values to what must not be in logs, spans, metrics and answers. What the stack issues is
// there already. Values shorter than twelve characters are not looked for.
func (s *System) Secret(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = append(s.secrets, values...)
}

// StopServer ends the server as a signal would and returns what it returned. It
// waits until all that was accepted is answered.
func (s *System) StopServer() error {
	s.stopApp()
	select {
	case err := <-s.appDone:
		s.appDone <- err // for the next one who asks
		return err
	case <-time.After(shutdownTimeout + time.Minute):
		s.t.Error("the server did not stop")
		return context.DeadlineExceeded
	}
}

// Stop ends the server and then the stack, and waits for both. The end of the
// test calls it; further calls do nothing.
func (s *System) Stop() {
	s.t.Helper()
	s.stopOnce.Do(func() {
		s.httpClient.CloseIdleConnections()
		if err := s.StopServer(); err != nil {
			s.t.Errorf("the server ended with: %v", err)
		}
		s.stopStack()
		s.stackOnce.Do(func() { s.stackDone <- nil }) // it never ran
		if err := <-s.stackDone; err != nil {
			s.t.Errorf("the development stack ended with: %v", err)
		}
	})
}

// verify stops the system and holds it to what every test wants of it.
func (s *System) verify() {
	s.t.Helper()
	s.Stop()
	s.httpClient.CloseIdleConnections()
	if left := remaining(s.label); left != "" {
		s.t.Errorf("goroutines of the system are still there:\n%s", left)
	}
	s.mu.Lock()
	secrets := append(s.Stack.Issued(), s.secrets...)
	secrets = append(secrets, s.Stack.ResourceSecret().Reveal())
	s.mu.Unlock()
	s.Judge.Verdict()
	s.Logs.close()
	for place, text := range map[string]string{
		"the logs":                   s.Logs.String(),
		"the spans":                  dump(s.Spans()),
		"the metrics":                dump(s.Metrics()),
		"what clients were answered": s.wire.answers(),
	} {
		for _, leak := range Leaks(text, secrets) {
			s.t.Errorf("a secret is in %s: %s", place, leak)
		}
	}
	for _, problem := range invalidRecords(s.Logs.String()) {
		s.t.Errorf("an audit record does not fit docs/audit.schema.json: %s", problem)
	}
}
