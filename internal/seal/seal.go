// Package seal encrypts and authenticates small texts that go out to a client
// and come back: the sign-in cookie, cursors, the state of a request that needs
// several rounds. What is sealed needs no store, and any process with the same
// key can open it. It keeps no list of what was used: a sealed text can be
// opened again and again until whoever sealed it says otherwise.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// Sealer encrypts and authenticates small texts with AES-256-GCM. The zero
// Sealer opens nothing.
type Sealer struct {
	aead cipher.AEAD
}

// New derives the key from material for one purpose (HKDF-SHA-256, RFC
// 5869), so that the same material seals different things with unrelated keys.
func New(material []byte, purpose string) (Sealer, error) {
	key, err := hkdf.Key(sha256.New, material, nil, purpose, 32)
	if err != nil {
		return Sealer{}, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return Sealer{}, fmt.Errorf("derive key: %w", err)
	}
	// A random 96-bit nonce is safe for 2^32 messages under one key.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Sealer{}, fmt.Errorf("derive key: %w", err)
	}
	return Sealer{aead: aead}, nil
}

// Seal returns plain sealed together with context, which is not part of the
// text but has to be the same when it is opened.
func (s Sealer) Seal(plain []byte, context string) string {
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(context))) //nolint:gosec // the AEAD makes its own random nonce
}

// Open returns what Seal was given. Every other text gives false: the encoding
// has to be the canonical one, so that a sealed text has a single spelling.
func (s Sealer) Open(text, context string) ([]byte, bool) {
	if s.aead == nil {
		return nil, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || base64.RawURLEncoding.EncodeToString(sealed) != text {
		return nil, false
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(context))
	if err != nil {
		return nil, false
	}
	return plain, true
}
