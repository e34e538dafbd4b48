package devstack

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Bounds of client metadata, registered or fetched.
const (
	maxRedirectURIs = 20
	maxURL          = 2048 // bytes
	maxClientName   = 100  // runes
)

// Values of token_endpoint_auth_method and grant_types (RFC 7591 section 2).
var (
	supportedAuthMethods = []string{"none", "client_secret_basic", "client_secret_post"}
	confidentialMethods  = supportedAuthMethods[1:]
	supportedGrantTypes  = []string{"authorization_code", "refresh_token"}
)

// clientMetadata is what is read of a registration (RFC 7591 section 2) or of a
// client id metadata document. Members not named here are ignored, as section 2
// asks.
type clientMetadata struct {
	ClientID      string   `json:"client_id,omitempty"`
	ClientName    string   `json:"client_name,omitempty"`
	RedirectURIs  []string `json:"redirect_uris"`
	AuthMethod    string   `json:"token_endpoint_auth_method,omitempty"`
	GrantTypes    []string `json:"grant_types,omitempty"`
	ResponseTypes []string `json:"response_types,omitempty"`
	Scope         string   `json:"scope,omitempty"`
}

// registration is the answer (RFC 7591 section 3.2.1).
type registration struct {
	clientMetadata
	ClientSecret  string `json:"client_secret,omitempty"`
	IssuedAt      int64  `json:"client_id_issued_at"`
	SecretExpires *int64 `json:"client_secret_expires_at,omitempty"` // 0: never
}

// check validates the members that both kinds of metadata share and fills in
// the defaults.
func (m *clientMetadata) check() *oauth.Refusal {
	if len(m.RedirectURIs) == 0 || len(m.RedirectURIs) > maxRedirectURIs {
		return badMetadata("invalid_redirect_uri", "redirect_uris needs one entry or more, and at most 20")
	}
	for _, uri := range m.RedirectURIs {
		if err := checkRedirectURI(uri); err != nil {
			return badMetadata("invalid_redirect_uri", err.Error())
		}
	}
	if len([]rune(m.ClientName)) > maxClientName {
		return badMetadata("invalid_client_metadata", "client_name is too long")
	}
	if len(m.GrantTypes) == 0 {
		m.GrantTypes = slices.Clone(supportedGrantTypes)
	}
	m.GrantTypes = slices.DeleteFunc(m.GrantTypes, func(g string) bool { return !slices.Contains(supportedGrantTypes, g) })
	if !slices.Contains(m.GrantTypes, "authorization_code") {
		return badMetadata("invalid_client_metadata", "grant_types has to include authorization_code")
	}
	if len(m.ResponseTypes) == 0 {
		m.ResponseTypes = []string{"code"}
	}
	if !slices.Contains(m.ResponseTypes, "code") {
		return badMetadata("invalid_client_metadata", "response_types has to include code")
	}
	m.ResponseTypes = []string{"code"}
	return nil
}

func badMetadata(code, description string) *oauth.Refusal {
	return &oauth.Refusal{Status: http.StatusBadRequest, Code: code, Description: description, Reason: code}
}

// register answers POST /ares/register. Everyone may register: the stack is on
// loopback, and the number of clients is bounded.
func (b *broker) register(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)) //nolint:forbidigo // bounded by MaxBytesReader
	if err != nil {
		return tooLarge(err)
	}
	var metadata clientMetadata
	if err := json.Unmarshal(body, &metadata); err != nil {
		return badMetadata("invalid_client_metadata", "The body is not a JSON object of client metadata")
	}
	if refusal := metadata.check(); refusal != nil {
		return refusal
	}
	if metadata.AuthMethod == "" {
		metadata.AuthMethod = "client_secret_basic" // RFC 7591 section 2
	}
	if !slices.Contains(supportedAuthMethods, metadata.AuthMethod) {
		return badMetadata("invalid_client_metadata", "token_endpoint_auth_method is none, client_secret_basic or client_secret_post")
	}
	metadata.ClientID = rand.Text()
	answer := registration{clientMetadata: metadata, IssuedAt: time.Now().Unix()}
	if metadata.AuthMethod != "none" {
		answer.ClientSecret = rand.Text()
		answer.SecretExpires = new(int64)
	}
	b.clients.add(&client{
		id: metadata.ClientID, name: metadata.ClientName, authMethod: oidc.AuthMethod(metadata.AuthMethod),
		secret: secret.New(answer.ClientSecret), redirectURIs: metadata.RedirectURIs,
	})
	return writeJSON(w, http.StatusCreated, answer)
}
