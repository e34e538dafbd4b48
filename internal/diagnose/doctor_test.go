package diagnose_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/diagnose"
)

// idp publishes metadata and keys that a test may spoil.
type idp struct {
	url      string
	metadata map[string]any
	keys     []map[string]string
	otus     int // status of the API
}

func startIDP(t *testing.T) *idp {
	t.Helper()
	p := &idp{otus: http.StatusUnauthorized}
	mux := http.NewServeMux()
	write := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { write(w, p.metadata) })
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { write(w, map[string]any{"keys": p.keys}) })
	mux.HandleFunc("POST /introspect/{status}", func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.PathValue("status"))
		w.WriteHeader(status)
	})
	mux.HandleFunc("GET /otus", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(p.otus) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	p.metadata = map[string]any{
		"issuer": p.url, "authorization_endpoint": p.url + "/a", "token_endpoint": p.url + "/t", "jwks_uri": p.url + "/keys",
		"registration_endpoint": p.url + "/r", "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
	}
	p.keys = []map[string]string{rsaJWK(256)}
	return p
}

// rsaJWK is a key of a modulus with this many bytes, which nothing can be
// verified with.
func rsaJWK(bytes int) map[string]string {
	modulus := make([]byte, bytes)
	_, _ = rand.Read(modulus)
	return map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "n": base64.RawURLEncoding.EncodeToString(modulus), "e": "AQAB"}
}

func TestDoctorFindsEachDefect(t *testing.T) {
	const problem, warning = diagnose.Problem, diagnose.Warning
	for _, row := range []struct {
		name  string
		spoil func(*idp, *diagnose.DoctorConfig)
		want  found
	}{
		{"all is well", func(*idp, *diagnose.DoctorConfig) {}, found{}},
		{"offline_access", func(_ *idp, c *diagnose.DoctorConfig) { c.Scopes = []string{"offline_access"} }, found{"scopes": warning}},
		{"port for claude.ai", func(_ *idp, c *diagnose.DoctorConfig) { c.ServerURL = "https://mcp.example.com:8443" }, found{"server-url": warning}},
		{"nobody ends TLS", func(_ *idp, c *diagnose.DoctorConfig) { c.BehindProxy = false }, found{"tls": problem}},
		{"no such server", func(_ *idp, c *diagnose.DoctorConfig) { c.AuthorizationServers[0] += "/nowhere" }, found{"authorization-server-1": problem}},
		{"issuer slash", func(p *idp, _ *diagnose.DoctorConfig) { p.metadata["issuer"] = p.url + "/" }, found{"authorization-server-1-issuer": warning}},
		{"issuer slash of tokens", func(p *idp, c *diagnose.DoctorConfig) {
			c.Issuers[0] = diagnose.Issuer{Name: p.url + "/", Algorithms: []string{"RS256"}}
		}, found{"jwt-issuer": problem}},
		{"no issuer of tokens", func(p *idp, c *diagnose.DoctorConfig) { c.Issuers[0] = diagnose.Issuer{Name: p.url + "/x"} }, found{"jwt-issuer": problem}},
		{"no S256", func(p *idp, _ *diagnose.DoctorConfig) { delete(p.metadata, "code_challenge_methods_supported") }, found{"authorization-server-1-pkce": problem}},
		{"no endpoints", func(p *idp, _ *diagnose.DoctorConfig) { delete(p.metadata, "token_endpoint") }, found{"authorization-server-1-endpoints": problem}},
		{"no registration", func(p *idp, _ *diagnose.DoctorConfig) { delete(p.metadata, "registration_endpoint") }, found{"authorization-server-1-clients": warning}},
		{"no iss", func(p *idp, _ *diagnose.DoctorConfig) {
			delete(p.metadata, "authorization_response_iss_parameter_supported")
		}, found{"authorization-server-1-iss": warning}},
		{"no DPoP", func(_ *idp, c *diagnose.DoctorConfig) { c.DPoP = true }, found{"authorization-server-1-dpop": warning}},
		{"DPoP", func(p *idp, c *diagnose.DoctorConfig) {
			c.DPoP, p.metadata["dpop_signing_alg_values_supported"] = true, []string{"ES256"}
		}, found{}},
		{"no keys", func(p *idp, _ *diagnose.DoctorConfig) { p.keys = nil }, found{"keys": problem}},
		{"small key", func(p *idp, _ *diagnose.DoctorConfig) { p.keys = []map[string]string{rsaJWK(128)} }, found{"keys": problem}},
		{"keys for encryption", func(p *idp, _ *diagnose.DoctorConfig) { p.keys[0]["use"] = "enc" }, found{"keys": problem}},
		{"keys for another algorithm", func(p *idp, _ *diagnose.DoctorConfig) { p.keys[0]["alg"] = "PS256" }, found{"keys": problem}},
		{"no jwks_uri", func(p *idp, _ *diagnose.DoctorConfig) { delete(p.metadata, "jwks_uri") }, found{"keys": problem}},
		{"wrong JWKS_URL", func(p *idp, c *diagnose.DoctorConfig) { c.Issuers[0].JWKSURL = p.url + "/none" }, found{"keys": problem}},
		{"several issuers", func(p *idp, c *diagnose.DoctorConfig) {
			c.Issuers = append(c.Issuers, diagnose.Issuer{Name: p.url, Algorithms: []string{"ES256"}})
		}, found{"keys-2": problem}},
		{"several issuers, EC", func(p *idp, c *diagnose.DoctorConfig) {
			p.keys = append(p.keys, map[string]string{"kty": "EC", "crv": "P-256"}, map[string]string{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA"})
			c.Issuers = append(c.Issuers, diagnose.Issuer{Name: p.url, Algorithms: []string{"ES256"}}, diagnose.Issuer{Name: p.url, Algorithms: []string{"EdDSA"}})
		}, found{}},
		{"no introspection", func(_ *idp, c *diagnose.DoctorConfig) { c.Issuers[0].Introspection = true }, found{"introspection": problem}},
		{"introspection", func(p *idp, c *diagnose.DoctorConfig) {
			p.metadata["introspection_endpoint"], c.Issuers[0].Introspection = p.url+"/introspect/401", true
		}, found{}},
		{"introspection is gone", func(p *idp, c *diagnose.DoctorConfig) {
			c.Issuers[0].Introspection, c.Issuers[0].IntrospectionURL = true, p.url+"/none"
		}, found{"introspection": problem}},
		{"introspection for anybody", func(p *idp, c *diagnose.DoctorConfig) {
			c.Issuers[0].Introspection, c.Issuers[0].IntrospectionURL = true, p.url+"/introspect/200"
		}, found{"introspection": warning}},
		{"introspection does not answer", func(_ *idp, c *diagnose.DoctorConfig) {
			c.Issuers[0].Introspection, c.Issuers[0].IntrospectionURL = true, "http://127.0.0.1:1"
		}, found{"introspection": problem}},
		{"API fails", func(p *idp, _ *diagnose.DoctorConfig) { p.otus = 502 }, found{"upstream-otus": warning}},
		{"API moved", func(p *idp, _ *diagnose.DoctorConfig) { p.otus = 301 }, found{"upstream-otus": warning}},
		{"no API", func(_ *idp, c *diagnose.DoctorConfig) { c.Upstreams[0].URL = "http://127.0.0.1:1" }, found{"upstream-otus": problem}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := startIDP(t)
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			cfg := diagnose.DoctorConfig{
				ServerURL: "https://mcp.example.com", Production: true, BehindProxy: true, Scopes: []string{"openid"},
				Issuers:              []diagnose.Issuer{{Server: p.url, Algorithms: []string{"RS256"}}},
				AuthorizationServers: []string{p.url}, Upstreams: []diagnose.Upstream{{Name: "otus", URL: p.url + "/otus"}}, Transport: transport,
			}
			row.spoil(p, &cfg)
			got, wrong := found{}, false
			for _, finding := range diagnose.Doctor(t.Context(), cfg).Findings {
				if finding.Status == diagnose.OK {
					continue
				}
				got[finding.Name] = finding.Status
				wrong = wrong || finding.Status == problem
				if finding.Detail == "" || finding.Fix == "" {
					t.Errorf("%+v does not say what to do", finding)
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if report := diagnose.Doctor(t.Context(), cfg); report.OK() == wrong {
				t.Errorf("OK is %t", report.OK())
			}
		})
	}
}
