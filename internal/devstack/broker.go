package devstack

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// broker is the authorization server together with the token signer.
//
// op's own HTTP routes are not used: they log whole redirect URLs through the
// global logger, know nothing of iss and resource, and answer a wrong client
// with 400. Its building blocks are: client authentication, codes, PKCE, access
// and ID tokens.
type broker struct {
	origin    string
	urls      URLs
	resources resources
	clients   *registry
	storage   *storage
	signIns   *signIns
	verifier  *verifier
	spoken    *spoken
	resource  *client // the resource server that asks about tokens
	service   *client // the one that exchanges them
	core      *op.LegacyServer
	faults    *idpFaults
	fetches   atomic.Int64
	issued    journal[string]
	logger    *slog.Logger
}

func newBroker(cfg Config, origin string, urls URLs, keys *keyring) (*broker, error) {
	apis := resources{server: cfg.ServerURL, otus: urls.Otus}
	preset := &client{
		id: DevClientID, name: "Development client", authMethod: oidc.AuthMethodNone,
		redirectURIs: []string{cfg.ServerURL + "/auth/callback"}, anyLoopback: true,
	}
	transport := egress.NewTransport(egress.Policy{AllowLoopback: true}, nil)
	resource := &client{id: DevResourceID, name: "Resource server", authMethod: oidc.AuthMethodBasic, secret: secret.New(rand.Text())}
	service := newServiceClient()
	clients := newRegistry(newDocuments(transport, time.Now), preset, resource, service)
	store := &storage{clients: clients, grants: newGrants(time.Now), keys: keys, lifetime: cfg.TokenLifetime}
	provider, err := op.NewProvider(&op.Config{AuthMethodPost: true, GrantTypeRefreshToken: true, CodeMethodS256: true},
		store, op.StaticIssuer(urls.AuthorizationServer), op.WithAllowInsecure())
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	said := newSpoken(time.Now)
	return &broker{
		spoken: said, resource: resource, service: service,
		origin: origin, urls: urls, resources: apis, clients: clients, storage: store,
		signIns:  newSignIns(cfg.SignIn, time.Now),
		verifier: &verifier{keys: keys, spoken: said, issuer: urls.TokenIssuer, now: time.Now},
		core:     op.NewLegacyServer(provider, *op.DefaultEndpoints),
		faults:   &idpFaults{},
		issued:   journal[string]{max: maxIssued},
		logger:   cfg.Logger,
	}, nil
}

// routes lists every path of the authorization server and the token signer.
func (b *broker) routes(mux *http.ServeMux) {
	protection := http.NewCrossOriginProtection()
	public := func(path string, methods []string, h handler) {
		served := crossOrigin(api(b.logger, h))
		for _, method := range append(methods, http.MethodOptions) {
			mux.Handle(method+" "+path, served)
		}
	}
	get, post := []string{http.MethodGet}, []string{http.MethodPost}
	public("/.well-known/oauth-authorization-server"+brokerPath, get, b.brokerMetadata)
	public("/.well-known/openid-configuration"+brokerPath, get, b.brokerMetadata)
	public(brokerPath+"/.well-known/openid-configuration", get, b.brokerMetadata)
	public(signerPath+".well-known/openid-configuration", get, b.signerMetadata)
	public(jwksPath, get, b.keySet)
	public(tokenPath, post, b.token)
	public(revokePath, post, b.revoke)
	public(registerPath, post, b.register)
	mux.Handle("POST "+introspectPath, api(b.logger, b.introspect))
	public(userinfoPath, []string{http.MethodGet, http.MethodPost}, b.userinfo)
	mux.Handle("GET "+authorizePath, browser(b.logger, b.authorize))
	mux.Handle("POST "+authorizePath, browser(b.logger, b.authorize))
	mux.Handle("GET "+signInPath, browser(b.logger, b.signInPage))
	mux.Handle("POST "+signInPath, protection.Handler(browser(b.logger, b.decide)))
	mux.Handle("/", api(b.logger, notFound))
}

// counting counts requests for the key set, also those that a fault answers.
func (b *broker) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == jwksPath && r.Method == http.MethodGet {
			b.fetches.Add(1)
		}
		next.ServeHTTP(w, r)
	})
}
