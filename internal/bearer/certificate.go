package bearer

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Thumbprint is the SHA-256 of a certificate's DER as "x5t#S256" has it (RFC 8705
// section 3.1).
func Thumbprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Header fields in which a proxy that ended TLS passes on the client's
// certificate, each in its own form. A field of any other name holds PEM, escaped
// as in a URL (nginx: $ssl_client_escaped_cert).
const (
	HeaderClientCert = "Client-Cert"             // RFC 9440
	HeaderXFCC       = "X-Forwarded-Client-Cert" // Envoy
)

// CertificateHeaders lists every field that could pass for a client certificate,
// to be dropped when nobody trustworthy set it.
func CertificateHeaders() []string {
	return []string{HeaderClientCert, "Client-Cert-Chain", HeaderXFCC}
}

// ForwardedThumbprint reads the thumbprint of the client's certificate from what a
// trusted proxy put into the field name. No field gives "". Several values, or
// one that cannot be read in one way only, are an error: they are no proof.
func ForwardedThumbprint(name string, values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", errors.New("several values")
	}
	var der []byte
	var err error
	switch http.CanonicalHeaderKey(name) {
	case HeaderXFCC:
		return envoyThumbprint(values[0])
	case HeaderClientCert:
		der, err = byteSequence(values[0])
	default:
		der, err = escapedPEM(values[0])
	}
	if err != nil {
		return "", err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return "", errors.New("not a certificate")
	}
	return Thumbprint(certificate), nil
}

// byteSequence reads a structured field of one byte sequence (RFC 9651 section
// 3.3.5), which is what Client-Cert is (RFC 9440 section 2.2).
func byteSequence(value string) ([]byte, error) {
	inner, opened := strings.CutPrefix(strings.Trim(value, " "), ":")
	inner, closed := strings.CutSuffix(inner, ":")
	if !opened || !closed {
		return nil, errors.New("not a byte sequence between colons")
	}
	return base64.StdEncoding.Strict().DecodeString(inner)
}

// escapedPEM reads one certificate, and nothing besides.
func escapedPEM(value string) ([]byte, error) {
	text, err := url.PathUnescape(value) // a plus sign is part of base64 here
	if err != nil {
		return nil, errors.New("not escaped as in a URL")
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || !strings.HasPrefix(text, "-----BEGIN ") || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("not one certificate in PEM")
	}
	return block.Bytes, nil
}

// envoyThumbprint reads the Hash of an x-forwarded-client-cert header with one
// element. With several, proxies in between had certificates of their own, and
// which of them is the client nobody here can tell.
func envoyThumbprint(value string) (string, error) {
	pairs, err := envoyPairs(value)
	if err != nil {
		return "", err
	}
	hash := ""
	for _, pair := range pairs {
		name, text, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if !strings.EqualFold(name, "Hash") {
			continue
		}
		if hash != "" {
			return "", errors.New("several hashes")
		}
		hash = strings.Trim(text, `"`)
	}
	sum, err := hex.DecodeString(hash)
	if err != nil || len(sum) != sha256.Size {
		return "", errors.New("no SHA-256 of a certificate")
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// envoyPairs splits the one element at its semicolons. Quoted values may hold
// commas, semicolons and escaped quotes.
func envoyPairs(value string) ([]string, error) {
	var pairs []string
	quoted, escaped, start := false, false, 0
	for i := range len(value) {
		switch c := value[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ',':
			return nil, errors.New("several elements")
		case c == ';':
			pairs = append(pairs, value[start:i])
			start = i + 1
		}
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	return append(pairs, value[start:]), nil
}
