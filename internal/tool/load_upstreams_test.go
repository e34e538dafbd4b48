package tool

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// oneTool is what a catalogue needs besides its upstream.
const oneTool = `
tools:
  - {name: t, description: d, upstream: api, method: GET, path: /teams, input: {type: object, additionalProperties: false}}
`

func TestLoadReadsUpstreams(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want Upstream
	}{
		"everything but tokens": {`
    credential: none
    connect_timeout: 2s
    response_timeout: 4s
    max_concurrent: 8
    max_queue: 16
    retries: 0
    redirects: same_origin
    cache: true
    headers: {X-Tenant: acme, x-mode: "a b"}
    allow_networks: [10.0.0.0/8, "fd00::/8"]
    tls: {ca_file: ca.pem, cert_file: c.pem, key_file: k.pem}
`, Upstream{
			Credential: "none", Timeout: 10 * time.Second, ConnectTimeout: 2 * time.Second, ResponseTimeout: 4 * time.Second,
			MaxResponse: 1 << 20, MaxConcurrent: 8, MaxQueue: 16, FollowRedirects: true, Cache: true,
			Headers:       map[string]string{"X-Tenant": "acme", "x-mode": "a b"},
			AllowNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
			TLS:           TLSFiles{CA: "ca.pem", Cert: "c.pem", Key: "k.pem"},
		}},
		"exchange": {`
    credential: exchange
    audience: ${OTUS_URL}
    exchange:
      token_url: https://idp.example/token
      scopes: [read, write]
      subject_token_type: urn:acme:token
      actor_token_file: actor
      actor_token_type: jwt
      client: {id: gateway, auth: private_key_jwt, key_file: key.pem, key_id: k1, audience: https://idp.example/}
`, usual(Upstream{Credential: "exchange", Tokens: &Tokens{
			URL: "https://idp.example/token", Audience: "http://localhost:8002", Scopes: []string{"read", "write"},
			SubjectType: "urn:acme:token", RequestedType: tokenTypePrefix + "access_token",
			ActorFile: "actor", ActorType: tokenTypePrefix + "jwt",
			Client: TokenClient{ID: "gateway", Auth: "private_key_jwt", KeyFile: "key.pem", KeyID: "k1", Audience: "https://idp.example/"},
		}})},
		"on behalf of": {`
    credential: exchange
    exchange:
      form: on_behalf_of
      token_url: https://login.example/token
      scopes: [api://billing/.default]
      client: {id: gateway, auth: federated_token, token_file: /var/run/token}
`, usual(Upstream{Credential: "exchange", Tokens: &Tokens{
			URL: "https://login.example/token", OnBehalfOf: true, Scopes: []string{"api://billing/.default"},
			Client: TokenClient{ID: "gateway", Auth: "federated_token", TokenFile: "/var/run/token"},
		}})},
		"client credentials": {`
    credential: client_credentials
    client_credentials:
      token_url: https://idp.example/token
      resource: https://api.example/v1
      tls: {cert_file: c.pem, key_file: k.pem}
      client: {id: gateway, auth: tls_client_auth}
`, usual(Upstream{Credential: "client_credentials", Tokens: &Tokens{
			URL: "https://idp.example/token", Resource: "https://api.example/v1", TLS: TLSFiles{Cert: "c.pem", Key: "k.pem"},
			Client: TokenClient{ID: "gateway", Auth: "tls_client_auth"},
		}})},
		"static header": {`
    credential: static
    static: {header: Authorization, prefix: "Token ", secret_env: API_KEY}
`, usual(Upstream{Credential: "static", Static: &Static{Header: "Authorization", Prefix: "Token ", Secret: Secret{Env: "API_KEY"}}})},
		"static user": {`
    credential: static
    static: {user: svc, secret_file: /run/secrets/api}
`, usual(Upstream{Credential: "static", Static: &Static{User: "svc", Secret: Secret{File: "/run/secrets/api"}}})},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.Name, tc.want.URL = "api", "https://api.example"
			got := mustLoad(t, "upstreams:\n  api:\n    url: https://api.example"+tc.text+oneTool).Upstreams()
			if diff := cmp.Diff([]Upstream{tc.want}, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Errorf("upstreams (-want +got):\n%s", diff)
			}
		})
	}
}

// Each row spoils one detail of an upstream.
func TestUpstreamErrorsHaveLineAndFix(t *testing.T) {
	const exchange = `upstreams:
  api:
    url: https://api.example
    credential: exchange
    audience: https://api.example
    exchange:
      token_url: https://idp.example/token
      client:
        id: gateway
        auth: client_secret_basic
        secret_file: secret
`
	const static = `upstreams:
  api:
    url: https://api.example
    credential: static
    static:
      header: X-Api-Key
      secret_env: API_KEY
`
	for name, tc := range map[string]struct{ good, old, new, want string }{
		"block missing":              {static, "    static:\n      header: X-Api-Key\n      secret_env: API_KEY\n", "", "line 3: upstreams.api.static: missing; credential: static needs its settings here"},
		"block of another mode":      {exchange, "credential: exchange", "credential: forward", "line 7: upstreams.api.exchange: this has no effect with credential: forward"},
		"two blocks":                 {static, "    static:", "    exchange: {}\n    static:", "line 5: upstreams.api.exchange: this has no effect with credential: static"},
		"audience without effect":    {static, "    static:", "    audience: x\n    static:", "line 5: upstreams.api.audience: this has no effect"},
		"no token URL":               {exchange, "      token_url: https://idp.example/token\n", "", "line 7: upstreams.api.exchange.token_url: missing"},
		"token URL with a query":     {exchange, "/token", "/token?a=b", "line 7: upstreams.api.exchange.token_url: a base URL must not have a query"},
		"unknown key":                {exchange, "      token_url:", "      audiences: x\n      token_url:", `line 7: upstreams.api.exchange: unknown key "audiences"`},
		"no target":                  {exchange, "    audience: https://api.example\n", "", "line 6: upstreams.api.exchange: say what the token is for"},
		"unknown form":               {exchange, "      token_url:", "      form: obo\n      token_url:", "line 7: upstreams.api.exchange.form: write one of: token_exchange, on_behalf_of"},
		"on behalf of an audience":   {exchange, "      token_url:", "      form: on_behalf_of\n      token_url:", "upstreams.api.exchange.form: with form: on_behalf_of the scopes name the API; remove audience"},
		"on behalf of nothing":       {exchange, "    audience: https://api.example\n    exchange:", "    exchange:\n      form: on_behalf_of", "upstreams.api.exchange.scopes: missing; with form: on_behalf_of they name the API"},
		"actor on behalf of":         {exchange, "      token_url:", "      form: on_behalf_of\n      actor_token_file: a\n      token_url:", "line 8: upstreams.api.exchange.actor_token_file: this has no effect with form: on_behalf_of"},
		"actor type without actor":   {exchange, "      token_url:", "      actor_token_type: jwt\n      token_url:", "line 7: upstreams.api.exchange.actor_token_type: this has no effect without actor_token_file"},
		"unknown token type":         {exchange, "      token_url:", "      subject_token_type: saml2\n      token_url:", "line 7: upstreams.api.exchange.subject_token_type: write access_token, jwt, or the URI"},
		"bad scope":                  {exchange, "      token_url:", "      scopes: ['a b']\n      token_url:", "line 7: upstreams.api.exchange.scopes: scope"},
		"token over http":            {exchange, "https://idp", "http://idp", "token_url: want https"},
		"resource with a fragment":   {exchange, "      token_url:", "      resource: https://x.example/#a\n      token_url:", "line 7: upstreams.api.exchange.resource: want an absolute URI without a fragment"},
		"no client":                  {exchange, "      client:\n        id: gateway\n        auth: client_secret_basic\n        secret_file: secret\n", "", "line 7: upstreams.api.exchange.client: missing; say who this server is"},
		"no client id":               {exchange, "        id: gateway\n", "", "line 9: upstreams.api.exchange.client.id: missing"},
		"no way to authenticate":     {exchange, "        auth: client_secret_basic\n", "", "line 9: upstreams.api.exchange.client.auth: missing; write one of: client_secret_basic"},
		"unknown way":                {exchange, "auth: client_secret_basic", "auth: none", "line 10: upstreams.api.exchange.client.auth: write one of"},
		"the secret itself":          {exchange, "secret_file: secret", "secret: hunter2", `line 11: upstreams.api.exchange.client: unknown key "secret"`},
		"no secret":                  {exchange, "        secret_file: secret\n", "", "line 9: upstreams.api.exchange.client.secret_file: missing"},
		"two secrets":                {exchange, "secret_file: secret", "secret_file: secret\n        secret_env: S", "line 12: upstreams.api.exchange.client.secret_env: there is secret_file already"},
		"a secret as a variable":     {static, "secret_env: API_KEY", "secret_env: hunter2-key", "line 7: upstreams.api.static.secret_env: want the name of an environment variable, not the secret itself"},
		"setting of another way":     {exchange, "secret_file: secret", "secret_file: secret\n        key_file: k", "line 12: upstreams.api.exchange.client.key_file: this has no effect with auth: client_secret_basic"},
		"no key":                     {exchange, "auth: client_secret_basic\n        secret_file: secret", "auth: private_key_jwt", "upstreams.api.exchange.client.key_file: missing"},
		"no token file":              {exchange, "auth: client_secret_basic\n        secret_file: secret", "auth: federated_token", "upstreams.api.exchange.client.token_file: missing"},
		"no client certificate":      {exchange, "auth: client_secret_basic\n        secret_file: secret", "auth: tls_client_auth", "upstreams.api.exchange.tls: missing; tls_client_auth needs"},
		"certificate without key":    {static, "    static:", "    tls: {cert_file: c}\n    static:", "line 5: upstreams.api.tls: a client certificate needs both"},
		"neither header nor user":    {static, "      header: X-Api-Key\n", "", "line 6: upstreams.api.static.header: missing"},
		"header and user":            {static, "      header:", "      user: u\n      header:", "line 6: upstreams.api.static.user: there is header already"},
		"user with a colon":          {static, "header: X-Api-Key", "user: 'a:b'", "line 6: upstreams.api.static.user: a user has no colon"},
		"secret in a cookie":         {static, "header: X-Api-Key", "header: cookie", "line 6: upstreams.api.static.header: this header belongs to the connection"},
		"header with a blank":        {static, "header: X-Api-Key", "header: X Api", "line 6: upstreams.api.static.header: a header name has letters"},
		"prefix with a line break":   {static, "      header:", "      prefix: \"a\\nb\"\n      header:", "line 6: upstreams.api.static.prefix: want a word"},
		"fixed credential":           {static, "    static:", "    headers: {authorization: x}\n    static:", "line 5: upstreams.api.headers.authorization: this header belongs to the connection, or carries a credential"},
		"fixed header, hop by hop":   {static, "    static:", "    headers: {Proxy-X: x}\n    static:", "line 5: upstreams.api.headers.Proxy-X: this header belongs"},
		"fixed header twice":         {static, "    static:", "    headers: {X-A: x, x-a: y}\n    static:", "the header is there twice"},
		"fixed header, bad name":     {static, "    static:", "    headers: {'X A': x}\n    static:", "a header name has letters, digits and -"},
		"fixed header, bad value":    {static, "    static:", "    headers: {X-A: \"a\\r\\nb\"}\n    static:", "want 1 to 1024 visible ASCII characters"},
		"network with host bits":     {static, "    static:", "    allow_networks: [10.0.0.1/8]\n    static:", "line 5: upstreams.api.allow_networks[0]: want a network such as 10.0.0.0/8"},
		"too many at a time":         {static, "    static:", "    max_concurrent: 5000\n    static:", "line 5: upstreams.api.max_concurrent: want a number from 1 to 1024"},
		"too many retries":           {static, "    static:", "    retries: 6\n    static:", "line 5: upstreams.api.retries: want a number from 0 to 5"},
		"redirects to anywhere":      {static, "    static:", "    redirects: any\n    static:", "line 5: upstreams.api.redirects: write one of: none, same_origin"},
		"response timeout of a word": {static, "    static:", "    response_timeout: soon\n    static:", "line 5: upstreams.api.response_timeout: want a length of time"},
		"cache of a word":            {static, "    static:", "    cache: always\n    static:", "line 5: upstreams.api.cache: want true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			mustLoad(t, tc.good+oneTool)
			if !strings.Contains(tc.good, tc.old) {
				t.Fatalf("the good catalogue has no %q", tc.old)
			}
			_, err := Load([]byte(strings.Replace(tc.good, tc.old, tc.new, 1)+oneTool), testVariables)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v\nwant %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}
