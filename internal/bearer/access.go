package bearer

import (
	"context"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Access is an authenticated request: who calls, and the token exactly as it
// came, for the one upstream that may have it.
type Access struct {
	Principal oauth.Principal
	Token     secret.Value
}

type accessKey struct{}

// WithAccess returns a context that carries a. Only the bearer gate calls it,
// after [Verifier.Verify].
func WithAccess(ctx context.Context, a Access) context.Context {
	return context.WithValue(ctx, accessKey{}, a)
}

// FromContext returns the access that [WithAccess] put into ctx; false means the
// request was not authenticated.
func FromContext(ctx context.Context) (Access, bool) {
	a, ok := ctx.Value(accessKey{}).(Access)
	return a, ok
}
