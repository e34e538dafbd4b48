package app

import (
	"log/slog"
	"net/http"
	"slices"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
)

// newVerifier makes the verifier of the issuers that the configuration trusts.
// servers is the metadata of the authorization servers, in their order.
func newVerifier(cfg config.Config, servers []*discovery.Source, transport http.RoundTripper, logger *slog.Logger, rules tokenRules) (*bearer.Verifier, error) {
	fetcher := discovery.NewFetcher(transport)
	var issuers []bearer.IssuerConfig
	for _, issuer := range cfg.TrustedIssuers() {
		issuers = append(issuers, bearer.IssuerConfig{
			Issuer:      issuer.Issuer,
			JWKSURL:     issuer.JWKSURL,
			Source:      sourceOf(issuer, servers, fetcher),
			Algorithms:  issuer.Algorithms,
			Audiences:   issuer.Audiences,
			Leeway:      issuer.Leeway,
			Types:       bearer.Types(issuer.Types),
			Clients:     issuer.Clients,
			MaxAge:      issuer.MaxAge,
			MaxLifetime: issuer.MaxLifetime,
			Introspection: bearer.IntrospectionConfig{
				Tokens:       bearer.Introspect(issuer.Introspection.Tokens),
				URL:          issuer.Introspection.URL,
				Method:       issuer.Introspection.Method,
				ClientID:     issuer.Introspection.ClientID,
				ClientSecret: issuer.Introspection.ClientSecret,
				PrivateKey:   issuer.Introspection.PrivateKey,
				KeyID:        issuer.Introspection.KeyID,
				CacheFor:     issuer.Introspection.CacheFor,
			},
		})
	}
	return bearer.New(bearer.Config{
		Issuers:        issuers,
		RequiredScopes: cfg.RequiredScopes,
		Hierarchy:      cfg.Hierarchy(),
		Binding:        rules.binding,
		Revoked:        rules.revoked,
		Fetcher:        fetcher,
		Transport:      transport,
		Logger:         logger,
		Meter:          rules.binding.Meter, // one for everything
	})
}

// sourceOf returns the metadata of an issuer: that of the authorization server
// that it is, as far as it is one, nil when nothing of it is needed.
func sourceOf(issuer config.Issuer, servers []*discovery.Source, fetcher *discovery.Fetcher) *discovery.Source {
	name := issuer.Issuer
	if issuer.Server != "" {
		name = issuer.Server
	}
	asked := issuer.Introspection.Tokens != "" && issuer.Introspection.URL == ""
	if issuer.Server == "" && issuer.JWKSURL != "" && !asked {
		return nil
	}
	if at := slices.IndexFunc(servers, func(s *discovery.Source) bool { return s.Issuer() == name }); at >= 0 {
		return servers[at]
	}
	return discovery.NewSource(fetcher, name, nil)
}
