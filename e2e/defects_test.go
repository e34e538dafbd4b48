package e2e

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// Sentences that several defects share.
const (
	signInAgain    = "The token's signature does not fit its issuer's keys: it was changed on the way or comes from somebody else. Sign in again."
	notPublished   = "The token is signed with a key that its issuer does not publish, or no longer; sign in again."
	notAJWT        = "The token is encrypted or opaque, not a signed JWT: the authorization request named no API. Send the resource parameter, or set a default audience at the identity provider."
	ambiguous      = "The token has a member twice, or one that differs from a registered name only by case; its readers could disagree about it. Report this to who issued it."
	nobody         = "The token names nobody (sub); this server needs to know who calls."
	idToken        = "This is an ID token; send the access_token of the token response instead."
	noExtension    = "The token's header demands an extension (crit, b64) that this server does not have; ask the identity provider for a plain JWT."
	accepts        = "this server accepts SERVER, SERVER/mcp, SERVER/mcp/sse. Send the resource parameter, or set a default audience at the identity provider."
	tooEarly       = "The token is not valid before TIME; wait, or compare the clocks of this server and the identity provider."
	metadataHint   = "Sign in at the authorization server that this server's metadata names."
	otherAlgorithm = "this server accepts RS256 from its issuer. Change the API's signing algorithm at the identity provider."
)

// refusals has the sentence that each defect of the forge is refused with, with
// addresses and times replaced.
var refusals = map[string]string{
	"expired":               "The token expired at TIME; refresh it or sign in again.",
	"not-yet-valid":         tooEarly,
	"issued-in-future":      tooEarly,
	"no-expiry":             "The token has no expiry (exp); this server accepts only tokens that expire.",
	"expiry-as-text":        "A claim of the token is not what it should be: exp is not a number but a string. Report this to who issued it.",
	"expiry-overflow":       "A claim of the token is not what it should be: exp is outside the years 1970 to 9999. Report this to who issued it.",
	"wrong-issuer":          "The token's issuer is https://issuer.example/; this server accepts ISSUER/. " + metadataHint,
	"issuer-slash":          "The token's issuer is ISSUER; this server accepts ISSUER/. They differ only by a trailing slash: set JWT_ISSUER to the token's issuer.",
	"no-issuer":             "The token's issuer is (empty); this server accepts ISSUER/. " + metadataHint,
	"wrong-audience":        "The token is for https://other-api.example; " + accepts,
	"no-audience":           "The token names no audience; " + accepts,
	"empty-audience":        "The token names no audience; " + accepts,
	"audience-as-number":    "A claim of the token is not what it should be: aud is neither a string nor a list of strings but a number. Report this to who issued it.",
	"no-subject":            nobody,
	"empty-subject":         nobody,
	"bad-signature":         signInAgain,
	"no-signature":          signInAgain,
	"unknown-kid":           notPublished,
	"wrong-key":             signInAgain,
	"alg-none":              "The token is signed with the algorithm none; " + otherAlgorithm,
	"hs256-with-public-key": "The token is signed with the algorithm HS256; " + otherAlgorithm,
	"ps256":                 "The token is signed with the algorithm PS256; " + otherAlgorithm,
	"embedded-key":          signInAgain,
	"key-url":               notPublished,
	"id-token":              idToken,
	"id-token-for-api":      idToken,
	"wrong-typ":             "The token is of the type logout+jwt, which is not an access token; send the access_token of the token response.",
	"jwe":                   notAJWT,
	"opaque":                notAJWT,
	"sender-constrained":    "The token is bound to a key (cnf), and this server takes plain bearer tokens only; ask for one without DPoP or mutual TLS.",
	"crit":                  noExtension,
	"b64-false":             noExtension,
	"duplicate-claim":       ambiguous,
	"folded-claim":          ambiguous,
	"upper-case-claim":      ambiguous,
	"four-segments":         notAJWT,
	"oversize":              "The token is longer than 16 KiB; ask the identity provider for a smaller one.",
	"padded-base64":         "The token is not a well-formed JWT; pass it on whole and unchanged, or sign in again.",
}

var timestamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// normalized replaces what differs from run to run.
func normalized(system *apptest.System, text string) string {
	issuer := strings.TrimSuffix(system.Stack.URLs().TokenIssuer, "/")
	return timestamp.ReplaceAllString(strings.NewReplacer(system.URL, "SERVER", issuer, "ISSUER").Replace(text), "TIME")
}

// door is one way into the server.
type door struct {
	name, method, path, metadata string
}

func doors(session *stream) []door {
	const root = "SERVER/.well-known/oauth-protected-resource"
	return []door{
		{"POST mcp", http.MethodPost, "/mcp", root + "/mcp"},
		{"GET sse", http.MethodGet, "/mcp/sse", root},
		{"POST sse", http.MethodPost, session.endpoint, root},
	}
}

// knock sends a tools/call, or opens a stream, with token.
func knock(t *testing.T, system *apptest.System, d door, token string) answer {
	t.Helper()
	body := ""
	if d.method == http.MethodPost {
		body = callTeams
	}
	return send(t, system, newRequest(t.Context(), t, d.method, system.URL+d.path, token, body))
}

// challenge is the whole WWW-Authenticate of a refused token.
func challenge(d door, description string) string {
	return `Bearer resource_metadata="` + d.metadata + `", scope="openid profile email offline_access", ` +
		`error="invalid_token", error_description="` + description + `"`
}

// TestEveryDefectIsRefused sends each defect of the forge through every door,
// with a good session behind the third one. The challenge and the body are
// exact, and Otus never hears of it.
func TestEveryDefectIsRefused(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	session := openStream(t, system, system.Token("ana"))
	if got := post(t, system, "/mcp", system.Token("ana"), callTeams); got.status != http.StatusOK {
		t.Fatalf("a good token: %d %s", got.status, got.body)
	}
	before := len(system.Stack.OtusRequests())
	for _, defect := range devstack.Defects() {
		want, known := refusals[defect]
		if !known {
			t.Errorf("the defect %q is not in the table", defect)
			continue
		}
		token := system.Mint(devstack.Mint{Defect: defect})
		for _, d := range doors(session) {
			t.Run(defect+"/"+d.name, func(t *testing.T) {
				got := knock(t, system, d, token)
				if got.status != http.StatusUnauthorized {
					t.Errorf("status %d, want 401", got.status)
				}
				if diff := cmp.Diff(challenge(d, want), normalized(system, strings.Join(got.header.Values("WWW-Authenticate"), "\n"))); diff != "" {
					t.Errorf("WWW-Authenticate (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(`{"error":"invalid_token","error_description":"`+want+`"}`, normalized(system, got.body)); diff != "" {
					t.Errorf("body (-want +got):\n%s", diff)
				}
			})
		}
	}
	if after := len(system.Stack.OtusRequests()); after != before {
		t.Errorf("Otus saw %d requests of refused tokens, want none", after-before)
	}
}

// TestNoToken is the answer that every client starts from, word for word.
func TestNoToken(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	session := openStream(t, system, system.Token("ana"))
	for _, d := range doors(session) {
		t.Run(d.name, func(t *testing.T) {
			got := knock(t, system, d, "")
			if got.status != http.StatusUnauthorized {
				t.Errorf("status %d, want 401", got.status)
			}
			want := `Bearer resource_metadata="` + d.metadata + `", scope="openid profile email offline_access"`
			if diff := cmp.Diff(want, normalized(system, got.header.Get("WWW-Authenticate"))); diff != "" {
				t.Errorf("WWW-Authenticate (-want +got):\n%s", diff)
			}
			if got.header.Get("Content-Type") != "application/json" {
				t.Errorf("Content-Type %q, want application/json", got.header.Get("Content-Type"))
			}
			if diff := cmp.Diff(`{"error":"unauthorized","error_description":"No valid bearer token provided"}`, got.body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMetadataWordForWord is what clients find next.
func TestMetadataWordForWord(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	for path, resource := range map[string]string{"": system.URL, "/mcp": system.URL + "/mcp", "/mcp/sse": system.URL + "/mcp/sse"} {
		got := send(t, system, newRequest(t.Context(), t, http.MethodGet, system.URL+"/.well-known/oauth-protected-resource"+path, "", ""))
		want := map[string]any{
			"resource":                 resource,
			"authorization_servers":    []any{system.Stack.URLs().AuthorizationServer},
			"scopes_supported":         []any{"openid", "profile", "email", "offline_access"},
			"bearer_methods_supported": []any{"header"},
		}
		var document map[string]any
		if err := json.Unmarshal([]byte(got.body), &document); err != nil {
			t.Fatalf("%v in %s", err, got.body)
		}
		if diff := cmp.Diff(want, document); got.status != http.StatusOK || diff != "" {
			t.Errorf("%q: status %d (-want +got):\n%s", path, got.status, diff)
		}
	}
}
