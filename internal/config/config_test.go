package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the generated files and goldens")

// env makes a lookup function of a map.
func env(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

// write puts text into a fresh file that only the owner may read.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// golden compares got with a file of the repository, or rewrites it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not current; run go test ./internal/config -update (-want +got):\n%s", path, diff)
	}
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, field := range Fields() {
		if field.Default != "" {
			if err := decode(field, field.Default, c.pointer(field)); err != nil {
				t.Errorf("default of %s: %v", field.Name, err)
			}
		}
	}
	if c.Production() {
		t.Error("the default counts as production")
	}
}

func TestZeroConfigIsRefused(t *testing.T) {
	problems := map[string]bool{}
	for _, problem := range Problems(Config{}.Validate()) {
		problems[problem.Name] = true
	}
	for _, name := range []string{"SERVER_URL", "LISTEN_ADDR", "AUTHORIZATION_SERVERS", "OTUS_URL", "LOG_LEVEL", "LOG_FORMAT", "SSE_MAX_AGE", "SHUTDOWN_TIMEOUT"} {
		if !problems[name] {
			t.Errorf("%s: the zero value passed", name)
		}
	}
	if !(Config{}).Production() {
		t.Error("the zero Config does not count as production")
	}
	if got := (Config{}).Audiences(); got != nil {
		t.Errorf("the zero Config accepts the audiences %v", got)
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, field := range Fields() {
		if field.Name == "" || field.Group == "" || field.Placeholder == "" || !strings.HasSuffix(field.Help, ".") {
			t.Errorf("%+v: name, group, placeholder and a sentence of help are needed", field)
		}
		if seen[field.Name] {
			t.Errorf("%s is declared twice", field.Name)
		}
		seen[field.Name] = true
		if field.Default != "" && field.Derived != "" {
			t.Errorf("%s has two defaults", field.Name)
		}
	}
	markdown, err := Markdown()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"Markdown": string(markdown), "EnvExample": string(EnvExample())} {
		for _, field := range Fields() {
			if !strings.Contains(text, field.Name) {
				t.Errorf("%s does not name %s", name, field.Name)
			}
			if field.Secret && !strings.Contains(text, field.FileName()) {
				t.Errorf("%s does not name %s", name, field.FileName())
			}
		}
	}
}

func TestGeneratedFilesAreCurrent(t *testing.T) {
	markdown, err := Markdown()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../../docs/configuration.md", markdown)
	golden(t, "../../.env.example", EnvExample())
}

// TestEnvExampleIsADotEnv uncomments every line with a value and reads it back.
func TestEnvExampleIsADotEnv(t *testing.T) {
	var lines []string
	for line := range strings.Lines(string(EnvExample())) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") {
			line = line[1:]
		}
		lines = append(lines, line)
	}
	loaded, err := Load(Source{DotEnv: write(t, ".env", strings.Join(lines, ""))})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(loaded.Warnings, []Warning(nil)); diff != "" {
		t.Error(diff)
	}
	for _, setting := range loaded.Settings {
		for _, field := range Fields() {
			if field.Name == setting.Name && field.Default != "" && setting.Origin != FromDotEnv {
				t.Errorf("%s came from %s", setting.Name, setting.Origin)
			}
		}
	}
}

func TestDerivedValues(t *testing.T) {
	c := Default()
	c.ServerURL = "https://mcp.example.com"
	if diff := cmp.Diff([]string{"https://mcp.example.com", "https://mcp.example.com/mcp", "https://mcp.example.com/mcp/sse"}, c.Audiences()); diff != "" {
		t.Error(diff)
	}
	c.JWTAudience = []string{"api"}
	if diff := cmp.Diff([]string{"api"}, c.Audiences()); diff != "" {
		t.Error(diff)
	}
	for _, test := range []struct {
		url        string
		production bool
		hosts      []string
	}{
		{"http://localhost:8000", false, []string{"localhost", "extra:1", "::2", "[::3]:4", "127.0.0.1", "::1"}},
		{"http://[::1]:8000", false, []string{"::1", "extra:1", "::2", "[::3]:4", "localhost", "127.0.0.1"}},
		{"https://mcp.example.com:8443", true, []string{"mcp.example.com", "extra:1", "::2", "[::3]:4"}},
		{"https://localhost.example.com", true, []string{"localhost.example.com", "extra:1", "::2", "[::3]:4"}},
		{"http://127.0.0.2:8000", true, []string{"127.0.0.2", "extra:1", "::2", "[::3]:4"}},
		{"://", true, []string{"extra:1", "::2", "[::3]:4"}},
	} {
		c := Config{ServerURL: test.url, AllowedHosts: []string{"Extra:1", "[::2]", "[::3]:4"}}
		if got := c.Production(); got != test.production {
			t.Errorf("%s: production %v", test.url, got)
		}
		if diff := cmp.Diff(test.hosts, c.Hosts()); diff != "" {
			t.Errorf("%s: hosts (-want +got):\n%s", test.url, diff)
		}
	}
}
