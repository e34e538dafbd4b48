package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// row spoils one detail of a good configuration.
type row struct {
	name  string
	spoil func(*Config)
	want  string // the variable of the only problem; "" for none
}

func check(t *testing.T, good func() Config, rows []row) {
	t.Helper()
	for _, test := range rows {
		t.Run(test.name, func(t *testing.T) {
			c := good()
			test.spoil(&c)
			var names []string
			for _, problem := range Problems(c.Validate()) {
				names = append(names, problem.Name)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("problems %q, want %q: %v", got, test.want, c.Validate())
			}
		})
	}
}

// productionConfig is good behind a proxy that ends TLS.
func productionConfig() Config {
	c := Default()
	c.ServerURL = "https://mcp.example.com"
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	return c
}

func ranges(texts ...string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, text := range texts {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	return prefixes
}

func TestReq087_ProductionRules(t *testing.T) {
	check(t, productionConfig, []row{
		{"good", func(*Config) {}, ""},
		{"plain http", func(c *Config) { c.ServerURL = "http://mcp.example.com" }, "SERVER_URL"},
		{"nobody ends TLS", func(c *Config) { c.TrustedProxies = nil }, "TRUSTED_PROXIES"},
		{"own TLS", func(c *Config) { c.TrustedProxies, c.TLSCertFile, c.TLSKeyFile = nil, "cert", "key" }, ""},
		{"plain API", func(c *Config) { c.OtusURL = "http://otus.example.com" }, "OTUS_URL"},
		{"loopback API over http", func(c *Config) { c.OtusURL = "http://localhost:8002" }, "OTUS_URL"},
		{"documentation over http", func(c *Config) { c.ResourceDocumentation = "http://docs.example.com" }, "RESOURCE_DOCUMENTATION"},
		{"everybody is a proxy", func(c *Config) { c.TrustedProxies = ranges("10.0.0.0/8", "::/0") }, "TRUSTED_PROXIES"},
		{"egress everywhere", func(c *Config) { c.EgressAllow = ranges("0.0.0.0/0") }, "EGRESS_ALLOW"},
		{"egress to cloud metadata", func(c *Config) { c.EgressAllow = ranges("169.254.0.0/16") }, "EGRESS_ALLOW"},
		{"egress to IPv6 cloud metadata", func(c *Config) { c.EgressAllow = ranges("fd00::/8") }, "EGRESS_ALLOW"},
		{"egress to the API", func(c *Config) { c.EgressAllow = ranges("10.20.0.0/16") }, ""},
		{"page over http", func(c *Config) { c.AllowedOrigins = []string{"http://tools.example.com"} }, "ALLOWED_ORIGINS"},
		{"loopback page", func(c *Config) { c.AllowedOrigins = []string{"http://localhost:6274"} }, ""},
		{"cluster over plain redis", func(c *Config) {
			c.SessionKey = secret.New(strings.Repeat("k", 32))
			c.ClusterURL = secret.New("redis://x")
		}, "CLUSTER_URL"},
		{"cluster over TLS", func(c *Config) {
			c.SessionKey = secret.New(strings.Repeat("k", 32))
			c.ClusterURL = secret.New("rediss://:p@x:6380/1")
		}, ""},
		{"cluster on a declared network", func(c *Config) {
			c.SessionKey = secret.New(strings.Repeat("k", 32))
			c.ClusterURL, c.EgressAllow = secret.New("redis://10.20.0.9"), ranges("10.20.0.0/16")
		}, ""},
		{"cluster without a shared key", func(c *Config) { c.SessionKey, c.ClusterURL = secret.Value{}, secret.New("rediss://x") }, "SESSION_KEY"},
	})
}

func TestReq040_IdentityProvidersOverTLS(t *testing.T) {
	check(t, productionConfig, []row{
		{"authorization server", func(c *Config) { c.AuthorizationServers = []string{"https://a.example", "http://b.example"} }, "AUTHORIZATION_SERVERS"},
		{"loopback authorization server", func(c *Config) { c.AuthorizationServers = []string{"http://localhost:8001/ares"} }, "AUTHORIZATION_SERVERS"},
		{"issuer", func(c *Config) { c.JWTIssuer = "http://localhost:8001/auth0/" }, "JWT_ISSUER"},
		{"keys", func(c *Config) { c.JWKSURL = "http://localhost:8001/keys" }, "JWKS_URL"},
	})
	check(t, Default, []row{
		{"development, loopback", func(c *Config) {
			c.AuthorizationServers = []string{"http://localhost:8001/ares"}
			c.JWTIssuer = "http://127.0.0.1:8001/auth0/"
			c.JWKSURL = "http://[::1]:8001/keys"
		}, ""},
		{"development, authorization server elsewhere", func(c *Config) { c.AuthorizationServers = []string{"http://idp.example"} }, "AUTHORIZATION_SERVERS"},
		{"development, issuer elsewhere", func(c *Config) { c.JWTIssuer = "http://idp.example" }, "JWT_ISSUER"},
		{"development, keys elsewhere", func(c *Config) { c.JWKSURL = "http://10.0.0.1/keys" }, "JWKS_URL"},
		{"development, introspection elsewhere", func(c *Config) { c.IntrospectionURL = "http://10.0.0.1/introspect" }, "INTROSPECTION_URL"},
		{"development, not a loopback spelling", func(c *Config) { c.JWKSURL = "http://127.1/keys" }, "JWKS_URL"},
	})
}

func TestReq011_ServerURLIsAnOrigin(t *testing.T) {
	var rows []row
	for raw, want := range map[string]string{
		"https://mcp.example.com":       "",
		"https://mcp.example.com:8443":  "",
		"https://mcp.example.com/":      "SERVER_URL",
		"https://mcp.example.com:443":   "SERVER_URL",
		"https://MCP.example.com":       "SERVER_URL",
		"https://mcp.example.com/mcp":   "SERVER_URL",
		"https://mcp.example.com?a=b":   "SERVER_URL",
		"https://mcp.example.com?":      "SERVER_URL",
		"https://mcp.example.com#":      "SERVER_URL",
		"https://mcp.example.com#a":     "SERVER_URL",
		"https://user@mcp.example.com":  "SERVER_URL",
		"https://mcp.example.com:":      "SERVER_URL",
		"https://mcp.example.com:70000": "SERVER_URL",
		"https://:8000":                 "SERVER_URL",
		"ftp://mcp.example.com":         "SERVER_URL",
		"mcp.example.com":               "SERVER_URL",
		"localhost:8000":                "SERVER_URL",
		"":                              "SERVER_URL",
	} {
		rows = append(rows, row{raw, func(c *Config) { c.ServerURL = raw }, want})
	}
	check(t, productionConfig, rows)

	for raw, want := range map[string]string{
		"https://mcp.example.com/":     "https://mcp.example.com",
		"HTTPS://MCP.Example.com:443/": "https://mcp.example.com",
		"http://localhost:80":          "http://localhost",
		"https://h.example:80":         "https://h.example:80",
		"https://h.example/mcp/":       "https://h.example/mcp/", // refused, not repaired
		"https://h.example/?a":         "https://h.example/?a",
	} {
		if got := canonicalOrigin(raw); got != want {
			t.Errorf("canonical form of %s: %s, want %s", raw, got, want)
		}
	}
}

func TestRulesEverywhere(t *testing.T) {
	text := func(n int) string { return strings.Repeat("x", n) }
	check(t, Default, []row{
		{"good", func(*Config) {}, ""},
		{"listen everywhere", func(c *Config) { c.ListenAddr = ":8000" }, ""},
		{"listen on IPv6", func(c *Config) { c.ListenAddr = "[::1]:8000" }, ""},
		{"listen on a free port", func(c *Config) { c.ListenAddr = "127.0.0.1:0" }, ""},
		{"listen without port", func(c *Config) { c.ListenAddr = "127.0.0.1" }, "LISTEN_ADDR"},
		{"listen on a name", func(c *Config) { c.ListenAddr = "example.com:8000" }, "LISTEN_ADDR"},
		{"metrics on a public address", func(c *Config) { c.MetricsAddr = "203.0.113.7:9464" }, "METRICS_ADDR"},
		{"metrics on the public port", func(c *Config) { c.MetricsAddr = c.ListenAddr }, "METRICS_ADDR"},
		{"metrics without port", func(c *Config) { c.MetricsAddr = "127.0.0.1" }, "METRICS_ADDR"},
		{"audit log with a typo", func(c *Config) { c.AuditLog = "stder" }, "AUDIT_LOG"},
		{"audit log off in production", func(c *Config) {
			c.ServerURL, c.TrustedProxies = "https://mcp.example", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			c.AuditLog = "off"
		}, "AUDIT_LOG"},
		{"audit subject with a typo", func(c *Config) { c.AuditSubject = "plain" }, "AUDIT_SUBJECT"},
		{"every scope", func(c *Config) { c.ScopesSupported = []string{"openid", "*"} }, "SCOPES_SUPPORTED"},
		{"documentation with a password", func(c *Config) { c.ResourceDocumentation = "https://u:p@docs.example" }, "RESOURCE_DOCUMENTATION"},
		{"listen on a large port", func(c *Config) { c.ListenAddr = "127.0.0.1:65536" }, "LISTEN_ADDR"},
		{"certificate without key", func(c *Config) { c.ServerURL, c.TLSCertFile = "https://localhost:8000", "cert" }, "TLS_KEY_FILE"},
		{"key without certificate", func(c *Config) { c.TLSKeyFile = "key" }, "TLS_CERT_FILE"},
		{"TLS under an http URL", func(c *Config) { c.TLSCertFile, c.TLSKeyFile = "cert", "key" }, "SERVER_URL"},
		{"no authorization server", func(c *Config) { c.AuthorizationServers = nil }, "AUTHORIZATION_SERVERS"},
		{"issuer with query", func(c *Config) { c.JWTIssuer = "https://idp.example?x" }, "JWT_ISSUER"},
		{"keys with query", func(c *Config) { c.JWKSURL = "https://idp.example/keys?tenant=x" }, ""},
		{"keys of nobody in particular", func(c *Config) {
			c.JWKSURL, c.AuthorizationServers = "https://idp.example/keys", []string{"https://a.example", "https://b.example"}
		}, "JWT_ISSUER"},
		{"symmetric algorithm", func(c *Config) { c.JWTAlgorithms = []string{"RS256", "HS256"} }, "JWT_ALGORITHMS"},
		{"no algorithm", func(c *Config) { c.JWTAlgorithms = nil }, "JWT_ALGORITHMS"},
		{"every algorithm", func(c *Config) { c.JWTAlgorithms = []string{"RS256", "PS256", "ES256", "EdDSA"} }, ""},
		{"unknown policy for typ", func(c *Config) { c.JWTTypes = "lax" }, "JWT_TYPES"},
		{"any client", func(c *Config) { c.JWTClients = []string{"*"} }, "JWT_CLIENTS"},
		{"negative age", func(c *Config) { c.JWTMaxAge = -1 }, "JWT_MAX_AGE"},
		{"lifetime under its bound", func(c *Config) { c.JWTMaxLifetime = time.Millisecond }, "JWT_MAX_LIFETIME"},
		{"lifetime over its bound", func(c *Config) { c.JWTMaxLifetime = maxTokenAge + 1 }, "JWT_MAX_LIFETIME"},
		{"introspection", introspecting(func(*Config) {}), ""},
		{"introspection over http", introspecting(func(c *Config) { c.IntrospectionURL = "http://idp.example/i" }), "INTROSPECTION_URL"},
		{"introspection of unknown tokens", introspecting(func(c *Config) { c.Introspect = "some" }), "INTROSPECT"},
		{"introspection without client", introspecting(func(c *Config) { c.IntrospectionClientID = "" }), "INTROSPECTION_CLIENT_ID"},
		{"introspection without secret", introspecting(func(c *Config) { c.IntrospectionClientSecret = secret.Value{} }), "INTROSPECTION_CLIENT_SECRET"},
		{"introspection at nobody in particular", introspecting(func(c *Config) {
			c.AuthorizationServers = []string{"https://a.example", "https://b.example"}
		}), "JWT_ISSUER"},
		{"any audience", func(c *Config) { c.JWTAudience = []string{"*"} }, "JWT_AUDIENCE"},
		{"empty audience", func(c *Config) { c.JWTAudience = []string{"api", ""} }, "JWT_AUDIENCE"},
		{"leeway at its bound", func(c *Config) { c.JWTLeeway = time.Minute }, ""},
		{"leeway over its bound", func(c *Config) { c.JWTLeeway = 61 * time.Second }, "JWT_LEEWAY"},
		{"negative leeway", func(c *Config) { c.JWTLeeway = -1 }, "JWT_LEEWAY"},
		{"odd scope", func(c *Config) { c.ScopesSupported = oauth.Scopes{`a"b`} }, "SCOPES_SUPPORTED"},
		{"odd required scope", func(c *Config) { c.RequiredScopes = oauth.Scopes{`a\b`} }, "REQUIRED_SCOPES"},
		{"hierarchy in a circle", func(c *Config) { c.ScopeHierarchy = []string{"a>b", "b>a"} }, "SCOPE_HIERARCHY"},
		{"secret without client", func(c *Config) { c.OAuthClientSecret = secret.New("x") }, "OAUTH_CLIENT_ID"},
		{"client with a line break", func(c *Config) { c.OAuthClientID = "a\nb" }, "OAUTH_CLIENT_ID"},
		{"key of 32 characters", func(c *Config) { c.SessionKey = secret.New(text(32)) }, ""},
		{"key of 31 characters", func(c *Config) { c.SessionKey = secret.New(text(31)) }, "SESSION_KEY"},
		{"DPoP", func(c *Config) { c.DPoP, c.DPoPNonce = "required", "on" }, ""},
		{"DPoP of another kind", func(c *Config) { c.DPoP = "on" }, "DPOP"},
		{"certificates that nobody sees", func(c *Config) { c.MTLS = "allowed" }, "MTLS"},
		{"certificates of its own TLS", func(c *Config) {
			c.MTLS, c.ServerURL, c.TLSCertFile, c.TLSKeyFile = "required", "https://localhost:8000", "cert", "key"
		}, ""},
		{"certificates from proxies", func(c *Config) {
			c.MTLS, c.ClientCertHeader, c.TrustedProxies = "allowed", "X-SSL-Client-Cert", ranges("10.0.0.0/8")
		}, ""},
		{"certificates from anybody", func(c *Config) { c.MTLS, c.ClientCertHeader = "allowed", "Client-Cert" }, "CLIENT_CERT_HEADER"},
		{"certificates in the token's header", func(c *Config) {
			c.ClientCertHeader, c.TrustedProxies = "authorization", ranges("10.0.0.0/8")
		}, "CLIENT_CERT_HEADER"},
		{"certificates in no header", func(c *Config) { c.ClientCertHeader, c.TrustedProxies = "a b", ranges("10.0.0.0/8") }, "CLIENT_CERT_HEADER"},
		{"no API", func(c *Config) { c.OtusURL = "" }, "OTUS_URL"},
		{"API with credentials", func(c *Config) { c.OtusURL = "https://u:p@otus.example" }, "OTUS_URL"},
		{"API with query", func(c *Config) { c.OtusURL = "https://otus.example?key=x" }, "OTUS_URL"},
		{"everybody is a proxy", func(c *Config) { c.TrustedProxies = ranges("0.0.0.0/0") }, "TRUSTED_PROXIES"},
		{"host with port", func(c *Config) { c.AllowedHosts = []string{"mcp.internal:8080", "[::1]", "10.0.0.1"} }, ""},
		{"host wildcard", func(c *Config) { c.AllowedHosts = []string{"*.example.com"} }, "ALLOWED_HOSTS"},
		{"host with scheme", func(c *Config) { c.AllowedHosts = []string{"https://mcp.example.com"} }, "ALLOWED_HOSTS"},
		{"host with path", func(c *Config) { c.AllowedHosts = []string{"mcp.example.com/x"} }, "ALLOWED_HOSTS"},
		{"any origin", func(c *Config) { c.AllowedOrigins = []string{"*"} }, "ALLOWED_ORIGINS"},
		{"null origin", func(c *Config) { c.AllowedOrigins = []string{"null"} }, "ALLOWED_ORIGINS"},
		{"origin with slash", func(c *Config) { c.AllowedOrigins = []string{"https://claude.ai/"} }, "ALLOWED_ORIGINS"},
		{"origin in upper case", func(c *Config) { c.AllowedOrigins = []string{"https://Claude.ai"} }, "ALLOWED_ORIGINS"},
		{"origin with default port", func(c *Config) { c.AllowedOrigins = []string{"https://claude.ai:443"} }, "ALLOWED_ORIGINS"},
		{"origins", func(c *Config) { c.AllowedOrigins = []string{"https://claude.ai", "http://tools.example:3000"} }, ""},
		{"long name", func(c *Config) { c.ResourceName = text(201) }, "RESOURCE_NAME"},
		{"log level", func(c *Config) { c.LogLevel = "trace" }, "LOG_LEVEL"},
		{"log format", func(c *Config) { c.LogFormat = "xml" }, "LOG_FORMAT"},
		{"endless streams", func(c *Config) { c.SSEMaxAge = 25 * time.Hour }, "SSE_MAX_AGE"},
		{"no time to shut down", func(c *Config) { c.ShutdownTimeout = 0 }, "SHUTDOWN_TIMEOUT"},
		{"cluster", func(c *Config) {
			c.SessionKey = secret.New(strings.Repeat("k", 32))
			c.ClusterURL = secret.New("redis://x")
		}, ""},
		{"cluster of another kind", func(c *Config) {
			c.SessionKey = secret.New(strings.Repeat("k", 32))
			c.ClusterURL = secret.New("http://x")
		}, "CLUSTER_URL"},
		{"cluster without certificates", func(c *Config) {
			c.SessionKey = secret.New(strings.Repeat("k", 32))
			c.ClusterURL = secret.New("rediss://x?skip_verify=true")
		}, "CLUSTER_URL"},
		{"cluster with its own authority", func(c *Config) {
			c.SessionKey, c.ClusterCAFile = secret.New(strings.Repeat("k", 32)), "ca.pem"
			c.ClusterURL = secret.New("rediss://x")
		}, ""},
		{"authority of a cluster without TLS", func(c *Config) {
			c.SessionKey, c.ClusterCAFile = secret.New(strings.Repeat("k", 32)), "ca.pem"
			c.ClusterURL = secret.New("redis://x")
		}, "CLUSTER_CA_FILE"},
		{"authority of no cluster", func(c *Config) { c.ClusterCAFile = "ca.pem" }, "CLUSTER_CA_FILE"},
	})
}

// introspecting is a good configuration that asks its issuer, spoiled by change.
func introspecting(change func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Introspect, c.IntrospectionClientID, c.IntrospectionClientSecret = "opaque", "mcp", secret.New("x")
		change(c)
	}
}

func TestValidateChangesNothing(t *testing.T) {
	c := productionConfig()
	c.ServerURL = "https://MCP.example.com/"
	c.Issuers = []Issuer{{Issuer: "https://one.example"}, {Issuer: "https://one.example/"}}
	before := c
	_ = c.Validate()
	if diff := cmp.Diff(before, c, cmp.Comparer(secret.Value.Equal), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestShapesHideCredentials(t *testing.T) {
	for raw, want := range map[string]string{
		"https://user:hunter2@h.example/p?key=hunter3#hunter4": `URL "https://h.example/p" with user information and a query and a fragment`,
		"hunter2": "text of 7 characters that is not an absolute URL",
		"https://h.example/" + strings.Repeat("é", 60): `URL "https://h.example/%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9"...`,
	} {
		if got := urlShape(raw); got != want {
			t.Errorf("shape of %s: %s, want %s", raw, got, want)
		}
	}
	if got := quoted("\x1b[2Jé"); got != `"\x1b[2Jé"` {
		t.Errorf("control characters: %s", got)
	}
}

// FuzzList holds that an entry never has a separator in it and that reading the
// joined list again gives the same list.
func FuzzList(f *testing.F) {
	f.Add("a, b  c,,a")
	f.Fuzz(func(t *testing.T, text string) {
		items, err := list(text)
		if err != nil {
			return
		}
		again, err := list(strings.Join(items, " "))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(items, again); diff != "" {
			t.Error(diff)
		}
		for _, item := range items {
			if item == "" || strings.ContainsAny(item, ", \t\r\n") {
				t.Errorf("entry %q", item)
			}
		}
	})
}

// FuzzDotEnv holds that no error repeats what stands in the file.
func FuzzDotEnv(f *testing.F) {
	f.Add("SESSION_KEY=\"", "")
	f.Add("", "=x")
	f.Fuzz(func(t *testing.T, before, after string) {
		const marker = "hunter2hunter2"
		file := dotEnv{path: ".env", values: map[string]string{}, lines: map[string]int{}}
		lines := strings.Split(before+marker+after, "\n")
		if len(lines) > 20 {
			return
		}
		if err := file.parse(lines); err != nil && strings.Contains(err.Error(), marker) {
			t.Errorf("the error repeats the file: %v", err)
		}
	})
}
