package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Bounds of single settings.
const (
	maxLeeway          = 60 * time.Second
	maxSSEAge          = 24 * time.Hour
	maxShutdownTimeout = 10 * time.Minute
	minSessionKey      = 32 // characters
	maxName            = 200
)

// Validate returns every [Problem] of the configuration, joined, or nil. It
// does no I/O and changes nothing.
func (c Config) Validate() error {
	v := validator{config: c}
	v.serverURL()
	v.listen()
	v.metrics()
	v.transport()
	v.published()
	v.tokens()
	v.bindings()
	v.tokenPolicies()
	v.introspection()
	v.issuers()
	v.signIn()
	v.tools()
	v.network()
	v.operation()
	return errors.Join(v.problems...)
}

// advice returns what is allowed and may not be meant.
func (c Config) advice() []Warning {
	var warnings []Warning
	warn := func(name, text string) { warnings = append(warnings, Warning{Name: name, Text: text}) }
	production := c.Production()
	if host, ok := listenHost(c.ListenAddr); ok && !production && !isLoopbackHost(host) {
		warn("LISTEN_ADDR", "accepts connections from other machines while SERVER_URL is loopback, so development rules apply")
	}
	if production && !c.SessionKey.IsSet() {
		warn("SESSION_KEY", "is generated at each start: a sign-in, a cursor or a round under way does not survive a restart, nor reach another replica, and people get new pseudonyms in the audit records")
	}
	if host, ok := listenHost(c.MetricsAddr); ok && isEveryAddress(host) {
		warn("METRICS_ADDR", "accepts connections on every address of this machine; keep its port inside your network")
	}
	if c.DPoP == "off" && c.DPoPNonce == "on" {
		warn("DPOP_NONCE", "does nothing while DPOP is off")
	}
	if c.MTLS == "off" && c.ClientCertHeader != "" {
		warn("CLIENT_CERT_HEADER", "does nothing while MTLS is off")
	}
	if c.DPoP == "required" || c.MTLS == "required" {
		warn(c.requiredBinding(), "is required, and most MCP clients send plain bearer tokens only")
	}
	if c.Introspect == "none" && (c.IntrospectionURL != "" || c.IntrospectionClientID != "" || c.IntrospectionClientSecret.IsSet()) {
		warn("INTROSPECT", "is none, so the INTROSPECTION_ settings do nothing")
	}
	if c.OAuthClientID == "" && c.OAuthAudience != "" {
		warn("OAUTH_AUDIENCE", "does nothing without OAUTH_CLIENT_ID")
	}
	if missing := c.ScopesSupported.Missing(c.RequiredScopes); len(missing) > 0 {
		warn("REQUIRED_SCOPES", "asks for "+quoted(missing.String())+", which SCOPES_SUPPORTED does not list, so clients will not request it")
	}
	if !production && strings.HasPrefix(c.OtusURL, "http://") && checkURL(c.OtusURL, httpsOrLoopback) != nil {
		warn("OTUS_URL", "is plain http: callers' tokens cross the network unencrypted; production refuses this")
	}
	return warnings
}

// validator gathers the problems of one Config.
type validator struct {
	config   Config
	known    bool // SERVER_URL is well formed, so it is known which rules apply
	problems []error
}

func (v *validator) problem(name, shape, fix string) {
	v.problems = append(v.problems, &Problem{Name: name, Shape: shape, Fix: fix})
}

// production reports whether production rules are to be checked. With a broken
// SERVER_URL nobody knows, and what is refused anyway needs no further guesses.
func (v *validator) production() bool { return v.known && v.config.Production() }

// rule returns how strict URLs of identity providers are.
func (v *validator) rule() urlRule {
	if v.production() {
		return httpsOnly
	}
	return httpsOrLoopback // RFC 8414 section 6, RFC 9728 section 7.1
}

func (v *validator) serverURL() {
	const name = "SERVER_URL"
	raw := v.config.ServerURL
	if raw == "" {
		v.problem(name, "empty", "set the public URL, such as https://mcp.example.com")
		return
	}
	if fix := checkOrigin(raw); fix != "" {
		v.problem(name, urlShape(raw), fix)
		return
	}
	v.known = true
	switch {
	case v.config.Production() && !strings.HasPrefix(raw, "https://"):
		v.problem(name, urlShape(raw)+", not loopback and not https", "use https: bearer tokens must not cross a network in the clear (RFC 6750 section 5.3)")
	case v.config.TLSCertFile != "" && !strings.HasPrefix(raw, "https://"):
		v.problem(name, urlShape(raw)+" while TLS_CERT_FILE is set", "begin it with https://, or unset TLS_CERT_FILE and TLS_KEY_FILE")
	}
}

func (v *validator) listen() {
	if _, ok := listenHost(v.config.ListenAddr); !ok {
		v.problem("LISTEN_ADDR", quoted(v.config.ListenAddr), "use HOST:PORT with an IP address or localhost and a port up to 65535, such as 127.0.0.1:8000")
	}
}

// metrics keeps the metrics off public addresses: who calls what, and how
// often, is nobody else's business.
func (v *validator) metrics() {
	const name = "METRICS_ADDR"
	address := v.config.MetricsAddr
	if address == "" {
		return
	}
	host, ok := listenHost(address)
	if !ok {
		v.problem(name, quoted(address), "use HOST:PORT with an IP address or localhost and a port up to 65535, such as 127.0.0.1:9464")
		return
	}
	if parsed, err := netip.ParseAddr(host); err == nil && !parsed.IsLoopback() && !parsed.IsPrivate() && !parsed.IsUnspecified() {
		v.problem(name, quoted(address)+", a public address", "use a loopback or private address: metrics are for the operator only")
	}
	if address == v.config.ListenAddr {
		v.problem(name, quoted(address)+", which is LISTEN_ADDR too", "use another port: metrics never stand beside the public routes")
	}
}

// transport holds the rule that a token never travels in the clear: production
// has TLS of its own or a declared proxy that ends it (RFC 9700 section 4.13).
func (v *validator) transport() {
	c := v.config
	switch {
	case c.TLSCertFile != "" && c.TLSKeyFile == "":
		v.problem("TLS_KEY_FILE", "empty while TLS_CERT_FILE is set", "set both or none")
	case c.TLSCertFile == "" && c.TLSKeyFile != "":
		v.problem("TLS_CERT_FILE", "empty while TLS_KEY_FILE is set", "set both or none")
	case v.production() && c.TLSCertFile == "" && len(c.TrustedProxies) == 0:
		v.problem("TRUSTED_PROXIES", "empty, and so is TLS_CERT_FILE",
			"production needs TLS: set TLS_CERT_FILE and TLS_KEY_FILE, or list the networks of the proxy that ends TLS")
	}
}

// published checks the free members of the protected-resource metadata.
func (v *validator) published() {
	c := v.config
	if len(c.ResourceName) > maxName || strings.ContainsFunc(c.ResourceName, isControl) {
		v.problem("RESOURCE_NAME", length(c.ResourceName), fmt.Sprintf("use at most %d bytes without control characters", maxName))
	}
	if c.ResourceDocumentation != "" {
		if err := checkURL(c.ResourceDocumentation, v.rule()|queryAllowed); err != nil {
			v.problem("RESOURCE_DOCUMENTATION", urlShape(c.ResourceDocumentation), err.Error())
		}
	}
}

func (v *validator) tokens() {
	c := v.config
	if len(c.AuthorizationServers) == 0 {
		v.problem("AUTHORIZATION_SERVERS", "empty", "name the issuer URL of at least one authorization server")
	}
	for _, issuer := range c.AuthorizationServers {
		v.url("AUTHORIZATION_SERVERS", issuer, v.rule())
	}
	v.url("JWT_ISSUER", c.JWTIssuer, v.rule())
	v.url("JWKS_URL", c.JWKSURL, v.rule()|queryAllowed)
	if c.JWKSURL != "" && c.JWTIssuer == "" && len(c.AuthorizationServers) > 1 {
		v.problem("JWT_ISSUER", "empty while JWKS_URL is set and AUTHORIZATION_SERVERS has several entries",
			"name the issuer whose keys these are: keys must never vouch for another issuer")
	}
	for _, audience := range c.JWTAudience {
		if audience == "" || strings.Contains(audience, "*") || strings.ContainsFunc(audience, isControl) {
			v.problem("JWT_AUDIENCE", "entry "+quoted(audience), "write each audience out: they are compared exactly, and there is no wildcard")
		}
	}
	if c.JWTLeeway < 0 || c.JWTLeeway > maxLeeway {
		v.problem("JWT_LEEWAY", c.JWTLeeway.String(), "use 0s to 60s; a larger difference is a clock to repair")
	}
	if err := c.ScopesSupported.Validate(); err != nil {
		v.problem("SCOPES_SUPPORTED", err.Error(), "use the characters of RFC 6749 section 3.3")
	}
	if c.ScopesSupported.Has("*") {
		v.problem("SCOPES_SUPPORTED", `entry "*"`, "write each scope out: clients ask for everything that is published")
	}
	if err := c.RequiredScopes.Validate(); err != nil {
		v.problem("REQUIRED_SCOPES", err.Error(), "use the characters of RFC 6749 section 3.3")
	}
	if _, err := oauth.ParseHierarchy(c.ScopeHierarchy); err != nil {
		v.problem("SCOPE_HIERARCHY", err.Error(), "write chains of scopes, highest first, such as admin>write>read, without circles")
	}
}

func (v *validator) signIn() {
	c := v.config
	for _, text := range []struct{ name, value string }{
		{"OAUTH_CLIENT_ID", c.OAuthClientID}, {"OAUTH_AUDIENCE", c.OAuthAudience},
	} {
		if strings.ContainsFunc(text.value, isControl) {
			v.problem(text.name, length(text.value)+" with control characters", "remove them")
		}
	}
	if c.OAuthClientID == "" && c.OAuthClientSecret.IsSet() {
		v.problem("OAUTH_CLIENT_ID", "empty while OAUTH_CLIENT_SECRET is set", "set the client's ID, or unset the secret")
	}
	if c.SessionKey.IsSet() && characters(c.SessionKey) < minSessionKey {
		v.problem("SESSION_KEY", fmt.Sprintf("secret of %d characters", characters(c.SessionKey)),
			"use at least 32 random characters (openssl rand -base64 32), or unset it to have one generated")
	}
}

// characters counts without letting the secret out.
func characters(value secret.Value) int { return len([]rune(value.Reveal())) }

func (v *validator) tools() {
	if v.config.OtusURL == "" {
		v.problem("OTUS_URL", "empty", "set the base URL of the API")
		return
	}
	rule := anyHTTP
	if v.production() {
		rule = httpsOnly
	}
	v.url("OTUS_URL", v.config.OtusURL, rule)
}

// url reports raw when it is set and breaks rule.
func (v *validator) url(name, raw string, rule urlRule) {
	if raw == "" {
		return
	}
	if err := checkURL(raw, rule); err != nil {
		v.problem(name, urlShape(raw), err.Error())
	}
}

func (v *validator) network() {
	c := v.config
	for _, prefix := range c.TrustedProxies {
		if !prefix.IsValid() || prefix.Bits() == 0 {
			v.problem("TRUSTED_PROXIES", "entry "+quoted(prefix.String())+", which is everybody", "list only the networks of your own proxies")
		}
	}
	for _, prefix := range c.EgressAllow {
		switch {
		case !prefix.IsValid():
			v.problem("EGRESS_ALLOW", "an invalid range", "use CIDR ranges, such as 10.0.0.0/8")
		case v.production() && reachesMetadata(prefix):
			v.problem("EGRESS_ALLOW", "entry "+quoted(prefix.String())+", which holds the cloud metadata address", "list only the networks of the API and the identity provider")
		}
	}
	for _, host := range c.AllowedHosts {
		if !validHost(host) {
			v.problem("ALLOWED_HOSTS", "entry "+quoted(host), "use host names or addresses, with or without a port, without scheme, path and wildcard")
		}
	}
	for _, origin := range c.AllowedOrigins {
		if fix := checkBrowserOrigin(origin, v.production()); fix != "" {
			v.problem("ALLOWED_ORIGINS", "entry "+quoted(origin), fix)
		}
	}
}

// metadataAddresses are where clouds hand out credentials to whoever asks from
// the inside.
var metadataAddresses = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"),
	netip.MustParseAddr("fd00:ec2::254"),
}

func reachesMetadata(prefix netip.Prefix) bool {
	return slices.ContainsFunc(metadataAddresses, prefix.Contains)
}

func (v *validator) operation() {
	c := v.config
	for _, field := range Fields() {
		if rate, ok := c.pointer(field).(*Rate); ok && !rate.valid() {
			v.problem(field.Name, rate.String(), "use 1 to 1000000 in 1s to 1h, such as 1200/1m, or off")
		}
		word, ok := c.pointer(field).(*string)
		if ok && len(field.Values) > 0 && !slices.Contains(field.Values, *word) {
			v.problem(field.Name, quoted(*word), "use "+alternatives(field.Values))
		}
	}
	if c.SSEMaxAge < time.Second || c.SSEMaxAge > maxSSEAge {
		v.problem("SSE_MAX_AGE", c.SSEMaxAge.String(), "use 1s to 24h")
	}
	switch {
	case c.AuditLog == "off" && v.production():
		v.problem("AUDIT_LOG", "off", "production keeps audit records: use stderr, stdout or the path of a file")
	case !slices.Contains([]string{"stderr", "stdout", "off"}, c.AuditLog) && !strings.ContainsAny(c.AuditLog, `/\`):
		v.problem("AUDIT_LOG", quoted(c.AuditLog), "use stderr, stdout or a path with a slash in it, such as ./audit.log")
	}
	if c.ShutdownTimeout < time.Second || c.ShutdownTimeout > maxShutdownTimeout {
		v.problem("SHUTDOWN_TIMEOUT", c.ShutdownTimeout.String(), "use 1s to 10m")
	}
	v.cluster()
}

// cluster checks the store that replicas share. Its password and what clients
// are answered cross the network to it.
func (v *validator) cluster() {
	const name = "CLUSTER_URL"
	if v.config.ClusterCAFile != "" && !strings.HasPrefix(v.config.ClusterURL.Reveal(), "rediss://") {
		v.problem("CLUSTER_CA_FILE", "set while CLUSTER_URL is not a rediss URL", "use rediss in CLUSTER_URL, or unset CLUSTER_CA_FILE: there is no certificate to check")
	}
	if !v.config.ClusterURL.IsSet() {
		return
	}
	u, err := url.Parse(v.config.ClusterURL.Reveal())
	switch {
	case err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" || !validPort(u.Port()):
		v.problem(name, "not a URL of a store", "use rediss://USER:PASSWORD@HOST:PORT/DATABASE")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		v.problem(name, "URL with a query or a fragment", "remove it: certificates are always checked, and nothing else is needed")
	case strings.Trim(u.Path, "0123456789") != "" && strings.Trim(u.Path, "0123456789") != "/":
		v.problem(name, "URL with a path", "leave it out or use the number of the database")
	case v.production() && u.Scheme != "rediss" && !v.declaredPrivate(u.Hostname()):
		v.problem(name, "plain redis", "use rediss; production takes redis only for loopback and for an address within EGRESS_ALLOW")
	}
	if !v.config.SessionKey.IsSet() {
		v.problem("SESSION_KEY", "empty", "set it, the same on every replica: it seals what CLUSTER_URL's store holds")
	}
}

// declaredPrivate reports whether host is loopback or an address in a network
// that the operator declared.
func (v *validator) declaredPrivate(host string) bool {
	if isLoopbackHost(host) {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(v.config.EgressAllow, func(p netip.Prefix) bool { return p.Contains(address) })
}
