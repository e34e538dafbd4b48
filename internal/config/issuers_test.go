package config

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// loadIssuers loads a configuration whose ISSUERS_FILE has this text, in which
// DIR stands for a directory with a secret and a key.
func loadIssuers(t *testing.T, text string, more map[string]string) (Loaded, []*Problem) {
	t.Helper()
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"issuers.yaml": strings.ReplaceAll(text, "DIR", dir),
		"secret":       "hunter2\n", "empty": "\n", "spaced": " hunter2 ",
		"key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set := map[string]string{"ISSUERS_FILE": filepath.Join(dir, "issuers.yaml"), "MCP_SECRET": "hunter3"}
	maps.Copy(set, more)
	loaded, err := Load(Source{LookupEnv: env(set)})
	return loaded, Problems(err)
}

const twoIssuers = `issuers:
  - issuer: https://one.example/
    jwks_url: https://one.example/keys?x=1
    algorithms: [ES256, EdDSA]
    audiences: [https://mcp.example.com]
    types: strict
    leeway: 5s
    clients: [claude, codex]
    max_age: 12h
    max_lifetime: 24h
    introspection:
      tokens: all
      url: https://one.example/introspect
      client_id: mcp
      private_key_file: DIR/key.pem
      key_id: k1
      cache_for: 10s
  - issuer: https://two.example
    introspection: {tokens: jwt, client_id: mcp, client_secret_file: DIR/secret, method: client_secret_post}
  - issuer: https://three.example
    introspection: {tokens: jwt, client_id: mcp, client_secret_env: MCP_SECRET}
`

func TestIssuersFile(t *testing.T) {
	loaded, problems := loadIssuers(t, twoIssuers, map[string]string{"JWT_MAX_AGE": "1h", "JWT_CLIENTS": "vscode"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var text strings.Builder
	if err := loaded.WriteIssuers(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"  https://one.example/\n", "algorithms     ES256 EdDSA", "max_age        12h", "introspection  all", "  https://two.example\n", "clients        vscode"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("check-config does not say %q:\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), "hunter") {
		t.Error("check-config shows a secret")
	}
	issuers := loaded.Config.TrustedIssuers()
	for n := range issuers {
		if n == 0 {
			if _, err := issuers[n].Introspection.PrivateKey.PrivateKey(); err != nil {
				t.Error(err)
			}
			issuers[n].Introspection.PrivateKey = secret.New("key")
		}
	}
	defaults := Issuer{
		Algorithms: []string{"RS256"}, Types: "compat", Leeway: 30 * time.Second, Clients: []string{"vscode"}, MaxAge: time.Hour,
		Audiences: []string{"http://localhost:8000", "http://localhost:8000/mcp", "http://localhost:8000/mcp/sse"},
	}
	two, three := defaults, defaults
	two.Issuer, two.Line = "https://two.example", 18
	two.Introspection = Introspection{Tokens: "jwt", ClientID: "mcp", ClientSecret: secret.New("hunter2"), Method: "client_secret_post"}
	three.Issuer, three.Line = "https://three.example", 20
	three.Introspection = Introspection{Tokens: "jwt", ClientID: "mcp", ClientSecret: secret.New("hunter3")}
	want := []Issuer{{
		Issuer: "https://one.example/", JWKSURL: "https://one.example/keys?x=1", Algorithms: []string{"ES256", "EdDSA"},
		Audiences: []string{"https://mcp.example.com"}, Types: "strict", Leeway: 5 * time.Second, Clients: []string{"claude", "codex"},
		MaxAge: 12 * time.Hour, MaxLifetime: 24 * time.Hour, Line: 2,
		Introspection: Introspection{
			Tokens: "all", URL: "https://one.example/introspect", ClientID: "mcp", PrivateKey: secret.New("key"), KeyID: "k1", CacheFor: 10 * time.Second,
		},
	}, two, three}
	if diff := cmp.Diff(want, issuers, cmp.Comparer(secret.Value.Equal)); diff != "" {
		t.Error(diff)
	}
}

// Every problem of the file comes with its line, beside those of the settings.
func TestReq089_IssuersFileProblems(t *testing.T) {
	const head = "issuers:\n  - issuer: https://one.example\n"
	asked := head + "    introspection: {tokens: opaque, client_id: mcp, client_secret_file: DIR/secret}\n"
	with := func(introspection string) string { return head + "    introspection: {" + introspection + "}\n" }
	for name, tc := range map[string]struct {
		text string
		want string // part of the one problem; lines of it if there are several
	}{
		"empty":                  {"", "line 1: the file is empty"},
		"not YAML":               {"issuers: [", "line 1: did not find"},
		"no list":                {"issuers: x", "line 1: issuers; want a list of 1 to 32"},
		"no issuer in it":        {"issuers: []", "line 1: issuers; want a list of 1 to 32"},
		"unknown key":            {head + "    audience: x", `line 3: issuers[0]; unknown key "audience"`},
		"issuer is missing":      {"issuers:\n  - types: strict", "line 2: issuers[0].issuer; missing"},
		"issuer with query":      {"issuers:\n  - issuer: https://one.example?x", "line 2: issuers[0].issuer: URL"},
		"issuer over http":       {"issuers:\n  - issuer: http://one.example", "plain http is for loopback only"},
		"keys over http":         {head + "    jwks_url: http://one.example/k", "line 2: issuers[0].jwks_url"},
		"same issuer":            {head + "  - issuer: https://one.example/", `line 3: issuers[1].issuer: "https://one.example/", which is at line 2 already`},
		"HS256":                  {head + "    algorithms: [RS256, HS256]", `line 3: issuers[0].algorithms; unknown algorithm "HS256"`},
		"any audience":           {head + "    audiences: ['*']", "there is no wildcard"},
		"empty client":           {head + "    clients: ['']", "there is no wildcard"},
		"unknown policy":         {head + "    types: lax", `line 3: issuers[0].types; unknown word "lax"; write one of: compat, strict`},
		"long leeway":            {head + "    leeway: 61s", "line 3: issuers[0].leeway; want a length of time"},
		"age without unit":       {head + "    max_age: 3600", "line 3: issuers[0].max_age; want a length of time"},
		"unknown tokens":         {with("tokens: some, client_id: mcp, client_secret_file: DIR/secret"), `line 3: issuers[0].introspection.tokens; unknown word "some"`},
		"no tokens":              {with("client_id: mcp, client_secret_file: DIR/secret"), "introspection.tokens; missing"},
		"no client":              {with("tokens: all, client_secret_file: DIR/secret"), "introspection.client_id; missing"},
		"no credentials":         {with("tokens: all, client_id: mcp"), "no credentials"},
		"two credentials":        {with("tokens: all, client_id: mcp, client_secret_file: DIR/secret, private_key_file: DIR/key.pem"), "keep one of the two"},
		"two secrets":            {with("tokens: all, client_id: mcp, client_secret_file: DIR/secret, client_secret_env: MCP_SECRET"), "keep one of the two"},
		"secret in the file":     {with("tokens: all, client_id: mcp, client_secret_file: DIR/secret, client_secret: hunter2"), `unknown key "client_secret"`},
		"unset variable":         {with("tokens: all, client_id: mcp, client_secret_env: NOBODY"), `the environment has no "NOBODY"`},
		"no such file":           {with("tokens: all, client_id: mcp, client_secret_file: DIR/none"), "no such file"},
		"empty file":             {with("tokens: all, client_id: mcp, client_secret_file: DIR/empty"), "is empty"},
		"white space":            {with("tokens: all, client_id: mcp, client_secret_file: DIR/spaced"), "white space around it"},
		"key is none":            {with("tokens: all, client_id: mcp, private_key_file: DIR/secret"), "no private key in PEM form"},
		"method without key":     {with("tokens: all, client_id: mcp, method: private_key_jwt"), "private_key_file; missing"},
		"key with a secret only": {with("tokens: all, client_id: mcp, private_key_file: DIR/key.pem, method: client_secret_post"), "no credentials"},
		"introspection over http": {
			with("tokens: all, client_id: mcp, client_secret_file: DIR/secret, url: 'http://one.example/i'"), "issuers[0].introspection.url",
		},
		"counts too long": {with("tokens: all, client_id: mcp, client_secret_file: DIR/secret, cache_for: 2m"), "cache_for; want a length of time"},
		"two for opaque tokens": {
			asked + "  - issuer: https://two.example\n    introspection: {tokens: all, client_id: mcp, client_secret_file: DIR/secret}", "line 4: issuers[1].introspection.tokens: all, and the issuer at line 2",
		},
		"several": {"issuers:\n  - types: lax\n    leeway: 1h\n", "issuer; missing\ntypes; unknown word\nleeway; want"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := loadIssuers(t, tc.text, nil)
			wants := strings.Split(tc.want, "\n")
			if len(problems) != len(wants) {
				t.Fatalf("%d problems, want %d: %v", len(problems), len(wants), problems)
			}
			for n, problem := range problems {
				if problem.Name != "ISSUERS_FILE" || !strings.Contains(problem.Error(), wants[n]) {
					t.Errorf("%v does not say %q", problem, wants[n])
				}
				if strings.Contains(problem.Error(), "hunter") {
					t.Errorf("%v repeats the secret", problem)
				}
			}
		})
	}
	_, problems := loadIssuers(t, asked, map[string]string{
		"JWT_ISSUER": "https://x.example", "JWKS_URL": "https://x.example/k", "INTROSPECT": "jwt",
		"INTROSPECTION_CLIENT_ID": "mcp", "INTROSPECTION_CLIENT_SECRET": "x", "LOG_LEVEL": "loud",
	})
	var names []string
	for _, problem := range problems {
		names = append(names, problem.Name)
	}
	if diff := cmp.Diff([]string{"JWT_ISSUER", "JWKS_URL", "INTROSPECT", "LOG_LEVEL"}, names); diff != "" {
		t.Errorf("%s%v", diff, problems)
	}
}

func TestTrustedIssuersWithoutAFile(t *testing.T) {
	c := Default()
	c.AuthorizationServers = []string{"https://a.example", "https://b.example"}
	c.JWTTypes, c.JWTAlgorithms, c.JWTMaxLifetime = "strict", []string{"PS256"}, time.Hour
	for _, one := range c.TrustedIssuers() {
		if one.Issuer != "" || one.Types != "strict" || one.Algorithms[0] != "PS256" || one.MaxLifetime != time.Hour || one.Introspection.Tokens != "" {
			t.Errorf("%+v", one)
		}
	}
	if got := c.TrustedIssuers(); len(got) != 2 || got[1].Server != "https://b.example" {
		t.Errorf("%+v", got)
	}
	c.JWTIssuer, c.JWKSURL, c.Introspect, c.IntrospectionClientID = "https://i.example", "https://i.example/k", "opaque", "mcp"
	got := c.TrustedIssuers()
	if len(got) != 1 || got[0].Issuer != "https://i.example" || got[0].JWKSURL != c.JWKSURL || got[0].Server != "" || got[0].Introspection.Tokens != "opaque" {
		t.Errorf("%+v", got)
	}
}

// What editors are told is what the reader takes.
func TestIssuersSchemaIsCurrent(t *testing.T) {
	raw, err := os.ReadFile("../../docs/issuers.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		schema *jsonschema.Schema
		keys   []string
	}{{&schema, issuersKeys}, {schema.Defs["issuer"], issuerKeys}, {schema.Defs["introspection"], introspectionKeys}} {
		var names []string
		for name := range part.schema.Properties {
			names = append(names, name)
		}
		slices.Sort(names)
		if diff := cmp.Diff(slices.Sorted(slices.Values(part.keys)), names); diff != "" {
			t.Errorf("keys of the reader, and of the schema:\n%s", diff)
		}
	}
	for _, words := range []struct {
		schema *jsonschema.Schema
		words  []string
	}{
		{schema.Defs["issuer"].Properties["algorithms"].Items, algorithms},
		{schema.Defs["issuer"].Properties["types"], typePolicies},
		{schema.Defs["introspection"].Properties["tokens"], introspections},
		{schema.Defs["introspection"].Properties["method"], clientMethods},
	} {
		var got []string
		for _, word := range words.schema.Enum {
			got = append(got, word.(string)) //nolint:errcheck,forcetypeassert // a panic fails the test
		}
		if diff := cmp.Diff(words.words, got); diff != "" {
			t.Error(diff)
		}
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("../../docs/issuers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(manual), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	readable := strings.ReplaceAll(example, "/run/secrets/introspection.pem", "DIR/key.pem")
	if _, problems := loadIssuers(t, readable, nil); len(problems) > 0 {
		t.Errorf("the example of the manual: %v", problems)
	}
	for text, good := range map[string]bool{example: true, twoIssuers: true, "issuers: []": false, "issuers: [{issuer: x, audience: y}]": false, "issuers: [{issuer: x, leeway: 30}]": false} {
		var instance any
		if err := yaml.Unmarshal([]byte(text), &instance); err != nil {
			t.Fatal(err)
		}
		if err := resolved.Validate(instance); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, key := range slices.Concat(issuerKeys, introspectionKeys) {
		if !strings.Contains(string(manual), "`"+key+"`") && !strings.Contains(string(manual), "`introspection."+key+"`") && key != "introspection" {
			t.Errorf("docs/issuers.md does not explain %s", key)
		}
	}
}
