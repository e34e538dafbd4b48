package devstack

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

func TestServiceGrants(t *testing.T) {
	stack := start(t)
	mint := func(m Mint) string {
		minted, err := stack.Mint(m)
		if err != nil {
			t.Fatal(err)
		}
		return minted.AccessToken
	}
	otus, ana := stack.URLs().Otus, mint(Mint{User: "ana", Scope: "openid", Lifetime: 10 * time.Minute})
	exchange := func(subject string, changes ...string) url.Values {
		form := url.Values{
			"grant_type": {grantExchange}, "subject_token": {subject}, "subject_token_type": {typeAccessToken}, "audience": {otus},
		}
		for i := 0; i+1 < len(changes); i += 2 {
			form.Set(changes[i], changes[i+1])
		}
		return form
	}
	actor := mint(Mint{Subject: "gateway", ClientID: "gateway-client"})
	acted := mint(Mint{User: "ana", Actor: "support"})
	onBehalf := url.Values{"grant_type": {grantOnBehalfOf}, "assertion": {ana}, "requested_token_use": {onBehalfOfRequest}, "scope": {otus + defaultScopes}}
	self := ServiceClientID + serviceSubject
	for name, tc := range map[string]struct {
		form    url.Values
		subject string // of the issued token
		act     string // its act claim, as JSON
		code    string // of a refusal
	}{
		"exchange":                {form: exchange(ana), subject: "auth0|ana"},
		"least scope":             {form: exchange(ana, "scope", "teams:read"), subject: "auth0|ana"},
		"more than there is":      {form: exchange(ana, "scope", "teams:write"), code: codeInvalidScope},
		"an actor":                {form: exchange(ana, "actor_token", actor, "actor_token_type", typeJWT), subject: "auth0|ana", act: `{"sub":"gateway","client_id":"gateway-client"}`},
		"an actor after another":  {form: exchange(acted, "actor_token", actor, "actor_token_type", typeJWT), subject: "auth0|ana", act: `{"sub":"gateway","client_id":"gateway-client","act":{"sub":"support"}}`},
		"the actor stays":         {form: exchange(acted), subject: "auth0|ana", act: `{"sub":"support"}`},
		"may act":                 {form: exchange(mint(Mint{MayAct: self})), subject: "auth0|ana"},
		"another one may act":     {form: exchange(mint(Mint{MayAct: "gateway"})), code: oauth.CodeInvalidRequest},
		"the actor may act":       {form: exchange(mint(Mint{MayAct: "gateway"}), "actor_token", actor, "actor_token_type", typeJWT), subject: "auth0|ana", act: `{"sub":"gateway","client_id":"gateway-client"}`},
		"no audience":             {form: exchange(ana, "audience", ""), code: codeInvalidTarget},
		"an unknown API":          {form: exchange(ana, "audience", "https://other.example"), code: codeInvalidTarget},
		"a token that is spoiled": {form: exchange(mint(Mint{Defect: "bad-signature"})), code: oauth.CodeInvalidGrant},
		"an actor that is":        {form: exchange(ana, "actor_token", "x", "actor_token_type", typeJWT), code: oauth.CodeInvalidGrant},
		"no type":                 {form: exchange(ana, "subject_token_type", ""), code: oauth.CodeInvalidRequest},
		"an ID token wanted":      {form: exchange(ana, "requested_token_type", "urn:ietf:params:oauth:token-type:id_token"), code: oauth.CodeInvalidRequest},
		"on behalf of":            {form: onBehalf, subject: "auth0|ana"},
		"for itself":              {form: url.Values{"grant_type": {grantCredentials}}, subject: self},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVisitor(t, stack)
			tc.form.Set("client_id", ServiceClientID)
			tc.form.Set("client_secret", stack.ServiceSecret().Reveal())
			got, answer := v.tokens(tc.form)
			if tc.code != "" {
				answer.wantError(t, http.StatusBadRequest, tc.code)
				return
			}
			claims, err := stack.broker.verifier.verify(got.AccessToken)
			if err != nil || claims.Subject != tc.subject || !claims.onlyFor(otus) || claims.ClientID != ServiceClientID {
				t.Fatalf("%v, claims %+v in %s", err, claims, answer.body)
			}
			if diff := cmp.Diff(tc.act, string(claims.Act)); diff != "" {
				t.Errorf("act (-want +got):\n%s", diff)
			}
			if tc.form.Get("subject_token") == ana && (got.ExpiresIn > 600 || got.IssuedTokenType != typeAccessToken) {
				t.Errorf("it outlives the subject token, or has no type: %+v", got)
			}
			tc.form.Set("client_secret", "wrong")
			_, answer = v.tokens(tc.form)
			answer.wantError(t, http.StatusUnauthorized, "invalid_client")
			tc.form.Del("client_secret")
			tc.form.Set("client_id", DevClientID)
			if _, answer = v.tokens(tc.form); answer.status < 400 {
				t.Errorf("another client got %s", answer.body)
			}
		})
	}
}
