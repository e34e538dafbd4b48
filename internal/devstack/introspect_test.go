package devstack

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ask introspects a token as the resource server does.
func (v *visitor) ask(token string) map[string]any {
	v.t.Helper()
	request := url.Values{"token": {token}, "client_id": {DevResourceID}, "client_secret": {v.stack.ResourceSecret().Reveal()}}
	var said map[string]any
	got := v.do(http.MethodPost, v.stack.URLs().Introspection, request)
	if got.status != http.StatusOK {
		v.t.Fatalf("%d %s", got.status, got.body)
	}
	decode(v.t, got.body, &said)
	return said
}

func TestIntrospection(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	signed := mint(t, stack, Mint{User: "ana"})
	opaque := mint(t, stack, Mint{User: "bruno", Format: "opaque"})
	for token, subject := range map[string]string{signed: "auth0|ana", opaque: "auth0|bruno"} {
		said := v.ask(token)
		if said["active"] != true || said["sub"] != subject || said["iss"] != stack.URLs().TokenIssuer || said["aud"] != testServer || number(t, said, "exp") <= time.Now().Unix() {
			t.Errorf("%v", said)
		}
	}
	if said := v.ask(mint(t, stack, Mint{Format: "opaque", Defect: "wrong-audience"})); said["active"] != true || said["aud"] == testServer {
		t.Errorf("a defect of the claims: %v", said)
	}
	for _, token := range []string{"unknown", mint(t, stack, Mint{Defect: "bad-signature"}), mint(t, stack, Mint{Defect: "expired"})} {
		if said := v.ask(token); said["active"] != false || len(said) != 1 {
			t.Errorf("%v", said)
		}
	}
	for _, token := range []string{signed, opaque} {
		revoke := url.Values{"token": {token}, "client_id": {DevClientID}}
		if got := v.do(http.MethodPost, stack.URLs().AuthorizationServer+"/oauth/revoke", revoke); got.status != http.StatusOK {
			t.Errorf("%d %s", got.status, got.body)
		}
		if said := v.ask(token); said["active"] != false {
			t.Errorf("revoked: %v", said)
		}
	}
}

func TestIntrospectionIsForClientsWithASecret(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	token := mint(t, stack, Mint{})
	for name, form := range map[string]url.Values{
		"nobody":        {"token": {token}},
		"public client": {"token": {token}, "client_id": {DevClientID}},
		"wrong secret":  {"token": {token}, "client_id": {DevResourceID}, "client_secret": {"x"}},
		"no secret":     {"token": {token}, "client_id": {DevResourceID}},
	} {
		if got := v.do(http.MethodPost, stack.URLs().Introspection, form); got.status/100 != 4 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestForgeSignsWithOtherAlgorithms(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	for _, algorithm := range Algorithms() {
		token := mint(t, stack, Mint{Algorithm: algorithm})
		signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
		if err != nil {
			t.Fatal(err)
		}
		var set jose.JSONWebKeySet
		decode(t, v.do(http.MethodGet, stack.URLs().JWKS, nil).body, &set)
		if _, err := signed.Verify(&set); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		if said := v.ask(token); said["active"] != true {
			t.Errorf("%s: %v", algorithm, said)
		}
	}
	var forged TokenResponse
	decode(t, v.do(http.MethodPost, stack.URLs().TokenForge, url.Values{"algorithm": {"ES256"}}).body, &forged)
	if header := segmentOf(t, forged.AccessToken, 0); header["alg"] != "ES256" {
		t.Errorf("over HTTP: %v", header)
	}
	decode(t, v.do(http.MethodPost, stack.URLs().TokenForge, url.Values{"format": {"opaque"}}).body, &forged)
	if said := v.ask(forged.AccessToken); said["active"] != true || strings.Contains(forged.AccessToken, ".") {
		t.Errorf("over HTTP: %v", said)
	}
	for _, bad := range []Mint{{Algorithm: "HS256"}, {Format: "saml"}} {
		if _, err := stack.Mint(bad); err == nil {
			t.Errorf("%+v was minted", bad)
		}
	}
}

func TestReplaceKeyKeepsTheKeyID(t *testing.T) {
	stack := start(t)
	v := newVisitor(t, stack)
	old := mint(t, stack, Mint{})
	stack.ReplaceKey()
	header, _ := open(t, stack, mint(t, stack, Mint{}))
	if header["kid"] != segmentOf(t, old, 0)["kid"] {
		t.Error("the key id has changed")
	}
	if said := v.ask(old); said["active"] != false {
		t.Error("the old key is still good")
	}
}
