package app

import (
	"crypto/tls"

	"go.opentelemetry.io/otel/metric"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/edge"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// tokenRules is what decides on a good token besides the token.
type tokenRules struct {
	binding bearer.BindingConfig
	revoked func(oauth.Principal) bool // nil: no token is
}

// policies are the words of DPOP and MTLS.
var policies = map[string]bearer.Policy{
	"off":      bearer.Off,
	"allowed":  bearer.Allowed,
	"required": bearer.Required,
}

// newBinding reads from the configuration which bound tokens are accepted.
func newBinding(cfg config.Config, proofs bearer.UsedProofs, meter metric.Meter) bearer.BindingConfig {
	return bearer.BindingConfig{
		DPoP:         policies[cfg.DPoP],
		Certificates: policies[cfg.MTLS],
		ServerURL:    cfg.ServerURL,
		Nonces:       cfg.DPoPNonce == "on",
		Key:          cfg.SessionKey,
		Shared:       proofs,
		Meter:        meter,
	}
}

// dpopOffer is what challenges and metadata say of DPoP: what is enforced.
func (a *App) dpopOffer() edge.DPoPOffer {
	policy := policies[a.cfg.DPoP]
	if policy == bearer.Off {
		return edge.DPoPOffer{}
	}
	return edge.DPoPOffer{Algorithms: bearer.ProofAlgorithms(), Only: policy == bearer.Required, Nonce: a.verifier.Nonce}
}

// clientAuth asks for a client certificate where tokens may be bound to one, and
// judges none: the token names the one that it is bound to, which may well be
// self-signed (RFC 8705 section 7.2).
func clientAuth(cfg config.Config) tls.ClientAuthType {
	if policies[cfg.MTLS] == bearer.Off {
		return tls.NoClientCert
	}
	return tls.RequestClientCert
}
