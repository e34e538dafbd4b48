// Package secret holds the value that refuses to be printed.
//
// Tokens, client secrets and sealing keys travel through the program as a
// [Value]. Every way Go has of turning a value into text (the fmt verbs, JSON,
// text marshalling, slog) answers with a short fingerprint instead of the
// secret; [Value.Reveal] is the only way out and is easy to grep for.
//
// The text sits behind a pointer on purpose: fmt cannot call methods on an
// unexported field, so a plain string type would leak through %+v of the
// struct around it, while a pointer prints an address at worst.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// Value is a secret text. The zero Value is "no secret".
type Value struct {
	text *string
}

// New boxes text as a secret. An empty text gives the zero Value.
func New(text string) Value {
	if text == "" {
		return Value{}
	}
	return Value{text: &text}
}

// Reveal returns the secret itself. Call it only where the secret leaves the
// program for its own recipient (an Authorization header, a token request) or
// enters a cryptographic function.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// IsSet reports whether there is a secret.
func (v Value) IsSet() bool { return v.text != nil }

// Equal compares two secrets in constant time for equal lengths.
func (v Value) Equal(other Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(other.Reveal())) == 1
}

// fingerprintBytes is how much of the SHA-256 is shown: enough to tell two
// secrets apart in a log, useless for finding one.
const fingerprintBytes = 4

// String returns the fingerprint, never the secret.
func (v Value) String() string {
	if v.text == nil {
		return "[not set]"
	}
	sum := sha256.Sum256([]byte(*v.text))
	return "[redacted sha256:" + hex.EncodeToString(sum[:fingerprintBytes]) + "]"
}

// Format answers every fmt verb with the fingerprint.
func (v Value) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, v.String())
}

// GoString answers %#v where fmt does not consult Format.
func (v Value) GoString() string { return v.String() }

// LogValue answers slog with the fingerprint.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText answers encoding/json and every text encoder with the
// fingerprint. It never fails.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a secret from configuration text. It never fails.
func (v *Value) UnmarshalText(text []byte) error {
	*v = New(string(text))
	return nil
}
