package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReq019_Req037_ChallengeBytes(t *testing.T) {
	for _, tc := range []struct {
		challenge Challenge
		want      string
	}{
		{Challenge{}, `Bearer`},
		{Challenge{ResourceMetadata: "http://h/.well-known/oauth-protected-resource", Scope: Scopes{"openid", "email"}}, `Bearer resource_metadata="http://h/.well-known/oauth-protected-resource", scope="openid email"`},
		{Challenge{Error: "invalid_token", ErrorDescription: `a "quoted" \ text` + "\r\nSet-Cookie: x"}, `Bearer error="invalid_token", error_description="a 'quoted' ? text??Set-Cookie: x"`},
		{Challenge{Error: "insufficient_user_authentication", ErrorDescription: "Sign in.", ACRValues: []string{"mfa", "urn:x:phr"}, MaxAge: 90 * time.Second}, `Bearer error="insufficient_user_authentication", error_description="Sign in.", acr_values="mfa urn:x:phr", max_age="90"`},
		{Challenge{Scheme: SchemeDPoP, Error: "use_dpop_nonce", Algorithms: []string{"ES256", "EdDSA"}}, `DPoP error="use_dpop_nonce", algs="ES256 EdDSA"`},
	} {
		if diff := cmp.Diff(tc.want, tc.challenge.String()); diff != "" {
			t.Error(diff)
		}
	}
}

// challengeSyntax is a challenge as RFC 9110 section 11.6.1 has it, with this
// server's parameters in their order.
var challengeSyntax = regexp.MustCompile(`\ABearer( resource_metadata="[^"]*")?(,? scope="[^"]*")?(,? error="[^"]*")?(,? error_description="[^"]*")?(,? acr_values="[^"]*")?(,? max_age="[0-9]+")?\z`)

// FuzzChallenge: whatever is put in, the header has one line, balanced quotes
// and no character that RFC 6750 section 3 forbids in a quoted value.
func FuzzChallenge(f *testing.F) {
	f.Add("https://h/x", "openid", "invalid_token", "The token expired.", "mfa", int64(0))
	f.Add("\r\n", `"`, `\"`, "é\x00", "\"\n", int64(-1))
	f.Add("0", "0", "0", ", ", "0", int64(time.Minute))
	f.Fuzz(func(t *testing.T, metadata, scope, code, description, acr string, maxAge int64) {
		header := Challenge{
			ResourceMetadata: metadata, Scope: ParseScopes(scope), Error: code, ErrorDescription: description,
			ACRValues: []string{acr}, MaxAge: time.Duration(maxAge),
		}.String()
		if strings.ContainsAny(header, "\r\n\x00\\") || strings.Count(header, `"`)%2 != 0 {
			t.Fatalf("%q", header)
		}
		for _, r := range header {
			if r < 0x20 || r > 0x7e {
				t.Fatalf("%q has %q", header, r)
			}
		}
		if !challengeSyntax.MatchString(header) {
			t.Fatalf("%q is no challenge", header)
		}
	})
}

func TestReq020_SafeText(t *testing.T) {
	long := strings.Repeat("x", 2*maxSafeText)
	for in, want := range map[string]string{
		"plain text, 1 < 2": "plain text, 1 < 2", "tab\there": "tab?here", "é": "?", `"`: "'", `\`: "?", long: long[:maxSafeText],
	} {
		if got := SafeText(in); got != want {
			t.Errorf("SafeText(%.20q) = %q", in, got)
		}
	}
}

func TestScopes(t *testing.T) {
	have := ParseScopes(" openid  email openid ")
	if diff := cmp.Diff(Scopes{"openid", "email"}, have); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Scopes{"teams"}, have.Missing(Scopes{"email", "teams"})); diff != "" {
		t.Error(diff)
	}
	if got := have.Union(Scopes{"email", "teams"}).String(); got != "openid email teams" {
		t.Error(got)
	}
	if have.String() != "openid email" {
		t.Error("Union changed its receiver")
	}
	if have.Has("Email") {
		t.Error("scopes are case-sensitive")
	}
	for scope, ok := range map[string]bool{"teams:read": true, "https://h/x": true, "": false, `a"b`: false, `a\b`: false, "é": false, "a b": false} {
		if err := (Scopes{scope}).Validate(); (err == nil) != ok {
			t.Errorf("Validate(%q) = %v", scope, err)
		}
	}
}

func TestReq001_MetadataURL(t *testing.T) {
	for resource, want := range map[string]string{
		"https://h":                  "https://h/.well-known/oauth-protected-resource",
		"https://h/":                 "https://h/.well-known/oauth-protected-resource",
		"https://h/mcp":              "https://h/.well-known/oauth-protected-resource/mcp",
		"http://localhost:8/mcp/sse": "http://localhost:8/.well-known/oauth-protected-resource/mcp/sse",
	} {
		if got := MetadataURL(resource); got != want {
			t.Errorf("MetadataURL(%s) = %s", resource, got)
		}
	}
}

func TestReq029_SameResource(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"https://h", "https://h", true},
		{"https://h", "https://h/", true},
		{"https://h/", "https://h", true},
		{"https://h/mcp", "https://h/mcp", true},
		{"https://h/mcp", "https://h/mcp/", false},
		{"https://h/mcp", "https://h/mcpx", false},
		{"https://h/mcp", "https://h", false},
		{"https://h", "https://H", false},
		{"https://h", "http://h", false},
		{"https://h//", "https://h/", false},
		{"https://h?x=/", "https://h?x=", false},
		{"urn:x", "urn:x/", false},
		{"api", "api/", false},
		{"", "/", false},
	} {
		if got := SameResource(tc.a, tc.b); got != tc.same {
			t.Errorf("SameResource(%q, %q) = %v", tc.a, tc.b, got)
		}
	}
}

func TestPKCE(t *testing.T) {
	// RFC 7636 appendix B.
	if got := S256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"); got != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" {
		t.Error(got)
	}
	first, second := NewVerifier(), NewVerifier()
	if len(first) != 43 || first == second {
		t.Errorf("%s, %s", first, second)
	}
}

func TestPrincipal(t *testing.T) {
	p := Principal{Issuer: "i", Subject: "s", ClientID: "c", TokenID: "t"}
	if p.Binding() != (Binding{"i", "s", "c"}) {
		t.Error(p.Binding())
	}
	other := Principal{Issuer: "is", Subject: ""}
	if p.SubjectHash() == other.SubjectHash() || len(p.SubjectHash()) != 16 {
		t.Error("the pseudonym of (issuer, subject) is ambiguous")
	}
	if p.TokenIDHash() == "" || (Principal{}).TokenIDHash() != "" || strings.Contains(p.TokenIDHash(), "t") && len(p.TokenIDHash()) < 16 {
		t.Error(p.TokenIDHash())
	}
}

func TestRefusals(t *testing.T) {
	cause := errors.New("private")
	wrapped := fmt.Errorf("context: %w", Unavailable("Try again.", time.Second, cause))
	if r := AsRefusal(wrapped); r.Status != http.StatusServiceUnavailable || !errors.Is(r, cause) {
		t.Errorf("%+v", r)
	}
	opaque := AsRefusal(cause)
	if opaque.Status != 500 || strings.Contains(opaque.Description, "private") || !strings.Contains(opaque.Error(), "private") {
		t.Errorf("%+v", opaque)
	}
	if r := NoToken(); r.Status != 401 || r.Code != "unauthorized" || r.Description != "No valid bearer token provided" || !r.Challenge {
		t.Errorf("%+v", r)
	}
	if r := InsufficientScope(Scopes{"a"}, Scopes{"b"}); r.Status != 403 || r.Scope.String() != "b a" {
		t.Errorf("%+v", r)
	}
	if r := InsufficientAuthentication([]string{"mfa", "phr"}, time.Minute); r.Status != 401 || !r.Challenge ||
		r.Description != "This operation needs a sign-in of the class mfa or phr, not longer than 60 seconds ago; sign in again" {
		t.Errorf("%+v", r)
	}
	if r := BadRequest("two_headers", "Send one."); r.Status != 400 || r.Challenge {
		t.Errorf("%+v", r)
	}
	if r := InvalidToken("expired", "Expired.", nil); r.Status != 401 || r.Error() != "401 invalid_token: Expired." {
		t.Errorf("%+v", r)
	}
}
