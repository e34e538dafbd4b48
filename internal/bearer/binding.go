package bearer

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/metric"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Policy says what becomes of tokens with one kind of binding.
type Policy int

// The policies. The zero Policy takes no bound token, and every token that is
// accepted then is a plain bearer token.
const (
	Off      Policy = iota // tokens bound this way are refused
	Allowed                // they are accepted with their proof; others are accepted too
	Required               // no other token is accepted
)

// BindingConfig says which tokens that are bound to a key are accepted. The zero
// BindingConfig accepts none.
type BindingConfig struct {
	DPoP         Policy // RFC 9449
	Certificates Policy // RFC 8705 section 3
	// ServerURL is the public origin of this server, without a slash at its end;
	// "htu" must name it. Required unless DPoP is Off.
	ServerURL string
	// Nonces wants a nonce of this server in every proof (RFC 9449 section 9).
	Nonces bool
	// Key makes the nonces, the same on every replica; not set means a key of this
	// process.
	Key secret.Value
	// Shared remembers used proofs for all replicas; nil means there is one.
	Shared UsedProofs
	Meter  metric.Meter // nil means none
}

// UsedProofs remembers names for all replicas.
type UsedProofs interface {
	// Claim reports whether name is claimed for the first time within life. An
	// error means that nobody knows.
	Claim(ctx context.Context, name string, life time.Duration) (first bool, err error)
}

func (c BindingConfig) validate() error {
	if c.DPoP < Off || c.DPoP > Required || c.Certificates < Off || c.Certificates > Required {
		return errors.New("a policy is none of off, allowed and required")
	}
	if c.DPoP == Off {
		return nil
	}
	u, err := url.Parse(c.ServerURL)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
		return fmt.Errorf("ServerURL %q is not an origin, which DPoP needs", c.ServerURL)
	}
	return nil
}

// binding judges whether who presents a token holds the keys it is bound to.
type binding struct {
	cfg    BindingConfig
	now    func() time.Time
	nonces *nonces // nil: proofs need none
	used   *usedProofs
	count  metric.Int64Counter
}

func newBinding(cfg BindingConfig, now func() time.Time) (*binding, error) {
	b := &binding{cfg: cfg, now: now, used: newUsedProofs(now)}
	var err error
	if b.count, err = proofCounter(cfg.Meter); err != nil {
		return nil, err
	}
	if cfg.DPoP == Off || !cfg.Nonces {
		return b, nil
	}
	material := []byte(cfg.Key.Reveal())
	if len(material) == 0 {
		material = make([]byte, thumbprintBytes)
		_, _ = rand.Read(material) // never fails
	}
	b.nonces, err = newNonces(material, now)
	return b, err
}

// policyCheck is one condition on what a token is bound to, and bindingCheck one
// between that and what came with the token. run returns the sentence for the
// person, or "" when the condition holds.
type (
	policyCheck struct {
		reason Reason
		run    func(*binding, oauth.Confirmation) string
	}
	bindingCheck struct {
		reason Reason
		run    func(*binding, oauth.Confirmation, Presented) string
	}
)

// policyChecks come after the token itself was found good, bindingChecks after
// them, and the DPoP proof last.
var policyChecks = []policyCheck{
	{SenderConstrained, (*binding).checkMethod},
	{UnboundToken, (*binding).checkRequired},
}

var bindingChecks = []bindingCheck{
	{DowngradedToken, (*binding).checkScheme},
	{UnboundToken, (*binding).checkBound},
	{CertificateMissing, (*binding).checkCertificatePresent},
	{CertificateWrong, (*binding).checkCertificate},
}

// takes holds a token's confirmation against the policies. The error is a
// [*oauth.Refusal].
func (b *binding) takes(c oauth.Confirmation) error {
	for _, check := range policyChecks {
		if sentence := check.run(b, c); sentence != "" {
			return check.reason.refuse(sentence, nil)
		}
	}
	return nil
}

// check holds what was presented against the token's confirmation. The error is
// a [*oauth.Refusal].
func (b *binding) check(ctx context.Context, c oauth.Confirmation, p Presented) error {
	for _, check := range bindingChecks {
		if sentence := check.run(b, c, p); sentence != "" {
			return underScheme(p.Scheme, check.reason.refuse(sentence, nil))
		}
	}
	if c.KeyThumbprint == "" {
		return nil
	}
	memory, err := b.proven(ctx, c.KeyThumbprint, p)
	b.counted(ctx, memory, err)
	return err
}

// checkMethod refuses a binding that this server does not take: accepting the
// token without its proof would undo it (RFC 9449 section 7.2, RFC 8705 section 3).
func (b *binding) checkMethod(c oauth.Confirmation) string {
	dpop, certificates := b.cfg.DPoP != Off, b.cfg.Certificates != Off
	unknown := c.Other || c.KeyThumbprint != "" && !dpop || c.CertificateThumbprint != "" && !certificates
	switch {
	case !unknown:
		return ""
	case dpop && certificates:
		return "The token is bound to a key (cnf) in a way that this server cannot check; it knows jkt (DPoP) and x5t#S256 (mutual TLS)."
	case dpop:
		return "The token is bound to a key (cnf) in a way that this server cannot check; it knows jkt (DPoP) only."
	case certificates:
		return "The token is bound to a key (cnf) in a way that this server cannot check; it knows x5t#S256 (mutual TLS) only."
	}
	return "The token is bound to a key (cnf), and this server takes plain bearer tokens only; ask for one without DPoP or mutual TLS."
}

// checkScheme refuses the downgrade: a DPoP-bound token is no bearer token (RFC
// 9449 section 7.2).
func (b *binding) checkScheme(c oauth.Confirmation, p Presented) string {
	if c.KeyThumbprint != "" && p.Scheme != oauth.SchemeDPoP {
		return "The token is bound to a DPoP key; send it as Authorization: DPoP with a proof in the DPoP header, not as a bearer token."
	}
	return ""
}

// checkRequired refuses a token without the binding that the policy wants.
func (b *binding) checkRequired(c oauth.Confirmation) string {
	switch {
	case c.KeyThumbprint == "" && b.cfg.DPoP == Required:
		return "This server takes only tokens that are bound to a DPoP key; send a DPoP proof with the token request."
	case c.CertificateThumbprint == "" && b.cfg.Certificates == Required:
		return "This server takes only tokens that are bound to a client certificate; use mutual TLS at the token endpoint."
	}
	return ""
}

// checkBound refuses a token without a key under the scheme that is about keys
// (RFC 9449 section 7.1).
func (b *binding) checkBound(c oauth.Confirmation, p Presented) string {
	if c.KeyThumbprint == "" && p.Scheme == oauth.SchemeDPoP {
		return "The token is not bound to a DPoP key, so a proof proves nothing; send it as a bearer token, or get one with a DPoP proof."
	}
	return ""
}

func (b *binding) checkCertificatePresent(c oauth.Confirmation, p Presented) string {
	if c.CertificateThumbprint != "" && p.Certificate == "" {
		return "The token is bound to a client certificate, and this connection has none; connect with the certificate that the token was issued for."
	}
	return ""
}

// checkCertificate compares thumbprints only: trust in the certificate came with
// the token, so it may be self-signed (RFC 8705 sections 3 and 7.2).
func (b *binding) checkCertificate(c oauth.Confirmation, p Presented) string {
	if c.CertificateThumbprint != "" && subtle.ConstantTimeCompare([]byte(c.CertificateThumbprint), []byte(p.Certificate)) != 1 {
		return "The token is bound to another client certificate than this connection's; connect with the one that the token was issued for."
	}
	return ""
}
