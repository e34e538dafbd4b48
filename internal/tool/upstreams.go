package tool

import (
	"net/netip"
	"slices"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// The credential modes of an upstream.
const (
	CredentialForward  = "forward"            // the caller's token, unmodified
	CredentialExchange = "exchange"           // a token exchanged for the caller's
	CredentialClient   = "client_credentials" // a token of this server itself
	CredentialStatic   = "static"             // a fixed secret
	CredentialNone     = "none"               // no credential
)

var credentialModes = []string{CredentialForward, CredentialExchange, CredentialClient, CredentialStatic, CredentialNone}

// Bounds of an upstream. The times and limits themselves are package upstream's;
// these are what a catalogue may set.
const (
	maxUpstreams     = 32
	maxTimeout       = 2 * time.Minute
	maxMaxResponse   = 64 << 20 // bytes
	maxMaxConcurrent = 1024
	maxMaxQueue      = 4096
	maxRetries       = 5
	maxNetworks      = 16
	maxHeaders       = 16
	maxHeaderValue   = 1 << 10 // bytes
	maxAskedScopes   = 32
)

// Defaults of an upstream.
const (
	defaultTimeout       = 10 * time.Second
	defaultConnect       = 5 * time.Second
	defaultMaxResponse   = 1 << 20 // bytes
	defaultMaxConcurrent = 64
	defaultMaxQueue      = 128
	defaultRetries       = 2
)

// Upstream is an API that tools call.
type Upstream struct {
	Name       string
	URL        string // absolute, variables resolved
	Credential string // one of the modes
	Audience   string // forward, none: the caller's token must name it; "" means no such rule

	Timeout         time.Duration // of a whole call
	ConnectTimeout  time.Duration // of a connection, its TLS handshake included
	ResponseTimeout time.Duration // from request to answer, of one attempt; 0 means Timeout alone
	MaxResponse     int64         // bytes of a body after decompression
	MaxConcurrent   int
	MaxQueue        int
	Retries         int
	FollowRedirects bool // below the base URL, of safe methods
	Cache           bool

	Headers       map[string]string // fixed, by name; nil without
	AllowNetworks []netip.Prefix    // special ranges that the API may be in, besides those of the configuration
	TLS           TLSFiles

	Tokens *Tokens // exchange, client_credentials
	Static *Static // static
}

// TLSFiles names files of one TLS client. The zero value is the system's
// certificate authorities and no client certificate.
type TLSFiles struct {
	CA   string // PEM; trusted instead of the system's
	Cert string // PEM chain of the client certificate
	Key  string // PEM
}

// Tokens says where tokens for an API come from.
type Tokens struct {
	URL      string // the token endpoint
	TLS      TLSFiles
	Client   TokenClient
	Audience string
	Resource string
	Scopes   oauth.Scopes

	// exchange only
	OnBehalfOf    bool
	SubjectType   string // URN, "" for the default
	RequestedType string
	ActorFile     string // "" for no actor
	ActorType     string
}

// TokenClient is this server as a client of a token endpoint.
type TokenClient struct {
	ID        string
	Auth      string // client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth, federated_token
	Secret    Secret
	KeyFile   string // private_key_jwt
	KeyID     string
	Audience  string // of assertions; "" for the token endpoint
	TokenFile string // federated_token
}

// Static is a fixed credential: a header field, or a user with a password.
type Static struct {
	Header string // "" for a user
	Prefix string // before the secret, such as "Token "
	User   string
	Secret Secret
}

// Secret says where a secret is: in a file or in an environment variable. A
// catalogue never holds one.
type Secret struct {
	File string
	Env  string
}

// Personal reports whether the credential speaks for the caller.
func (u Upstream) Personal() bool {
	return u.Credential == CredentialForward || u.Credential == CredentialExchange
}

// OwnHeaders returns the header fields that every request to the API has of this
// server, in the spelling of [egress.FieldName]. No argument fills one: it would be
// replaced, or be a second credential.
func (u Upstream) OwnHeaders() []string {
	var names []string
	for name := range u.Headers {
		names = append(names, egress.FieldName(name))
	}
	if u.Static != nil && u.Static.Header != "" {
		names = append(names, egress.FieldName(u.Static.Header))
	}
	return names
}

// Upstream returns the API of that name, and whether there is one.
func (c *Catalogue) Upstream(name string) (Upstream, bool) {
	at := slices.IndexFunc(c.upstreams, func(u Upstream) bool { return u.Name == name })
	if at < 0 {
		return Upstream{}, false
	}
	return c.upstreams[at], true
}

// Upstreams returns the APIs sorted by name.
func (c *Catalogue) Upstreams() []Upstream { return slices.Clone(c.upstreams) }
