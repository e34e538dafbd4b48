package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Error codes of RFC 6749 section 5.2, RFC 6750 section 3.1 and the ones that
// this server adds for situations those do not name.
const (
	CodeInvalidRequest                 = "invalid_request"
	CodeInvalidToken                   = "invalid_token"
	CodeInsufficientScope              = "insufficient_scope"
	CodeInsufficientUserAuthentication = "insufficient_user_authentication" // RFC 9470 section 3
	CodeInvalidDPoPProof               = "invalid_dpop_proof"               // RFC 9449 section 7.1
	CodeUseDPoPNonce                   = "use_dpop_nonce"                   // RFC 9449 section 9
	CodeInvalidGrant                   = "invalid_grant"
	CodeAccessDenied                   = "access_denied"
	CodeServerError                    = "server_error"
	CodeTemporarilyUnavailable         = "temporarily_unavailable"
	CodeUnauthorized                   = "unauthorized"       // no credentials at all
	CodeForbidden                      = "forbidden"          // refused for another reason than a scope
	CodeNotFound                       = "not_found"          // no such URL
	CodeMethodNotAllowed               = "method_not_allowed" // wrong HTTP method
	CodeRequestTooLarge                = "request_too_large"  // body over its bound
	CodeTooManyRequests                = "too_many_requests"  // a limit was reached
)

// Refusal is an error with two faces: what the client reads (Status, Code,
// Description) and what the log keeps (Reason, Err). Handlers return it; the
// edge is the only place that writes it.
type Refusal struct { //nolint:errname // named for what it is: an answer, not only an error
	Status      int           // HTTP status
	Code        string        // the body's "error"
	Description string        // one safe sentence: what was wrong and what to do
	Reason      string        // closed-list word for logs and metrics, such as "expired"
	RetryAfter  time.Duration // sent as Retry-After when positive
	Challenge   bool          // send WWW-Authenticate with the endpoint's metadata and scopes
	Scheme      string        // of the challenge that carries the error; "" means Bearer
	Scope       Scopes        // scopes for the challenge; nil means the endpoint's own
	ACRValues   []string      // for the challenge: how the person should sign in (RFC 9470 section 3)
	MaxAge      time.Duration // for the challenge: how long ago at most; 0 is not sent
	Err         error         // private cause, for the log only
}

// Error returns the client's sentence with the private cause behind it.
func (r *Refusal) Error() string {
	text := fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Description)
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

// Unwrap returns the private cause.
func (r *Refusal) Unwrap() error { return r.Err }

// AsRefusal finds the refusal in err. Any other error becomes an opaque 500
// whose cause only the log sees.
func AsRefusal(err error) *Refusal {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	return &Refusal{
		Status:      http.StatusInternalServerError,
		Code:        CodeServerError,
		Description: "The server failed to handle this request; try again, and give the operator the X-Request-Id if it goes on.",
		Reason:      "internal",
		Err:         err,
	}
}

// NoToken is the refusal of a request without credentials: a challenge without
// an error code (RFC 6750 section 3.1).
func NoToken() *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized, Code: CodeUnauthorized, Challenge: true,
		Description: "No valid bearer token provided", Reason: "no_token",
	}
}

// InvalidToken refuses a token that is present and not acceptable (RFC 6750
// section 3.1). reason is a closed-list word; description is one safe sentence.
func InvalidToken(reason, description string, cause error) *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized, Code: CodeInvalidToken, Challenge: true,
		Description: description, Reason: reason, Err: cause,
	}
}

// InvalidProof refuses a request whose DPoP proof does not show that the token is
// in the right hands (RFC 9449 section 7.1). code is [CodeInvalidDPoPProof] or
// [CodeUseDPoPNonce].
func InvalidProof(code, reason, description string, cause error) *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized, Code: code, Challenge: true, Scheme: SchemeDPoP,
		Description: description, Reason: reason, Err: cause,
	}
}

// InsufficientScope refuses a token that lacks scopes: need lists everything
// the operation takes together with what the caller has, because some clients
// replace their scopes by the challenge's.
func InsufficientScope(need, granted Scopes) *Refusal {
	return &Refusal{
		Status: http.StatusForbidden, Code: CodeInsufficientScope, Challenge: true,
		Scope:       granted.Union(need),
		Description: "This operation needs the scopes: " + need.String(),
		Reason:      "insufficient_scope",
	}
}

// InsufficientAuthentication refuses a token whose person did not sign in the way
// the operation asks for (RFC 9470 section 3): one of the acr values, and at most
// maxAge ago, where they are set.
func InsufficientAuthentication(acr []string, maxAge time.Duration) *Refusal {
	var asks []string
	if len(acr) > 0 {
		asks = append(asks, "of the class "+strings.Join(acr, " or "))
	}
	if maxAge > 0 {
		asks = append(asks, fmt.Sprintf("not longer than %d seconds ago", int64(maxAge.Seconds())))
	}
	return &Refusal{
		Status: http.StatusUnauthorized, Code: CodeInsufficientUserAuthentication, Challenge: true,
		ACRValues: acr, MaxAge: maxAge, Reason: "insufficient_user_authentication",
		Description: "This operation needs a sign-in " + strings.Join(asks, ", ") + "; sign in again",
	}
}

// Unavailable refuses a request because somebody else's system is down. It is
// never blamed on the caller's token.
func Unavailable(description string, retryAfter time.Duration, cause error) *Refusal {
	return &Refusal{
		Status: http.StatusServiceUnavailable, Code: CodeTemporarilyUnavailable,
		Description: description, Reason: "unavailable", RetryAfter: retryAfter, Err: cause,
	}
}

// BadRequest refuses a request that is not well formed, whatever its token.
func BadRequest(reason, description string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Description: description, Reason: reason}
}
