package edge

import (
	"net/http"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
)

// clientCertificate returns the thumbprint of the certificate that the client
// holds, "" without one, and whether there was one that could not be read.
//
// The handshake has proven that the peer holds its certificate's key. But a
// trusted proxy's certificate is the proxy's: then the one header that was
// declared for it counts, and nothing does without a declaration (RFC 8705
// section 6.5, RFC 9440 section 4).
func (e *Edge) clientCertificate(r *http.Request) (thumbprint string, unreadable bool) {
	if e.trusted(peerAddress(r)) {
		if e.cfg.ClientCertHeader == "" {
			return "", false
		}
		thumbprint, err := bearer.ForwardedThumbprint(e.cfg.ClientCertHeader, r.Header.Values(e.cfg.ClientCertHeader))
		return thumbprint, err != nil
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return "", false
	}
	return bearer.Thumbprint(r.TLS.PeerCertificates[0]), false
}

// dropCertificateHeaders lets nothing behind this point take a header for a
// certificate.
func (e *Edge) dropCertificateHeaders(header http.Header) {
	for _, name := range append(bearer.CertificateHeaders(), e.cfg.ClientCertHeader) {
		header.Del(name)
	}
}
