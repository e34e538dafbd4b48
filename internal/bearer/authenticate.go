package bearer

import (
	"context"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Authenticate returns who presents an access token: it is good, and if it is
// bound to keys, whoever presents it has proven to hold them. The error is always
// a [*oauth.Refusal] whose Reason is one of [Reasons]: 401 for a token or a proof
// that is not acceptable, 403 for a token without the required scopes, 503 when
// nobody can say.
func (v *Verifier) Authenticate(ctx context.Context, p Presented) (oauth.Principal, error) {
	if p.Scheme == oauth.SchemeDPoP && v.binding.cfg.DPoP == Off {
		return oauth.Principal{}, otherScheme()
	}
	principal, err := v.VerifyUnproven(ctx, p.Token)
	if err != nil {
		return oauth.Principal{}, underScheme(p.Scheme, oauth.AsRefusal(err))
	}
	if err := v.binding.check(ctx, principal.Confirmation, p); err != nil {
		return oauth.Principal{}, err
	}
	return principal, nil
}

// Verify is Authenticate for a token that comes with nothing else: a bound token
// is refused.
func (v *Verifier) Verify(ctx context.Context, token secret.Value) (oauth.Principal, error) {
	return v.Authenticate(ctx, Presented{Token: token, Scheme: oauth.SchemeBearer})
}

// VerifyUnproven returns whom an access token speaks for, provided that whoever
// presents it proves to hold the keys in the principal's Confirmation. It is for
// telling what a token is worth; whatever serves a request calls
// [Verifier.Authenticate]. The errors are the same.
func (v *Verifier) VerifyUnproven(ctx context.Context, token secret.Value) (oauth.Principal, error) {
	principal, err := v.worth(ctx, token)
	v.metrics.judged(ctx, err)
	return principal, err
}

// worth is VerifyUnproven without counting.
func (v *Verifier) worth(ctx context.Context, token secret.Value) (oauth.Principal, error) {
	principal, err := v.verifyToken(ctx, token.Reveal())
	if err != nil {
		return oauth.Principal{}, err
	}
	if v.revoked != nil && v.revoked(principal) {
		return oauth.Principal{}, RevokedToken.refuse("The token was revoked at this server; sign in again, or ask its operator.", nil)
	}
	if err := v.binding.takes(principal.Confirmation); err != nil {
		return oauth.Principal{}, err
	}
	return principal, nil
}

// Nonce returns the nonce that the next proof should have, or "" where proofs
// need none (RFC 9449 section 8.2).
func (v *Verifier) Nonce() string {
	if v.binding.nonces == nil {
		return ""
	}
	return v.binding.nonces.current()
}
