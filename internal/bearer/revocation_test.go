package bearer

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// namedList is a list of names.
type namedList map[string]bool

func (l namedList) Marked(name string) bool { return l[name] }

func (l namedList) Marks() (int, time.Duration, bool) { return len(l), 0, true }

func TestReq016_Req039_RevokedTokensAreRefused(t *testing.T) {
	provider := startIDP(t, edKey())
	list := namedList{}
	revocations, err := NewRevocations(RevocationsConfig{Key: secret.New("key"), List: list})
	if err != nil {
		t.Fatal(err)
	}
	v := provider.verifier(t, func(c *Config) {
		c.Issuers[0].Algorithms = []string{edDSA}
		c.Revoked = revocations.Revoked
	})
	f := newForge(provider.issuer, edKey(), noon)
	f.claims["jti"] = "token-1"
	token := f.token()
	for name, tc := range map[string]struct {
		revocation Revocation
		revoked    bool
	}{
		"the token":                      {Revocation{TokenID: "token-1"}, true},
		"another token":                  {Revocation{TokenID: "token-2"}, false},
		"the subject":                    {Revocation{Subject: "auth0|alice"}, true},
		"the subject of its issuer":      {Revocation{Subject: "auth0|alice", Issuer: provider.issuer}, true},
		"the subject of another issuer":  {Revocation{Subject: "auth0|alice", Issuer: "https://other"}, false},
		"the issuer without its slash":   {Revocation{Subject: "auth0|alice", Issuer: strings.TrimSuffix(provider.issuer, "/")}, false},
		"another subject":                {Revocation{Subject: "auth0|bob"}, false},
		"the client":                     {Revocation{ClientID: "client-1"}, true},
		"another client":                 {Revocation{ClientID: "client-2"}, false},
		"a token called like the client": {Revocation{TokenID: "client-1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			clear(list)
			listed, err := revocations.Name(tc.revocation)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(listed, "alice") || !isThumbprint(listed) {
				t.Errorf("listed as %q", listed)
			}
			list[listed] = true
			_, err = v.Authenticate(t.Context(), Presented{Token: token, Scheme: oauth.SchemeBearer})
			if !tc.revoked {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if refusal := refusalOf(t, err, RevokedToken, token); refusal.Status != http.StatusUnauthorized || refusal.Code != oauth.CodeInvalidToken {
				t.Errorf("%+v", refusal)
			}
			if _, err := v.Verify(t.Context(), token); err == nil {
				t.Error("Verify takes it")
			}
		})
	}
}

// A token without a jti or a client is not what a revocation of nothing means.
func TestReq039_WhatTokensLackIsNotRevoked(t *testing.T) {
	revocations, err := NewRevocations(RevocationsConfig{Key: secret.New("key"), List: namedList{}})
	if err != nil {
		t.Fatal(err)
	}
	list := namedList{revocations.name(Revocation{}): true}
	revocations.list = list
	if revocations.Revoked(oauth.Principal{Issuer: "i", Subject: "s"}) {
		t.Error("nothing revokes everything")
	}
}

func TestReq039_RevocationNames(t *testing.T) {
	one, err := NewRevocations(RevocationsConfig{Key: secret.New("key")})
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewRevocations(RevocationsConfig{Key: secret.New("another key")})
	if err != nil {
		t.Fatal(err)
	}
	r := Revocation{Subject: "s", Issuer: "i"}
	if again := r; one.name(r) != one.name(again) || one.name(r) == other.name(r) || one.name(r) == one.name(Revocation{Subject: "si"}) {
		t.Error("names do not depend on key and members, and on nothing else")
	}
	for name, bad := range map[string]Revocation{
		"nothing":                {},
		"two things":             {TokenID: "t", Subject: "s"},
		"an issuer":              {Issuer: "i"},
		"an issuer of a token":   {TokenID: "t", Issuer: "i"},
		"something that is long": {Subject: strings.Repeat("s", maxRevocable+1)},
	} {
		if _, err := one.Name(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewRevocations(RevocationsConfig{}); err == nil {
		t.Error("a list without a key")
	}
}
