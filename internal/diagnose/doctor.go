package diagnose

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Upstream is an API that tools call.
type Upstream struct {
	Name string
	URL  string
}

// DoctorConfig is a valid configuration as far as other systems come into it.
type DoctorConfig struct {
	ServerURL            string
	AuthorizationServers []string
	Issuers              []Issuer // whose tokens are accepted
	Scopes               oauth.Scopes
	OwnTLS               bool // the server ends TLS itself
	BehindProxy          bool // proxies are trusted
	Production           bool
	DPoP                 bool // bound tokens are taken
	Upstreams            []Upstream
	Transport            http.RoundTripper // decides what may be dialled, as for the server
}

// Doctor looks at what a server with this configuration depends on. Nothing is
// sent but requests without credentials.
func Doctor(ctx context.Context, cfg DoctorConfig) Report {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	d := &doctor{cfg: cfg, fetcher: discovery.NewFetcher(cfg.Transport)}
	d.serverURL()
	d.scopes()
	servers := map[string]discovery.Metadata{}
	for n, issuer := range cfg.AuthorizationServers {
		metadata, ok := d.authorizationServer(ctx, "authorization-server-"+strconv.Itoa(n+1), issuer)
		if ok {
			servers[issuer] = metadata
		}
	}
	d.issuers(ctx, servers)
	for _, upstream := range cfg.Upstreams {
		d.upstream(ctx, upstream)
	}
	return Report{Target: cfg.ServerURL, Findings: d.findings}
}

// doctor gathers findings.
type doctor struct {
	cfg      DoctorConfig
	fetcher  *discovery.Fetcher
	findings []Finding
}

func (d *doctor) add(status Status, name, source, detail, fix string) {
	d.findings = append(d.findings, Finding{Name: name, Status: status, Source: source, Detail: printable(detail), Fix: fix})
}

func (d *doctor) ok(name, detail string) { d.add(OK, name, "", detail, "") }

func (d *doctor) serverURL() {
	u, err := url.Parse(d.cfg.ServerURL)
	switch {
	case err != nil || u.Host == "":
		d.add(Problem, "server-url", "", "SERVER_URL is not an absolute URL", "Set SERVER_URL to the URL that clients use.")
		return
	case !d.cfg.Production:
		d.ok("server-url", d.cfg.ServerURL+" is loopback: development rules")
		return
	case u.Port() != "" && u.Port() != "443":
		d.add(Warning, "server-url", "", "claude.ai connects to port 443 only, and SERVER_URL has port "+u.Port(),
			"Publish the server on port 443 if people shall use it from claude.ai.")
	default:
		d.ok("server-url", d.cfg.ServerURL)
	}
	switch {
	case d.cfg.OwnTLS:
		d.ok("tls", "this server ends TLS itself")
	case d.cfg.BehindProxy:
		d.ok("tls", "a trusted proxy ends TLS; it must set X-Forwarded-Proto")
	default:
		d.add(Problem, "tls", "RFC 6750 section 5.3", "nobody ends TLS", "Set TLS_CERT_FILE and TLS_KEY_FILE, or TRUSTED_PROXIES.")
	}
}

func (d *doctor) scopes() {
	if d.cfg.Scopes.Has("offline_access") {
		d.add(Warning, "scopes", "MCP authorization, Refresh Tokens",
			"SCOPES_SUPPORTED lists offline_access, which some authorization servers refuse and clients ask for by themselves",
			"Leave offline_access out of SCOPES_SUPPORTED unless your clients need it there.")
		return
	}
	d.ok("scopes", d.cfg.Scopes.String())
}

// authorizationServer looks at what one of AUTHORIZATION_SERVERS publishes.
func (d *doctor) authorizationServer(ctx context.Context, name, issuer string) (discovery.Metadata, bool) {
	metadata, err := d.fetcher.Metadata(ctx, issuer)
	if err != nil {
		d.add(Problem, name, "RFC 8414 section 3", "no metadata of "+issuer+": "+err.Error(),
			"Check AUTHORIZATION_SERVERS, and that this machine reaches it.")
		return metadata, false
	}
	d.ok(name, issuer+" publishes "+d.form(ctx, issuer))
	if metadata.Issuer != issuer {
		d.add(Warning, name+"-issuer", "RFC 8414 section 3.3", fmt.Sprintf("it calls itself %q, which is what clients and tokens see", metadata.Issuer),
			"Write it in AUTHORIZATION_SERVERS exactly so, slash included.")
	} else {
		d.ok(name+"-issuer", metadata.Issuer)
	}
	if metadata.SupportsS256() {
		d.ok(name+"-pkce", "S256")
	} else {
		d.add(Problem, name+"-pkce", "MCP authorization, Authorization Code Protection", "its metadata does not list S256 in code_challenge_methods_supported",
			"Turn PKCE with S256 on there and publish it; clients must refuse to go on without.")
	}
	if metadata.AuthorizationEndpoint == "" || metadata.TokenEndpoint == "" {
		d.add(Problem, name+"-endpoints", "RFC 8414 section 2", "its metadata has no authorization_endpoint or no token_endpoint",
			"Put the server that people sign in at first in AUTHORIZATION_SERVERS, and the tokens' signer into JWT_ISSUER.")
	}
	switch {
	case metadata.ClientIDMetadata && metadata.RegistrationEndpoint != "":
		d.ok(name+"-clients", "client ID metadata documents and dynamic registration")
	case metadata.ClientIDMetadata:
		d.ok(name+"-clients", "client ID metadata documents")
	case metadata.RegistrationEndpoint != "":
		d.ok(name+"-clients", "dynamic registration")
	default:
		d.add(Warning, name+"-clients", "MCP authorization, Client Registration", "clients can neither register nor bring a metadata document",
			"Register a public client and tell people its ID, for example with RESOURCE_DOCUMENTATION.")
	}
	if metadata.IssParameter {
		d.ok(name+"-iss", "authorization responses carry iss")
	} else {
		d.add(Warning, name+"-iss", "RFC 9207 section 3", "authorization responses do not say who sent them",
			"Turn authorization_response_iss_parameter_supported on there, against mix-up attacks.")
	}
	switch {
	case d.cfg.DPoP && len(metadata.DPoPAlgorithms) == 0:
		d.add(Warning, name+"-dpop", "RFC 9449 section 5.1", "DPOP is on, and the authorization server does not say that it binds tokens",
			"Turn DPoP on there (dpop_signing_alg_values_supported), or DPOP off here.")
	case d.cfg.DPoP:
		d.ok(name+"-dpop", "it binds tokens to DPoP keys")
	}
	return metadata, true
}

// form tells where the metadata is published.
func (d *doctor) form(ctx context.Context, issuer string) string {
	forms, err := discovery.MetadataURLs(issuer)
	if err != nil {
		return "nowhere"
	}
	for _, form := range forms {
		if _, err := d.fetcher.Document(ctx, form); err == nil {
			return form
		}
	}
	return "nowhere"
}

// upstream asks an API without a token: any answer below 500 that is not a
// redirect shows that it is there.
func (d *doctor) upstream(ctx context.Context, upstream Upstream) {
	name := "upstream-" + upstream.Name
	status, err := d.status(ctx, upstream.URL)
	switch {
	case err != nil:
		d.add(Problem, name, "", upstream.URL+" does not answer: "+err.Error(), "Check its URL, and EGRESS_ALLOW if it is on a private network.")
	case status >= 500:
		d.add(Warning, name, "", fmt.Sprintf("%s answers %d", upstream.URL, status), "Ask whoever runs the API.")
	case status >= 300 && status < 400:
		d.add(Warning, name, "", fmt.Sprintf("%s answers %d; redirects are not followed, so that tokens stay at one origin", upstream.URL, status),
			"Give the URL that it redirects to.")
	default:
		d.ok(name, fmt.Sprintf("%s answers %d without a token", upstream.URL, status))
	}
}

func (d *doctor) status(ctx context.Context, rawURL string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return 0, errors.New("it is not a URL")
	}
	request.Header.Set("User-Agent", "oauth-mcp-server")
	response, err := d.cfg.Transport.RoundTrip(request) // follows no redirect
	if err != nil {
		return 0, bare(err)
	}
	return response.StatusCode, response.Body.Close()
}

// ConfigProblem is the finding for a setting that keeps the server from
// starting.
func ConfigProblem(name, shape, fix string) Finding {
	return Finding{Name: name, Status: Problem, Detail: printable(shape), Fix: printable(strings.TrimSpace(fix))}
}

// ConfigWarning is the finding for a setting that may not be meant.
func ConfigWarning(name, detail string) Finding {
	return Finding{Name: name, Status: Warning, Detail: printable(detail)}
}
