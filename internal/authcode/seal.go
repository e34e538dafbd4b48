package authcode

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// sealer encrypts and authenticates small texts with AES-256-GCM. The zero
// sealer opens nothing.
type sealer struct {
	aead cipher.AEAD
}

// newSealer derives the key from material for one purpose (HKDF-SHA-256, RFC
// 5869), so that the same material seals different things with unrelated keys.
func newSealer(material []byte, purpose string) (sealer, error) {
	key, err := hkdf.Key(sha256.New, material, nil, purpose, 32)
	if err != nil {
		return sealer{}, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("derive key: %w", err)
	}
	// A random 96-bit nonce is safe for 2^32 messages under one key.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("derive key: %w", err)
	}
	return sealer{aead: aead}, nil
}

// seal returns plain sealed together with context, which is not part of the
// text but has to be the same when it is opened.
func (s sealer) seal(plain []byte, context string) string {
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(context))) //nolint:gosec // the AEAD makes its own random nonce
}

// open returns what seal was given. Every other text gives false: the encoding
// has to be the canonical one, so that a sealed text has a single spelling.
func (s sealer) open(text, context string) ([]byte, bool) {
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
