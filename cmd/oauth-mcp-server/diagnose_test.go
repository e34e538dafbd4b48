package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// withInput runs the program with text on its standard input.
func withInput(t *testing.T, env map[string]string, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	lookup := func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	code := run(t.Context(), args, lookup, strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// settingsOf is the environment that gives a server like system's.
func settingsOf(system *apptest.System) map[string]string {
	return map[string]string{
		"SERVER_URL":            system.URL,
		"AUTHORIZATION_SERVERS": system.Config.AuthorizationServers[0],
		"JWT_ISSUER":            system.Config.JWTIssuer,
		"OTUS_URL":              system.Config.OtusURL,
	}
}

// TestLoginVerifyExplain goes the way the help shows: a token from login goes
// into the other commands. The browser is this test binary.
func TestLoginVerifyExplain(t *testing.T) {
	system := apptest.Start(t)
	t.Chdir(t.TempDir())
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_IS_BROWSER", "1")
	env := settingsOf(system)
	env["BROWSER"] = program + " -test.run=^TestBrowser$ -- %s"
	signedIn := withInput(t, env, "", "login", "--timeout=30s")
	token := strings.TrimSpace(signedIn.stdout)
	if signedIn.code != exitOK || strings.Count(token, ".") != 2 || strings.Contains(signedIn.stderr, token) {
		t.Fatalf("login: code %d, %d bytes\n%s", signedIn.code, len(token), signedIn.stderr)
	}
	system.Secret(token)
	verified := withInput(t, nil, token, "verify", system.URL, "--token-file=-", "--json")
	var report struct {
		OK       bool
		Findings []struct{ Name, Status string }
	}
	if err := json.Unmarshal([]byte(verified.stdout), &report); err != nil || !report.OK || len(report.Findings) < 40 || verified.code != exitOK {
		t.Errorf("verify: %+v, %v", verified, err)
	}
	explained := withInput(t, env, "Bearer "+token+"\n", "token", "explain")
	if explained.code != exitOK || !strings.Contains(explained.stdout, "auth0|ana") || !strings.Contains(explained.stdout, "Accepted.") {
		t.Errorf("token explain: %+v", explained)
	}
	file := filepath.Join(t.TempDir(), "token.json")
	written := withInput(t, env, "", "login", "--json", "--output="+file)
	info, err := os.Stat(file)
	if err != nil || written.code != exitOK || written.stdout != "" || info.Mode().Perm() != 0o600 {
		t.Errorf("login --output: %+v, %v", written, err)
	}
}

// A server that takes bound tokens only is a good one too.
func TestVerifyWhereDPoPIsRequired(t *testing.T) {
	system := apptest.Start(t, apptest.WithConfig(func(c *config.Config) { c.DPoP = "required" }))
	if got := invoke(t, nil, "verify", system.URL); got.code != exitOK || !strings.Contains(got.stdout, "DPoP, nothing else") {
		t.Errorf("code %d\n%s", got.code, got.stdout)
	}
}

// TestBrowser is the browser of TestLoginVerifyExplain; among tests it does
// nothing.
func TestBrowser(t *testing.T) {
	target := os.Args[len(os.Args)-1]
	if os.Getenv("TEST_IS_BROWSER") == "" || !strings.HasPrefix(target, "http") {
		return
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
}

func TestTokenExplainJudgesAsTheServerDoes(t *testing.T) {
	system := apptest.Start(t)
	t.Chdir(t.TempDir())
	for defect, reason := range map[string]string{"expired": "expired", "wrong-audience": "wrong_audience", "bad-signature": "bad_signature", "alg-none": "wrong_algorithm"} {
		token := system.Mint(devstack.Mint{Defect: defect})
		got := withInput(t, settingsOf(system), token, "token", "explain")
		if got.code != exitFailed || !strings.Contains(got.stdout, "("+reason+")") {
			t.Errorf("%s: %+v", defect, got)
		}
		if leaks := apptest.Leaks(got.stdout+got.stderr, []string{token}); len(leaks) > 0 {
			t.Errorf("%s: %v", defect, leaks)
		}
		if got := withInput(t, nil, token, "token", "explain", "--offline"); got.code != exitOK {
			t.Errorf("%s, offline: %+v", defect, got)
		}
	}
}

func TestTokenInput(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, input := range map[string]string{"nothing": " \n", "two": "a b", "too long": strings.Repeat("a", maxTokenInput+1)} {
		if got := withInput(t, nil, input, "token", "explain", "--offline"); got.code != exitFailed || got.stdout != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := withInput(t, nil, "", "token", "explain", "a.b.c"); got.code != exitUsage {
		t.Errorf("a token as an argument: %+v", got)
	}
}

func TestVerifyFails(t *testing.T) {
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	if got := invoke(t, nil, "verify", broken.URL); got.code != exitFailed || !strings.Contains(got.stdout, "FAIL     no-token") {
		t.Errorf("%+v", got)
	}
}

func TestDoctor(t *testing.T) {
	system := apptest.Start(t)
	if got := invoke(t, settingsOf(system), "doctor"); got.code != exitOK || !strings.Contains(got.stdout, "1 RS256") {
		t.Errorf("%+v", got)
	}
	env := settingsOf(system)
	env["JWT_ISSUER"] = strings.TrimSuffix(env["JWT_ISSUER"], "/")
	if got := invoke(t, env, "doctor"); got.code != exitFailed || !strings.Contains(got.stdout, "problem  jwt-issuer") {
		t.Errorf("%+v", got)
	}
	env["JWT_LEEWAY"] = "1h"
	if got := invoke(t, env, "doctor", "--json"); got.code != exitFailed || !strings.Contains(got.stdout, "JWT_LEEWAY") || strings.Contains(got.stdout, "upstream-otus") {
		t.Errorf("%+v", got)
	}
}
