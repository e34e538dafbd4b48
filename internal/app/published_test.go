package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// published returns the metadata of POST /mcp and its challenge.
func published(t *testing.T, system *apptest.System) (document map[string]any, challenge string) {
	t.Helper()
	get := func(method, path string) (challenge string, body []byte) {
		request, err := http.NewRequestWithContext(t.Context(), method, system.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := system.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err = io.ReadAll(response.Body); err != nil {
			t.Fatal(err)
		}
		return response.Header.Get("WWW-Authenticate"), body
	}
	_, body := get(http.MethodGet, "/.well-known/oauth-protected-resource/mcp")
	if err := json.Unmarshal(body, &document); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	challenge, _ = get(http.MethodPost, "/mcp")
	return document, challenge
}

// TestReq006_PublishedScopesAreTheOperatorsChoice: one setting decides what
// clients are told to ask for, in both places. The default is what the first
// deployment publishes; doctor and verify warn about its offline_access.
func TestReq006_PublishedScopesAreTheOperatorsChoice(t *testing.T) {
	t.Parallel()
	for scopes, change := range map[string]func(*config.Config){
		"openid profile email offline_access": func(*config.Config) {},
		"teams:read":                          func(c *config.Config) { c.ScopesSupported = oauth.Scopes{"teams:read"} },
		"openid teams:read": func(c *config.Config) {
			c.ScopesSupported, c.RequiredScopes = oauth.Scopes{"openid"}, oauth.Scopes{"teams:read"}
		},
	} {
		document, challenge := published(t, apptest.Start(t, apptest.WithConfig(change)))
		var want []any
		for scope := range strings.FieldsSeq(scopes) {
			want = append(want, scope)
		}
		if diff := cmp.Diff(want, document["scopes_supported"]); diff != "" {
			t.Errorf("%s: metadata (-want +got):\n%s", scopes, diff)
		}
		if !strings.Contains(challenge, ` scope="`+scopes+`"`) {
			t.Errorf("%s: challenge %s", scopes, challenge)
		}
	}
}

// TestReq008_TextsForPeople are published exactly as the operator set them, and
// not at all otherwise.
func TestReq008_TextsForPeople(t *testing.T) {
	t.Parallel()
	document, _ := published(t, apptest.Start(t))
	for _, member := range []string{"resource_name", "resource_documentation"} {
		if value, there := document[member]; there {
			t.Errorf("%s is %v although nobody set it", member, value)
		}
	}
	document, _ = published(t, apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
		c.ResourceName, c.ResourceDocumentation = "Otus <teams>", "https://docs.example.com/otus?lang=es"
	})))
	if document["resource_name"] != "Otus <teams>" || document["resource_documentation"] != "https://docs.example.com/otus?lang=es" {
		t.Errorf("published: %v", document)
	}
}
