package credential

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Grant types.
const (
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 section 2.1
	grantAssert   = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // RFC 7523 section 2.1
	grantClient   = "client_credentials"                              // RFC 6749 section 4.4
)

// Target is what a token is asked for.
type Target struct {
	Audience string       // logical name of the API at the authorization server; may be empty
	Resource string       // its URL (RFC 8707); may be empty
	Scopes   oauth.Scopes // as few as its tools need
}

func (t Target) add(form url.Values) {
	for name, value := range map[string]string{"audience": t.Audience, "resource": t.Resource, "scope": t.Scopes.String()} {
		if value != "" {
			form.Set(name, value)
		}
	}
}

// ExchangeConfig is what an [Exchange] is made of.
type ExchangeConfig struct {
	Upstream string // declared name of the API
	Endpoint *Endpoint
	Target   Target

	// OnBehalfOf speaks the on-behalf-of flow of Microsoft Entra instead of RFC
	// 8693; what is below does not apply then.
	OnBehalfOf bool

	SubjectType   string // of the caller's token; "" means TypeAccessToken
	RequestedType string // "" means TypeAccessToken

	// ActorFile holds a token that says who acts for the caller, read for each
	// exchange; "" means nobody is named. ActorType "" means TypeAccessToken.
	ActorFile string
	ActorType string
}

// Exchange trades the caller's token for one that is meant for the API and still
// speaks for the caller.
type Exchange struct {
	cfg   ExchangeConfig
	store *store
}

// NewExchange returns an exchange. It returns an error when the target is
// nothing: a token for nothing in particular is good for too much.
func NewExchange(cfg ExchangeConfig) (*Exchange, error) {
	switch {
	case cfg.Upstream == "" || cfg.Endpoint == nil:
		return nil, errors.New("an exchange needs an upstream and a token endpoint")
	case cfg.OnBehalfOf && len(cfg.Target.Scopes) == 0:
		return nil, errors.New("the on-behalf-of flow needs scopes: they name the API")
	case cfg.Target.Audience == "" && cfg.Target.Resource == "" && len(cfg.Target.Scopes) == 0:
		return nil, errors.New("an exchange needs an audience, a resource or scopes")
	}
	for _, kind := range []*string{&cfg.SubjectType, &cfg.RequestedType, &cfg.ActorType} {
		if *kind == "" {
			*kind = TypeAccessToken
		}
	}
	return &Exchange{cfg: cfg, store: newStore()}, nil
}

// Apply sends a token that was exchanged for the caller's, a kept one if there
// is one.
func (e *Exchange) Apply(ctx context.Context, header http.Header, as oauth.Principal, token secret.Value) (string, error) {
	if !sendable(token) {
		return "", &Failure{Kind: NoToken, Upstream: e.cfg.Upstream}
	}
	got, err := e.store.get(ctx, e.key(as, token), as.Expiry, func(ctx context.Context) (issued, error) { return e.obtain(ctx, token) })
	if err != nil {
		return "", err
	}
	header.Set("Authorization", "Bearer "+got.token.Reveal())
	return got.actor, nil
}

// Rejected drops the kept token that the API did not accept.
func (e *Exchange) Rejected(header http.Header, as oauth.Principal, token secret.Value) bool {
	return e.store.rejected(e.key(as, token), header)
}

// key is everything an exchanged token depends on: the caller's token itself,
// and with it the person, the API, and what was asked for.
func (e *Exchange) key(as oauth.Principal, token secret.Value) digest {
	t := e.cfg.Target
	return digestOf(token.Reveal(), as.Issuer, as.Subject, e.cfg.Upstream, t.Audience, t.Resource, t.Scopes.String())
}

func (e *Exchange) obtain(ctx context.Context, token secret.Value) (issued, error) {
	form, wanted := url.Values{}, ""
	if e.cfg.OnBehalfOf {
		form.Set("grant_type", grantAssert)
		form.Set("assertion", token.Reveal())
		form.Set("requested_token_use", "on_behalf_of")
	} else {
		wanted = e.cfg.RequestedType
		form.Set("grant_type", grantExchange)
		form.Set("subject_token", token.Reveal())
		form.Set("subject_token_type", e.cfg.SubjectType)
		form.Set("requested_token_type", wanted)
		if e.cfg.ActorFile != "" {
			actor, err := readTokenFile(e.cfg.ActorFile)
			if err != nil {
				return issued{}, &Failure{Kind: Unreadable, Upstream: e.cfg.Upstream, Err: err}
			}
			form.Set("actor_token", actor.Reveal())
			form.Set("actor_token_type", e.cfg.ActorType)
		}
	}
	e.cfg.Target.add(form)
	got, err := e.cfg.Endpoint.obtain(ctx, e.cfg.Upstream, form, wanted)
	if said, ok := errors.AsType[*refusedError](err); ok && e.subjectAtFault(said) {
		return issued{}, oauth.InvalidToken("exchange_refused", "The identity provider does not accept this access token any more; sign in again.", err)
	}
	return got, err
}

// subjectAtFault reports whether the endpoint turned down the caller's token,
// and nothing else that was in the request. RFC 8693 section 2.2.2 has
// invalid_request for every bad token, which may be our own fault as well;
// invalid_grant (RFC 6749 section 5.2) and invalid_token (Keycloak) speak of the
// grant, and that is the caller's token, unless an actor's came along.
func (e *Exchange) subjectAtFault(said *refusedError) bool {
	return (said.code == oauth.CodeInvalidGrant || said.code == oauth.CodeInvalidToken) && e.cfg.ActorFile == ""
}

// obtain sends a token request on behalf of an API and reads the token.
func (e *Endpoint) obtain(ctx context.Context, upstream string, form url.Values, wanted string) (issued, error) {
	answer, err := e.request(ctx, form)
	if err != nil {
		if failure, ok := errors.AsType[*Failure](err); ok {
			failure.Upstream = upstream
		}
		return issued{}, err
	}
	got, err := readToken(answer, wanted, e.client.now())
	if err != nil {
		return issued{}, &Failure{Kind: Unusable, Upstream: upstream, Err: err}
	}
	return got, nil
}
