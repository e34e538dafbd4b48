package secret

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// errNotKey says nothing of the text it is about.
var errNotKey = errors.New("it is no private key in PEM form (PKCS #8, which begins with BEGIN PRIVATE KEY)")

// PrivateKey reads the secret as a private key: one PEM block of PKCS #8, as
// "openssl genpkey" writes it. The error holds nothing of the secret.
func (v Value) PrivateKey() (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(v.Reveal()))
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errNotKey
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errNotKey
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("it is a key that cannot sign")
	}
	return signer, nil
}
