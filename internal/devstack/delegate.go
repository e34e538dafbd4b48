package devstack

import (
	"crypto/rand"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// ServiceClientID is the confidential client that is registered from the start:
// a server that gets tokens for APIs behind it. Its secret is
// [Stack.ServiceSecret].
const ServiceClientID = "dev-service-client"

// What a service asks for at the token endpoint.
const (
	grantExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 section 2.1
	grantOnBehalfOf   = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // Microsoft Entra's flow
	grantCredentials  = "client_credentials"                              // RFC 6749 section 4.4
	typeAccessToken   = "urn:ietf:params:oauth:token-type:access_token"   //nolint:gosec // the name of a type, RFC 8693 section 3
	typeJWT           = "urn:ietf:params:oauth:token-type:jwt"
	defaultScopes     = "/.default" // what Entra has behind the name of an API
	serviceSubject    = "@clients"  // what Auth0 has behind a client that speaks for itself
	codeUnauthorized  = "unauthorized_client"
	codeInvalidScope  = "invalid_scope"
	onBehalfOfRequest = "on_behalf_of"
)

var serviceGrantTypes = []string{grantExchange, grantOnBehalfOf, grantCredentials}

// party is somebody who acts for somebody else (RFC 8693 section 4.1).
type party struct {
	Subject  string          `json:"sub"`
	ClientID string          `json:"client_id,omitempty"`
	Act      json.RawMessage `json:"act,omitempty"` // who acted before
}

func newServiceClient() *client {
	return &client{
		id: ServiceClientID, name: "Development service", authMethod: oidc.AuthMethodBasic,
		secret: secret.New(rand.Text() + rand.Text()),
	}
}

// delegate answers the grants of a service.
func (b *broker) delegate(c op.Client, form url.Values) (TokenResponse, error) {
	if c.GetID() != ServiceClientID {
		return TokenResponse{}, badRequest(codeUnauthorized, "That grant is for "+ServiceClientID)
	}
	switch form.Get("grant_type") {
	case grantExchange:
		return b.exchangeToken(form)
	case grantOnBehalfOf:
		return b.onBehalfOf(form)
	default:
		return b.serviceToken(form)
	}
}

// exchangeToken trades a person's token for one that is for the asked APIs only
// (RFC 8693). With an actor's token the new one says who acts; who acted before
// goes behind.
func (b *broker) exchangeToken(form url.Values) (TokenResponse, error) {
	subject, err := b.presented(form, "subject_token")
	if err != nil {
		return TokenResponse{}, err
	}
	requested := form.Get("requested_token_type")
	if requested != "" && requested != typeAccessToken && requested != typeJWT {
		return TokenResponse{}, badRequest(oauth.CodeInvalidRequest, "requested_token_type is an access token or a JWT")
	}
	acting := party{Subject: ServiceClientID + serviceSubject}
	named := form.Has("actor_token")
	if named {
		actor, err := b.presented(form, "actor_token")
		if err != nil {
			return TokenResponse{}, err
		}
		acting = party{Subject: actor.Subject, ClientID: actor.ClientID}
	}
	// RFC 8693 sections 2.2.2 and 4.4: who may not act gets invalid_request.
	if subject.MayAct != nil && subject.MayAct.Subject != acting.Subject {
		return TokenResponse{}, badRequest(oauth.CodeInvalidRequest, "The subject token's may_act names somebody else")
	}
	var act any
	if named {
		acting.Act = subject.Act
		act = acting
	} else if subject.Act != nil {
		act = subject.Act
	}
	audience, err := b.resources.requested(form)
	if err != nil {
		return TokenResponse{}, err
	}
	if len(audience) == 0 {
		return TokenResponse{}, invalidTarget("Say which API the token is for")
	}
	answer, err := b.personal(subject, audience, oauth.ParseScopes(form.Get("scope")), act)
	if answer.IssuedTokenType = typeAccessToken; requested == typeJWT {
		answer.IssuedTokenType = typeJWT
	}
	return answer, err
}

// onBehalfOf is the same in the words of Microsoft Entra: the scope names the
// API.
func (b *broker) onBehalfOf(form url.Values) (TokenResponse, error) {
	if form.Get("requested_token_use") != onBehalfOfRequest {
		return TokenResponse{}, badRequest(oauth.CodeInvalidRequest, "requested_token_use is on_behalf_of")
	}
	subject, err := b.verifier.verify(form.Get("assertion"))
	if err != nil {
		return TokenResponse{}, badRequest(oauth.CodeInvalidGrant, "The assertion is not good: "+err.Error())
	}
	api, found := strings.CutSuffix(form.Get("scope"), defaultScopes)
	if !found || !b.resources.accepts(api) {
		return TokenResponse{}, badRequest(codeInvalidScope, "The scope is the URL of an API with "+defaultScopes)
	}
	return b.personal(subject, []string{api}, nil, nil)
}

// presented verifies a token that a request presents, with its type.
func (b *broker) presented(form url.Values, name string) (tokenClaims, error) {
	if kind := form.Get(name + "_type"); kind != typeAccessToken && kind != typeJWT {
		return tokenClaims{}, badRequest(oauth.CodeInvalidRequest, name+"_type is an access token or a JWT")
	}
	claims, err := b.verifier.verify(form.Get(name))
	if err != nil {
		// RFC 8693 section 2.2.2 has invalid_request here; this is what providers
		// say in fact.
		return tokenClaims{}, badRequest(oauth.CodeInvalidGrant, "The "+name+" is not good: "+err.Error())
	}
	return claims, nil
}

// personal signs a token that speaks for the subject of another one, and ends
// with it.
func (b *broker) personal(subject tokenClaims, audience []string, asked oauth.Scopes, act any) (TokenResponse, error) {
	owned := oauth.Scopes(slices.Concat(strings.Fields(subject.Scope), subject.Permissions))
	if missing := owned.Missing(asked); len(missing) > 0 {
		return TokenResponse{}, badRequest(codeInvalidScope, "The subject token does not have: "+missing.String())
	}
	end := time.Now().Add(b.storage.lifetime)
	if subject.Expiry.Time().Before(end) {
		end = subject.Expiry.Time()
	}
	claims := object{{"sub", subject.Subject}, {"permissions", append([]string{}, subject.Permissions...)}}
	if act != nil {
		claims.add("act", act)
	}
	return b.sign(claims, audience, asked, end)
}

// serviceToken signs a token that speaks for the service itself.
func (b *broker) serviceToken(form url.Values) (TokenResponse, error) {
	audience, err := b.resources.requested(form)
	if err != nil {
		return TokenResponse{}, err
	}
	if len(audience) == 0 {
		audience = []string{b.resources.otus}
	}
	claims := object{{"sub", ServiceClientID + serviceSubject}, {"permissions", []string{permissionTeams}}}
	return b.sign(claims, audience, oauth.ParseScopes(form.Get("scope")), time.Now().Add(b.storage.lifetime))
}

// sign completes claims as those of every access token are.
func (b *broker) sign(claims object, audience []string, scopes oauth.Scopes, end time.Time) (TokenResponse, error) {
	key, now := b.storage.keys.current(), time.Now()
	for _, m := range (object{
		{"iss", b.urls.TokenIssuer},
		{"aud", audience},
		{"iat", now.Unix()},
		{"nbf", now.Unix()},
		{"exp", end.Unix()},
		{"jti", rand.Text()},
		{"azp", ServiceClientID},
		{"client_id", ServiceClientID},
		{"scope", scopes.String()},
	}) {
		claims.add(m.name, m.value)
	}
	d := &draft{key: key, header: object{{"alg", "RS256"}, {"typ", "JWT"}, {"kid", key.id}}, claims: claims, sign: signRS256}
	token, err := d.assemble()
	if err != nil {
		return TokenResponse{}, err
	}
	return TokenResponse{AccessToken: token, TokenType: oidc.BearerToken, ExpiresIn: end.Unix() - now.Unix(), Scope: scopes.String()}, nil
}

// ServiceSecret returns the secret of the client [ServiceClientID].
func (s *Stack) ServiceSecret() secret.Value { return s.broker.service.secret }

// DemandExchanged makes the Otus API accept only tokens that are for Otus and
// nothing else, as an exchange gives them, or everything again.
func (s *Stack) DemandExchanged(on bool) { s.otus.exchangedOnly.Store(on) }

// onlyFor reports whether the token's audience is api alone.
func (c tokenClaims) onlyFor(api string) bool {
	return len(c.Audience) == 1 && oauth.SameResource(c.Audience[0], api)
}
