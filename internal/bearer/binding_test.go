package bearer

import (
	"net/http"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// Thumbprints of two certificates.
var (
	ourCertificate   = b64(strings.Repeat("o", thumbprintBytes))
	theirCertificate = b64(strings.Repeat("t", thumbprintBytes))
)

// bindingRow is a token's cnf, a policy and what is presented along, and the
// reason that the token is refused for; "" means it is not.
type bindingRow struct {
	name               string
	dpop, certificates Policy
	cnf                any    // noCNF: none
	scheme             string // of Authorization; DPoP comes with a good proof
	certificate        string
	want               Reason
	sentence           string // part of it
}

// noCNF stands for a token that is not bound.
type noCNF struct{}

func jkt() map[string]string { return map[string]string{"jkt": clientKey().thumbprint()} }

func x5t(thumbprint string) map[string]string { return map[string]string{"x5t#S256": thumbprint} }

func both() map[string]string {
	return map[string]string{"jkt": clientKey().thumbprint(), "x5t#S256": ourCertificate}
}

const bearerScheme, dpopScheme = oauth.SchemeBearer, oauth.SchemeDPoP

var bindingRows = []bindingRow{
	{"plain, nothing taken", Off, Off, noCNF{}, bearerScheme, "", "", ""},
	{"plain beside all", Allowed, Allowed, noCNF{}, bearerScheme, ourCertificate, "", ""},
	{"DPoP scheme where it is not taken", Off, Allowed, jkt(), dpopScheme, "", OtherScheme, "No valid bearer token"},

	{"jkt, nothing taken", Off, Off, jkt(), bearerScheme, "", SenderConstrained, "takes plain bearer tokens only"},
	{"x5t, nothing taken", Off, Off, x5t(ourCertificate), bearerScheme, ourCertificate, SenderConstrained, "takes plain bearer tokens only"},
	{"x5t where DPoP is taken", Allowed, Off, x5t(ourCertificate), bearerScheme, ourCertificate, SenderConstrained, "jkt (DPoP) only"},
	{"jkt where certificates are taken", Off, Allowed, jkt(), bearerScheme, ourCertificate, SenderConstrained, "x5t#S256 (mutual TLS) only"},
	{"both where one is taken", Allowed, Off, both(), dpopScheme, ourCertificate, SenderConstrained, ""},
	{"another method", Allowed, Allowed, map[string]string{"jku": "https://h"}, bearerScheme, ourCertificate, SenderConstrained, "in a way that this server cannot check"},
	{"another method beside jkt", Allowed, Allowed, map[string]any{"jkt": clientKey().thumbprint(), "jwk": 1}, dpopScheme, "", SenderConstrained, ""},
	{"jkt in other letters", Allowed, Allowed, map[string]string{"JKT": clientKey().thumbprint()}, dpopScheme, "", SenderConstrained, ""},
	{"jkt that is no thumbprint", Allowed, Allowed, map[string]string{"jkt": "x"}, dpopScheme, "", SenderConstrained, ""},
	{"jkt that is no text", Allowed, Allowed, map[string]any{"jkt": []string{clientKey().thumbprint()}}, dpopScheme, "", SenderConstrained, ""},
	{"padded jkt", Allowed, Allowed, map[string]string{"jkt": clientKey().thumbprint() + "="}, dpopScheme, "", SenderConstrained, ""},
	{"empty cnf", Allowed, Allowed, map[string]string{}, bearerScheme, "", SenderConstrained, ""},
	{"null cnf", Allowed, Allowed, nil, bearerScheme, "", SenderConstrained, ""},
	{"cnf as text", Allowed, Allowed, "jkt", bearerScheme, "", SenderConstrained, ""},

	{"jkt with its proof", Allowed, Off, jkt(), dpopScheme, "", "", ""},
	{"jkt as a bearer token", Allowed, Off, jkt(), bearerScheme, "", DowngradedToken, "Authorization: DPoP"},
	{"unbound under DPoP", Allowed, Off, noCNF{}, dpopScheme, "", UnboundToken, "send it as a bearer token"},
	{"certificate-bound under DPoP", Allowed, Allowed, x5t(ourCertificate), dpopScheme, ourCertificate, UnboundToken, ""},
	{"plain where DPoP is required", Required, Off, noCNF{}, bearerScheme, "", UnboundToken, "bound to a DPoP key"},
	{"jkt where it is required", Required, Off, jkt(), dpopScheme, "", "", ""},

	{"x5t with its certificate", Off, Allowed, x5t(ourCertificate), bearerScheme, ourCertificate, "", ""},
	{"x5t without one", Off, Allowed, x5t(ourCertificate), bearerScheme, "", CertificateMissing, "this connection has none"},
	{"x5t with another", Off, Allowed, x5t(ourCertificate), bearerScheme, theirCertificate, CertificateWrong, "another client certificate"},
	{"plain where certificates are required", Off, Required, noCNF{}, bearerScheme, ourCertificate, UnboundToken, "bound to a client certificate"},
	{"x5t where it is required", Off, Required, x5t(ourCertificate), bearerScheme, ourCertificate, "", ""},

	{"both proven", Allowed, Allowed, both(), dpopScheme, ourCertificate, "", ""},
	{"both, one proven", Allowed, Allowed, both(), dpopScheme, theirCertificate, CertificateWrong, ""},
	{"both required", Required, Required, both(), dpopScheme, ourCertificate, "", ""},
	{"both required, one there", Required, Required, jkt(), dpopScheme, ourCertificate, UnboundToken, ""},
}

func TestReq048_Req052_TokenAndWhatComesWithIt(t *testing.T) {
	provider := startIDP(t, edKey())
	for _, row := range bindingRows {
		t.Run(row.name, func(t *testing.T) {
			v := bindingVerifier(t, provider, func(c *BindingConfig) { c.DPoP, c.Certificates = row.dpop, row.certificates })
			f := newForge(provider.issuer, edKey(), noon)
			if _, unbound := row.cnf.(noCNF); !unbound {
				f.claims["cnf"] = row.cnf
			}
			token := f.token()
			p := Presented{Token: token, Scheme: row.scheme, Method: http.MethodPost, Path: "/mcp", Certificate: row.certificate}
			if row.scheme == dpopScheme {
				p.Proofs = []string{newProof(clientKey(), token, noon).text()}
			}
			_, err := v.Authenticate(t.Context(), p)
			if row.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			refusal := refusalOf(t, err, row.want, token)
			if refusal.Status != http.StatusUnauthorized || !refusal.Challenge || !strings.Contains(refusal.Description, row.sentence) {
				t.Errorf("%+v", refusal)
			}
			if row.want != OtherScheme && (refusal.Code != oauth.CodeInvalidToken || refusal.Scheme != row.scheme) {
				t.Errorf("%s under %s", refusal.Code, refusal.Scheme)
			}
		})
	}
}

// Verify sees a token alone, so no bound token passes it, whatever the policy.
func TestReq048_VerifyTakesNoBoundToken(t *testing.T) {
	provider := startIDP(t, edKey())
	v := bindingVerifier(t, provider, func(c *BindingConfig) { c.Certificates = Allowed })
	for name, tc := range map[string]struct {
		cnf  any
		want Reason
	}{
		"jkt":  {jkt(), DowngradedToken},
		"x5t":  {x5t(ourCertificate), CertificateMissing},
		"else": {map[string]string{"kid": "k"}, SenderConstrained},
	} {
		token := boundToken(provider, tc.cnf)
		_, err := v.Verify(t.Context(), token)
		t.Run(name, func(t *testing.T) { wantRefusal(t, err, tc.want, token) })
		if p, err := v.VerifyUnproven(t.Context(), token); (err == nil) != (tc.want != SenderConstrained) || err == nil && !p.Confirmation.Bound() {
			t.Errorf("%s: unproven: %+v, %v", name, p.Confirmation, err)
		}
	}
}

// The token's own defects come first and go on the challenge that was used.
func TestReq051_ADefectOfTheTokenUnderDPoP(t *testing.T) {
	provider := startIDP(t, edKey())
	v := bindingVerifier(t, provider, nil)
	f := newForge(provider.issuer, edKey(), noon)
	f.claims["cnf"], f.claims["aud"] = jkt(), "https://other.example"
	token := f.token()
	_, err := v.Authenticate(t.Context(), presentedWith(token))
	if refusal := refusalOf(t, err, WrongAudience, token); refusal.Scheme != dpopScheme {
		t.Errorf("under %q", refusal.Scheme)
	}
}

func TestBindingsAreConfiguredWholly(t *testing.T) {
	for name, cfg := range map[string]BindingConfig{
		"no server":   {DPoP: Allowed},
		"a path":      {DPoP: Allowed, ServerURL: "https://mcp.example/"},
		"no policy":   {DPoP: 7},
		"no policy 2": {Certificates: -1},
	} {
		if err := cfg.validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := (BindingConfig{Key: secret.New("k")}).validate(); err != nil {
		t.Error(err)
	}
}
