package tool

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// The keys of the blocks of credential modes.
var (
	clientTokenKeys   = []string{"token_url", "tls", "client", "resource", "scopes"}
	exchangeTokenKeys = append([]string{"form", "subject_token_type", "requested_token_type", "actor_token_file", "actor_token_type"}, clientTokenKeys...)
	clientKeys        = []string{"id", "auth", "secret_file", "secret_env", "key_file", "key_id", "audience", "token_file"}
	staticKeys        = []string{"header", "prefix", "user", "secret_file", "secret_env"}
)

// The forms of an exchange.
const (
	formExchange   = "token_exchange"
	formOnBehalfOf = "on_behalf_of"
)

// tokenTypePrefix is that of the token types of RFC 8693 section 3.
const tokenTypePrefix = "urn:ietf:params:oauth:token-type:" //nolint:gosec // the name of a type

// tokens reads the block of the mode exchange or client_credentials.
func (l *loader) tokens(node *yaml.Node, path, mode string) *Tokens {
	keys := clientTokenKeys
	if mode == CredentialExchange {
		keys = exchangeTokenKeys
	}
	block := l.Object(node, path, keys)
	tokens := &Tokens{
		URL:      l.url(block, "token_url", "give the token endpoint of the authorization server"),
		TLS:      l.tls(block),
		Resource: l.expand(block, "resource", block.Text("resource")),
		Scopes:   block.Texts("scopes"),
	}
	if err := tokens.Scopes.Validate(); err != nil {
		l.Add(block.Fields["scopes"], block.At("scopes"), "%v", err)
	}
	if len(tokens.Scopes) > maxAskedScopes {
		l.Add(block.Fields["scopes"], block.At("scopes"), "there are %d; at most %d are allowed", len(tokens.Scopes), maxAskedScopes)
	}
	if fault := resourceFault(tokens.Resource); tokens.Resource != "" && fault != "" {
		l.Add(block.Fields["resource"], block.At("resource"), "%s", fault)
	}
	if mode == CredentialExchange {
		l.exchange(block, tokens)
	}
	tokens.Client = l.tokenClient(block, tokens.TLS)
	return tokens
}

// resourceFault says what is wrong with a resource indicator (RFC 8707 section
// 2).
func resourceFault(text string) string {
	if !strings.Contains(text, ":") || strings.Contains(text, "#") {
		return "want an absolute URI without a fragment"
	}
	return ""
}

func (l *loader) exchange(block strictyaml.Object, tokens *Tokens) {
	tokens.OnBehalfOf = block.OneOf("form", formExchange, formExchange, formOnBehalfOf) == formOnBehalfOf
	if tokens.OnBehalfOf {
		l.onlyWith(block, "with form: on_behalf_of", "subject_token_type", "requested_token_type", "actor_token_file", "actor_token_type", "resource")
		return
	}
	tokens.SubjectType = l.tokenType(block, "subject_token_type")
	tokens.RequestedType = tokenTypePrefix + block.OneOf("requested_token_type", "access_token", "access_token", "jwt")
	if tokens.ActorFile = block.Text("actor_token_file"); tokens.ActorFile == "" {
		l.onlyWith(block, "without actor_token_file", "actor_token_type")
		return
	}
	tokens.ActorType = l.tokenType(block, "actor_token_type")
}

// tokenType reads a token type: by the last word of a standard one, or the URI
// of a provider's own, as Auth0's profiles have.
func (l *loader) tokenType(block strictyaml.Object, key string) string {
	text := block.Text(key)
	switch node := block.Fields[key]; {
	case node == nil:
		return tokenTypePrefix + "access_token"
	case text == "access_token" || text == "jwt":
		return tokenTypePrefix + text
	case resourceFault(text) != "" && text != "":
		l.Add(node, block.At(key), "write access_token, jwt, or the URI of the provider's own type")
	}
	return text
}

// checkTarget wants a token to be for something in particular.
func (l *loader) checkTarget(node *yaml.Node, path, mode string, tokens *Tokens) {
	switch {
	case mode == CredentialClient:
	case tokens.OnBehalfOf && tokens.Audience != "":
		l.Add(node, path+".form", "with form: on_behalf_of the scopes name the API; remove audience")
	case tokens.OnBehalfOf && len(tokens.Scopes) == 0:
		l.Add(node, path+".scopes", "missing; with form: on_behalf_of they name the API, such as api://billing/.default")
	case tokens.Audience == "" && tokens.Resource == "" && len(tokens.Scopes) == 0:
		l.Add(node, path, "say what the token is for: give the upstream an audience, or resource or scopes here")
	}
}

// tokenClient reads how this server authenticates at a token endpoint.
func (l *loader) tokenClient(block strictyaml.Object, tls TLSFiles) TokenClient {
	node := block.Fields["client"]
	if node == nil {
		l.Add(block.Node, block.At("client"), "missing; say who this server is at the token endpoint: id, auth and what that needs")
		return TokenClient{}
	}
	entry := l.Object(node, block.At("client"), clientKeys)
	auths := []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "federated_token"}
	client := TokenClient{
		ID:   entry.Required("id", "give the client id that the authorization server knows this server by"),
		Auth: entry.OneOf("auth", "", auths...),
	}
	takes := map[string][]string{
		"client_secret_basic": {"secret_file", "secret_env"}, "client_secret_post": {"secret_file", "secret_env"},
		"private_key_jwt": {"key_file", "key_id", "audience"}, "federated_token": {"token_file"},
	}[client.Auth]
	switch client.Auth {
	case "client_secret_basic", "client_secret_post":
		client.Secret = l.secret(entry, "secret")
	case "private_key_jwt":
		client.KeyFile = entry.Required("key_file", "name the file with the private key, in PEM form")
		client.KeyID, client.Audience = entry.Text("key_id"), l.expand(entry, "audience", entry.Text("audience"))
	case "tls_client_auth":
		if tls.Cert == "" {
			l.Add(node, block.At("tls"), "missing; tls_client_auth needs cert_file and key_file there")
		}
	case "federated_token":
		client.TokenFile = entry.Required("token_file", "name the file that holds the assertion")
	default:
		if entry.Fields["auth"] == nil {
			l.Add(node, entry.At("auth"), "missing; write one of: %s", strings.Join(auths, ", "))
		}
		return client
	}
	for _, key := range clientKeys[2:] {
		if !slices.Contains(takes, key) {
			l.onlyWith(entry, "with auth: "+client.Auth, key)
		}
	}
	return client
}

// static reads a fixed credential.
func (l *loader) static(node *yaml.Node, path string) *Static {
	block := l.Object(node, path, staticKeys)
	static := &Static{Header: block.Text("header"), Prefix: block.Text("prefix"), User: block.Text("user")}
	switch {
	case static.Header == "" && static.User == "":
		l.Add(node, block.At("header"), "missing; name the header field of the secret, or write user for a user with a password")
	case static.Header != "" && static.User != "":
		l.Add(block.Fields["user"], block.At("user"), "there is header already; remove one")
	case static.User != "":
		l.onlyWith(block, "with user", "prefix")
		if strings.ContainsFunc(static.User, func(r rune) bool { return r == ':' || r < 0x20 || r == 0x7f }) {
			l.Add(block.Fields["user"], block.At("user"), "a user has no colon and no control characters")
		}
	case !fieldNamePattern.MatchString(static.Header):
		l.Add(block.Fields["header"], block.At("header"), "a header name has letters, digits and -")
	case !strings.EqualFold(static.Header, "Authorization") && egress.IsReserved(static.Header):
		l.Add(block.Fields["header"], block.At("header"), "this header belongs to the connection; name another")
	}
	if static.Prefix != "" && !plainValue(strings.TrimSuffix(static.Prefix, " ")) {
		l.Add(block.Fields["prefix"], block.At("prefix"), "want a word, such as \"Token \"")
	}
	static.Secret = l.secret(block, "secret")
	return static
}
