package credential

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// None sends no credential.
type None struct{}

// Apply does nothing.
func (None) Apply(context.Context, http.Header, oauth.Principal, secret.Value) (string, error) {
	return "", nil
}

// Rejected reports false: there is nothing else to send.
func (None) Rejected(http.Header, oauth.Principal, secret.Value) bool { return false }

// Forward sends the caller's own token (docs/adr/0004-forwarding-the-callers-token.md).
type Forward struct {
	Upstream string // its declared name, for messages
}

// Apply sends the caller's token as it came.
func (f Forward) Apply(_ context.Context, header http.Header, _ oauth.Principal, token secret.Value) (string, error) {
	if !sendable(token) {
		return "", &Failure{Kind: NoToken, Upstream: f.Upstream}
	}
	header.Set("Authorization", "Bearer "+token.Reveal())
	return "", nil
}

// Rejected reports false: the caller has to bring another token.
func (Forward) Rejected(http.Header, oauth.Principal, secret.Value) bool { return false }

// Static sends a fixed header field. Use [NewStatic] or [NewBasic].
type Static struct {
	name  string
	value secret.Value
}

// NewStatic returns a credential that sends value in the header field name. It
// returns an error when value cannot be one.
func NewStatic(name string, value secret.Value) (Static, error) {
	if !value.IsSet() || !fieldValue(value.Reveal()) {
		return Static{}, errors.New("the secret is empty or has characters that a header field cannot have, such as a line break")
	}
	return Static{name: http.CanonicalHeaderKey(name), value: value}, nil
}

// NewBasic returns a credential of a user and a password (RFC 7617).
func NewBasic(user string, password secret.Value) Static {
	plain := user + ":" + password.Reveal()
	return Static{name: "Authorization", value: secret.New("Basic " + base64.StdEncoding.EncodeToString([]byte(plain)))}
}

// Apply sends the field.
func (s Static) Apply(_ context.Context, header http.Header, _ oauth.Principal, _ secret.Value) (string, error) {
	header.Set(s.name, s.value.Reveal())
	return "", nil
}

// Rejected reports false: there is no other.
func (Static) Rejected(http.Header, oauth.Principal, secret.Value) bool { return false }

// sendable reports whether token can stand in a header as it is: visible ASCII
// only, so that net/http neither trims nor replaces a byte of it.
func sendable(token secret.Value) bool {
	if !token.IsSet() {
		return false
	}
	text := token.Reveal()
	for i := range len(text) {
		if text[i] < 0x21 || text[i] > 0x7e {
			return false
		}
	}
	return true
}

// fieldValue reports whether text can be a field's value as it is: visible ASCII
// with single blanks inside (RFC 9110 section 5.5).
func fieldValue(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return text != "" && text[0] != ' ' && text[len(text)-1] != ' '
}
