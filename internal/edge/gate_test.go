package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Both schemes are offered where both are taken, Bearer first, with the error on
// the one that was used.
func TestReq051_Challenges(t *testing.T) {
	const (
		document = `resource_metadata="http://localhost:8000/.well-known/oauth-protected-resource/mcp", scope="openid profile email offline_access"`
		algs     = `, algs="ES256 EdDSA"`
		expired  = `, error="invalid_token", error_description="The token expired; sign in again."`
		narrow   = `resource_metadata="http://localhost:8000/.well-known/oauth-protected-resource/mcp", scope="openid teams"`
		missing  = `, error="insufficient_scope", error_description="This operation needs the scopes: teams"`
		spent    = `, error="use_dpop_nonce", error_description="Take the nonce."`
	)
	for _, tc := range []struct {
		name          string
		only          bool
		authorization string
		status        int
		want          []string
	}{
		{"no token", false, "", 401, []string{"Bearer " + document, "DPoP " + document + algs}},
		{"another scheme", false, "Basic YTpi", 401, []string{"Bearer " + document, "DPoP " + document + algs}},
		{"expired bearer token", false, "Bearer expired", 401, []string{"Bearer " + document + expired, "DPoP " + document + algs}},
		{"expired DPoP token", false, "DPoP expired", 401, []string{"Bearer " + document, "DPoP " + document + expired + algs}},
		{"narrow DPoP token", false, "DPoP narrow", 403, []string{"Bearer " + narrow, "DPoP " + narrow + missing + algs}},
		{"tool that needs more", false, "DPoP refused-inside", 403, []string{"Bearer " + narrow, "DPoP " + narrow + missing + algs}},
		{"nonce", false, "DPoP nonce", 401, []string{"Bearer " + document, "DPoP " + document + spent + algs}},
		{"no token where only DPoP is taken", true, "", 401, []string{"DPoP " + document + algs}},
		{"bearer token where only DPoP is taken", true, "Bearer expired", 401, []string{"DPoP " + document + expired + algs}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := start(t, func(c *Config) {
				c.DPoP = DPoPOffer{Algorithms: []string{"ES256", "EdDSA"}, Only: tc.only, Nonce: func() string { return "fresh" }}
				authenticate := c.Authenticate
				c.Authenticate = func(ctx context.Context, p bearer.Presented) (oauth.Principal, error) {
					var err error
					switch p.Token.Reveal() {
					case "nonce":
						return oauth.Principal{}, oauth.InvalidProof(oauth.CodeUseDPoPNonce, "proof_nonce", "Take the nonce.", nil)
					case "refused-inside":
						return oauth.Principal{Subject: "ana"}, nil
					}
					principal, err := authenticate(ctx, p)
					if err != nil {
						refusal := oauth.AsRefusal(err)
						refusal.Scheme = p.Scheme
						err = refusal
					}
					return principal, err
				}
				for i, route := range c.Routes {
					if route.Path == PathMCP {
						c.Routes[i].Handler = func(http.ResponseWriter, *http.Request) error {
							return oauth.InsufficientScope(oauth.Scopes{"teams"}, oauth.Scopes{"openid"})
						}
					}
				}
			})
			var header []string
			if tc.authorization != "" {
				header = []string{authorized, tc.authorization}
			}
			got := e.do("POST", "/mcp", header...)
			if diff := cmp.Diff(tc.want, got.header.Values("WWW-Authenticate")); got.status != tc.status || diff != "" {
				t.Errorf("%d (-want +got):\n%s", got.status, diff)
			}
			if nonce := got.header.Get("DPoP-Nonce"); nonce != "fresh" || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("nonce %q, %s", nonce, got.header.Get("Cache-Control"))
			}
		})
	}
}

// A request that is being answered ends when its token is revoked; others go on.
func TestReq039_RequestsInFlightEnd(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	handler := func(_ http.ResponseWriter, r *http.Request) error {
		began <- struct{}{}
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
		return nil
	}
	boundary, err := New(Config{
		Routes: []Route{{http.MethodPost, PathMCP, Protected, handler, PathMCP}}, ServerURL: "http://localhost", AnyLoopbackHost: true,
		Authenticate: func(_ context.Context, p bearer.Presented) (oauth.Principal, error) {
			return oauth.Principal{Subject: p.Token.Reveal()}, nil
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(boundary)
	t.Cleanup(server.Close)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+PathMCP, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(authorized, "Bearer ana")
	answered := make(chan error, 1)
	go func() {
		response, err := server.Client().Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		answered <- err
	}()
	<-began
	boundary.EndRequests(func(p oauth.Principal) bool { return p.Subject == "bruno" })
	select {
	case err := <-ended:
		t.Fatalf("Ana's request ended with Bruno's: %v", err)
	default:
	}
	boundary.EndRequests(func(p oauth.Principal) bool { return p.Subject == "ana" })
	if err := <-ended; !errors.Is(err, errRevoked) {
		t.Errorf("ended with %v", err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	boundary.inFlight.mu.Lock()
	defer boundary.inFlight.mu.Unlock()
	if len(boundary.inFlight.requests) != 0 {
		t.Error("the request is still on the book")
	}
}

// A browser client may send a proof and read the nonce.
func TestReq051_CrossOriginProofs(t *testing.T) {
	e := start(t, nil)
	got := e.do("OPTIONS", "/mcp", "Origin", "http://localhost:5173", "Access-Control-Request-Method", "POST")
	if !strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "DPoP,") {
		t.Errorf("allowed: %s", got.header.Get("Access-Control-Allow-Headers"))
	}
	got = e.do("POST", "/mcp", "Origin", "http://localhost:5173", authorized, "Bearer "+goodToken)
	if !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") {
		t.Errorf("exposed: %s", got.header.Get("Access-Control-Expose-Headers"))
	}
}

func TestOnlyDPoPNeedsAlgorithms(t *testing.T) {
	authenticate := func(context.Context, bearer.Presented) (oauth.Principal, error) { return oauth.Principal{}, nil }
	if _, err := New(Config{Authenticate: authenticate, Logger: slog.New(slog.DiscardHandler), ServerURL: "http://localhost", DPoP: DPoPOffer{Only: true}}); err == nil {
		t.Error("a server that takes no token was made")
	}
}

// clientCertificate makes a self-signed certificate with its key.
func clientCertificate(t *testing.T) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, parsed
}

// The certificate of a client is that of its own handshake. A header counts from
// a trusted proxy only, in the one field that was declared, and the proxy's own
// certificate is nobody's.
func TestReq052_WhoseCertificate(t *testing.T) {
	own, ours := clientCertificate(t)
	_, theirs := clientCertificate(t)
	forwarded := ":" + base64.StdEncoding.EncodeToString(theirs.Raw) + ":"
	proxy := netip.MustParsePrefix("127.0.0.0/8")
	for _, tc := range []struct {
		name    string
		proxies []netip.Prefix
		header  string // CLIENT_CERT_HEADER
		send    []string
		certs   []tls.Certificate
		want    string
	}{
		{"none", nil, "", nil, nil, ""},
		{"own TLS", nil, "", nil, []tls.Certificate{own}, bearer.Thumbprint(ours)},
		{"own TLS with a header of the client's", nil, "", []string{"Client-Cert", forwarded}, []tls.Certificate{own}, bearer.Thumbprint(ours)},
		{"a header of the client's", nil, "", []string{"Client-Cert", forwarded}, nil, ""},
		{"a header of the client's where proxies send it", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "Client-Cert", []string{"Client-Cert", forwarded}, nil, ""},
		{"a trusted proxy's header", []netip.Prefix{proxy}, "Client-Cert", []string{"Client-Cert", forwarded}, nil, bearer.Thumbprint(theirs)},
		{"a trusted proxy with a certificate of its own", []netip.Prefix{proxy}, "Client-Cert", []string{"Client-Cert", forwarded}, []tls.Certificate{own}, bearer.Thumbprint(theirs)},
		{"only a trusted proxy's own certificate", []netip.Prefix{proxy}, "Client-Cert", nil, []tls.Certificate{own}, ""},
		{"a trusted proxy without a declaration", []netip.Prefix{proxy}, "", []string{"Client-Cert", forwarded}, []tls.Certificate{own}, ""},
		{"another field than the declared one", []netip.Prefix{proxy}, "X-Forwarded-Client-Cert", []string{"Client-Cert", forwarded}, nil, ""},
		{"two fields", []netip.Prefix{proxy}, "Client-Cert", []string{"Client-Cert", forwarded, "Client-Cert", forwarded}, nil, ""},
		{"nonsense", []netip.Prefix{proxy}, "Client-Cert", []string{"Client-Cert", "x"}, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := "nobody asked"
			var left []string
			log := &logBuffer{}
			e, err := New(Config{
				Routes: []Route{{http.MethodPost, PathMCP, Protected, func(_ http.ResponseWriter, r *http.Request) error {
					for _, name := range append(bearer.CertificateHeaders(), "Client-Cert") {
						left = append(left, r.Header.Values(name)...)
					}
					return nil
				}, PathMCP}},
				ServerURL: "https://localhost", AnyLoopbackHost: true, TrustedProxies: tc.proxies, ClientCertHeader: tc.header,
				Authenticate: func(_ context.Context, p bearer.Presented) (oauth.Principal, error) {
					got = p.Certificate
					return oauth.Principal{}, nil
				},
				Logger: slog.New(slog.NewJSONHandler(log, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewUnstartedServer(e)
			server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
			server.StartTLS()
			t.Cleanup(server.Close)
			transport, ok := server.Client().Transport.(*http.Transport)
			if !ok {
				t.Fatal("no transport")
			}
			transport.TLSClientConfig.Certificates = tc.certs
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+PathMCP, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set(authorized, "Bearer "+goodToken)
			for i := 0; i < len(tc.send); i += 2 {
				request.Header.Add(tc.send[i], tc.send[i+1])
			}
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if got != tc.want {
				t.Errorf("the certificate is %q, want %q", got, tc.want)
			}
			if len(left) > 0 {
				t.Error("a header that could pass for a certificate is left")
			}
			unreadable := tc.name == "nonsense" || tc.name == "two fields"
			if strings.Contains(log.String(), `"client_certificate":"unreadable"`) != unreadable {
				t.Errorf("the access line: %s", log.String())
			}
		})
	}
}
