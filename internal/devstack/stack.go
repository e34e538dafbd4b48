package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Timeouts and bounds of the two servers.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 2 * time.Minute // a fault may delay an answer for one
	idleTimeout       = time.Minute
	maxHeaderBytes    = 64 << 10 // an oversize token has to reach Otus
	drainTimeout      = 5 * time.Second

	defaultTokenLifetime = time.Hour
)

// Config is what a Stack needs.
type Config struct {
	AuthListener  net.Listener  // loopback TCP; authorization server, token signer, forge
	OtusListener  net.Listener  // loopback TCP; the Otus API
	ServerURL     string        // the protected resource tokens are for, such as http://localhost:8000
	SignIn        string        // "ana", "bruno", "carla": always signed in and never asked; "" asks
	Logger        *slog.Logger  // nil discards
	TokenLifetime time.Duration // of access tokens; 0 means an hour
}

// URLs are the addresses of a Stack. They name localhost, because clients
// compare them literally.
type URLs struct {
	AuthorizationServer string // issuer of the authorization server
	TokenIssuer         string // "iss" of the tokens, with its trailing slash
	JWKS                string
	Introspection       string // as [DevResourceID]
	Otus                string // base URL of the API
	ClientID            string // public, any loopback redirect URI and ServerURL/auth/callback
	TokenForge          string // POST, see [Mint]
	ProofForge          string // POST, see [Proof]
	Faults              string // POST and DELETE, see [OtusFault]
}

// Stack is the development stack. Use [New], then [Stack.Run]; the other
// methods are safe for concurrent use, before and while it runs.
type Stack struct {
	cfg    Config
	urls   URLs
	broker *broker
	prover *prover
	otus   *otus
	logger *slog.Logger
}

// New prepares a Stack with new keys. It returns an error for a listener that
// is not TCP on loopback, a ServerURL that is not an absolute URL, or a SignIn
// that names nobody. The listeners stay the caller's until Run.
func New(cfg Config) (*Stack, error) {
	authPort, err := loopbackPort("AuthListener", cfg.AuthListener)
	if err != nil {
		return nil, err
	}
	otusPort, err := loopbackPort("OtusListener", cfg.OtusListener)
	if err != nil {
		return nil, err
	}
	cfg.ServerURL = strings.TrimSuffix(cfg.ServerURL, "/")
	if u, err := url.Parse(cfg.ServerURL); err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("ServerURL %q is not an absolute URL", cfg.ServerURL)
	}
	if cfg.SignIn != "" {
		who, known := findPerson(cfg.SignIn)
		if !known {
			return nil, fmt.Errorf("SignIn %q: there are %s", cfg.SignIn, strings.Join(peopleIDs(), ", "))
		}
		cfg.SignIn = who.id
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.TokenLifetime <= 0 {
		cfg.TokenLifetime = defaultTokenLifetime
	}
	keys, err := newKeyring()
	if err != nil {
		return nil, err
	}
	origin, otusURL := "http://localhost:"+authPort, "http://localhost:"+otusPort
	urls := URLs{
		AuthorizationServer: origin + brokerPath, TokenIssuer: origin + signerPath, JWKS: origin + jwksPath, Introspection: origin + introspectPath,
		Otus: otusURL, ClientID: DevClientID, TokenForge: origin + forgePath, ProofForge: origin + proofPath, Faults: otusURL + faultsPath,
	}
	b, err := newBroker(cfg, origin, urls, keys)
	if err != nil {
		return nil, err
	}
	keysOfClients, err := newProver()
	if err != nil {
		return nil, err
	}
	return &Stack{
		cfg: cfg, urls: urls, broker: b, prover: keysOfClients, logger: cfg.Logger,
		otus: newOtus(b.verifier, cfg.ServerURL, otusURL, cfg.Logger),
	}, nil
}

// loopbackPort returns the port of a listener that only this machine reaches:
// accounts without passwords have no business on a network.
func loopbackPort(name string, l net.Listener) (string, error) {
	if l == nil {
		return "", fmt.Errorf("%s is missing", name)
	}
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok || !address.IP.IsLoopback() {
		return "", fmt.Errorf("%s listens on %s; the development stack listens on loopback only", name, l.Addr())
	}
	return strconv.Itoa(address.Port), nil
}

// Run serves until ctx ends, then drains for at most five seconds and returns.
// It closes both listeners. Its error is nil unless serving or draining failed.
// Run may be called once.
func (s *Stack) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, served := range []struct {
		listener net.Listener
		handler  http.Handler
	}{
		{s.cfg.AuthListener, s.authHandler()},
		{s.cfg.OtusListener, s.otusHandler()},
	} {
		server := &http.Server{
			Handler:           served.handler,
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
			// Requests that wait because of a fault end when the stack stops.
			BaseContext: func(net.Listener) context.Context { return ctx },
		}
		group.Go(func() error {
			if err := server.Serve(served.listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", served.listener.Addr(), err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			return drain(context.WithoutCancel(ctx), server)
		})
	}
	return group.Wait()
}

func drain(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("drain: %w", err), server.Close())
	}
	return nil
}

func (s *Stack) authHandler() http.Handler {
	mux := http.NewServeMux()
	s.broker.routes(mux)
	mux.Handle("POST "+forgePath, http.NewCrossOriginProtection().Handler(api(s.logger, s.forge)))
	mux.Handle("GET "+forgePath, api(s.logger, s.forgeHelp))
	mux.Handle("POST "+proofPath, http.NewCrossOriginProtection().Handler(api(s.logger, s.prove)))
	mux.Handle("GET "+proofPath, api(s.logger, s.proveHelp))
	return onlyThisMachine(port(s.urls.AuthorizationServer), s.broker.counting(s.broker.faults.middleware(mux)))
}

func (s *Stack) otusHandler() http.Handler {
	return onlyThisMachine(port(s.urls.Otus), s.otus.routes())
}

func port(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Port()
}

// URLs returns where everything is.
func (s *Stack) URLs() URLs { return s.urls }

// RotateKeys signs with a new key from now on. With overlap the old one stays
// published, as it should be; without, tokens signed with it are worthless at
// once. If no key can be made, the old one stays and the log says so.
func (s *Stack) RotateKeys(overlap bool) {
	if err := s.broker.storage.keys.rotate(overlap); err != nil {
		s.logger.Error("key rotation failed", slog.String("error", err.Error()))
	}
}

// ReplaceKey signs with a new key from now on and publishes it under the key id
// of the old one, which vanishes. If no key can be made, the old one stays and
// the log says so.
func (s *Stack) ReplaceKey() {
	if err := s.broker.storage.keys.replace(); err != nil {
		s.logger.Error("key replacement failed", slog.String("error", err.Error()))
	}
}

// ResourceSecret returns the secret of the client [DevResourceID], new at each
// start.
func (s *Stack) ResourceSecret() secret.Value { return s.broker.resource.secret }

// Revoke makes introspection say that an access token is not active any more.
func (s *Stack) Revoke(token string) { s.broker.spoken.revoke(token) }

// SetIdPFault makes the authorization server and the token signer misbehave
// from now on. The zero value heals them.
func (s *Stack) SetIdPFault(fault IdPFault) { s.broker.faults.set(fault) } //nolint:revive,staticcheck // IdP is how the trade writes it

// SetOtusFault makes the Otus API misbehave for the next Count requests. The
// zero value heals it.
func (s *Stack) SetOtusFault(fault OtusFault) { s.otus.faults.replace(fault) }

// JWKSFetches returns how often the key set was asked for, faults included.
func (s *Stack) JWKSFetches() int { return int(s.broker.fetches.Load()) }

// Issued returns every token (access, ID, refresh, forged) and code issued so
// far, the last 20,000 of them, so that tests can look for leaks in logs.
func (s *Stack) Issued() []string { return s.broker.issued.list() }

// OtusRequests returns the last 2,000 requests that reached the Otus API,
// oldest first, without those to /dev/faults.
func (s *Stack) OtusRequests() []OtusRequest { return s.otus.requests.list() }
