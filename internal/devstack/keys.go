package devstack

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// keyBits is the size of every key here (RFC 7518 section 3.3).
const keyBits = 2048

// signingKey is one RSA key of the token signer. It is both an op.SigningKey
// and, through publicKey, an op.Key.
type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

// SignatureAlgorithm implements op.SigningKey.
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

// Key implements op.SigningKey.
func (k signingKey) Key() any { return k.private }

// ID implements op.SigningKey.
func (k signingKey) ID() string { return k.id }

type publicKey struct{ signingKey }

// Algorithm implements op.Key.
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }

// Use implements op.Key.
func (k publicKey) Use() string { return "sig" }

// Key implements op.Key.
func (k publicKey) Key() any { return &k.private.PublicKey }

// keyring holds the keys of the token signer: the first one signs, all of them
// are published.
type keyring struct {
	// stranger is never published: what a forger would sign with. It is made
	// when first asked for.
	stranger func() (*rsa.PrivateKey, error)

	mu     sync.Mutex
	keys   []signingKey
	others []otherKey // for the forge, made when first asked for
}

// otherKey signs with another algorithm than RS256.
type otherKey struct {
	id        string
	algorithm jose.SignatureAlgorithm
	private   crypto.Signer
}

// Algorithms returns what [Mint].Algorithm may be. The first one is what the
// token endpoint signs with.
func Algorithms() []string { return []string{"RS256", "PS256", "ES256", "EdDSA"} }

// other returns the key for one of the further algorithms. From the first time
// on, all of them are published.
func (r *keyring) other(algorithm string) (otherKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.others == nil {
		ps256, err := rsa.GenerateKey(rand.Reader, keyBits)
		if err != nil {
			return otherKey{}, fmt.Errorf("generate a key: %w", err)
		}
		es256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return otherKey{}, fmt.Errorf("generate a key: %w", err)
		}
		_, edDSA, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return otherKey{}, fmt.Errorf("generate a key: %w", err)
		}
		r.others = []otherKey{{rand.Text(), jose.PS256, ps256}, {rand.Text(), jose.ES256, es256}, {rand.Text(), jose.EdDSA, edDSA}}
	}
	at := slices.IndexFunc(r.others, func(key otherKey) bool { return string(key.algorithm) == algorithm })
	if at < 0 {
		return otherKey{}, fmt.Errorf("unknown algorithm %q; there are %s", algorithm, strings.Join(Algorithms(), ", "))
	}
	return r.others[at], nil
}

func newKeyring() (*keyring, error) {
	first, err := newSigningKey()
	if err != nil {
		return nil, err
	}
	stranger := sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, keyBits) })
	return &keyring{stranger: stranger, keys: []signingKey{first}}, nil
}

func newSigningKey() (signingKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return signingKey{}, fmt.Errorf("generate a key: %w", err)
	}
	return signingKey{id: rand.Text(), private: private}, nil
}

// rotate signs with a new key from now on. The old keys stay published when
// overlap is true, as a careful provider does, and vanish at once otherwise.
func (r *keyring) rotate(overlap bool) error {
	next, err := newSigningKey()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.keys
	if !overlap {
		kept = nil
	}
	r.keys = append([]signingKey{next}, kept...)
	if len(r.keys) > maxPublishedKeys {
		r.keys = r.keys[:maxPublishedKeys]
	}
	return nil
}

// current returns the key that signs.
func (r *keyring) current() signingKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[0]
}

// published returns the public keys as op wants them.
func (r *keyring) published() []op.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]op.Key, 0, len(r.keys))
	for _, key := range r.keys {
		keys = append(keys, publicKey{key})
	}
	return keys
}

// replace signs with a new key from now on and publishes it under the id of the
// old one, which vanishes: what careless providers do.
func (r *keyring) replace() error {
	next, err := newSigningKey()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next.id = r.keys[0].id
	r.keys[0] = next
	return nil
}

// find returns the published key with that id and algorithm.
func (r *keyring) find(id, algorithm string) (crypto.PublicKey, bool) {
	for _, key := range r.jwks().Keys {
		if key.KeyID == id && key.Algorithm == algorithm {
			return key.Key, true
		}
	}
	return nil, false
}

// jwks returns the key set document (RFC 7517 section 5).
func (r *keyring) jwks() jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range r.published() {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			KeyID: key.ID(), Algorithm: string(key.Algorithm()), Use: key.Use(), Key: key.Key(),
		})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range r.others {
		set.Keys = append(set.Keys, jose.JSONWebKey{KeyID: key.id, Algorithm: string(key.algorithm), Use: "sig", Key: key.private.Public()})
	}
	return set
}
