package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// ClientAuth says how this server authenticates at a token endpoint, by the
// names of RFC 7591 section 2 and RFC 8705 section 2.1.1.
type ClientAuth string

// The ways to authenticate. There is no default.
const (
	SecretBasic    ClientAuth = "client_secret_basic"
	SecretPost     ClientAuth = "client_secret_post"
	PrivateKeyJWT  ClientAuth = "private_key_jwt"
	TLSClient      ClientAuth = "tls_client_auth" // the endpoint's transport has the certificate
	FederatedToken ClientAuth = "federated_token" // an assertion that somebody else keeps fresh in a file
)

// Bounds of client assertions.
const (
	assertionLifetime = time.Minute
	maxTokenFile      = 64 << 10 // bytes
)

// assertionType is the client_assertion_type of RFC 7523 section 2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// ClientConfig is this server as a client of a token endpoint.
type ClientConfig struct {
	ID        string
	Auth      ClientAuth
	Secret    secret.Value  // SecretBasic, SecretPost
	Key       crypto.Signer // PrivateKeyJWT: RSA, an elliptic curve of NIST, Ed25519
	KeyID     string        // PrivateKeyJWT: "kid"; may be empty
	Audience  string        // PrivateKeyJWT: "aud"; "" means the token endpoint's URL
	TokenFile string        // FederatedToken: read for each request
}

// client authenticates token requests.
type client struct {
	ClientConfig
	signer jose.Signer // PrivateKeyJWT
	now    func() time.Time
}

func newClient(cfg ClientConfig, endpoint string) (client, error) {
	c := client{ClientConfig: cfg, now: time.Now}
	if cfg.ID == "" {
		return client{}, errors.New("the client has no id")
	}
	switch cfg.Auth {
	case SecretBasic, SecretPost:
		if !cfg.Secret.IsSet() {
			return client{}, errors.New("the client has no secret")
		}
	case PrivateKeyJWT:
		if c.Audience == "" {
			c.Audience = endpoint
		}
		algorithm, err := algorithmFor(cfg.Key)
		if err != nil {
			return client{}, err
		}
		key := jose.JSONWebKey{Key: cfg.Key, KeyID: cfg.KeyID, Algorithm: string(algorithm)}
		if c.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, new(jose.SignerOptions).WithType("JWT")); err != nil {
			return client{}, errors.New("the client's key cannot sign")
		}
	case TLSClient:
	case FederatedToken:
		if cfg.TokenFile == "" {
			return client{}, errors.New("the client has no token file")
		}
	default:
		return client{}, errors.New("the client has no way to authenticate")
	}
	return c, nil
}

// algorithmFor returns the algorithm that servers know best for a kind of key.
func algorithmFor(key crypto.Signer) (jose.SignatureAlgorithm, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return jose.RS256, nil
	case ed25519.PrivateKey:
		return jose.EdDSA, nil
	case *ecdsa.PrivateKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return jose.ES256, nil
		case 384:
			return jose.ES384, nil
		}
	}
	return "", errors.New("the client's key must be RSA, P-256, P-384 or Ed25519")
}

// authenticate adds to a token request who sends it (RFC 6749 section 2.3, RFC
// 7521 section 4.2): into form, or into the header, one way only.
func (c client) authenticate(header http.Header, form url.Values) error {
	switch c.Auth {
	case SecretBasic:
		// Both halves are form-encoded first (RFC 6749 section 2.3.1).
		request := http.Request{Header: header}
		request.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret.Reveal()))
		return nil
	case SecretPost:
		form.Set("client_secret", c.Secret.Reveal())
	case PrivateKeyJWT:
		assertion, err := c.assertion()
		if err != nil {
			return err
		}
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion)
	case FederatedToken:
		assertion, err := readTokenFile(c.TokenFile)
		if err != nil {
			return err
		}
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion.Reveal())
	case TLSClient: // RFC 8705 section 2: the connection says it, client_id names it
	}
	form.Set("client_id", c.ID)
	return nil
}

// assertion signs who this client is (RFC 7523 section 3), good for a minute and
// once.
func (c client) assertion() (string, error) {
	now := c.now()
	text, err := jwt.Signed(c.signer).Claims(jwt.Claims{
		Issuer: c.ID, Subject: c.ID, Audience: jwt.Audience{c.Audience}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionLifetime)),
	}).Serialize()
	if err != nil {
		return "", errors.New("the client assertion could not be signed")
	}
	return text, nil
}

// errFile marks a file of this server that cannot be used.
var errFile = errors.New("token file")

// readTokenFile returns the one token in a file. It is read anew each time:
// whoever writes it replaces it before it ends.
func readTokenFile(path string) (secret.Value, error) {
	file, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		return secret.Value{}, fmt.Errorf("%w: %w", errFile, err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxTokenFile+1)) //nolint:forbidigo // bounded by the line's own limit
	if err != nil {
		return secret.Value{}, fmt.Errorf("%w: %w", errFile, err)
	}
	token := secret.New(strings.TrimSpace(string(text)))
	if len(text) > maxTokenFile || !sendable(token) {
		return secret.Value{}, fmt.Errorf("%w %s: it must hold one token and nothing else", errFile, path)
	}
	return token, nil
}
