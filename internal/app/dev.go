package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// DevOptions is what the dev command hands over.
type DevOptions struct {
	Port      int    // of the server; the stack takes the next two
	SignIn    string // person who is signed in without being asked; "" asks
	Exchange  bool   // Otus accepts exchanged tokens only, and the server exchanges them
	ToolsFile string // catalogue instead of the built-in one; "" is that one
	StackOnly bool   // only the stack, for a server that runs elsewhere on this machine
	LogLevel  string
	LogFormat string
	Version   string
	// LookupEnv reads the environment variables that ToolsFile names for secrets;
	// nil has none.
	LookupEnv func(name string) (string, bool)
	Stdout    io.Writer
	Stderr    io.Writer
}

// Dev runs the server together with a development authorization server and a
// development Otus API, all on loopback, and prints what to type next. It needs
// no configuration and reads none but a catalogue, if one is named.
func Dev(ctx context.Context, opts DevOptions) error {
	logger, err := telemetry.NewLogger(opts.Stderr, opts.LogLevel, opts.LogFormat)
	if err != nil {
		return err
	}
	listeners, err := listenLoopback(ctx, opts.Port, opts.StackOnly)
	if err != nil {
		return err
	}
	serverURL := "http://localhost:" + strconv.Itoa(opts.Port)
	stack, err := devstack.New(devstack.Config{
		AuthListener: listeners[1],
		OtusListener: listeners[2],
		ServerURL:    serverURL,
		SignIn:       opts.SignIn,
		Logger:       logger,
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if opts.StackOnly {
		group.Go(func() error { return stack.Run(ctx) })
		if err := printStack(opts.Stdout, stack, serverURL); err != nil {
			return err
		}
		return group.Wait()
	}
	cfg := DevConfig(serverURL, stack.URLs())
	if opts.ToolsFile != "" {
		if err := serving(ctx, &cfg, opts.ToolsFile); err != nil {
			return err
		}
	}
	if !logger.Enabled(ctx, slog.LevelInfo) {
		cfg.AuditLog = telemetry.AuditOff // a terminal that was promised warnings only
	}
	server := Options{
		Config:    cfg,
		Logger:    logger,
		Version:   opts.Version,
		Listener:  listeners[0],
		LookupEnv: opts.LookupEnv,
	}
	if opts.Exchange {
		exchanging(&server, stack)
	}
	a, err := New(ctx, server)
	if err != nil {
		return err
	}
	// The stack outlives the server: calls in flight still need it.
	stackContext, stopStack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStack()
	group.Go(func() error { return stack.Run(stackContext) })
	group.Go(func() error {
		defer stopStack()
		return a.Run(ctx)
	})
	group.Go(func() error {
		if err := a.awaitReady(ctx); err != nil {
			return err
		}
		token, err := stack.Mint(devstack.Mint{User: "ana", Scope: cfg.ScopesSupported.String()})
		if err != nil {
			return err
		}
		return printDev(opts.Stdout, opts, serverURL, stack.URLs(), token.AccessToken)
	})
	return group.Wait()
}

// DevConfig is the configuration of a server in front of a development stack:
// what an operator would set for the real systems, and nothing else.
func DevConfig(serverURL string, urls devstack.URLs) config.Config {
	cfg := config.Default()
	cfg.ServerURL = serverURL
	cfg.AuthorizationServers = []string{urls.AuthorizationServer}
	cfg.JWTIssuer = urls.TokenIssuer
	cfg.OtusURL = urls.Otus
	cfg.OAuthClientID = urls.ClientID
	return cfg
}

// serving makes the server serve a catalogue of its own. The scopes that its tools
// need are published, so that clients ask for them when they sign in.
func serving(ctx context.Context, cfg *config.Config, toolsFile string) error {
	cfg.ToolsFile = toolsFile
	read, err := catalogueOf(*cfg, toolsFile).read(ctx)
	if err != nil {
		return err
	}
	for _, definition := range read.catalogue.Definitions() {
		cfg.ScopesSupported = cfg.ScopesSupported.Union(definition.Access.Scopes)
	}
	return nil
}

// exchanging makes Otus accept nothing but tokens for Otus alone, and the server
// exchange the caller's for such a one: one word and its settings in the
// catalogue.
func exchanging(server *Options, stack *devstack.Stack) {
	const secretEnv = "DEV_SERVICE_SECRET" //nolint:gosec // the name of a variable
	stack.DemandExchanged(true)
	server.LookupEnv = func(name string) (string, bool) { return stack.ServiceSecret().Reveal(), name == secretEnv }
	server.Catalogue = bytes.Replace(tool.BuiltIn(), []byte("credential: forward\n"), fmt.Appendf(nil, `credential: exchange
    audience: ${OTUS_URL}
    exchange:
      token_url: %s/oauth/token
      client: {id: %s, auth: client_secret_basic, secret_env: %s}
`, stack.URLs().AuthorizationServer, devstack.ServiceClientID, secretEnv), 1)
}

// listenLoopback opens port, port+1 and port+2 on loopback, the first one only
// for a server in this process.
func listenLoopback(ctx context.Context, port int, stackOnly bool) ([3]net.Listener, error) {
	var listeners [3]net.Listener
	for i := range listeners {
		if i == 0 && stackOnly {
			continue
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i))
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			for _, opened := range listeners[:i] {
				if opened != nil {
					err = errors.Join(err, opened.Close())
				}
			}
			return listeners, fmt.Errorf("ports %d to %d are needed; stop what uses them or choose others with --port: %w", port, port+2, err)
		}
		listeners[i] = listener
	}
	return listeners, nil
}

// awaitReady returns when the server would tell a load balancer yes.
func (a *App) awaitReady(ctx context.Context) error {
	const interval = 10 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for len(a.Unready()) > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
	a.logger.LogAttrs(ctx, slog.LevelInfo, "ready")
	return nil
}

func printStack(w io.Writer, stack *devstack.Stack, serverURL string) error {
	urls := stack.URLs()
	_, err := fmt.Fprintf(w, `The development stack is running for a server at %[1]s.

  Authorization server  %[2]s   (AUTHORIZATION_SERVERS)
  Token issuer          %[3]s   (JWT_ISSUER)
  Otus API              %[4]s   (OTUS_URL)
  Client                %[5]s   (OAUTH_CLIENT_ID)
  Introspection         %[7]s   (INTROSPECT)
    as                  %[8]s   (INTROSPECTION_CLIENT_ID)
    with                %[9]s   (INTROSPECTION_CLIENT_SECRET)
  Token forge           %[6]s

Stop with Ctrl-C.
`, serverURL, urls.AuthorizationServer, urls.TokenIssuer, urls.Otus, urls.ClientID, urls.TokenForge,
		urls.Introspection, devstack.DevResourceID, stack.ResourceSecret().Reveal())
	return err
}

func printDev(w io.Writer, opts DevOptions, serverURL string, urls devstack.URLs, token string) error {
	signIn := "a page asks who you are: Ana may read teams, Bruno may not, Carla's tokens last a minute"
	if opts.SignIn != "" {
		signIn = opts.SignIn + " is signed in without being asked"
	}
	do, message := "Call the tool", `"tools/call","params":{"name":"otus_teams"}`
	if opts.ToolsFile != "" {
		do, message = "List the tools", `"tools/list"`
	}
	_, err := fmt.Fprintf(w, `oauth-mcp-server %[1]s is ready.

  Server                %[2]s
  MCP endpoint          %[2]s/mcp   (HTTP+SSE: %[2]s/mcp/sse)
  Authorization server  %[3]s
  Otus API              %[4]s
  Token forge           POST %[5]s
  Sign-in               %[6]s

Connect Claude Code:
  claude mcp add --transport http otus %[2]s/mcp
  claude mcp login otus

Connect Codex:
  codex mcp add otus --url %[2]s/mcp

%[8]s as Ana, with a token that is good for an hour:
  curl -s %[2]s/mcp -H 'Content-Type: application/json' -H 'Authorization: Bearer %[7]s' -d '{"jsonrpc":"2.0","id":1,"method":%[9]s}'

Stop with Ctrl-C.
`, opts.Version, serverURL, urls.AuthorizationServer, urls.Otus, urls.TokenForge, signIn, token, do, message)
	return err
}
