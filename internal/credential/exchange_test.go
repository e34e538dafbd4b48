package credential

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReq066_ExchangeRequest(t *testing.T) {
	client := url.Values{"client_id": {"gateway"}, "client_secret": {"client-secret"}}
	for name, tc := range map[string]struct {
		change func(*ExchangeConfig)
		want   url.Values
	}{
		"audience and scopes": {nil, url.Values{
			"grant_type": {grantExchange}, "subject_token": {subjectToken}, "subject_token_type": {TypeAccessToken},
			"requested_token_type": {TypeAccessToken}, "audience": {"https://billing.example"}, "scope": {"read"},
		}},
		"resource, types and an actor": {func(c *ExchangeConfig) {
			c.Target = Target{Resource: "https://billing.example/v1"}
			c.SubjectType, c.RequestedType, c.ActorType, c.ActorFile = TypeJWT, TypeJWT, TypeJWT, tokenFile(t, "actor-token\n")
		}, url.Values{
			"grant_type": {grantExchange}, "subject_token": {subjectToken}, "subject_token_type": {TypeJWT}, "requested_token_type": {TypeJWT},
			"resource": {"https://billing.example/v1"}, "actor_token": {"actor-token"}, "actor_token_type": {TypeJWT},
		}},
		"on behalf of": {func(c *ExchangeConfig) {
			c.OnBehalfOf, c.Target = true, Target{Scopes: oauth.Scopes{"api://billing/.default"}}
		}, url.Values{
			"grant_type": {grantAssert}, "assertion": {subjectToken}, "requested_token_use": {"on_behalf_of"}, "scope": {"api://billing/.default"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, func(form url.Values) (int, any) {
				_, answer := good(form)
				if fields, ok := answer.(map[string]any); ok && form.Get("requested_token_type") == TypeJWT {
					fields["issued_token_type"] = TypeJWT
				}
				return http.StatusOK, answer
			})
			header, _ := apply(t, server.exchange(t, tc.change))
			if diff := cmp.Diff(http.Header{"Authorization": {"Bearer issued-for-" + subjectToken}}, header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			maps.Copy(tc.want, client)
			if _, form := server.last(t); !cmp.Equal(tc.want, form) {
				t.Errorf("form (-want +got):\n%s", cmp.Diff(tc.want, form))
			}
		})
	}
}

func TestExchangeNeedsATarget(t *testing.T) {
	server := startServer(t, good)
	for name, cfg := range map[string]ExchangeConfig{
		"nothing":               {},
		"no target":             {Upstream: "billing", Endpoint: server.endpoint(t, ClientConfig{})},
		"on behalf of no scope": {Upstream: "billing", Endpoint: server.endpoint(t, ClientConfig{}), OnBehalfOf: true, Target: Target{Audience: "x"}},
	} {
		if _, err := NewExchange(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestReq067_ExchangeAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		change string // name=value: what differs from a good answer; without a value it is missing
		obo    bool
		jwt    bool
		fails  bool
	}{
		"good":                         {},
		"token type in lower case":     {change: "token_type=bearer"},
		"a JWT is an access token too": {change: "issued_token_type=" + TypeJWT},
		"no issued_token_type":         {change: "issued_token_type", fails: true},
		"an ID token":                  {change: "issued_token_type=urn:ietf:params:oauth:token-type:id_token", fails: true},
		"a refresh token":              {change: "issued_token_type=urn:ietf:params:oauth:token-type:refresh_token", fails: true},
		"not the JWT asked for":        {jwt: true, fails: true},
		"N_A":                          {change: "token_type=N_A", fails: true},
		"no token type":                {change: "token_type", fails: true},
		"DPoP":                         {change: "token_type=DPoP", fails: true},
		"no token":                     {change: "access_token", fails: true},
		"a token with a line break":    {change: "access_token=a\r\nX-Evil: 1", fails: true},
		"a token that is too long":     {change: "access_token=" + strings.Repeat("a", maxToken+1), fails: true},
		"on behalf of has no type":     {change: "issued_token_type", obo: true},
		"on behalf of N_A":             {change: "token_type=N_A", obo: true, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, func(form url.Values) (int, any) {
				_, answer := good(form)
				key, value, given := strings.Cut(tc.change, "=")
				if fields, ok := answer.(map[string]any); ok && given {
					fields[key] = value
				} else if ok {
					delete(fields, key)
				}
				return http.StatusOK, answer
			})
			e := server.exchange(t, func(c *ExchangeConfig) {
				if c.OnBehalfOf = tc.obo; tc.jwt {
					c.RequestedType = TypeJWT
				}
			})
			header := http.Header{}
			_, err := e.Apply(t.Context(), header, ana(), secret.New(subjectToken))
			if !tc.fails {
				if err != nil || len(header["Authorization"]) != 1 {
					t.Fatalf("got %v, %v", header, err)
				}
				return
			}
			wantFailure(t, err, Unusable)
			if len(header) != 0 {
				t.Errorf("header %v, want none", header)
			}
		})
	}
}

func TestReq067_ExchangeErrors(t *testing.T) {
	says := func(status int, code string) func(url.Values) (int, any) {
		return func(url.Values) (int, any) {
			return status, map[string]string{"error": code, "error_description": "private " + subjectToken}
		}
	}
	for name, tc := range map[string]struct {
		answer func(url.Values) (int, any)
		actor  bool
		blamed bool // 401: the caller's token is at fault
		kind   Kind
		log    string
	}{
		"invalid_grant":               {answer: says(400, "invalid_grant"), blamed: true},
		"invalid_token":               {answer: says(400, "invalid_token"), blamed: true},
		"invalid_grant with an actor": {answer: says(400, "invalid_grant"), actor: true, kind: Refused, log: "invalid_grant"},
		"invalid_target":              {answer: says(400, "invalid_target"), kind: Refused, log: "invalid_target"},
		"invalid_client":              {answer: says(401, "invalid_client"), kind: Refused, log: "invalid_client"},
		"invalid_request":             {answer: says(400, "invalid_request"), kind: Refused, log: "invalid_request"},
		"invalid_scope":               {answer: says(400, "invalid_scope"), kind: Refused, log: "invalid_scope"},
		"unauthorized_client":         {answer: says(400, "unauthorized_client"), kind: Refused, log: "unauthorized_client"},
		"interaction_required":        {answer: says(400, "interaction_required"), kind: Refused, log: "interaction_required"},
		"a code that is none":         {answer: says(400, "private text\n"), kind: Refused, log: "status 400"},
		"no JSON":                     {answer: func(url.Values) (int, any) { return 403, "<html>private" }, kind: Refused, log: "status 403"},
		"a redirect":                  {answer: func(url.Values) (int, any) { return 302, "private" }, kind: Refused, log: "status 302"},
		"an outage that says so":      {answer: says(503, "invalid_grant"), kind: Outage, log: "status 503"},
		"too many requests":           {answer: says(429, "invalid_grant"), kind: Outage, log: "status 429"},
		"a success that is no JSON":   {answer: func(url.Values) (int, any) { return 200, "private" }, kind: Unusable},
		"a success with a name twice": {answer: func(url.Values) (int, any) { return 200, `{"access_token":"a","access_token":"b"}` }, kind: Unusable},
		"a success without end":       {answer: func(url.Values) (int, any) { return 200, `"` + strings.Repeat("private", 1<<14) }, kind: Unusable},
		"a broken connection":         {answer: func(url.Values) (int, any) { panic(http.ErrAbortHandler) }, kind: Outage},
	} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, tc.answer)
			e := server.exchange(t, func(c *ExchangeConfig) {
				if tc.actor {
					c.ActorFile = tokenFile(t, "actor-token")
				}
			})
			_, err := e.Apply(t.Context(), http.Header{}, ana(), secret.New(subjectToken))
			if err == nil || strings.Contains(err.Error(), "private") || strings.Contains(err.Error(), subjectToken) {
				t.Fatalf("the error is missing or repeats private text: %v", err)
			}
			if tc.blamed {
				refusal, ok := errors.AsType[*oauth.Refusal](err)
				if !ok || refusal.Status != http.StatusUnauthorized || !refusal.Challenge || refusal.Code != oauth.CodeInvalidToken {
					t.Errorf("got %v, want 401 with a challenge", err)
				}
				return
			}
			wantFailure(t, err, tc.kind)
			failure, _ := errors.AsType[*Failure](err)
			if !strings.Contains(failure.Error(), tc.log) || !strings.Contains(failure.Safe(), `"billing"`) || strings.Contains(failure.Safe(), "invalid") {
				t.Errorf("log %q, caller %q, want the code in the log only", failure, failure.Safe())
			}
		})
	}
}

func TestReq067_OutageOfTheTokenEndpoint(t *testing.T) {
	server := startServer(t, good)
	e := server.exchange(t, nil)
	server.Close()
	_, err := e.Apply(t.Context(), http.Header{}, ana(), secret.New(subjectToken))
	wantFailure(t, err, Outage)
}

func TestUnreadableActorAsksNobody(t *testing.T) {
	server := startServer(t, good)
	for name, path := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "nothing"), "empty": tokenFile(t, "\n"), "two": tokenFile(t, "a b"),
		"huge": tokenFile(t, strings.Repeat("a", maxTokenFile+1)),
	} {
		e := server.exchange(t, func(c *ExchangeConfig) { c.ActorFile = path })
		_, err := e.Apply(t.Context(), http.Header{}, ana(), secret.New(subjectToken))
		wantFailure(t, err, Unreadable)
		if server.count() != 0 {
			t.Errorf("%s: the token endpoint was asked", name)
		}
	}
}

// jwtOf returns an unsigned token with claims.
func jwtOf(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".sig"
}

func TestReq069_ActorsAreNamed(t *testing.T) {
	pseudonym := func(issuer, subject string) string {
		return "person:" + oauth.Principal{Issuer: issuer, Subject: subject}.SubjectHash()
	}
	for name, tc := range map[string]struct{ token, want string }{
		"opaque":            {"opaque", ""},
		"nobody":            {jwtOf(`{"sub":"ana"}`), ""},
		"one":               {jwtOf(`{"iss":"i","act":{"sub":"gateway"}}`), pseudonym("i", "gateway")},
		"of another issuer": {jwtOf(`{"iss":"i","act":{"iss":"j","sub":"gateway"}}`), pseudonym("j", "gateway")},
		"a client":          {jwtOf(`{"act":{"sub":"x","client_id":"gateway"}}`), "gateway"},
		"a chain":           {jwtOf(`{"iss":"i","act":{"client_id":"b","act":{"client_id":"a","act":{"sub":"s"}}}}`), "b < a < " + pseudonym("i", "s")},
		"text in a name":    {jwtOf(`{"act":{"client_id":"a\n\"b"}}`), "a?'b"},
		"twice":             {jwtOf(`{"act":{"client_id":"a"},"act":{"client_id":"b"}}`), ""},
		"no object":         {jwtOf(`{"act":"gateway"}`), ""},
		"endless":           {jwtOf(strings.Repeat(`{"client_id":"a","act":`, 12) + "1" + strings.Repeat("}", 12)), strings.TrimSuffix(strings.Repeat("a < ", maxActors), " < ")},
	} {
		server := startServer(t, func(url.Values) (int, any) {
			return 200, map[string]any{"access_token": tc.token, "token_type": "Bearer", "issued_token_type": TypeJWT, "expires_in": "3600"}
		})
		if _, actor := apply(t, server.exchange(t, nil)); actor != tc.want {
			t.Errorf("%s: %q, want %q", name, actor, tc.want)
		}
	}
}

// Whatever a token endpoint answers, what is sent is one clean bearer token, and
// only of a type that was asked for.
func FuzzReq067_Answer(f *testing.F) {
	f.Add(`{"access_token":"a.b.c","token_type":"Bearer","issued_token_type":"`+TypeAccessToken+`","expires_in":60}`, true)
	f.Add(`{"access_token":"`+jwtOf(`{"act":{"client_id":"x"}}`)+`","token_type":"bearer","expires_in":"60"}`, false)
	f.Add(`{"token_type":"N_A"}`, true)
	f.Fuzz(func(t *testing.T, body string, exchange bool) {
		object, ok := parseObject([]byte(body))
		if !ok {
			return
		}
		wanted := ""
		if exchange {
			wanted = TypeAccessToken
		}
		got, err := readToken(object, wanted, ana().Expiry)
		if err != nil {
			return
		}
		kind, _ := object.Text("issued_token_type")
		if !sendable(got.token) || exchange && kind != TypeAccessToken && kind != TypeJWT || strings.ContainsFunc(got.actor, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			t.Errorf("accepted %q as %q", body, got.actor)
		}
	})
}
