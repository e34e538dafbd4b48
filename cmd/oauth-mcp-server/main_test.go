package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// result is what one run left behind.
type result struct {
	code           int
	stdout, stderr string
}

// invoke runs the program in an empty directory with nothing but env.
func invoke(t *testing.T, env map[string]string, args ...string) result {
	t.Helper()
	t.Chdir(t.TempDir())
	return invokeHere(t.Context(), env, args...)
}

func invokeHere(ctx context.Context, env map[string]string, args ...string) result {
	var stdout, stderr bytes.Buffer
	lookup := func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
	code := run(ctx, args, lookup, strings.NewReader(""), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// golden compares got with a file of this package, or rewrites it. The path is
// made absolute by the caller, before it changes the directory.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", filepath.Base(path), diff)
	}
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckConfigGoldens(t *testing.T) {
	valid := map[string]string{
		"SERVER_URL":          "https://mcp.example.com/",
		"TRUSTED_PROXIES":     "10.0.0.0/8",
		"JWT_ISSUER":          "https://tenant.auth0.com/",
		"OAUTH_CLIENT_ID":     "client-1",
		"OAUTH_CLIENT_SECRET": "hunter2hunter2",
	}
	invalid := map[string]string{
		"SERVER_URL":  "http://mcp.example.com",
		"OTUS_URL":    "https://user:hunter2@otus.example.com",
		"JWT_LEEWAY":  "5 minutes",
		"SESSION_KEY": "hunter2",
	}
	for _, test := range []struct {
		file string
		env  map[string]string
		args []string
		code int
	}{
		{"default.txt", nil, nil, exitOK},
		{"valid.txt", valid, []string{"--log-level=debug"}, exitOK},
		{"valid.json", valid, []string{"--log-level=debug", "--json"}, exitOK},
		{"invalid.txt", invalid, nil, exitFailed},
		{"invalid.json", invalid, []string{"--json"}, exitFailed},
	} {
		t.Run(test.file, func(t *testing.T) {
			path := testdata(t, "check-config-"+test.file)
			got := invoke(t, test.env, append([]string{"check-config"}, test.args...)...)
			if got.code != test.code {
				t.Errorf("exit code %d", got.code)
			}
			golden(t, path, got.stdout+"--- stderr ---\n"+got.stderr)
			if strings.Contains(got.stdout+got.stderr, "hunter2") {
				t.Error("a secret was printed")
			}
		})
	}
}

func TestCheckConfigReadsDotEnvAndSecretFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	const secret = "0123456789abcdef0123456789abcdef"
	for name, text := range map[string]string{
		".env": "SESSION_KEY_FILE=key\nSEVER_URL=x\nLOG_LEVEL=warn\n",
		"key":  secret + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := invokeHere(t.Context(), nil, "check-config", "--json")
	if got.code != exitOK || strings.Contains(got.stdout, secret) {
		t.Fatalf("exit code %d: %s%s", got.code, got.stdout, got.stderr)
	}
	var report struct {
		Settings []config.Setting
		Warnings []config.Warning
	}
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatal(err)
	}
	origins := map[string]config.Origin{}
	for _, setting := range report.Settings {
		if setting.Origin != config.FromDefault {
			origins[setting.Name] = setting.Origin
		}
	}
	want := map[string]config.Origin{"SESSION_KEY": config.FromFile, "LOG_LEVEL": config.FromDotEnv}
	if diff := cmp.Diff(want, origins); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
	if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0].Text, "did you mean SERVER_URL?") {
		t.Errorf("warnings %+v", report.Warnings)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}} {
		got := invoke(t, nil, args...)
		for _, command := range []string{"serve", "dev", "check-config", "doctor", "verify", "login", "token", "tools", "healthcheck", "version"} {
			if !strings.Contains(got.stdout, command) {
				t.Errorf("%v: no %s in the help:\n%s", args, command, got.stdout)
			}
		}
		if got.code != exitOK || got.stderr != "" {
			t.Errorf("%v: exit code %d, %q", args, got.code, got.stderr)
		}
	}
	for _, command := range []string{"serve", "dev", "check-config", "doctor", "verify", "login", "token explain", "tools list", "tools lint", "tools diff", "tools call", "healthcheck", "version"} {
		got := invoke(t, nil, append(strings.Fields(command), "--help")...)
		if got.code != exitOK || !strings.Contains(got.stdout, "    oauth-mcp-server "+command) {
			t.Errorf("%s --help has no example:\n%s", command, got.stdout)
		}
	}
}

// configured are the commands that take every setting as a flag.
var configured = []string{"serve", "check-config", "doctor"}

func TestHelpNamesEveryFlag(t *testing.T) {
	for _, command := range configured {
		got := invoke(t, nil, command, "--help")
		for _, field := range config.Fields() {
			want := []string{"--" + field.Flag() + "=" + field.Placeholder, "(" + field.Name + ")"}
			if field.Secret {
				want = append(want, "--"+field.FileFlag()+"=PATH")
			}
			for _, text := range want {
				if !strings.Contains(got.stdout, text) {
					t.Errorf("%s --help does not say %s", command, text)
				}
			}
		}
	}
}

// TestEveryFlagArrives sets each flag to a text that is not empty and looks for
// its origin in what the flags made of it.
func TestEveryFlagArrives(t *testing.T) {
	for _, field := range config.Fields() {
		value := field.Default
		if value == "" {
			value = "1"
		}
		got := invoke(t, nil, "check-config", "--json", "--"+field.Flag()+"="+value)
		var report struct {
			Settings []config.Setting
			Problems []config.Problem
		}
		if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
			t.Fatalf("%s: %v", field.Name, err)
		}
		arrived := false
		for _, setting := range report.Settings {
			arrived = arrived || setting.Name == field.Name && setting.Origin == config.FromFlag
		}
		for _, problem := range report.Problems {
			arrived = arrived || problem.Name == field.Name || strings.Contains(problem.Shape, field.Name)
		}
		if !arrived && field.Name != "OAUTH_CLIENT_SECRET" { // its problem names the client that is missing
			t.Errorf("--%s did not arrive: %s", field.Flag(), got.stdout)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"check-config", "--nonsense"}, {"check-config", "extra"}, {"version", "--server-url=x"}, {"dev", "--port=65534"}, {"dev", "--log-level=loud"}, {"dev", "--server-url=x"}} {
		got := invoke(t, nil, args...)
		if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, "--help") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestVersion(t *testing.T) {
	if got := invoke(t, nil, "version"); got.code != exitOK || !strings.HasPrefix(got.stdout, "oauth-mcp-server ") {
		t.Errorf("%+v", got)
	}
	var b build
	if err := json.Unmarshal([]byte(invoke(t, nil, "version", "--json").stdout), &b); err != nil {
		t.Fatal(err)
	}
	if b.Version == "" || b.Go == "" || b.Platform == "" {
		t.Errorf("%+v", b)
	}
}

func TestHealthcheck(t *testing.T) {
	status := http.StatusOK
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/healthz" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	plainAddr, secureAddr := plain.Listener.Addr().String(), secure.Listener.Addr().String()
	_, port, _ := strings.Cut(plainAddr, ":")
	for _, test := range []struct {
		name   string
		status int
		env    map[string]string
		args   []string
		code   int
	}{
		{"healthy", http.StatusOK, map[string]string{"LISTEN_ADDR": plainAddr}, nil, exitOK},
		{"as a flag", http.StatusOK, nil, []string{"--listen-addr=" + plainAddr}, exitOK},
		{"every interface", http.StatusOK, map[string]string{"LISTEN_ADDR": "0.0.0.0:" + port}, nil, exitOK},
		{"every interface, short", http.StatusOK, map[string]string{"LISTEN_ADDR": ":" + port}, nil, exitOK},
		{"own TLS", http.StatusOK, map[string]string{"LISTEN_ADDR": secureAddr, "TLS_CERT_FILE": "cert", "TLS_KEY_FILE": "key"}, nil, exitOK},
		{"not healthy", http.StatusServiceUnavailable, map[string]string{"LISTEN_ADDR": plainAddr}, nil, exitFailed},
		{"redirect", http.StatusFound, map[string]string{"LISTEN_ADDR": plainAddr}, nil, exitFailed},
		{"nobody there", http.StatusOK, map[string]string{"LISTEN_ADDR": "127.0.0.1:1"}, nil, exitFailed},
		{"no address", http.StatusOK, map[string]string{"LISTEN_ADDR": "nonsense"}, nil, exitFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			status = test.status
			got := invoke(t, test.env, append([]string{"healthcheck"}, test.args...)...)
			if got.code != test.code {
				t.Errorf("%+v", got)
			}
		})
	}
}
