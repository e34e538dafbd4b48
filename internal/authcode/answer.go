package authcode

import (
	"encoding/json"
	"net/http"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// answer is the token response that programs get (RFC 6749 section 5.1).
type answer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in,omitempty"` // seconds
	Scope        string `json:"scope,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// answer takes what the authorization server said, else what the verified token
// says of itself.
func (f *Flow) answer(got tokens, principal oauth.Principal) answer {
	a := answer{
		AccessToken: got.access.Reveal(), TokenType: "Bearer",
		Scope: got.scope, RefreshToken: got.refresh.Reveal(),
	}
	if a.Scope == "" {
		a.Scope = principal.Scopes.String()
	}
	if expiry := expiryOf(got, principal); !expiry.IsZero() {
		a.ExpiresIn = max(0, int64(expiry.Sub(f.now()).Round(time.Second)/time.Second))
	}
	return a
}

// expiryOf returns when the token ends: its own word counts before the
// server's, because that is what will be checked.
func expiryOf(got tokens, principal oauth.Principal) time.Time {
	if !principal.Expiry.IsZero() {
		return principal.Expiry
	}
	return got.expires
}

// writeTokens writes the JSON; the protective headers are already set.
func writeTokens(w http.ResponseWriter, a answer) error {
	body, err := json.Marshal(a) //nolint:gosec // tokens are what the caller came for
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1
	_, _ = w.Write(body)                 // an error means the reader is gone
	return nil
}

// protect sets the headers that every answer of this package has: nothing of it
// is cached, framed, sniffed or named in a Referer (RFC 9700 sections 4.2 and
// 4.16).
func protect(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
}
