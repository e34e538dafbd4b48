package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// Bounds of ISSUERS_FILE and of what issuers may be given.
const (
	maxIssuersFile   = 256 << 10 // bytes
	maxIssuers       = 32
	maxTokenAge      = 366 * 24 * time.Hour
	maxIntrospection = 60 * time.Second // that an issuer's word on a token counts
)

// The words that settings about tokens may have.
var (
	algorithms     = []string{"RS256", "PS256", "ES256", "EdDSA"}
	typePolicies   = []string{"compat", "strict"}
	introspections = []string{"opaque", "jwt", "all"}
	clientMethods  = []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
)

// The keys each part of ISSUERS_FILE may have (docs/issuers.schema.json).
var (
	issuersKeys = []string{"issuers"}
	issuerKeys  = []string{
		"issuer", "jwks_url", "algorithms", "audiences", "types", "leeway", "clients", "max_age", "max_lifetime", "introspection",
	}
	introspectionKeys = []string{
		"tokens", "url", "method", "client_id", "client_secret_file", "client_secret_env", "private_key_file", "key_id", "cache_for",
	}
)

// Issuer is one trusted issuer of tokens: what the JWT_ and INTROSPECTION_
// settings say, or one entry of ISSUERS_FILE. What an entry leaves out is as the
// settings say.
type Issuer struct {
	// Server is the authorization server whose metadata names the issuer. It is
	// empty when Issuer is not.
	Server string
	Issuer string // exact "iss"

	JWKSURL     string // empty: that of the metadata
	Algorithms  []string
	Audiences   []string
	Types       string
	Leeway      time.Duration
	Clients     []string      // empty: every client
	MaxAge      time.Duration // 0: any
	MaxLifetime time.Duration // 0: any

	Introspection Introspection

	Line int // of the entry in ISSUERS_FILE
}

// Introspection says which of an issuer's tokens it is asked about, and how.
type Introspection struct {
	Tokens       string // "" asks about none
	URL          string // empty: that of the metadata
	Method       string // empty: private_key_jwt with a PrivateKey, else client_secret_basic
	ClientID     string
	ClientSecret secret.Value
	PrivateKey   secret.Value // PEM
	KeyID        string
	CacheFor     time.Duration // 0: as long as may be
}

// opaque reports whether opaque tokens are asked about.
func (i Introspection) opaque() bool { return i.Tokens == "opaque" || i.Tokens == "all" }

// TrustedIssuers returns whose tokens are accepted: the entries of ISSUERS_FILE,
// else JWT_ISSUER, else every authorization server.
func (c Config) TrustedIssuers() []Issuer {
	common := Issuer{
		Algorithms: c.JWTAlgorithms, Audiences: c.Audiences(), Types: c.JWTTypes, Leeway: c.JWTLeeway,
		Clients: c.JWTClients, MaxAge: c.JWTMaxAge, MaxLifetime: c.JWTMaxLifetime,
	}
	if len(c.Issuers) > 0 {
		issuers := slices.Clone(c.Issuers)
		for n := range issuers {
			issuers[n].inherit(common)
		}
		return issuers
	}
	common.JWKSURL = c.JWKSURL
	if c.Introspect != "" && c.Introspect != "none" {
		common.Introspection = Introspection{
			Tokens: c.Introspect, URL: c.IntrospectionURL, ClientID: c.IntrospectionClientID, ClientSecret: c.IntrospectionClientSecret,
		}
	}
	if c.JWTIssuer != "" {
		common.Issuer = c.JWTIssuer
		return []Issuer{common}
	}
	var issuers []Issuer
	for _, server := range c.AuthorizationServers {
		one := common
		one.Server = server
		issuers = append(issuers, one)
	}
	return issuers
}

// inherit fills in what an entry leaves out.
func (i *Issuer) inherit(common Issuer) {
	if len(i.Algorithms) == 0 {
		i.Algorithms = common.Algorithms
	}
	if len(i.Audiences) == 0 {
		i.Audiences = common.Audiences
	}
	if i.Types == "" {
		i.Types = common.Types
	}
	if i.Leeway == 0 {
		i.Leeway = common.Leeway
	}
	if len(i.Clients) == 0 {
		i.Clients = common.Clients
	}
	if i.MaxAge == 0 {
		i.MaxAge = common.MaxAge
	}
	if i.MaxLifetime == 0 {
		i.MaxLifetime = common.MaxLifetime
	}
}

// issuersReader is the state of one reading of ISSUERS_FILE.
type issuersReader struct {
	strictyaml.Problems
	lookupEnv func(string) (string, bool)
	warn      func(name, text string)
}

// issuersFile reads ISSUERS_FILE, if it is set, into the Config. Every problem
// has its line.
func (l *loader) issuersFile() {
	const name = "ISSUERS_FILE"
	path := l.loaded.Config.IssuersFile
	if path == "" {
		return
	}
	problem := func(shape, fix string) {
		l.problems = append(l.problems, &Problem{Name: name, Shape: shape, Fix: fix})
	}
	text, _, err := readBounded(path, maxIssuersFile)
	if err != nil {
		problem("path "+quoted(path)+": "+cause(err), "name a readable file of at most 256 KiB")
		return
	}
	root, err := strictyaml.Parse([]byte(text), "file", "the key issuers")
	if err != nil {
		problem(printable(err.Error()), "write YAML as docs/issuers.md shows it")
		return
	}
	r := issuersReader{lookupEnv: l.source.LookupEnv, warn: l.warn}
	issuers := r.issuers(r.Object(root, "", issuersKeys))
	for _, one := range r.List() {
		problem(one.Where(), one.Text)
	}
	if r.Len() == 0 {
		l.loaded.Config.Issuers = issuers
	}
}

func (r *issuersReader) issuers(top strictyaml.Object) []Issuer {
	node := top.Fields["issuers"]
	switch {
	case node == nil:
		r.Add(top.Node, "issuers", "missing; list the issuers whose tokens are accepted")
		return nil
	case node.Kind != yaml.SequenceNode || len(node.Content) == 0 || len(node.Content) > maxIssuers:
		r.Add(node, "issuers", "want a list of 1 to %d issuers", maxIssuers)
		return nil
	}
	var issuers []Issuer
	for n, item := range node.Content {
		issuers = append(issuers, r.issuer(r.Object(item, fmt.Sprintf("issuers[%d]", n), issuerKeys)))
	}
	return issuers
}

func (r *issuersReader) issuer(entry strictyaml.Object) Issuer {
	issuer := Issuer{
		Issuer:      entry.Required("issuer", "write the exact iss of its tokens"),
		JWKSURL:     entry.Text("jwks_url"),
		Algorithms:  entry.Texts("algorithms"),
		Audiences:   entry.Texts("audiences"),
		Types:       r.word(entry, "types", typePolicies),
		Leeway:      entry.Duration("leeway", 0, maxLeeway),
		Clients:     entry.Texts("clients"),
		MaxAge:      entry.Duration("max_age", 0, maxTokenAge),
		MaxLifetime: entry.Duration("max_lifetime", 0, maxTokenAge),
		Line:        entry.Node.Line,
	}
	for _, algorithm := range issuer.Algorithms {
		if !slices.Contains(algorithms, algorithm) {
			r.Add(entry.Fields["algorithms"], entry.At("algorithms"), "unknown algorithm %q; write some of: %s", strictyaml.Clip(algorithm), strings.Join(algorithms, ", "))
		}
	}
	if node := entry.Fields["introspection"]; node != nil {
		issuer.Introspection = r.introspection(r.Object(node, entry.At("introspection"), introspectionKeys))
	}
	return issuer
}

func (r *issuersReader) introspection(entry strictyaml.Object) Introspection {
	i := Introspection{
		Tokens:       r.word(entry, "tokens", introspections),
		URL:          entry.Text("url"),
		Method:       r.word(entry, "method", clientMethods),
		ClientID:     entry.Required("client_id", "name the client that this server is at the issuer"),
		ClientSecret: r.clientSecret(entry),
		PrivateKey:   r.privateKey(entry),
		KeyID:        entry.Text("key_id"),
		CacheFor:     entry.Duration("cache_for", 0, maxIntrospection),
	}
	if entry.Fields["tokens"] == nil {
		r.Add(entry.Node, entry.At("tokens"), "missing; write one of: %s", strings.Join(introspections, ", "))
	}
	byKey := i.Method == "private_key_jwt" || i.Method == "" && entry.Fields["private_key_file"] != nil
	hasSecret := entry.Fields["client_secret_file"] != nil || entry.Fields["client_secret_env"] != nil
	switch {
	case byKey && entry.Fields["private_key_file"] == nil:
		r.Add(entry.Node, entry.At("private_key_file"), "missing; name the file with the key that private_key_jwt signs with")
	case byKey && hasSecret:
		r.Add(entry.Node, entry.Path, "there are a client secret and a private key; keep one of the two")
	case !byKey && !hasSecret:
		r.Add(entry.Node, entry.Path, "no credentials; give client_secret_file, client_secret_env or private_key_file")
	}
	return i
}

// word returns one of words, or "".
func (r *issuersReader) word(entry strictyaml.Object, key string, words []string) string {
	text := entry.Text(key)
	if text != "" && !slices.Contains(words, text) {
		r.Add(entry.Fields[key], entry.At(key), "unknown word %q; write one of: %s", strictyaml.Clip(text), strings.Join(words, ", "))
		return ""
	}
	return text
}

// clientSecret reads the secret from where the file says it is: never from the
// file itself.
func (r *issuersReader) clientSecret(entry strictyaml.Object) secret.Value {
	const fileKey, envKey = "client_secret_file", "client_secret_env"
	path, variable := entry.Text(fileKey), entry.Text(envKey)
	var text string
	key := fileKey
	switch {
	case path != "" && variable != "":
		r.Add(entry.Fields[envKey], entry.At(envKey), "there is %s, too; keep one of the two", fileKey)
		return secret.Value{}
	case variable != "":
		key = envKey
		text, _ = r.lookupEnv(variable)
		if text == "" {
			r.Add(entry.Fields[key], entry.At(key), "the environment has no %q, or it is empty; set it", strictyaml.Clip(variable))
			return secret.Value{}
		}
	case path != "":
		text = strings.TrimRight(r.file(entry, key, path), "\r\n")
		if text == "" {
			return secret.Value{}
		}
	default:
		return secret.Value{}
	}
	if strings.TrimSpace(text) != text || strings.ContainsFunc(text, unicode.IsControl) {
		r.Add(entry.Fields[key], entry.At(key), "the secret has white space around it or control characters in it; remove them")
		return secret.Value{}
	}
	return secret.New(text)
}

func (r *issuersReader) privateKey(entry strictyaml.Object) secret.Value {
	const key = "private_key_file"
	path := entry.Text(key)
	if path == "" {
		return secret.Value{}
	}
	value := secret.New(r.file(entry, key, path))
	if !value.IsSet() {
		return value
	}
	if _, err := value.PrivateKey(); err != nil {
		r.Add(entry.Fields[key], entry.At(key), "%s is no use: %v; make one with: openssl genpkey -algorithm ed25519", quoted(path), err)
		return secret.Value{}
	}
	return value
}

// file reads a file with a secret; "" with a problem when it cannot.
func (r *issuersReader) file(entry strictyaml.Object, key, path string) string {
	text, open, err := readBounded(path, maxSecretBytes)
	switch {
	case err != nil:
		r.Add(entry.Fields[key], entry.At(key), "path %s: %s; name a readable file", quoted(path), cause(err))
	case strings.TrimSpace(text) == "":
		r.Add(entry.Fields[key], entry.At(key), "path %s: is empty; write the secret into the file", quoted(path))
		return ""
	case open:
		r.warn("ISSUERS_FILE", "every user of this machine may read "+quoted(path)+"; let only the server's user read it")
	}
	return text
}
