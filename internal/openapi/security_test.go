package openapi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const secured = `
openapi: 3.2.0
components:
  securitySchemes:
    oauth: {type: oauth2}
    openid: {type: openIdConnect}
    key: {type: apiKey}
    alias: {$ref: "#/components/securitySchemes/oauth"}
    nowhere: {$ref: "#/components/securitySchemes/gone"}
    circle: {$ref: "#/components/securitySchemes/circle"}
security: [{oauth: [of:all]}]
paths: {/x: {get: {SECURITY}}}`

func loadSecured(tb testing.TB, security string) *Document {
	tb.Helper()
	return mustLoad(tb, strings.Replace(secured, "SECURITY", security, 1))
}

func TestSecurity(t *testing.T) {
	for name, tc := range map[string]struct {
		security string
		scopes   string
		noted    bool
	}{
		"of the document":          {"summary: x", "of:all", false},
		"none":                     {"security: []", "", false},
		"oauth2":                   {"security: [{oauth: [b, a, b]}]", "b a", false},
		"openIdConnect":            {"security: [{openid: [a]}]", "a", false},
		"roles of a key":           {"security: [{key: [admin]}]", "", false},
		"a reference":              {"security: [{alias: [a]}]", "a", false},
		"several schemes":          {"security: [{oauth: [a], key: [], openid: [b, a]}]", "a b", false},
		"the empty alternative":    {"security: [{}]", "", false},
		"anonymous first":          {"security: [{}, {oauth: [a]}]", "", true},
		"the first of several":     {"security: [{oauth: [a]}, {openid: [b]}]", "a", true},
		"equal ones need no note":  {"security: [{oauth: [a]}, {openid: [a]}]", "a", false},
		"as many as are allowed":   {"security: [{oauth: [" + manyScopes(64) + "]}]", strings.ReplaceAll(strings.TrimSuffix(manyScopes(64), ", "), ",", ""), false},
		"no scopes, then a scheme": {"security: [{oauth: []}, {key: []}]", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			document := loadSecured(t, tc.security)
			details := mustDetails(t, document, "GET /x")
			if diff := cmp.Diff(tc.scopes, strings.Join(details.Scopes, " ")); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
			if noted := len(details.Notes) > 0; noted != tc.noted {
				t.Errorf("notes %q", details.Notes)
			}
		})
	}
}

// An operation whose scopes nobody knows must not be open to everybody.
func TestUnknownSecuritySchemesAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ security, want string }{
		"not declared":             {"security: [{oath: [admin]}]", `line 12: GET /x: the security scheme "oath" is not declared under components.securitySchemes`},
		"a reference to nowhere":   {"security: [{nowhere: [admin]}]", `line 9: GET /x: there is nothing at "#/components/securitySchemes/gone"`},
		"references in a circle":   {"security: [{circle: [admin]}]", "in a circle"},
		"in an alternative behind": {"security: [{oauth: [a]}, {oath: [a]}]", `"oath" is not declared`},
		"beside one that is known": {"security: [{oauth: [a], oath: [a]}]", `"oath" is not declared`},
	} {
		t.Run(name, func(t *testing.T) {
			document := loadSecured(t, tc.security)
			if _, err := document.Details(t.Context(), document.Operations[0]); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Details = %v\nwant %q", err, tc.want)
			}
		})
	}
}
