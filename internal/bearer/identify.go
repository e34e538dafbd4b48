package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// The ways in which this server identifies itself to an issuer, by their names
// in RFC 8414 section 2.
const (
	ClientSecretBasic = "client_secret_basic"
	ClientSecretPost  = "client_secret_post"
	PrivateKeyJWT     = "private_key_jwt"
)

// assertionLifetime is how long a client assertion is good.
const assertionLifetime = time.Minute

// IntrospectionConfig says how an issuer is asked about its tokens (RFC 7662).
type IntrospectionConfig struct {
	Tokens Introspect
	// URL is where it is asked. Empty means the introspection_endpoint of
	// Source's metadata.
	URL string
	// Method is how this server identifies itself: [ClientSecretBasic],
	// [ClientSecretPost] or [PrivateKeyJWT]. Empty means the last one with a
	// PrivateKey and the first one without.
	Method       string
	ClientID     string
	ClientSecret secret.Value
	PrivateKey   secret.Value // PEM, PKCS #8: RSA, P-256 or Ed25519
	KeyID        string       // "kid" of PrivateKey at the issuer; may be empty
	// CacheFor is how long its word on a token counts, at most 60 s, which is
	// what 0 means. It is how long a revoked token may go on being taken.
	CacheFor time.Duration
}

// complete fills in the defaults.
func (c IntrospectionConfig) complete() IntrospectionConfig {
	if c.Method == "" {
		c.Method = ClientSecretBasic
		if c.PrivateKey.IsSet() {
			c.Method = PrivateKeyJWT
		}
	}
	if c.CacheFor == 0 {
		c.CacheFor = maxIntrospectionAge
	}
	return c
}

// validate checks a configuration whose defaults are filled in.
func (c IntrospectionConfig) validate(hasSource bool) []error {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("Introspection: "+format, args...))
	}
	choices := []Introspect{IntrospectNone, IntrospectOpaque, IntrospectJWT, IntrospectAll}
	switch {
	case !slices.Contains(choices, c.Tokens):
		problem("Tokens: %q is none of opaque, jwt, all", c.Tokens)
	case c.Tokens == IntrospectNone:
		return nil
	}
	if c.URL != "" {
		if err := discovery.CheckURL(c.URL); err != nil {
			problem("URL: %w", err)
		}
	} else if !hasSource {
		problem("without Source, URL is required")
	}
	// An endpoint that answers anybody tells anybody what tokens are worth (RFC
	// 7662 section 2.1), so there is no way to ask without credentials.
	if c.ClientID == "" {
		problem("ClientID: required")
	}
	if c.Method != PrivateKeyJWT && !c.ClientSecret.IsSet() {
		problem("ClientSecret: required for %s", c.Method)
	}
	if _, err := c.identification(time.Now); err != nil {
		problem("%w", err)
	}
	if c.CacheFor < 0 || c.CacheFor > maxIntrospectionAge {
		problem("CacheFor: %s is not between 0 and %s", c.CacheFor, maxIntrospectionAge)
	}
	return problems
}

// identification adds to a request who sends it. audience is the issuer.
type identification func(header http.Header, form url.Values, audience string) error

func (c IntrospectionConfig) identification(now func() time.Time) (identification, error) {
	switch c.Method {
	case ClientSecretBasic:
		// Both are form-encoded first (RFC 6749 section 2.3.1).
		pair := url.QueryEscape(c.ClientID) + ":" + url.QueryEscape(c.ClientSecret.Reveal())
		return func(header http.Header, _ url.Values, _ string) error {
			header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
			return nil
		}, nil
	case ClientSecretPost:
		return func(_ http.Header, form url.Values, _ string) error {
			form.Set("client_id", c.ClientID)
			form.Set("client_secret", c.ClientSecret.Reveal())
			return nil
		}, nil
	case PrivateKeyJWT:
		signer, err := c.signer()
		if err != nil {
			return nil, err
		}
		return func(_ http.Header, form url.Values, audience string) error {
			return assert(form, signer, c.ClientID, audience, now())
		}, nil
	}
	return nil, fmt.Errorf("method: %q is none of %s, %s, %s", c.Method, ClientSecretBasic, ClientSecretPost, PrivateKeyJWT)
}

// assert adds a client assertion (RFC 7523 sections 2.2 and 3). Its audience is
// the issuer and nothing else, so that it is of no use anywhere else.
func assert(form url.Values, signer jose.Signer, clientID, audience string, now time.Time) error {
	assertion, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: clientID, Subject: clientID, Audience: jwt.Audience{audience}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionLifetime)),
	}).Serialize()
	if err != nil {
		return fmt.Errorf("client assertion: %w", err)
	}
	form.Set("client_id", clientID)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return nil
}

func (c IntrospectionConfig) signer() (jose.Signer, error) {
	key, err := c.PrivateKey.PrivateKey()
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	algorithm, err := algorithmOf(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: c.KeyID}}, nil)
}

// algorithmOf returns the algorithm that this server signs with a key of that
// kind.
func algorithmOf(key crypto.Signer) (jose.SignatureAlgorithm, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() >= minRSABits {
			return jose.RS256, nil
		}
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P256() {
			return jose.ES256, nil
		}
	case ed25519.PrivateKey:
		return jose.EdDSA, nil
	}
	return "", errors.New("use RSA of at least 2048 bits, P-256 or Ed25519")
}
