package config

import (
	"net/http"
	"slices"
	"strings"
)

// notCertificates are header fields that mean something else.
var notCertificates = []string{"Authorization", "Cookie", "Host", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Dpop"}

// bindings checks where the certificates of bound tokens come from. A header is
// proof of a certificate only if no client can send it (RFC 9440 section 4).
func (v *validator) bindings() {
	c := v.config
	name := c.ClientCertHeader
	switch {
	case name != "" && (!isFieldName(name) || slices.Contains(notCertificates, http.CanonicalHeaderKey(name))):
		v.problem("CLIENT_CERT_HEADER", quoted(name), "use the name of one header, such as Client-Cert")
	case name != "" && len(c.TrustedProxies) == 0:
		v.problem("CLIENT_CERT_HEADER", "set while TRUSTED_PROXIES is empty", "list the networks of the proxies that set it: from anybody else it proves nothing")
	case c.MTLS != "off" && c.TLSCertFile == "" && name == "":
		v.problem("MTLS", quoted(c.MTLS)+" while nobody here sees client certificates", "set TLS_CERT_FILE and TLS_KEY_FILE, or CLIENT_CERT_HEADER and TRUSTED_PROXIES")
	}
}

// isFieldName reports whether text is a token of RFC 9110 section 5.6.2.
func isFieldName(text string) bool {
	return text != "" && strings.Trim(text, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

// requiredBinding names the setting that requires bound tokens.
func (c Config) requiredBinding() string {
	if c.DPoP == "required" {
		return "DPOP"
	}
	return "MTLS"
}
