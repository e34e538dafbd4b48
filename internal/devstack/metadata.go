package devstack

import (
	"net/http"
	"slices"
)

// Paths of the authorization server and of the token signer.
const (
	brokerPath     = "/ares"
	signerPath     = "/auth0/"
	authorizePath  = brokerPath + "/authorize"
	signInPath     = brokerPath + "/sign-in"
	tokenPath      = brokerPath + "/oauth/token"
	revokePath     = brokerPath + "/oauth/revoke"
	introspectPath = brokerPath + "/oauth/introspect"
	registerPath   = brokerPath + "/register"
	userinfoPath   = brokerPath + "/userinfo"
	jwksPath       = signerPath + ".well-known/jwks.json"
	forgePath      = "/dev/tokens"
	proofPath      = "/dev/proofs"
	faultsPath     = "/dev/faults"
)

// serverMetadata is the document of RFC 8414 section 2 and OpenID Connect
// Discovery section 3, with the members that RFC 9207 and the client id
// metadata document draft add.
type serverMetadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint,omitempty"`
	TokenEndpoint         string   `json:"token_endpoint,omitempty"`
	RegistrationEndpoint  string   `json:"registration_endpoint,omitempty"`
	RevocationEndpoint    string   `json:"revocation_endpoint,omitempty"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	IntrospectionMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
	UserinfoEndpoint      string   `json:"userinfo_endpoint,omitempty"`
	JWKSURI               string   `json:"jwks_uri"`
	Scopes                []string `json:"scopes_supported,omitempty"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported,omitempty"`
	GrantTypes            []string `json:"grant_types_supported,omitempty"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	RevocationAuthMethods []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported,omitempty"`
	Prompts               []string `json:"prompt_values_supported,omitempty"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	IssParameter          bool     `json:"authorization_response_iss_parameter_supported,omitempty"`
	ClientIDMetadata      bool     `json:"client_id_metadata_document_supported,omitempty"`
	DPoPAlgorithms        []string `json:"dpop_signing_alg_values_supported,omitempty"` // RFC 9449 section 5.1
}

// brokerMetadata answers the three well-known URLs of the authorization server
// with one document. Its keys are the token signer's, as in the deployment this
// stands in for.
func (b *broker) brokerMetadata(w http.ResponseWriter, _ *http.Request) error {
	base := b.origin
	return writeJSON(w, http.StatusOK, serverMetadata{
		Issuer:                b.urls.AuthorizationServer,
		AuthorizationEndpoint: base + authorizePath,
		TokenEndpoint:         base + tokenPath,
		RegistrationEndpoint:  base + registerPath,
		RevocationEndpoint:    base + revokePath,
		IntrospectionEndpoint: b.urls.Introspection,
		IntrospectionMethods:  confidentialMethods,
		UserinfoEndpoint:      base + userinfoPath,
		JWKSURI:               b.urls.JWKS,
		Scopes:                standardScopes,
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query"},
		GrantTypes:            slices.Concat(supportedGrantTypes, serviceGrantTypes),
		AuthMethods:           supportedAuthMethods,
		RevocationAuthMethods: supportedAuthMethods,
		ChallengeMethods:      []string{"S256"},
		Prompts:               []string{"none", "login", "consent", "select_account"},
		SubjectTypes:          []string{"public"},
		IDTokenAlgorithms:     []string{"RS256"},
		IssParameter:          true,
		ClientIDMetadata:      true,
		DPoPAlgorithms:        []string{"ES256", "RS256", "PS256", "EdDSA"},
	})
}

// signerMetadata answers the token signer's well-known URL. It has no endpoints
// for people: they are sent to the broker.
func (b *broker) signerMetadata(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, serverMetadata{
		Issuer:                b.urls.TokenIssuer,
		IntrospectionEndpoint: b.urls.Introspection,
		IntrospectionMethods:  confidentialMethods,
		JWKSURI:               b.urls.JWKS,
		ResponseTypes:         []string{"code"},
		SubjectTypes:          []string{"public"},
		IDTokenAlgorithms:     []string{"RS256"},
	})
}

// keySet answers the token signer's JWKS and counts how often it is asked for.
func (b *broker) keySet(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, b.storage.keys.jwks())
}
