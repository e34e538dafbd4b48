package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tecrolabs.dev/oauth-mcp-server/internal/authcode"
	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/cluster"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/edge"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/mcp"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/ratelimit"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// Name is how the server introduces itself.
const Name = "oauth-mcp-server"

// Options is what an [App] is made of.
type Options struct {
	Config  config.Config
	Logger  *slog.Logger
	Version string
	// Listener takes the connections; nil means one at Config.ListenAddr.
	Listener net.Listener
	// Catalogue is used where the configuration names no file; nil means the
	// built-in one.
	Catalogue []byte
	// LookupEnv reads the environment variables that a catalogue names for
	// secrets; nil has none.
	LookupEnv func(name string) (string, bool)
	// Features replaces the catalogue, or parts of what it offers; the zero value
	// serves the catalogue.
	Features Features
	// Telemetry measures the server; nil measures nothing. Whoever made it shuts
	// it down, after [App.Run].
	Telemetry *telemetry.Provider
	// Stdout takes audit records where AUDIT_LOG says so; nil means the process'
	// own.
	Stdout io.Writer
}

// Features is what a server offers besides, or instead of, the tools of the
// catalogue.
type Features struct {
	Tools     mcp.Tools // nil: the catalogue
	Resources mcp.Resources
	Prompts   mcp.Prompts
	Completer mcp.Completer
	Logging   bool // some handler logs to the client
}

// App is the wired server. Use [New], then [App.Run].
type App struct {
	cfg       config.Config
	logger    *slog.Logger
	version   string
	listener  net.Listener
	metrics   net.Listener // nil: no scrapes
	telemetry *telemetry.Provider
	auditor   *telemetry.Auditor
	tls       *tls.Config
	handler   *edge.Edge
	verifier  *bearer.Verifier
	servers   []*discovery.Source
	mcp       *mcp.Server
	cluster   *cluster.Bus // nil: one replica
	limits    *ratelimit.Limiter
	revoked   *revoked // nil: nothing is
	tools     *liveTools
	draining  atomic.Pointer[time.Time] // since when; nil while it serves
	idpClient *http.Transport
}

// New wires a server for a valid configuration. It opens the listener, reads
// the files the configuration names, and documents that the catalogue imports from
// a URL; it talks to nobody else, [App.Run] does.
func New(ctx context.Context, opts Options) (*App, error) {
	if err := opts.Config.Validate(); err != nil {
		return nil, err
	}
	auditor, err := telemetry.NewAuditor(telemetry.AuditConfig{
		To: opts.Config.AuditLog, Subject: opts.Config.AuditSubject, Key: []byte(opts.Config.SessionKey.Reveal()),
		Stdout: opts.Stdout, Meter: opts.Telemetry.Meter(),
	})
	if err != nil {
		return nil, err
	}
	opts.Logger = auditor.Attach(opts.Logger)
	a := &App{cfg: opts.Config, logger: opts.Logger, version: opts.Version, telemetry: opts.Telemetry, auditor: auditor}
	if err := a.wire(ctx, opts); err != nil {
		return nil, errors.Join(err, auditor.Close())
	}
	return a, nil
}

// wire makes the parts and connects them.
func (a *App) wire(ctx context.Context, opts Options) error {
	cfg := a.cfg
	policy := egress.Policy{AllowLoopback: !cfg.Production(), Allow: cfg.EgressAllow}
	a.idpClient = egress.NewTransport(policy, nil)
	fetcher := discovery.NewFetcher(a.idpClient)
	for _, issuer := range cfg.AuthorizationServers {
		a.servers = append(a.servers, discovery.NewSource(fetcher, issuer, nil))
	}
	var err error
	if a.tools, err = newLiveTools(ctx, opts, policy); err != nil {
		return err
	}
	features := opts.Features
	if features.Tools == nil {
		features = a.tools.features(features)
	}
	var bus mcp.Bus              // stays nil without a cluster
	var proofs bearer.UsedProofs // the same
	if cfg.ClusterURL.IsSet() {
		if err = a.join(); err != nil {
			return err
		}
		bus, proofs = a.cluster, a.cluster
	}
	if a.verifier, err = newVerifier(cfg, a.servers, a.idpClient, opts.Logger, tokenRules{
		binding: newBinding(cfg, proofs, a.telemetry.Meter()), revoked: a.revoked.check(),
	}); err != nil {
		return err
	}
	if a.limits, err = a.newLimits(); err != nil {
		return err
	}
	if a.mcp, err = mcp.New(mcp.Config{
		Bus:          bus,
		Limits:       a.limits,
		Tools:        features.Tools,
		Resources:    features.Resources,
		Prompts:      features.Prompts,
		Completer:    features.Completer,
		Logging:      features.Logging,
		SealKey:      cfg.SessionKey,
		Info:         mcp.Info{Name: Name, Title: cfg.ResourceName, Version: opts.Version},
		Logger:       opts.Logger,
		MessagePath:  edge.PathSSE,
		MaxStreamAge: cfg.SSEMaxAge,
		Meter:        a.telemetry.Meter(),
		Tracer:       a.telemetry.Tracer(),
	}); err != nil {
		return err
	}
	if a.handler, err = a.newEdge(); err != nil {
		return err
	}
	if a.tls, err = loadTLS(cfg); err != nil {
		return err
	}
	return a.listen(ctx, opts.Listener)
}

// listen opens the listeners that nobody has opened yet.
func (a *App) listen(ctx context.Context, given net.Listener) error {
	var err error
	if a.telemetry.Handler() != nil && a.cfg.MetricsAddr != "" {
		if a.metrics, err = new(net.ListenConfig).Listen(ctx, "tcp", a.cfg.MetricsAddr); err != nil {
			return fmt.Errorf("METRICS_ADDR: %w", err)
		}
	}
	if a.listener = given; a.listener != nil {
		return nil
	}
	if a.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", a.cfg.ListenAddr); err != nil {
		err = fmt.Errorf("LISTEN_ADDR: %w", err)
		if a.metrics != nil {
			err = errors.Join(err, a.metrics.Close())
		}
	}
	return err
}

func (a *App) newEdge() (*edge.Edge, error) {
	cfg := a.cfg
	signIn, err := authcode.New(authcode.Config{
		ServerURL:    cfg.ServerURL,
		ClientID:     cfg.OAuthClientID,
		ClientSecret: cfg.OAuthClientSecret,
		Scopes:       a.challengeScopes(),
		Resource:     cfg.ServerURL,
		Audience:     cfg.OAuthAudience,
		SessionKey:   cfg.SessionKey,
		Metadata:     a.servers[0],
		Verify:       a.verifier.Verify,
		Transport:    a.idpClient,
		Logger:       a.logger,
	})
	if err != nil {
		return nil, err
	}
	index, err := edge.IndexHandler(a.describe, a.describeTools)
	if err != nil {
		return nil, err
	}
	return edge.New(edge.Config{
		Routes: edge.Routes(edge.Handlers{
			Index:        index,
			Health:       edge.HealthHandler(),
			Ready:        edge.ReadyHandler(a.Unready, a.verifier.Keys),
			Metadata:     edge.MetadataHandler(cfg.ServerURL, a.metadata),
			AuthStart:    signIn.Start,
			AuthCallback: signIn.Callback,
			AuthRefresh:  signIn.Refresh,
			Post:         a.mcp.Post,
			OpenStream:   a.mcp.OpenStream,
			PostMessage:  a.mcp.PostMessage,
		}),
		ServerURL:         cfg.ServerURL,
		Authenticate:      a.verifier.Authenticate,
		DPoP:              a.dpopOffer(),
		ChallengeScopes:   a.challengeScopes(),
		Hosts:             cfg.Hosts(),
		AnyLoopbackHost:   !cfg.Production(),
		Origins:           cfg.AllowedOrigins,
		AnyLoopbackOrigin: !cfg.Production(),
		RequireTLS:        cfg.Production(),
		TrustedProxies:    cfg.TrustedProxies,
		Limits:            a.limits,
		ClientCertHeader:  cfg.ClientCertHeader,
		Logger:            a.logger,
		Meter:             a.telemetry.Meter(),
		Tracer:            a.telemetry.Tracer(),
	})
}

// challengeScopes is what clients are told to ask for: what is published and
// what every request needs.
func (a *App) challengeScopes() oauth.Scopes {
	return a.cfg.ScopesSupported.Union(a.cfg.RequiredScopes)
}

// metadata is the RFC 9728 document but for its resource. An authorization
// server is named exactly as it names itself, once that is known (RFC 8414
// section 3.3).
func (a *App) metadata() oauth.ProtectedResourceMetadata {
	var issuers []string
	for _, server := range a.servers {
		issuer := server.Issuer()
		if known, ok := server.Known(); ok {
			issuer = known.Issuer
		}
		issuers = append(issuers, issuer)
	}
	return oauth.ProtectedResourceMetadata{
		AuthorizationServers:   issuers,
		ScopesSupported:        a.challengeScopes(),
		BearerMethodsSupported: []string{"header"},
		ResourceName:           a.cfg.ResourceName,
		ResourceDocumentation:  a.cfg.ResourceDocumentation,
		CertificateBoundTokens: policies[a.cfg.MTLS] != bearer.Off,
		DPoPAlgorithms:         a.dpopOffer().Algorithms,
		DPoPRequired:           a.dpopOffer().Only,
	}
}

func (a *App) describe() edge.Index {
	cfg := a.cfg
	return edge.Index{
		Name:             Name,
		Version:          a.version,
		ProtocolVersions: mcp.ProtocolVersions(),
		ToolsCount:       len(a.tools.Definitions()),
		Endpoints: edge.Endpoints{
			MCP:                       cfg.Endpoint(edge.PathMCP),
			SSE:                       cfg.Endpoint(edge.PathSSE),
			ProtectedResourceMetadata: cfg.Endpoint(oauth.ProtectedResourcePath),
			AuthStart:                 cfg.Endpoint("/auth/start"),
			AuthCallback:              cfg.Endpoint("/auth/callback"),
			AuthRefresh:               cfg.Endpoint("/auth/refresh"),
			Health:                    cfg.Endpoint("/healthz"),
			Ready:                     cfg.Endpoint("/readyz"),
		},
	}
}

func (a *App) describeTools() []edge.IndexTool {
	var tools []edge.IndexTool
	for _, d := range a.tools.Definitions() {
		tools = append(tools, edge.IndexTool{Name: d.Name, Title: d.Title, Description: d.Description})
	}
	return tools
}

// MCP returns the protocol server, for telling it of changes.
func (a *App) MCP() *mcp.Server { return a.mcp }

// Unready returns why the server should not get traffic; nothing means ready.
func (a *App) Unready() []string {
	if a.draining.Load() != nil {
		return []string{"the server is shutting down"}
	}
	return append(a.verifier.Unready(), a.auditor.Unready()...)
}

// Run serves until ctx ends and everything accepted is answered. It returns nil
// after a clean shutdown. Order: readiness fails, no new connections, streams
// and calls are finished, background work ends.
func (a *App) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, background := errgroup.WithContext(background)
	group.Go(func() error { return a.verifier.Run(background) })
	for _, server := range a.servers {
		group.Go(func() error { a.learn(background, server); return nil })
	}
	if a.cluster != nil {
		group.Go(func() error { return a.cluster.Run(background, a.mcp.HandlePeer) })
		group.Go(func() error { a.endRevoked(background); return nil })
	}
	if a.cfg.ToolsFile != "" {
		group.Go(func() error { a.watchTools(background); return nil })
	}
	if a.metrics != nil {
		group.Go(func() error { a.serveMetrics(background); return nil })
	}
	group.Go(func() error {
		defer stop()
		defer a.finishCalls(background)
		return edge.Serve(ctx, edge.ServerConfig{
			Listener: a.listener,
			Handler:  a.handler,
			TLS:      a.tls,
			Drain:    a.drain,
			Wait:     a.mcp.Wait,
			Timeout:  a.cfg.ShutdownTimeout,
			Logger:   a.logger,
		})
	})
	err := group.Wait()
	a.idpClient.CloseIdleConnections()
	a.tools.close()
	return errors.Join(err, a.auditor.Close())
}

// finishCalls lets calls for streams of other replicas go on for what is left of
// SHUTDOWN_TIMEOUT, when this replica has no connection any more.
func (a *App) finishCalls(ctx context.Context) {
	left := a.cfg.ShutdownTimeout
	if since := a.draining.Load(); since != nil {
		left -= time.Since(*since)
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	a.mcp.Finish(ctx)
}

func (a *App) drain() {
	a.draining.Store(new(time.Now()))
	a.mcp.Drain()
}
