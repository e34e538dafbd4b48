package app

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/diagnose"
	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// explainTimeout bounds how long a verdict may take: the issuer is asked for its
// metadata and keys.
const explainTimeout = 30 * time.Second

// VerifyOptions is what the verify command hands over.
type VerifyOptions struct {
	URL    string
	Origin string
	Token  secret.Value
	Allow  []netip.Prefix // private networks that may be dialled
}

// Verify looks at a running server from outside.
func Verify(ctx context.Context, opts VerifyOptions) (diagnose.Report, error) {
	transport := outsideTransport(ctx, opts.URL, opts.Allow)
	defer transport.CloseIdleConnections()
	return diagnose.Verify(ctx, diagnose.VerifyConfig{URL: opts.URL, Origin: opts.Origin, Token: opts.Token, Transport: transport})
}

// Doctor reports what is wrong with a configuration and with the systems it
// names. With problems of the configuration itself nobody is asked: the rules
// that were broken are also those that say who may be.
func Doctor(ctx context.Context, loaded config.Loaded, problems []*config.Problem) diagnose.Report {
	cfg := loaded.Config
	report := diagnose.Report{Target: cfg.ServerURL}
	for _, problem := range problems {
		report.Findings = append(report.Findings, diagnose.ConfigProblem(problem.Name, problem.Shape, problem.Fix))
	}
	for _, warning := range loaded.Warnings {
		report.Findings = append(report.Findings, diagnose.ConfigWarning(warning.Name, warning.Text))
	}
	if len(problems) > 0 {
		return report
	}
	report.Findings = append(report.Findings, diagnose.Finding{Name: "configuration", Status: diagnose.OK, Detail: "valid"})
	read, err := catalogueOf(cfg, cfg.ToolsFile).read(ctx)
	if err != nil {
		report.Findings = append(report.Findings, diagnose.ConfigProblem("TOOLS_FILE", err.Error(), "Correct the catalogue; tools lint lists every problem with its line."))
		return report
	}
	var upstreams []diagnose.Upstream
	for _, u := range read.catalogue.Upstreams() {
		upstreams = append(upstreams, diagnose.Upstream{Name: u.Name, URL: u.URL})
	}
	transport := egress.NewTransport(egressPolicy(cfg), nil)
	defer transport.CloseIdleConnections()
	outside := diagnose.Doctor(ctx, diagnose.DoctorConfig{
		ServerURL:            cfg.ServerURL,
		AuthorizationServers: cfg.AuthorizationServers,
		Issuers:              issuersOf(cfg),
		Scopes:               cfg.ScopesSupported,
		OwnTLS:               cfg.TLSCertFile != "",
		BehindProxy:          len(cfg.TrustedProxies) > 0,
		Production:           cfg.Production(),
		DPoP:                 cfg.DPoP != "off",
		Upstreams:            upstreams,
		Transport:            transport,
	})
	report.Findings = append(report.Findings, outside.Findings...)
	return report
}

func issuersOf(cfg config.Config) []diagnose.Issuer {
	var issuers []diagnose.Issuer
	for _, issuer := range cfg.TrustedIssuers() {
		issuers = append(issuers, diagnose.Issuer{
			Server: issuer.Server, Name: issuer.Issuer, JWKSURL: issuer.JWKSURL, Algorithms: issuer.Algorithms,
			Introspection: issuer.Introspection.Tokens != "", IntrospectionURL: issuer.Introspection.URL,
		})
	}
	return issuers
}

// audiencesOf returns the audiences that are accepted of an issuer, those of
// every issuer when it is none that is trusted.
func audiencesOf(cfg config.Config, name string) []string {
	var all []string
	for _, issuer := range cfg.TrustedIssuers() {
		if name != "" && issuer.Issuer == name {
			return issuer.Audiences
		}
		for _, audience := range issuer.Audiences {
			if !slices.Contains(all, audience) {
				all = append(all, audience)
			}
		}
	}
	return all
}

func egressPolicy(cfg config.Config) egress.Policy {
	return egress.Policy{AllowLoopback: !cfg.Production(), Allow: cfg.EgressAllow}
}

// Explain takes a token apart and, unless offline, asks the verifier that a
// server of this valid configuration has.
func Explain(ctx context.Context, cfg config.Config, token secret.Value, offline bool) (diagnose.Explanation, error) {
	explain := diagnose.ExplainConfig{Token: token, Audiences: func(issuer string) []string { return audiencesOf(cfg, issuer) }}
	if offline {
		return diagnose.Explain(ctx, explain), nil
	}
	verify, done, err := tokenVerifier(cfg)
	if err != nil {
		return diagnose.Explanation{}, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	explain.Verify = verify
	return diagnose.Explain(ctx, explain), nil
}

// tokenVerifier returns the judgement that a server of this valid configuration
// has of a token, but for the proof that a bound one needs with each request.
// done ends its connections.
func tokenVerifier(cfg config.Config) (verify func(context.Context, secret.Value) (oauth.Principal, error), done func(), err error) {
	transport := egress.NewTransport(egressPolicy(cfg), nil)
	fetcher := discovery.NewFetcher(transport)
	var servers []*discovery.Source
	for _, issuer := range cfg.AuthorizationServers {
		servers = append(servers, discovery.NewSource(fetcher, issuer, nil))
	}
	verifier, err := newVerifier(cfg, servers, transport, slog.New(slog.DiscardHandler), tokenRules{binding: newBinding(cfg, nil, nil)})
	if err != nil {
		return nil, nil, err
	}
	return verifier.VerifyUnproven, transport.CloseIdleConnections, nil
}
