package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Paths of the endpoints that are protected resources, relative to SERVER_URL.
const (
	PathMCP = "/mcp"
	PathSSE = "/mcp/sse"
)

// The words of TOOLS_LISTED.
const (
	ListObtainable = "obtainable"
	ListCallable   = "callable"
)

// Config is the whole configuration, typed. Use [Load] or, where no operator is
// involved, [Default]. The zero Config does not pass [Config.Validate].
//
// The tags are the manual: env is the variable's name (the flag is the same in
// kebab case), default its text form, derived says what a default that is not a
// constant is made of, values lists the only accepted words.
type Config struct {
	ServerURL             string `env:"SERVER_URL" group:"Server" placeholder:"URL" default:"http://localhost:8000" help:"Public URL of this server: scheme, host and port, no path. Every absolute URL derives from it, never from request headers. Production rules apply unless its host is loopback."`
	ListenAddr            string `env:"LISTEN_ADDR" group:"Server" placeholder:"HOST:PORT" default:"127.0.0.1:8000" help:"Address to listen on. The container image sets 0.0.0.0:8000."`
	TLSCertFile           string `env:"TLS_CERT_FILE" group:"Server" placeholder:"PATH" help:"PEM certificate chain, for serving TLS without a proxy. Needs TLS_KEY_FILE."`
	TLSKeyFile            string `env:"TLS_KEY_FILE" group:"Server" placeholder:"PATH" help:"PEM private key of TLS_CERT_FILE."`
	ResourceName          string `env:"RESOURCE_NAME" group:"Server" placeholder:"TEXT" help:"Name of this server for people, published as resource_name (RFC 9728)."`
	ResourceDocumentation string `env:"RESOURCE_DOCUMENTATION" group:"Server" placeholder:"URL" help:"Page for developers of clients, published as resource_documentation (RFC 9728)."`

	AuthorizationServers []string      `env:"AUTHORIZATION_SERVERS" group:"Tokens" placeholder:"URL,..." default:"https://tecro-api.tecrolabs.dev/ares" help:"Issuer URLs of the authorization servers that clients are sent to. Order matters: clients take the first."`
	JWTIssuer            string        `env:"JWT_ISSUER" group:"Tokens" placeholder:"URL" derived:"issuer of the authorization server's metadata" help:"Issuer that tokens must name, compared byte for byte (Auth0's ends with a slash). Set it where a broker's tokens are signed by another provider."`
	JWKSURL              string        `env:"JWKS_URL" group:"Tokens" placeholder:"URL" derived:"jwks_uri of the issuer's metadata" help:"Key set that token signatures are checked with."`
	JWTAudience          []string      `env:"JWT_AUDIENCE" group:"Tokens" placeholder:"AUD,..." derived:"SERVER_URL, SERVER_URL/mcp, SERVER_URL/mcp/sse" help:"Accepted audiences: a token must name one of them exactly. The check cannot be turned off."`
	JWTAlgorithms        []string      `env:"JWT_ALGORITHMS" group:"Tokens" placeholder:"ALG,..." default:"RS256" help:"Signature algorithms that tokens may have: RS256, PS256, ES256, EdDSA."`
	JWTTypes             string        `env:"JWT_TYPES" group:"Tokens" placeholder:"POLICY" default:"compat" values:"compat strict" help:"Which typ headers tokens may have. strict: at+jwt only (RFC 9068). compat: JWT or none as well, as Auth0's default profile has it."`
	JWTClients           []string      `env:"JWT_CLIENTS" group:"Tokens" placeholder:"ID,..." derived:"every client" help:"Clients whose tokens are accepted, by client_id or azp, in addition to the audience."`
	JWTMaxAge            time.Duration `env:"JWT_MAX_AGE" group:"Tokens" placeholder:"DURATION" derived:"until the token expires" help:"How long after it was issued (iat) a token is accepted."`
	JWTMaxLifetime       time.Duration `env:"JWT_MAX_LIFETIME" group:"Tokens" placeholder:"DURATION" derived:"any" help:"Longest lifetime (exp less iat) that a token may have been given."`
	JWTLeeway            time.Duration `env:"JWT_LEEWAY" group:"Tokens" placeholder:"DURATION" default:"30s" help:"Clock difference tolerated in token times, at most 60s."`
	ScopesSupported      oauth.Scopes  `env:"SCOPES_SUPPORTED" group:"Tokens" placeholder:"SCOPE,..." default:"openid profile email offline_access" help:"Scopes published in the metadata and asked for in challenges."`
	RequiredScopes       oauth.Scopes  `env:"REQUIRED_SCOPES" group:"Tokens" placeholder:"SCOPE,..." help:"Scopes that every request's token must have."`
	ScopeHierarchy       []string      `env:"SCOPE_HIERARCHY" group:"Tokens" placeholder:"CHAIN,..." help:"Scopes that stand for others, highest first, such as admin>write>read: a token with admin has write and read as well, for REQUIRED_SCOPES and for tools."`
	IssuersFile          string        `env:"ISSUERS_FILE" group:"Tokens" placeholder:"PATH" derived:"the JWT_ settings say it all" help:"Several issuers, each with rules of its own (docs/issuers.md). Replaces JWT_ISSUER, JWKS_URL and INTROSPECT; what an entry leaves out is as the other JWT_ settings say."`

	Introspect                string       `env:"INTROSPECT" group:"Introspection" placeholder:"TOKENS" default:"none" values:"none opaque jwt all" help:"Tokens that the issuer is asked about (RFC 7662). opaque: those that are no JWT. jwt: its JWTs, so that revoked ones are refused. all: both."`
	IntrospectionURL          string       `env:"INTROSPECTION_URL" group:"Introspection" placeholder:"URL" derived:"introspection_endpoint of the issuer's metadata" help:"Where the issuer is asked."`
	IntrospectionClientID     string       `env:"INTROSPECTION_CLIENT_ID" group:"Introspection" placeholder:"ID" help:"Client that this server is at the issuer."`
	IntrospectionClientSecret secret.Value `env:"INTROSPECTION_CLIENT_SECRET" group:"Introspection" placeholder:"SECRET" help:"Secret of INTROSPECTION_CLIENT_ID, sent as client_secret_basic. ISSUERS_FILE has further methods."`

	DPoP             string `env:"DPOP" group:"Tokens" placeholder:"WORD" default:"off" values:"off allowed required" help:"Tokens that are bound to a key of the client by DPoP (RFC 9449): off refuses them, allowed takes them with their proof beside bearer tokens, required takes nothing else."`
	DPoPNonce        string `env:"DPOP_NONCE" group:"Tokens" placeholder:"WORD" default:"off" values:"off on" help:"Whether each DPoP proof needs a nonce of this server, which clients get from the DPoP-Nonce header. It costs them one more request at the start and keeps proofs from being made in advance. Set SESSION_KEY with several replicas."`
	MTLS             string `env:"MTLS" group:"Tokens" placeholder:"WORD" default:"off" values:"off allowed required" help:"Tokens that are bound to a client certificate (RFC 8705): off refuses them, allowed takes them over a connection with that certificate, required takes nothing else. Needs TLS_CERT_FILE or CLIENT_CERT_HEADER."`
	ClientCertHeader string `env:"CLIENT_CERT_HEADER" group:"Tokens" placeholder:"NAME" help:"Header in which TRUSTED_PROXIES pass on the client's certificate: Client-Cert (RFC 9440), X-Forwarded-Client-Cert (Envoy, one element with Hash), or any other name with PEM escaped as in a URL (nginx: $ssl_client_escaped_cert). From everybody else it is dropped."`

	OAuthClientID     string       `env:"OAUTH_CLIENT_ID" group:"Sign-in" placeholder:"ID" help:"Client of the browser sign-in at /auth/start. Without it /auth/* answers 503."`
	OAuthClientSecret secret.Value `env:"OAUTH_CLIENT_SECRET" group:"Sign-in" placeholder:"SECRET" help:"Secret of OAUTH_CLIENT_ID. Leave it out for a public client."`
	OAuthAudience     string       `env:"OAUTH_AUDIENCE" group:"Sign-in" placeholder:"AUD" help:"Value of the audience parameter that Auth0 wants in an authorization request."`
	SessionKey        secret.Value `env:"SESSION_KEY" group:"Sign-in" placeholder:"SECRET" derived:"generated at each start" help:"Key that seals what goes out to clients and comes back (the sign-in cookie, list cursors, the state of requests in several rounds), at least 32 characters, the same on every replica. Make one with: openssl rand -base64 32."`

	OtusURL     string `env:"OTUS_URL" group:"Tools" placeholder:"URL" default:"https://tecro-api.tecrolabs.dev/otus" help:"Base URL of the Otus API. The caller's token goes to this origin only."`
	ToolsFile   string `env:"TOOLS_FILE" group:"Tools" placeholder:"PATH" derived:"built-in catalogue (otus_teams)" help:"Catalogue of declared tools, instead of the built-in one. It is read again when the file changes and on SIGHUP."`
	ToolsListed string `env:"TOOLS_LISTED" group:"Tools" placeholder:"WORD" default:"obtainable" values:"obtainable callable" help:"What the lists of tools, resources and prompts show: obtainable, also what the caller's token may not use yet but would after a step-up (more scopes, another sign-in); or callable, only what it may use now."`

	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" group:"Network" placeholder:"CIDR,..." help:"Networks of the reverse proxies that end TLS in front of this server. Only their X-Forwarded-* headers are read."`
	AllowedHosts   []string       `env:"ALLOWED_HOSTS" group:"Network" placeholder:"HOST,..." help:"Further Host header values to accept. The host of SERVER_URL always is, and loopback names are in development. Without a port, an entry stands for every port."`
	AllowedOrigins []string       `env:"ALLOWED_ORIGINS" group:"Network" placeholder:"ORIGIN,..." derived:"loopback origins in development, none in production" help:"Browser origins that may call this server, such as https://claude.ai."`
	EgressAllow    []netip.Prefix `env:"EGRESS_ALLOW" group:"Network" placeholder:"CIDR,..." help:"Private networks that outgoing connections may reach. Public addresses always may, loopback ones in development only."`

	RateLimitPrincipal Rate `env:"RATE_LIMIT_PRINCIPAL" group:"Limits" placeholder:"N/TIME" default:"1200/1m" help:"Requests of one person or service, with whatever tokens: N at once, coming back evenly over TIME. Over it the answer is 429. Or off."`
	RateLimitTool      Rate `env:"RATE_LIMIT_TOOL" group:"Limits" placeholder:"N/TIME" default:"12000/1m" help:"Calls of one tool, by everybody together. Or off."`
	RateLimitGlobal    Rate `env:"RATE_LIMIT_GLOBAL" group:"Limits" placeholder:"N/TIME" default:"60000/1m" help:"Requests of everybody together. Or off. With CLUSTER_URL, each of these limits holds for all replicas together; without the store, for each alone."`
	RateLimitAddress   Rate `env:"RATE_LIMIT_ADDRESS" group:"Limits" placeholder:"N/TIME" default:"300/1m" help:"Requests without an acceptable token from one address (IPv6: one /64). Over it the address is refused before its token is looked at. Or off."`

	LogLevel        string        `env:"LOG_LEVEL" group:"Operation" placeholder:"LEVEL" default:"info" values:"debug info warn error" help:"Least level that is logged: debug, info, warn or error."`
	LogFormat       string        `env:"LOG_FORMAT" group:"Operation" placeholder:"FORMAT" default:"json" values:"json text" help:"Form of the log lines on stderr: json or text."`
	AuditLog        string        `env:"AUDIT_LOG" group:"Operation" placeholder:"WHERE" default:"stderr" help:"Where audit records go: stderr (among the log lines), stdout, or the path of a file, which is appended to and opened again on SIGHUP. In development also off. Each is one JSON object of docs/audit.schema.json, unless it stands among log lines of LOG_FORMAT=text."`
	AuditSubject    string        `env:"AUDIT_SUBJECT" group:"Operation" placeholder:"POLICY" default:"hash" values:"hash value" help:"What audit records say of a person: hash (a pseudonym, keyed with SESSION_KEY) or value (the subject of the token too)."`
	MetricsAddr     string        `env:"METRICS_ADDR" group:"Operation" placeholder:"HOST:PORT" derived:"off" help:"Address of a plain HTTP listener of its own that serves GET /metrics to Prometheus, such as 127.0.0.1:9464. Loopback or private addresses only."`
	SSEMaxAge       time.Duration `env:"SSE_MAX_AGE" group:"Operation" placeholder:"DURATION" default:"1h" help:"Longest life of one SSE stream, from 1s to 24h. Clients connect again."`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" group:"Operation" placeholder:"DURATION" default:"20s" help:"How long requests may go on after SIGTERM, from 1s to 10m."`
	ClusterURL      secret.Value  `env:"CLUSTER_URL" group:"Operation" placeholder:"URL" derived:"one replica, in memory" help:"Valkey or Redis server through which replicas reach each other's HTTP+SSE streams: redis:// or rediss://. Needs SESSION_KEY. Production takes redis:// only for loopback and for an address within EGRESS_ALLOW."`
	ClusterCAFile   string        `env:"CLUSTER_CA_FILE" group:"Operation" placeholder:"PATH" derived:"authorities of the system" help:"PEM certificates of the authorities that may sign the certificate of a rediss:// CLUSTER_URL."`

	// Issuers are the entries of ISSUERS_FILE. [Load] reads them; they are no
	// setting.
	Issuers []Issuer
}

// Production reports whether production rules apply: always, unless the host of
// SERVER_URL is loopback. A SERVER_URL that cannot be read counts as production.
func (c Config) Production() bool {
	u, err := url.Parse(c.ServerURL)
	return err != nil || !isLoopbackHost(u.Hostname())
}

// isLoopbackHost knows the three spellings that never leave the machine.
// Anything cleverer ("127.1", "localhost.") counts as production.
func isLoopbackHost(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// Hierarchy returns what SCOPE_HIERARCHY declares. For a Config that passes
// [Config.Validate] it is complete.
func (c Config) Hierarchy() oauth.Hierarchy {
	hierarchy, _ := oauth.ParseHierarchy(c.ScopeHierarchy) // Validate has reported the error
	return hierarchy
}

// Endpoint returns the absolute URL of path, which begins with "/".
func (c Config) Endpoint(path string) string { return c.ServerURL + path }

// Audiences returns the audiences a token may name: JWT_AUDIENCE, else this
// server and its endpoints. It is never empty for a valid Config.
func (c Config) Audiences() []string {
	if len(c.JWTAudience) > 0 {
		return slices.Clone(c.JWTAudience)
	}
	if c.ServerURL == "" {
		return nil
	}
	return []string{c.ServerURL, c.Endpoint(PathMCP), c.Endpoint(PathSSE)}
}

// Hosts returns the Host header values to accept, in lower case: the name of
// SERVER_URL, then ALLOWED_HOSTS, then loopback names in development. An entry
// without a port stands for every port, because a published container port or a
// proxy changes it, and DNS rebinding is about names. An IPv6 address has
// brackets only in front of a port.
func (c Config) Hosts() []string {
	var hosts []string
	add := func(more ...string) {
		for _, host := range more {
			host = strings.ToLower(host)
			if strings.HasSuffix(host, "]") {
				host = strings.Trim(host, "[]")
			}
			if host != "" && !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	if u, err := url.Parse(c.ServerURL); err == nil {
		add(u.Hostname())
	}
	add(c.AllowedHosts...)
	if !c.Production() {
		add("localhost", "127.0.0.1", "::1")
	}
	return hosts
}
