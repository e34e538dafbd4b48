package bearer

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// policyRow is a token that one issuer's own policy decides about.
type policyRow struct {
	name   string
	policy func(*IssuerConfig)
	spoil  func(*forge)
	want   Reason
	says   string
}

func strict(c *IssuerConfig)   { c.Types = TypesStrict }
func clients(c *IssuerConfig)  { c.Clients = []string{"claude", "codex"} }
func maxAge(c *IssuerConfig)   { c.MaxAge = 10 * time.Minute }
func lifetime(c *IssuerConfig) { c.MaxLifetime = time.Hour }

func issued(ago, lives time.Duration) func(*forge) {
	return func(f *forge) {
		f.claims["iat"], f.claims["exp"] = noon.Add(-ago).Unix(), noon.Add(-ago+lives).Unix()
	}
}

var policyRows = []policyRow{
	{"strict, at+jwt", strict, header("typ", "at+jwt"), "", ""},
	{"strict, application/at+jwt", strict, header("typ", "Application/AT+JWT"), "", ""},
	{"strict, JWT", strict, header("typ", "JWT"), WrongType, "typ at+jwt"},
	{"strict, no typ", strict, without("typ"), WrongType, "typ at+jwt"},
	{"strict, another profile", strict, header("typ", "logout+jwt"), WrongType, "logout+jwt"},

	{"client_id is listed", clients, claim("client_id", "codex"), "", ""},
	{"azp is listed", clients, claim("azp", "claude"), "", ""},
	{"client_id decides before azp", clients, func(f *forge) { f.claims["client_id"], f.claims["azp"] = "evil", "claude" }, WrongClient, "the client evil"},
	{"client is not listed", clients, claim("azp", "client-1"), WrongClient, "the client client-1"},
	{"client is not named", clients, without("azp"), WrongClient, "(empty)"},
	{"client is a prefix", clients, claim("azp", "claud"), WrongClient, ""},
	{"listed client, wrong audience", clients, func(f *forge) { f.claims["azp"], f.claims["aud"] = "claude", "https://other.example" }, WrongAudience, ""},

	{"young enough", maxAge, issued(10*time.Minute, time.Hour), "", ""},
	{"young enough with the leeway", maxAge, issued(10*time.Minute+29*time.Second, time.Hour), "", ""},
	{"too old", maxAge, issued(10*time.Minute+30*time.Second, time.Hour), TooOld, "issued at 2026-03-04T11:49:30Z, and this server takes one for 10m0s"},
	{"age unknown", maxAge, without("iat"), TooOld, "does not say when it was issued"},

	{"short enough", lifetime, issued(time.Minute, time.Hour), "", ""},
	{"lives too long", lifetime, issued(time.Minute, time.Hour+time.Second), LivesTooLong, "good for 1h0m1s, and this server takes none that is good for more than 1h0m0s"},
	{"lives too long from now on", lifetime, func(f *forge) {
		delete(f.claims, "iat")
		f.claims["exp"] = noon.Add(2 * time.Hour).Unix()
	}, LivesTooLong, ""},
	{"lifetime unknown, ends soon", lifetime, func(f *forge) {
		delete(f.claims, "iat")
		f.claims["exp"] = noon.Add(time.Minute).Unix()
	}, "", ""},
	{"no policy", func(*IssuerConfig) {}, issued(300*24*time.Hour, 400*24*time.Hour), "", ""},
}

func TestReq031_Req036_Req038_PoliciesOfOneIssuer(t *testing.T) {
	provider := startIDP(t, rsaKey())
	for _, row := range policyRows {
		t.Run(row.name, func(t *testing.T) {
			v := provider.verifier(t, func(c *Config) { row.policy(&c.Issuers[0]) })
			f := newForge(provider.issuer, rsaKey(), noon)
			row.spoil(f)
			token := f.token()
			_, err := v.Verify(t.Context(), token)
			if row.want == "" {
				if err != nil {
					t.Fatalf("a good token was refused: %v", err)
				}
				return
			}
			refusal := refusalOf(t, err, row.want, token)
			if !strings.Contains(refusal.Description, row.says) || refusal.Status != http.StatusUnauthorized {
				t.Errorf("%d %q does not say %q", refusal.Status, refusal.Description, row.says)
			}
		})
	}
}

// What one issuer may do, another may not: rules are looked up by the issuer
// whose keys verified the token.
func TestReq025_Req028_Req029_RulesNeverCrossIssuers(t *testing.T) {
	first, second := startIDP(t, rsaKey()), startIDP(t, ecKey())
	combined := http.NewServeMux()
	combined.Handle("/one", rewrite(first))
	combined.Handle("/two", rewrite(second))
	const one, two = "https://one.example", "https://two.example/"
	v := serve(t, combined, func(c *Config) {
		c.Issuers = []IssuerConfig{
			{Issuer: one, JWKSURL: "http://localhost/one", Leeway: time.Second, Clients: []string{"client-1"}, MaxAge: time.Hour},
			{
				Issuer: two, JWKSURL: "http://localhost/two", Algorithms: []string{es256}, Types: TypesStrict,
				Audiences: []string{"urn:two"}, Leeway: time.Minute, MaxLifetime: 48 * time.Hour,
			},
		}
	})
	of := func(issuer string, spoil ...func(*forge)) secret.Value {
		f := newForge(issuer, rsaKey(), noon)
		if issuer == two {
			f = newForge(issuer, ecKey(), noon)
			f.header["typ"], f.claims["aud"] = "at+jwt", "urn:two"
		}
		for _, change := range spoil {
			change(f)
		}
		return f.token()
	}
	old, long := issued(2*time.Hour, 4*time.Hour), issued(time.Minute, 72*time.Hour)
	late := claim("exp", noon.Add(-30*time.Second).Unix())
	for _, tc := range []struct {
		name  string
		token secret.Value
		want  Reason
	}{
		{"one", of(one), ""},
		{"two", of(two), ""},
		{"two's audience for one", of(one, claim("aud", "urn:two")), WrongAudience},
		{"one's audience for two", of(two, claim("aud", testAudience)), WrongAudience},
		{"one's typ for two", of(two, header("typ", "JWT")), WrongType},
		{"one's client for two", of(two, claim("azp", "other")), ""},
		{"another client for one", of(one, claim("azp", "other")), WrongClient},
		{"two's leeway for one", of(one, late), Expired},
		{"two's own leeway", of(two, late), ""},
		{"old for one", of(one, old), TooOld},
		{"old for two", of(two, old), ""},
		{"long for one", of(one, long), ""},
		{"long for two", of(two, long), LivesTooLong},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.want == "" {
				wantGood(t, v, tc.token)
				return
			}
			wantReason(t, v, tc.token, tc.want)
		})
	}
}

// The refusal of an algorithm names those of the token's own issuer, and of
// all issuers while nobody knows whose it is.
func TestReq025_RefusedAlgorithmNamesTheAcceptedOnes(t *testing.T) {
	provider := startIDP(t, rsaKey())
	v := provider.verifier(t, func(c *Config) {
		c.Issuers = append(c.Issuers, IssuerConfig{Issuer: "https://two.example", JWKSURL: "http://localhost/jwks", Algorithms: []string{es256, rs256}})
	})
	for algorithm, want := range map[string]string{es256: "accepts RS256 from", "HS256": "accepts ES256, RS256 from"} {
		f := newForge(provider.issuer, rsaKey(), noon)
		f.header["alg"] = algorithm
		_, err := v.Verify(t.Context(), f.token())
		if refusal := refusalOf(t, err, WrongAlgorithm, secret.Value{}); !strings.Contains(refusal.Description, want) {
			t.Errorf("%s: %q does not say %q", algorithm, refusal.Description, want)
		}
	}
}
