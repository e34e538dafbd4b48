package devstack

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// member is one member of a JSON object; object may hold two of the same name,
// which a map could not.
type (
	member struct {
		name  string
		value any
	}
	object []member
)

// set replaces the member or adds it.
func (o *object) set(name string, value any) {
	o.drop(name)
	o.add(name, value)
}

// add appends a member even if there is one of that name.
func (o *object) add(name string, value any) { *o = append(*o, member{name, value}) }

func (o *object) drop(name string) {
	*o = slices.DeleteFunc(*o, func(m member) bool { return m.name == name })
}

// rename keeps the value.
func (o *object) rename(from, to string) {
	for i := range *o {
		if (*o)[i].name == from {
			(*o)[i].name = to
		}
	}
}

func (o *object) value(name string) any {
	for _, m := range *o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// encode writes the members in random order with random blanks, so that nobody
// comes to rely on either.
func (o object) encode() ([]byte, error) {
	shuffled := slices.Clone(o)
	mathrand.Shuffle(len(shuffled), func(i, j int) { //nolint:gosec // the order is no secret
		shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
	})
	blanks := []string{"", "", " ", "\n", "\t "}
	blank := func() string { return blanks[mathrand.IntN(len(blanks))] } //nolint:gosec // blanks are no secret
	var b bytes.Buffer
	b.WriteString("{" + blank())
	for i, m := range shuffled {
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString("," + blank())
		}
		b.Write(name)
		b.WriteString(":" + blank())
		b.Write(value)
	}
	b.WriteString(blank() + "}")
	return b.Bytes(), nil
}

// draft is a token before it is signed.
type draft struct {
	key      signingKey
	stranger func() (*rsa.PrivateKey, error)
	issuer   string
	clientID string

	header, claims object
	sign           func(d *draft, input []byte) ([]byte, error)
	prepare        func(d *draft) error                         // optional first touch
	finish         func(d *draft, token string) (string, error) // optional last touch
}

// assemble serializes and signs the draft.
func (d *draft) assemble() (string, error) {
	if d.prepare != nil {
		if err := d.prepare(d); err != nil {
			return "", err
		}
	}
	token, err := compact(d.header, d.claims, func(input []byte) ([]byte, error) { return d.sign(d, input) })
	if err != nil || d.finish == nil {
		return token, err
	}
	return d.finish(d, token)
}

// compact serializes and signs a JWS (RFC 7515 section 7.1).
func compact(header, claims object, sign func(input []byte) ([]byte, error)) (string, error) {
	protected, err := header.encode()
	if err != nil {
		return "", err
	}
	payload, err := claims.encode()
	if err != nil {
		return "", err
	}
	input := segment(protected) + "." + segment(payload)
	signature, err := sign([]byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + segment(signature), nil
}

func segment(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func signRS256(d *draft, input []byte) ([]byte, error) { return signWith(d.key.private, input) }

// signAsStranger signs with a key that was never published.
func signAsStranger(d *draft, input []byte) ([]byte, error) {
	key, err := d.stranger()
	if err != nil {
		return nil, err
	}
	return signWith(key, input)
}

func signWith(key *rsa.PrivateKey, input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
}

func signPS256(d *draft, input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	return rsa.SignPSS(rand.Reader, d.key.private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
}

// signOther signs with a key of another algorithm than RS256 (RFC 7518 section
// 3.1, RFC 8037 section 3.1).
func signOther(key otherKey) func(*draft, []byte) ([]byte, error) {
	return func(_ *draft, input []byte) ([]byte, error) {
		sum := sha256.Sum256(input)
		switch private := key.private.(type) {
		case *rsa.PrivateKey:
			return rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		case *ecdsa.PrivateKey:
			r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
			if err != nil {
				return nil, fmt.Errorf("sign: %w", err)
			}
			const half = 32 // bytes of each part, for P-256
			return append(r.FillBytes(make([]byte, half)), s.FillBytes(make([]byte, half))...), nil
		case ed25519.PrivateKey:
			return ed25519.Sign(private, input), nil
		}
		return nil, fmt.Errorf("no way to sign with %T", key.private)
	}
}

func signNothing(*draft, []byte) ([]byte, error) { return nil, nil }

// signHS256 uses the PEM form of the public key as a shared secret: the classic
// attack on verifiers that let the token choose the algorithm (RFC 8725 section
// 2.1).
func signHS256(d *draft, input []byte) ([]byte, error) {
	public, err := d.publicPEM()
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, public)
	mac.Write(input)
	return mac.Sum(nil), nil
}

func (d *draft) publicPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(&d.key.private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// embedStranger puts the stranger's public key into the header.
func embedStranger(d *draft) error {
	key, err := d.stranger()
	if err != nil {
		return err
	}
	d.header.set("jwk", jose.JSONWebKey{Key: &key.PublicKey, Algorithm: "RS256", Use: "sig"})
	return nil
}

// encrypt makes the token a JWE, as Auth0 does when the request named no API.
func encrypt(_ *draft, token string) (string, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: key}, (&jose.EncrypterOptions{}).WithContentType("JWT"))
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	encrypted, err := encrypter.Encrypt([]byte(token))
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	return encrypted.CompactSerialize()
}

// flipSignature changes one bit in the middle of the signature.
func flipSignature(_ *draft, token string) (string, error) {
	dot := bytes.LastIndexByte([]byte(token), '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || len(signature) == 0 {
		return "", errors.New("no signature to spoil")
	}
	signature[len(signature)/2] ^= 1
	return token[:dot+1] + segment(signature), nil
}
