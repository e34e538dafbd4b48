package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// The command and a running server meet in a real store.
func TestReq039_RevokeCommand(t *testing.T) {
	store := teststore.Start(t)
	key := strings.Repeat("k", 32)
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) {
		c.ClusterURL, c.SessionKey = secret.New(store.URL), secret.New(key)
	}))
	t.Chdir(t.TempDir())
	env := map[string]string{"SERVER_URL": system.URL, "CLUSTER_URL": store.URL, "SESSION_KEY": key}
	status := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, system.URL+"/mcp", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+system.Token("ana"))
		response, err := system.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	got := withInput(t, env, "", "revoke", "--subject=auth0|ana", "--for=1h", "--json")
	var result struct {
		Revoked string
		Until   time.Time
	}
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil || got.code != exitOK ||
		result.Revoked != "subject auth0|ana of any issuer" || time.Until(result.Until) > time.Hour || time.Until(result.Until) < 50*time.Minute {
		t.Fatalf("code %d, %s%s, %v", got.code, got.stdout, got.stderr, err)
	}
	apptest.Eventually(t, "the server refuses her", func() bool { return status() == http.StatusUnauthorized })
	got = withInput(t, env, "", "revoke", "--subject=auth0|ana", "--undo")
	if got.code != exitOK || !strings.HasPrefix(got.stdout, "Taken back: subject auth0|ana of any issuer. Replicas told: ") {
		t.Errorf("code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	apptest.Eventually(t, "the server takes her back", func() bool { return status() == http.StatusMethodNotAllowed })

	for says, args := range map[string][]string{
		"can't be used together": {"--jti=x", "--subject=y"},
		"missing flags":          {},
		"goes with a subject":    {"--jti=x", "--issuer=https://i"},
		"is not between":         {"--jti=x", "--for=721h"},
	} {
		if got := withInput(t, env, "", append([]string{"revoke"}, args...)...); got.code == exitOK || !strings.Contains(got.stderr, says) {
			t.Errorf("%v: code %d, %s", args, got.code, got.stderr)
		}
	}
	delete(env, "SESSION_KEY")
	if got := withInput(t, env, "", "revoke", "--jti=x"); got.code == exitOK || !strings.Contains(got.stderr, "SESSION_KEY") {
		t.Errorf("without the key: %s", got.stderr)
	}
}
