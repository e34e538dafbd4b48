package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// errUnused answers the methods of op.Storage that belong to parts of op which
// this provider does not use: its own login callback, introspection, logout,
// JWT profile.
var errUnused = errors.New("not part of the development stack")

// storage is what op needs of this provider: clients, codes, refresh tokens,
// keys and claims. It implements op.Storage.
type storage struct {
	clients  *registry
	grants   *grants
	keys     *keyring
	lifetime time.Duration
}

// GetClientByClientID implements op.OPStorage.
func (s *storage) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	found, err := s.clients.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// AuthorizeClientIDSecret implements op.OPStorage.
func (s *storage) AuthorizeClientIDSecret(ctx context.Context, id, clientSecret string) error {
	found, err := s.clients.find(ctx, id)
	if err != nil {
		return err
	}
	if !found.secret.IsSet() || !found.secret.Equal(secret.New(clientSecret)) {
		return errors.New("wrong client secret")
	}
	return nil
}

// ClientCredentials implements op.ClientCredentialsStorage: who asks for a token
// of its own has a secret.
func (s *storage) ClientCredentials(ctx context.Context, id, clientSecret string) (op.Client, error) {
	if err := s.AuthorizeClientIDSecret(ctx, id, clientSecret); err != nil {
		return nil, oidc.ErrInvalidClient().WithParent(err)
	}
	return s.GetClientByClientID(ctx, id)
}

// ClientCredentialsTokenRequest implements op.ClientCredentialsStorage; delegate.go
// answers such requests.
func (s *storage) ClientCredentialsTokenRequest(context.Context, string, []string) (op.TokenRequest, error) {
	return nil, errUnused
}

// AuthRequestByCode implements op.AuthStorage. It uses the code up.
func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	entry, err := s.grants.redeem(code)
	if err != nil {
		return nil, err
	}
	return &codeRequest{tokenRequest: tokenRequest{grant: entry.grant, scopes: entry.grant.granted}, code: entry}, nil
}

// CreateAccessToken implements op.AuthStorage: it names a token and its end.
func (s *storage) CreateAccessToken(_ context.Context, request op.TokenRequest) (string, time.Time, error) {
	owner, ok := findPerson(request.GetSubject())
	if !ok {
		return "", time.Time{}, oidc.ErrInvalidGrant().WithDescription("unknown person")
	}
	return rand.Text(), time.Now().Add(owner.lifetime(s.lifetime)), nil
}

// CreateAccessAndRefreshTokens implements op.AuthStorage.
func (s *storage) CreateAccessAndRefreshTokens(ctx context.Context, request op.TokenRequest, current string) (id, refresh string, expires time.Time, err error) {
	switch request := request.(type) {
	case *codeRequest:
		refresh = s.grants.start(request.code)
	case *refreshRequest:
		refresh, err = s.grants.rotate(current, request.GetClientID())
	default:
		err = errUnused
	}
	if err != nil {
		return "", "", time.Time{}, err
	}
	id, expires, err = s.CreateAccessToken(ctx, request)
	return id, refresh, expires, err
}

// GetPrivateClaimsFromRequest implements op.CanGetPrivateClaimsFromRequest: the
// claims that Auth0 adds to an access token.
func (s *storage) GetPrivateClaimsFromRequest(_ context.Context, request op.TokenRequest, _ []string) (map[string]any, error) {
	owner, ok := findPerson(request.GetSubject())
	if !ok {
		return nil, oidc.ErrInvalidGrant().WithDescription("unknown person")
	}
	claims := map[string]any{"permissions": owner.ownPermissions(), "scope": oidc.SpaceDelimitedArray(request.GetScopes()).String()}
	if named, ok := request.(interface{ GetClientID() string }); ok {
		claims["azp"] = named.GetClientID()
	}
	if person, ok := request.(interface{ authentication() (string, time.Time) }); ok {
		acr, authTime := person.authentication()
		if acr != "" {
			claims["acr"] = acr
		}
		if !authTime.IsZero() {
			claims["auth_time"] = authTime.Unix()
		}
	}
	if bound, ok := request.(interface{ boundTo() string }); ok && bound.boundTo() != "" {
		claims["cnf"] = confirmation(bound.boundTo(), "")
	}
	return claims, nil
}

// SetUserinfoFromScopes implements op.OPStorage: the profile in an ID token.
func (s *storage) SetUserinfoFromScopes(_ context.Context, info *oidc.UserInfo, subject, _ string, scopes []string) error {
	owner, ok := findPerson(subject)
	if !ok {
		return oidc.ErrInvalidGrant().WithDescription("unknown person")
	}
	for _, scope := range scopes {
		switch scope {
		case oidc.ScopeProfile:
			info.Name, info.PreferredUsername = owner.name, owner.id
		case oidc.ScopeEmail:
			info.Email, info.EmailVerified = owner.email, true
		}
	}
	return nil
}

// SigningKey implements op.AuthStorage.
func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return s.keys.current(), nil }

// SignatureAlgorithms implements op.AuthStorage.
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

// KeySet implements op.AuthStorage.
func (s *storage) KeySet(context.Context) ([]op.Key, error) { return s.keys.published(), nil }

// Health implements op.Storage.
func (s *storage) Health(context.Context) error { return nil }

// CreateAuthRequest implements op.AuthStorage.
func (s *storage) CreateAuthRequest(context.Context, *oidc.AuthRequest, string) (op.AuthRequest, error) {
	return nil, errUnused
}

// AuthRequestByID implements op.AuthStorage.
func (s *storage) AuthRequestByID(context.Context, string) (op.AuthRequest, error) {
	return nil, errUnused
}

// SaveAuthCode implements op.AuthStorage.
func (s *storage) SaveAuthCode(context.Context, string, string) error { return errUnused }

// DeleteAuthRequest implements op.AuthStorage.
func (s *storage) DeleteAuthRequest(context.Context, string) error { return errUnused }

// TokenRequestByRefreshToken implements op.AuthStorage.
func (s *storage) TokenRequestByRefreshToken(context.Context, string) (op.RefreshTokenRequest, error) {
	return nil, errUnused
}

// TerminateSession implements op.AuthStorage.
func (s *storage) TerminateSession(context.Context, string, string) error { return errUnused }

// RevokeToken implements op.AuthStorage.
func (s *storage) RevokeToken(context.Context, string, string, string) *oidc.Error {
	return oidc.ErrServerError().WithParent(errUnused)
}

// GetRefreshTokenInfo implements op.AuthStorage.
func (s *storage) GetRefreshTokenInfo(context.Context, string, string) (userID, tokenID string, err error) {
	return "", "", op.ErrInvalidRefreshToken
}

// SetUserinfoFromToken implements op.OPStorage.
func (s *storage) SetUserinfoFromToken(context.Context, *oidc.UserInfo, string, string, string) error {
	return errUnused
}

// SetIntrospectionFromToken implements op.OPStorage.
func (s *storage) SetIntrospectionFromToken(context.Context, *oidc.IntrospectionResponse, string, string, string) error {
	return errUnused
}

// GetPrivateClaimsFromScopes implements op.OPStorage.
func (s *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, errUnused
}

// GetKeyByIDAndClientID implements op.OPStorage.
func (s *storage) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errUnused
}

// ValidateJWTProfileScopes implements op.OPStorage.
func (s *storage) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errUnused
}
