package bearer

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

// selfSigned makes a certificate for a client's key.
func selfSigned(t *testing.T) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a client"},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour),
	}
	private := clientKey().private
	der := must(x509.CreateCertificate(rand.Reader, template, template, private.Public(), private))
	return must(x509.ParseCertificate(der))
}

func TestReq052_ForwardedCertificates(t *testing.T) {
	certificate := selfSigned(t)
	sum := sha256.Sum256(certificate.Raw)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	sequence := ":" + base64.StdEncoding.EncodeToString(certificate.Raw) + ":"
	hash := hex.EncodeToString(sum[:])
	const nginx = "X-SSL-Client-Cert"
	for _, tc := range []struct {
		name, header string
		values       []string
		good         bool
	}{
		{"none", HeaderClientCert, nil, false},
		{"byte sequence", HeaderClientCert, []string{sequence}, true},
		{"byte sequence without colons", HeaderClientCert, []string{strings.Trim(sequence, ":")}, false},
		{"byte sequence of something else", HeaderClientCert, []string{":" + base64.StdEncoding.EncodeToString([]byte("x")) + ":"}, false},
		{"several byte sequences", HeaderClientCert, []string{sequence + ", " + sequence}, false},
		{"several fields", HeaderClientCert, []string{sequence, sequence}, false},
		{"PEM where a byte sequence belongs", HeaderClientCert, []string{url.PathEscape(text)}, false},
		{"escaped PEM", nginx, []string{url.PathEscape(text)}, true},
		{"escaped PEM, everything escaped", nginx, []string{url.QueryEscape(strings.ReplaceAll(text, " ", "\x00"))}, false},
		{"two certificates", nginx, []string{url.PathEscape(text + text)}, false},
		{"a certificate behind text", nginx, []string{url.PathEscape("x\n" + text)}, false},
		{"a public key", nginx, []string{url.PathEscape(strings.ReplaceAll(text, "CERTIFICATE", "PUBLIC KEY"))}, false},
		{"a bad escape", nginx, []string{"%zz"}, false},
		{"nothing", nginx, []string{""}, false},
		{"Envoy", HeaderXFCC, []string{"By=spiffe://x;Hash=" + hash + `;Subject="CN=a, O=b;c \" d";URI=`}, true},
		{"Envoy, upper case and lower case name", "x-forwarded-client-cert", []string{"hash=" + strings.ToUpper(hash)}, true},
		{"Envoy without a hash", HeaderXFCC, []string{`By=x;Subject="Hash=` + hash + `"`}, false},
		{"Envoy with a short hash", HeaderXFCC, []string{"Hash=" + hash[2:]}, false},
		{"Envoy with two hashes", HeaderXFCC, []string{"Hash=" + hash + ";Hash=" + hash}, false},
		{"Envoy with two elements", HeaderXFCC, []string{"Hash=" + hash + ",Hash=" + hash}, false},
		{"Envoy with an open quote", HeaderXFCC, []string{"Hash=" + hash + `;Subject="x`}, false},
	} {
		got, err := ForwardedThumbprint(tc.header, tc.values)
		switch {
		case tc.good && (err != nil || got != Thumbprint(certificate)):
			t.Errorf("%s: %q, %v", tc.name, got, err)
		case !tc.good && got != "":
			t.Errorf("%s: taken as %q", tc.name, got)
		case !tc.good && tc.values != nil && err == nil:
			t.Errorf("%s: not told from none", tc.name)
		}
	}
}

// FuzzForwardedThumbprint: what comes out is empty or one thumbprint.
func FuzzForwardedThumbprint(f *testing.F) {
	f.Add(HeaderXFCC, `Hash=00;Subject="a\"b"`)
	f.Add(HeaderClientCert, ":AA==:")
	f.Add("X-SSL-Client-Cert", "-----BEGIN%20CERTIFICATE-----")
	f.Fuzz(func(t *testing.T, name, value string) {
		got, err := ForwardedThumbprint(name, []string{value})
		if (err == nil) != isThumbprint(got) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestReq049_TargetURIs(t *testing.T) {
	for text, want := range map[string]string{
		"https://h":               "https://h/",
		"https://h/":              "https://h/",
		"HTTPS://H:443/a":         "https://h/a",
		"http://h:80/a":           "http://h/a",
		"http://h:443/a":          "http://h:443/a",
		"https://[::1]:8443/a":    "https://[::1]:8443/a",
		"https://h/a?b#c":         "https://h/a",
		"https://h/%61%2f%7E":     "https://h/a%2F~",
		"https://h/a/./b/../c":    "https://h/a/c",
		"https://h/a//b":          "https://h/a//b",
		"https://h/../../a":       "https://h/a",
		"https://h/a%2e%2e/b":     "https://h/a../b",
		"https://h/%2e%2e/a":      "https://h/a",
		"https://h//evil.example": "",
		"https://u:p@h/":          "",
		"/a":                      "",
		"mailto:a@b":              "",
		"https:opaque":            "",
		"":                        "",
	} {
		if got, err := targetURI(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q became %q, %v; want %q", text, got, err, want)
		}
	}
}
