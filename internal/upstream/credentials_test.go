package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/credential"
	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// rotating gives a new credential each time; it stands for a source whose kept
// token may be an old one.
type rotating struct {
	applied  atomic.Int32
	hopeless bool
	err      error
}

func (r *rotating) Apply(_ context.Context, header http.Header, _ oauth.Principal, _ secret.Value) (string, error) {
	n := r.applied.Add(1)
	if r.err != nil {
		return "", r.err
	}
	header.Set("Authorization", fmt.Sprintf("Bearer %d", n))
	return fmt.Sprintf("actor-%d", n), nil
}

func (r *rotating) Rejected(http.Header, oauth.Principal, secret.Value) bool { return !r.hopeless }

func TestReq077_RejectedCredentialIsRenewedOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		accepts  string // the credential that the API takes
		hopeless bool
		body     io.Reader
		status   int
		requests int32
		actor    string
	}{
		"the second is fine":      {"Bearer 2", false, nil, 200, 2, "actor-2"},
		"the second is not":       {"Bearer 3", false, nil, 401, 2, "actor-2"},
		"there is no other":       {"Bearer 2", true, nil, 401, 1, "actor-1"},
		"a body goes again":       {"Bearer 2", false, strings.NewReader("{}"), 200, 2, "actor-2"},
		"a body that cannot":      {"Bearer 2", false, io.MultiReader(strings.NewReader("{}")), 401, 1, "actor-1"},
		"the first is fine":       {"Bearer 1", false, nil, 200, 1, "actor-1"},
		"a body that cannot is 1": {"Bearer 1", false, io.MultiReader(strings.NewReader("{}")), 200, 1, "actor-1"},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			server := start(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if body, _ := io.ReadAll(r.Body); tc.body != nil && string(body) != "{}" {
					t.Errorf("body %q", body)
				}
				if r.Header.Get("Authorization") != tc.accepts {
					w.WriteHeader(http.StatusUnauthorized)
				}
			})
			c := client(t, server.URL, func(cfg *Config) { cfg.Credentials = &rotating{hopeless: tc.hopeless} })
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/teams", tc.body)
			if err != nil {
				t.Fatal(err)
			}
			response, actor, err := c.Send(t.Context(), outbound.Request{HTTP: r}, oauth.Principal{}, secret.Value{})
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != tc.status || requests.Load() != tc.requests || actor != tc.actor {
				t.Errorf("%d after %d requests as %q", response.StatusCode, requests.Load(), actor)
			}
		})
	}
}

func TestNoCredentialMeansNoRequest(t *testing.T) {
	server := start(t, func(http.ResponseWriter, *http.Request) { t.Error("the API was asked") })
	refusal := oauth.InvalidToken("x", "x", nil)
	_, _, err := client(t, server.URL, func(cfg *Config) { cfg.Credentials = &rotating{err: refusal} }).
		Send(t.Context(), outbound.Request{HTTP: get(t, "/teams")}, oauth.Principal{}, secret.Value{}) //nolint:bodyclose // there is no answer
	if got, ok := errors.AsType[*oauth.Refusal](err); !ok || got != refusal {
		t.Errorf("got %v", err)
	}
	source := &rotating{}
	r := get(t, "/a")
	r.URL.Path = "/a/../b"
	_, _, err = client(t, server.URL, func(cfg *Config) { cfg.Credentials = source }).
		Send(t.Context(), outbound.Request{HTTP: r}, oauth.Principal{}, secret.Value{}) //nolint:bodyclose // there is no answer
	if wantKind(t, err, ForbiddenAddress); source.applied.Load() != 0 {
		t.Error("a credential was obtained for a request that goes nowhere")
	}
}

// A hundred people call five APIs, each with another mode, all at once and in
// any order. Every API sees its own credentials and nobody else's, and each
// person's answer is their own.
func TestReq064_Req068_NoCredentialCrossesPeopleOrAPIs(t *testing.T) {
	const people, rounds = 100, 3
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		_, _ = fmt.Fprintf(w, `{"access_token":"%s-%s","token_type":"Bearer","issued_token_type":%q,"expires_in":3600}`,
			r.PostForm.Get("audience"), r.PostForm.Get("subject_token"), credential.TypeAccessToken)
	}))
	t.Cleanup(idp.Close)
	endpoint, err := credential.NewEndpoint(credential.EndpointConfig{
		URL: idp.URL, Transport: idp.Client().Transport,
		Client: credential.ClientConfig{ID: "gateway", Auth: credential.SecretPost, Secret: secret.New("client-secret")},
	})
	if err != nil {
		t.Fatal(err)
	}
	exchange := func(name string) Credentials {
		e, err := credential.NewExchange(credential.ExchangeConfig{Upstream: name, Endpoint: endpoint, Target: credential.Target{Audience: name}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	self, err := credential.NewSelf(credential.SelfConfig{Upstream: "self", Endpoint: endpoint, Target: credential.Target{Audience: "self"}})
	if err != nil {
		t.Fatal(err)
	}
	fixed, err := credential.NewStatic("X-Api-Key", secret.New("fixed"))
	if err != nil {
		t.Fatal(err)
	}
	apis := []struct {
		name        string
		credentials Credentials
		want        func(token string) string // Authorization, X-Api-Key
	}{
		{"forward", credential.Forward{Upstream: "forward"}, func(token string) string { return "Bearer " + token + "|" }},
		{"one", exchange("one"), func(token string) string { return "Bearer one-" + token + "|" }},
		{"two", exchange("two"), func(token string) string { return "Bearer two-" + token + "|" }},
		{"self", self, func(string) string { return "Bearer self-|" }},
		{"fixed", fixed, func(string) string { return "|fixed" }},
	}
	clients := make([]*Client, len(apis))
	for i, api := range apis {
		server := start(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = io.WriteString(w, strings.Join(r.Header.Values("Authorization"), ",")+"|"+strings.Join(r.Header.Values("X-Api-Key"), ","))
		})
		clients[i] = client(t, server.URL, func(cfg *Config) {
			cfg.Name, cfg.Credentials, cfg.Cache, cfg.MaxQueue, cfg.Timeout = api.name, api.credentials, i%2 == 0, 1000, time.Minute
		})
	}
	var group sync.WaitGroup
	for i := range people {
		group.Go(func() {
			who := person{fmt.Sprintf("person-%d", i), fmt.Sprintf("token-of-%d.", i)}
			for range rounds {
				for _, n := range rand.Perm(len(apis)) {
					if got, want := who.ask(t, clients[n], http.MethodGet, "/teams", nil), "200 "+apis[n].want(who.token); got != want {
						t.Errorf("%s saw %q of %s, want %q", apis[n].name, got, who.subject, want)
					}
				}
			}
		})
	}
	group.Wait()
}

// A private certificate authority, a client certificate and HTTP/2, as a
// catalogue can declare them.
func TestReq074_TLSOfAnAPI(t *testing.T) {
	var proto atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		proto.Store(int32(r.ProtoMajor))
		if len(r.TLS.PeerCertificates) != 1 {
			t.Errorf("%d client certificates", len(r.TLS.PeerCertificates))
		}
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	transport := egress.NewTransport(egress.Policy{AllowLoopback: true}, &tls.Config{
		RootCAs: roots, Certificates: server.TLS.Certificates, MinVersion: tls.VersionTLS12,
	})
	t.Cleanup(transport.CloseIdleConnections)
	status, _, err := send(t, client(t, server.URL, func(cfg *Config) { cfg.Transport = transport }), "the-token")
	if err != nil || status != 200 || proto.Load() != 2 {
		t.Errorf("%d, %v, HTTP/%d", status, err, proto.Load())
	}
}
