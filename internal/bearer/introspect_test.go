package bearer

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// opaque is a token that only its issuer can read.
func opaque() secret.Value { return secret.New("2YotnFZFEjr1zCsicMWpAA-opaque") }

// answering makes p say this of every token.
func (p *idp) answering(claims map[string]any) { p.answeringRaw(string(must(json.Marshal(claims)))) }

func (p *idp) answeringRaw(body string) {
	p.set(func(p *idp) {
		p.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		}
	})
}

// active is an answer about a good token.
func (p *idp) active(now time.Time) map[string]any {
	return with(newForge(p.issuer, rsaKey(), now).claims, map[string]any{"active": true, "token_type": "Bearer"})
}

// asking makes a Verifier ask its one issuer about those tokens.
func asking(tokens Introspect, more ...func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Issuers[0].Introspection = IntrospectionConfig{
			Tokens: tokens, URL: "http://localhost/introspect", ClientID: "mcp", ClientSecret: secret.New("s3cret"),
		}
		for _, change := range more {
			change(c)
		}
	}
}

// The answer is held to the same checks as the claims of a JWT.
func TestReq046_Req047_AnswersAreChecked(t *testing.T) {
	drop := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	set := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) { c[name] = value }
	}
	for _, tc := range []struct {
		name  string
		spoil func(map[string]any)
		want  Reason
	}{
		{"good", func(map[string]any) {}, ""},
		{"inactive", set("active", false), InactiveToken},
		{"active is a text", set("active", "true"), IntrospectionUnavailable},
		{"active is a number", set("active", 1), IntrospectionUnavailable},
		{"active is null", set("active", nil), IntrospectionUnavailable},
		{"active is missing", drop("active"), IntrospectionUnavailable},
		{"foreign issuer", set("iss", "https://evil.example/"), WrongIssuer},
		{"issuer without its slash", set("iss", "http://localhost/tenant"), WrongIssuer},
		{"no issuer", drop("iss"), WrongIssuer},
		{"foreign audience", set("aud", "https://other.example"), WrongAudience},
		{"no audience", drop("aud"), WrongAudience},
		{"expired", set("exp", noon.Add(-time.Hour).Unix()), Expired},
		{"no expiry", drop("exp"), NoExpiry},
		{"expiry is a text", set("exp", "1900000000"), InvalidClaim},
		{"not yet valid", set("nbf", noon.Add(time.Hour).Unix()), NotYetValid},
		{"no subject", drop("sub"), NoSubject},
		{"bound to a key", set("cnf", map[string]any{"jkt": "x"}), SenderConstrained},
		{"an ID token", set("at_hash", "x"), IDToken},
		{"a refresh token, as Keycloak says it", set("typ", "Refresh"), WrongUse},
		{"a refresh token, as Hydra says it", set("token_use", "refresh_token"), WrongUse},
		{"an ID token, as Cognito says it", set("token_use", "id"), WrongUse},
		{"folded member", set("SUB", "mallory"), AmbiguousMember},
	} {
		t.Run(tc.name, func(t *testing.T) {
			provider := startIDP(t, rsaKey())
			claims := provider.active(noon)
			tc.spoil(claims)
			provider.answering(claims)
			v := provider.verifier(t, asking(IntrospectOpaque))
			principal, err := v.Verify(t.Context(), opaque())
			if tc.want != "" {
				wantRefusal(t, err, tc.want, opaque())
				return
			}
			if err != nil || principal.Subject != "auth0|alice" || principal.ClientID != "client-1" || principal.Scopes.String() != "openid profile" || principal.Issuer != provider.issuer {
				t.Errorf("%v, %+v", err, principal)
			}
		})
	}
	t.Run("repeated member", func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		body := string(must(json.Marshal(provider.active(noon))))
		provider.answeringRaw(strings.Replace(body, "{", `{"sub":"mallory",`, 1))
		wantReason(t, provider.verifier(t, asking(IntrospectOpaque)), opaque(), AmbiguousMember)
	})
}

// Whatever the issuer says of it, a token is neither taken to the userinfo
// endpoint nor taken for good because it can be parsed.
func TestReq047_NoFallback(t *testing.T) {
	provider := startIDP(t, rsaKey())
	provider.answering(map[string]any{"active": false})
	var mu sync.Mutex
	var paths []string
	v := provider.verifier(t, asking(IntrospectAll, func(c *Config) {
		next := c.Transport
		c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			paths = append(paths, r.Method+" "+r.URL.Path)
			return next.RoundTrip(r)
		})
	}))
	jwe := secret.New(b64(`{"alg":"dir","enc":"A256GCM"}`) + "..aXY.Y2lwaGVy.dGFn")
	good := newForge(provider.issuer, rsaKey(), noon).token()
	for _, token := range []secret.Value{opaque(), jwe, good} {
		wantReason(t, v, token, InactiveToken)
	}
	if diff := cmp.Diff([]string{"POST /introspect", "POST /introspect", "POST /introspect"}, paths); diff != "" {
		t.Error(diff)
	}
	// A JWT that is no good is refused before anybody is asked.
	wantReason(t, v, newForge(provider.issuer, otherRSAKey().named("rsa-1"), noon).token(), BadSignature)
	wantReason(t, v, newForge("https://evil.example", rsaKey(), noon).token(), WrongIssuer)
	if len(paths) != 3 {
		t.Errorf("asked about forged tokens: %v", paths)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestIntrospectChoosesTokens(t *testing.T) {
	for tokens, want := range map[Introspect]struct{ opaque, jwt bool }{
		IntrospectNone: {}, IntrospectOpaque: {opaque: true}, IntrospectJWT: {jwt: true}, IntrospectAll: {opaque: true, jwt: true},
	} {
		provider := startIDP(t, rsaKey())
		provider.answering(map[string]any{"active": false})
		v := provider.verifier(t, asking(tokens))
		_, err := v.Verify(t.Context(), opaque())
		if asked := oauth.AsRefusal(err).Reason == string(InactiveToken); asked != want.opaque {
			t.Errorf("%q: opaque tokens are asked about: %v", tokens, asked)
		}
		_, err = v.Verify(t.Context(), newForge(provider.issuer, rsaKey(), noon).token())
		if (err != nil) != want.jwt || err != nil && oauth.AsRefusal(err).Reason != string(InactiveToken) {
			t.Errorf("%q: JWTs are asked about: %v", tokens, err)
		}
	}
}

// Who asks is authenticated, in the way the issuer wants, and the token is in
// the body.
func TestReq046_IntrospectionIsAuthenticated(t *testing.T) {
	pkcs8 := func(key signingKey) secret.Value {
		der := must(x509.MarshalPKCS8PrivateKey(key.private))
		return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	}
	assertion := func(key signingKey) func(*testing.T, *http.Request) {
		return func(t *testing.T, r *http.Request) {
			t.Helper()
			signed, err := jwt.ParseSigned(r.PostForm.Get("client_assertion"), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(key.alg)})
			if err != nil {
				t.Fatal(err)
			}
			var claims jwt.Claims
			if err := signed.Claims(key.private.Public(), &claims); err != nil {
				t.Fatal(err)
			}
			err = claims.Validate(jwt.Expected{Issuer: "mcp:1", Subject: "mcp:1", AnyAudience: jwt.Audience{"http://localhost/tenant/"}, Time: noon})
			if err != nil || len(claims.Audience) != 1 || claims.ID == "" || !claims.Expiry.Time().Equal(noon.Add(time.Minute)) || signed.Headers[0].KeyID != "k1" {
				t.Errorf("%v, claims %+v", err, claims)
			}
			if r.PostForm.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || r.PostForm.Get("client_id") != "mcp:1" {
				t.Errorf("form %v", r.PostForm)
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(*IntrospectionConfig)
		check  func(*testing.T, *http.Request)
	}{
		"client_secret_basic": {func(*IntrospectionConfig) {}, func(t *testing.T, r *http.Request) {
			t.Helper()
			if id, password, ok := r.BasicAuth(); !ok || id != "mcp%3A1" || password != "s%3Acr+t" {
				t.Errorf("%v %q %q", ok, id, password)
			}
			if r.PostForm.Has("client_secret") {
				t.Error("the secret is there twice")
			}
		}},
		"client_secret_post": {func(c *IntrospectionConfig) { c.Method = ClientSecretPost }, func(t *testing.T, r *http.Request) {
			t.Helper()
			if r.PostForm.Get("client_id") != "mcp:1" || r.PostForm.Get("client_secret") != "s:cr t" || r.Header.Get("Authorization") != "" {
				t.Errorf("form %v", r.PostForm)
			}
		}},
		"private_key_jwt, RSA":     {func(c *IntrospectionConfig) { c.PrivateKey = pkcs8(rsaKey()) }, assertion(rsaKey())},
		"private_key_jwt, EC":      {func(c *IntrospectionConfig) { c.PrivateKey = pkcs8(ecKey()) }, assertion(ecKey())},
		"private_key_jwt, Ed25519": {func(c *IntrospectionConfig) { c.PrivateKey = pkcs8(edKey()) }, assertion(edKey())},
	} {
		t.Run(name, func(t *testing.T) {
			provider := startIDP(t, rsaKey())
			body := must(json.Marshal(provider.active(noon)))
			provider.set(func(p *idp) {
				p.answer = func(w http.ResponseWriter, r *http.Request) {
					if err := r.ParseForm(); err != nil {
						t.Error(err)
					}
					if r.Method != http.MethodPost || r.PostForm.Get("token") != opaque().Reveal() || r.URL.RawQuery != "" || r.PostForm.Get("token_type_hint") != "access_token" {
						t.Errorf("%s %s %v", r.Method, r.URL, r.PostForm)
					}
					tc.check(t, r)
					_, _ = w.Write(body)
				}
			})
			v := provider.verifier(t, asking(IntrospectOpaque, func(c *Config) {
				i := &c.Issuers[0].Introspection
				i.ClientID, i.ClientSecret, i.KeyID = "mcp:1", secret.New("s:cr t"), "k1"
				tc.change(i)
			}))
			wantGood(t, v, opaque())
		})
	}
}

// An issuer that gives no usable answer is 503, whatever is wrong with it, and
// neither the log nor the refusal repeats the token, the credentials or the
// answer.
func TestReq022_Req046_NoAnswerIsNotBlamedOnTheToken(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "canary-of-the-body", http.StatusInternalServerError)
		},
		"401": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/introspect?again", http.StatusTemporaryRedirect)
		},
		"HTML":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>canary-of-the-body") },
		"a list": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[true]`) },
		"empty":  func(http.ResponseWriter, *http.Request) {},
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"active":true,"x":"`+strings.Repeat("x", maxIntrospection)+`"}`)
		},
		"too deep": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"active":true,"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`)
		},
		"breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"active":`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			provider := startIDP(t, rsaKey())
			provider.set(func(p *idp) { p.answer = answer })
			var log strings.Builder
			v := provider.verifier(t, asking(IntrospectOpaque, func(c *Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) }))
			for range 10 {
				_, err := v.Verify(t.Context(), opaque())
				refusal := refusalOf(t, err, IntrospectionUnavailable, opaque())
				if refusal.Status != http.StatusServiceUnavailable || refusal.RetryAfter < time.Second || refusal.Challenge {
					t.Errorf("%+v", refusal)
				}
			}
			// An issuer that does not work is left alone for the pause. One that says
			// something odd of one token is asked about others.
			want := int64(1)
			if strings.HasPrefix(name, "too ") {
				want = 10
			}
			if got := provider.asked.Load(); got != want {
				t.Errorf("asked %d times, want %d", got, want)
			}
			if text := log.String(); !strings.Contains(text, "introspection failed") {
				t.Errorf("log %s", text)
			}
			for _, canary := range []string{opaque().Reveal(), "s3cret", "canary-of-the-body"} {
				if strings.Contains(log.String(), canary) {
					t.Errorf("the log repeats %q", canary)
				}
			}
		})
	}
}

func TestReq046_WhatTheIssuerSaidIsRememberedBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		m := newMeter(t)
		v := provider.verifier(t, asking(IntrospectAll, func(c *Config) { c.Now, c.Meter = nil, m }))
		claims := provider.active(time.Now())
		claims["exp"] = time.Now().Add(90 * time.Second).Unix()
		provider.answering(claims)
		jwt := newForge(provider.issuer, rsaKey(), time.Now()).token()
		asked := func(want int64, what string) {
			t.Helper()
			if got := provider.asked.Load(); got != want {
				t.Errorf("%s: asked %d times, want %d", what, got, want)
			}
		}
		for range 10 {
			wantGood(t, v, opaque())
			wantGood(t, v, jwt)
		}
		asked(2, "at once")
		time.Sleep(maxIntrospectionAge - 1)
		wantGood(t, v, opaque())
		wantGood(t, v, jwt)
		asked(2, "just before a minute")
		time.Sleep(time.Nanosecond)
		wantGood(t, v, opaque())
		wantGood(t, v, jwt)
		asked(4, "after a minute")

		// Never past its expiry, whatever the minute says.
		time.Sleep(30*time.Second + defaultLeeway)
		wantReason(t, v, opaque(), Expired)

		// Revoked: within a minute nobody is let in any more, and a no is not
		// asked for again at once.
		provider.answering(map[string]any{"active": false})
		time.Sleep(maxIntrospectionAge)
		before := provider.asked.Load()
		for range 10 {
			wantReason(t, v, jwt, InactiveToken)
			time.Sleep(inactiveFor / 20)
		}
		asked(before+1, "a no")
		time.Sleep(inactiveFor)
		wantReason(t, v, jwt, InactiveToken)
		asked(before+2, "a no, later")
		if m.count(t, "oauth_mcp_server.token.introspections", "result", "inactive") != 2 || m.count(t, "oauth_mcp_server.token.introspections", "result", "active") < 4 {
			t.Errorf("counted %v", m.points(t, "oauth_mcp_server.token.introspections", "result"))
		}
	})
}

// One question for everybody who comes with the same token; another token has
// its own; and there is a bound for all.
func TestReq046_QuestionsAreSharedByOneTokenOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, asking(IntrospectOpaque, onFakeTime))
		wantGood(t, v, newForge(provider.issuer, rsaKey(), time.Now()).token()) // the keys are loaded
		hold := make(chan struct{})
		base := provider.active(time.Now())
		provider.set(func(p *idp) {
			p.hold = hold
			p.answer = func(w http.ResponseWriter, r *http.Request) {
				_ = json.NewEncoder(w).Encode(with(base, map[string]any{"sub": "owner of " + r.FormValue("token")}))
			}
		})
		var group sync.WaitGroup
		gone, cancel := context.WithCancel(t.Context())
		group.Go(func() { // puts the question and goes away
			_, err := v.Verify(gone, secret.New("token-0"))
			wantRefusal(t, err, IntrospectionUnavailable, secret.Value{})
		})
		synctest.Wait()
		for n := range 100 {
			group.Go(func() {
				token := "token-" + string(rune('0'+n%2))
				principal, err := v.Verify(t.Context(), secret.New(token))
				if err != nil || principal.Subject != "owner of "+token {
					t.Errorf("%v: %s for %s", err, principal.Subject, token)
				}
			})
		}
		synctest.Wait()
		cancel()
		for n := range maxIntrospections - 2 {
			group.Go(func() { wantGood(t, v, secret.New("further-"+string(rune('a'+n)))) })
		}
		synctest.Wait()
		wantReason(t, v, secret.New("one-too-many"), IntrospectionUnavailable)
		close(hold)
		group.Wait()
		if got := provider.asked.Load(); got != maxIntrospections {
			t.Errorf("asked %d times, want %d", got, maxIntrospections)
		}
	})
}

func TestIntrospectionEndsWithItsTimeAndWithRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := startIDP(t, rsaKey())
		v := provider.verifier(t, asking(IntrospectOpaque, onFakeTime))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- v.Run(ctx) }()
		synctest.Wait()
		hold := make(chan struct{})
		provider.set(func(p *idp) { p.hold = hold })

		begin := time.Now()
		wantReason(t, v, opaque(), IntrospectionUnavailable)
		if took := time.Since(begin); took != introspectionTimeout {
			t.Errorf("took %s", took)
		}
		time.Sleep(introspectionPause)
		var group sync.WaitGroup
		group.Go(func() { wantReason(t, v, opaque(), IntrospectionUnavailable) })
		synctest.Wait()
		begin = time.Now()
		cancel()
		if err := <-ended; err != nil || time.Since(begin) != 0 {
			t.Errorf("Run ended after %s with %v", time.Since(begin), err)
		}
		group.Wait()
		close(hold)
	})
}

func TestIntrospectionEndpointOfTheMetadata(t *testing.T) {
	provider := startIDP(t, rsaKey())
	provider.answering(provider.active(noon))
	v := provider.verifier(t, asking(IntrospectOpaque, func(c *Config) {
		c.Issuers[0].Source = discovery.NewSource(c.Fetcher, "http://localhost/tenant/", nil)
		c.Issuers[0].Introspection.URL = ""
	}))
	wantGood(t, v, opaque())

	v.opaque.config.Source = discovery.NewSource(provider.fetcher(t), "http://localhost/nobody", nil)
	v.verified = memory[*token]{}
	_, err := v.Verify(t.Context(), opaque())
	if refusal := refusalOf(t, err, IntrospectionUnavailable, opaque()); !errors.Is(refusal, discovery.ErrNotPublished) {
		t.Errorf("%v", refusal)
	}
}

func TestIntrospectionConfigurations(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"good":                {func(*Config) {}, ""},
		"longest":             {func(c *Config) { c.Issuers[0].Introspection.CacheFor = time.Minute }, ""},
		"unknown choice":      {func(c *Config) { c.Issuers[0].Introspection.Tokens = "some" }, "none of opaque, jwt, all"},
		"insecure URL":        {func(c *Config) { c.Issuers[0].Introspection.URL = "http://idp.example/i" }, "neither https"},
		"no URL, no metadata": {func(c *Config) { c.Issuers[0].Introspection.URL = "" }, "URL is required"},
		"no client":           {func(c *Config) { c.Issuers[0].Introspection.ClientID = "" }, "ClientID"},
		"no secret":           {func(c *Config) { c.Issuers[0].Introspection.ClientSecret = secret.Value{} }, "ClientSecret"},
		"unknown method":      {func(c *Config) { c.Issuers[0].Introspection.Method = "none" }, `"none" is none of`},
		"no key":              {func(c *Config) { c.Issuers[0].Introspection.Method = PrivateKeyJWT }, "no private key"},
		"counts too long":     {func(c *Config) { c.Issuers[0].Introspection.CacheFor = time.Minute + 1 }, "CacheFor"},
		"no transport":        {func(c *Config) { c.Transport = nil }, "Transport"},
		"two issuers for opaque tokens": {func(c *Config) {
			second := c.Issuers[0]
			second.Issuer = "https://two.example"
			c.Issuers = append(c.Issuers, second)
		}, "does not tell whose it is"},
		"two issuers for JWTs": {func(c *Config) {
			second := c.Issuers[0]
			second.Issuer, second.Introspection.Tokens = "https://two.example", IntrospectJWT
			c.Issuers = append(c.Issuers, second)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			provider := startIDP(t, rsaKey())
			cfg := Config{
				Issuers:   []IssuerConfig{{Issuer: provider.issuer, JWKSURL: "http://localhost/jwks"}},
				Audiences: []string{testAudience}, Fetcher: provider.fetcher(t), Transport: provider.transport(t),
			}
			asking(IntrospectAll, tc.change)(&cfg)
			_, err := New(cfg)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
