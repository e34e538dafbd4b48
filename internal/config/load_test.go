package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// setting returns the effective value and its origin.
func (l Loaded) setting(t *testing.T, name string) Setting {
	t.Helper()
	i := slices.IndexFunc(l.Settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no setting %s", name)
	}
	return l.Settings[i]
}

func TestPrecedence(t *testing.T) {
	for _, test := range []struct {
		name              string
		flag, env, dotenv string
		want              string
		origin            Origin
	}{
		{"nothing", "", "", "", "http://localhost:8000", FromDefault},
		{".env beats default", "", "", "http://localhost:3", "http://localhost:3", FromDotEnv},
		{"environment beats .env", "", "http://localhost:2", "http://localhost:3", "http://localhost:2", FromEnvironment},
		{"flag beats environment", "http://localhost:1", "http://localhost:2", "http://localhost:3", "http://localhost:1", FromFlag},
		{"flag beats .env", "http://localhost:1", "", "http://localhost:3", "http://localhost:1", FromFlag},
		{"white space is not set", "\t", "  ", "http://localhost:3", "http://localhost:3", FromDotEnv},
		{"space around is dropped", "", " http://localhost:2\n", "", "http://localhost:2", FromEnvironment},
	} {
		t.Run(test.name, func(t *testing.T) {
			loaded, err := Load(Source{
				Flags:     map[string]string{"SERVER_URL": test.flag},
				LookupEnv: env(map[string]string{"SERVER_URL": test.env}),
				DotEnv:    write(t, ".env", "SERVER_URL="+test.dotenv+"\n"),
			})
			if err != nil {
				t.Fatal(err)
			}
			want := Setting{Name: "SERVER_URL", Value: test.want, Origin: test.origin}
			if diff := cmp.Diff(want, loaded.setting(t, "SERVER_URL")); diff != "" {
				t.Error(diff)
			}
			if loaded.Config.ServerURL != test.want {
				t.Errorf("SERVER_URL is %q", loaded.Config.ServerURL)
			}
		})
	}
}

func TestTypedValues(t *testing.T) {
	loaded, err := Load(Source{LookupEnv: env(map[string]string{
		"AUTHORIZATION_SERVERS": "https://b.example/, https://a.example https://b.example/",
		"SCOPES_SUPPORTED":      "openid,teams:read  openid",
		"JWT_LEEWAY":            "0s",
		"TRUSTED_PROXIES":       "10.1.2.3/8 192.0.2.1,2001:db8::/32 ::ffff:192.0.2.7",
		"LOG_LEVEL":             "DEBUG",
		"SSE_MAX_AGE":           "90m",
		"RATE_LIMIT_PRINCIPAL":  "10/s",
		"RATE_LIMIT_TOOL":       "90/90s",
		"RATE_LIMIT_GLOBAL":     "OFF",
		"SCOPE_HIERARCHY":       "admin>write>read, admin>audit",
	})})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, setting := range loaded.Settings {
		if setting.Origin == FromEnvironment {
			got[setting.Name] = setting.Value
		}
	}
	want := map[string]string{
		"AUTHORIZATION_SERVERS": "https://b.example/ https://a.example", // in the order given
		"SCOPES_SUPPORTED":      "openid teams:read",
		"JWT_LEEWAY":            "0s",
		"TRUSTED_PROXIES":       "10.0.0.0/8 192.0.2.1/32 2001:db8::/32 192.0.2.7/32",
		"LOG_LEVEL":             "debug",
		"SSE_MAX_AGE":           "1h30m",
		"RATE_LIMIT_PRINCIPAL":  "10/1s",
		"RATE_LIMIT_TOOL":       "90/1m30s",
		"RATE_LIMIT_GLOBAL":     "off",
		"SCOPE_HIERARCHY":       "admin>write>read admin>audit",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRatesThatCannotBeRead(t *testing.T) {
	for _, text := range []string{"0/1m", "-1/1m", "1000001/1m", "5/500ms", "5/2h", "5", "5/", "/1m", "5/1", "5/-1m", "x/1m", "0/0s", "none"} {
		_, err := Load(Source{LookupEnv: env(map[string]string{"RATE_LIMIT_TOOL": text})})
		problems := Problems(err)
		if len(problems) != 1 || problems[0].Name != "RATE_LIMIT_TOOL" || !strings.Contains(problems[0].Fix, "such as 1200/1m, or off") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	file := write(t, "key", key+"\r\n")
	long := write(t, "long", strings.Repeat("x", maxSecretBytes+1))
	empty := write(t, "empty", "\n")
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		name    string
		source  Source
		want    string
		origin  Origin
		problem string // name of the only problem, "" for none
	}{
		{"from the environment", Source{LookupEnv: env(map[string]string{"SESSION_KEY_FILE": file})}, key, FromFile, ""},
		{"from .env", Source{DotEnv: write(t, ".env", "SESSION_KEY_FILE="+file)}, key, FromFile, ""},
		{"from a flag", Source{Flags: map[string]string{"SESSION_KEY_FILE": file}}, key, FromFile, ""},
		{"both", Source{LookupEnv: env(map[string]string{"SESSION_KEY_FILE": file, "SESSION_KEY": key})}, "", FromEnvironment, "SESSION_KEY"},
		{"both, in two places", Source{LookupEnv: env(map[string]string{"SESSION_KEY": key}), DotEnv: write(t, ".env", "SESSION_KEY_FILE="+file)}, "", FromEnvironment, "SESSION_KEY"},
		{"missing", Source{LookupEnv: env(map[string]string{"SESSION_KEY_FILE": missing})}, "", FromFile, "SESSION_KEY_FILE"},
		{"directory", Source{LookupEnv: env(map[string]string{"SESSION_KEY_FILE": t.TempDir()})}, "", FromFile, "SESSION_KEY_FILE"},
		{"empty", Source{LookupEnv: env(map[string]string{"SESSION_KEY_FILE": empty})}, "", FromFile, "SESSION_KEY_FILE"},
		{"too long", Source{LookupEnv: env(map[string]string{"SESSION_KEY_FILE": long})}, "", FromFile, "SESSION_KEY_FILE"},
		{"too short a key", Source{LookupEnv: env(map[string]string{"SESSION_KEY": "short"})}, "short", FromEnvironment, "SESSION_KEY"},
		{"control characters", Source{LookupEnv: env(map[string]string{"SESSION_KEY": key + "\x00"})}, "", FromEnvironment, "SESSION_KEY"},
	} {
		t.Run(test.name, func(t *testing.T) {
			loaded, err := Load(test.source)
			var names []string
			for _, problem := range Problems(err) {
				names = append(names, problem.Name)
				if strings.Contains(problem.Error(), key) {
					t.Errorf("a problem holds the secret: %v", problem)
				}
			}
			var want []string
			if test.problem != "" {
				want = []string{test.problem}
			}
			if diff := cmp.Diff(want, names); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if got := loaded.Config.SessionKey.Reveal(); got != test.want {
				t.Errorf("got a key of %d characters", len(got))
			}
			if got := loaded.setting(t, "SESSION_KEY").Origin; got != test.origin {
				t.Errorf("origin %s", got)
			}
		})
	}
}

func TestReq089_EveryProblemIsReportedTogether(t *testing.T) {
	dotenv := write(t, ".env", "JWT_LEEWAY=soon\nthis is not a setting\nSSE_MAX_AGE=0s\nSSE_MAX_AGE=1h\nSESSION_KEY=ab$CD\n")
	loaded, err := Load(Source{
		DotEnv: dotenv,
		Flags:  map[string]string{"LOG_LEVEL": "loud"},
		LookupEnv: env(map[string]string{
			"SERVER_URL":            "http://mcp.example.com",
			"AUTHORIZATION_SERVERS": "http://idp.example.com https://ok.example http://other.example",
			"OTUS_URL":              "http://user:hunter2@otus.example.com?key=hunter3",
			"TRUSTED_PROXIES":       "10.0.0.0/8 nonsense 0.0.0.0/0 10.0.0.0/33",
			"OAUTH_CLIENT_SECRET":   "hunter4",
			"TLS_CERT_FILE":         filepath.Join(t.TempDir(), "none.pem"),
			"CLUSTER_URL":           "redis://:hunter5@redis:6379?db=1",
		}),
	})
	var got []string
	for _, problem := range Problems(err) {
		got = append(got, problem.Name)
		if problem.Shape == "" || problem.Fix == "" {
			t.Errorf("%s: shape %q, fix %q", problem.Name, problem.Shape, problem.Fix)
		}
	}
	want := []string{
		dotenv, dotenv, dotenv, // malformed, twice, dollar
		"SERVER_URL", "TLS_CERT_FILE", "TLS_KEY_FILE",
		"AUTHORIZATION_SERVERS", "AUTHORIZATION_SERVERS", "JWT_LEEWAY",
		"OAUTH_CLIENT_ID", "SESSION_KEY", "OTUS_URL",
		"TRUSTED_PROXIES", "TRUSTED_PROXIES", // both malformed entries
		"LOG_LEVEL", "SSE_MAX_AGE", "CLUSTER_URL",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, err)
	}
	var text bytes.Buffer
	if err := errors.Join(WriteProblems(&text, Problems(err)), loaded.WriteJSON(&text, Problems(err)), WriteWarnings(&text, loaded.Warnings)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String()+err.Error(), "hunter") || strings.Contains(text.String(), "ab$CD") {
		t.Errorf("a secret was printed:\n%s", text.String())
	}
}

func TestDotEnv(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       map[string]string
		problem    string // part of the only problem's text
	}{
		{"plain", "# note\n\nLOG_LEVEL=warn # quiet\nexport LOG_FORMAT=text\nOTHER=1\n", map[string]string{"LOG_LEVEL": "warn", "LOG_FORMAT": "text", "OTHER": "1"}, ""},
		{"windows", "\ufeffLOG_LEVEL=warn\r\nLOG_FORMAT=text\r\n", map[string]string{"LOG_LEVEL": "warn", "LOG_FORMAT": "text"}, ""},
		{"quotes", "RESOURCE_NAME=\"a b\"\nSESSION_KEY='x$Y${Z}\"'\n", map[string]string{"RESOURCE_NAME": "a b", "SESSION_KEY": `x$Y${Z}"`}, ""},
		{"escaped dollar", `SESSION_KEY="x\$Y"`, map[string]string{"SESSION_KEY": "x$Y"}, ""},
		{"several lines", "RESOURCE_NAME='a\nb'\nLOG_LEVEL=warn", map[string]string{"RESOURCE_NAME": "a\nb", "LOG_LEVEL": "warn"}, ""},
		{"empty value", "LOG_LEVEL=\nLOG_FORMAT=text", map[string]string{"LOG_LEVEL": "", "LOG_FORMAT": "text"}, ""},
		{"no equals sign at the end", "LOG_LEVEL=warn\nhunter2", map[string]string{"LOG_LEVEL": "warn"}, "line 2 is not NAME=value"},
		{"no equals sign", "hunter2\nLOG_LEVEL=warn", map[string]string{"LOG_LEVEL": "warn"}, "line 1 is not NAME=value"},
		{"name with a dash", "LOG-LEVEL=hunter2", map[string]string{}, "line 1 is not NAME=value"},
		{"open quote", "LOG_LEVEL=warn\nSESSION_KEY=\"hunter2\nLOG_FORMAT=text", map[string]string{"LOG_LEVEL": "warn"}, "line 2 is not NAME=value"},
		{"text after the quote", `SESSION_KEY="hunter2" hunter3`, map[string]string{}, "line 1 is not NAME=value"},
		{"twice", "LOG_LEVEL=warn\n\nLOG_LEVEL=info", map[string]string{"LOG_LEVEL": "warn"}, "line 3 sets LOG_LEVEL again, after line 1"},
		{"dollar", "SESSION_KEY=hunter$2", map[string]string{}, "line 1 has a dollar sign"},
		{"dollar and bracket", `SESSION_KEY="hunter$(x"`, map[string]string{}, "line 1 has a dollar sign"},
		{"dollar elsewhere", "PATH_OF_OTHERS=$HOME/bin\nLOG_LEVEL=warn # costs $5", map[string]string{"PATH_OF_OTHERS": "/bin", "LOG_LEVEL": "warn"}, ""},
		{"too many lines", strings.Repeat("\n", maxDotEnvLines), map[string]string{}, "more than 1000 lines"},
		{"too large", "A=" + strings.Repeat("x", maxDotEnvBytes), map[string]string{}, "is larger than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, err := readDotEnv(write(t, ".env", test.text))
			if diff := cmp.Diff(test.want, file.values); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			problems := Problems(err)
			if test.problem == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if len(problems) != 1 || !strings.Contains(problems[0].Shape, test.problem) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "hunter") {
				t.Errorf("the problem quotes the file: %v", err)
			}
		})
	}
}

func TestDotEnvThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(Source{DotEnv: filepath.Join(dir, "none")}); err != nil {
		t.Errorf("a missing file: %v", err)
	}
	_, err := Load(Source{DotEnv: dir})
	if problems := Problems(err); len(problems) != 1 || problems[0].Name != dir || problems[0].Shape != "is a directory" {
		t.Errorf("a directory: %v", err)
	}
}

func TestReq089_Warnings(t *testing.T) {
	secretFile := write(t, "secret", "hunter2")
	if err := os.Chmod(secretFile, 0o644); err != nil {
		t.Fatal(err)
	}
	readable := write(t, ".env", "OAUTH_CLIENT_SECRET=hunter2\nOAUTH_CLIENT_ID=x\n")
	if err := os.Chmod(readable, 0o644); err != nil {
		t.Fatal(err)
	}
	plain := write(t, ".env", "OAUTH_CLIENT_ID=x\n")
	if err := os.Chmod(plain, 0o644); err != nil {
		t.Fatal(err)
	}
	production := map[string]string{"SERVER_URL": "https://mcp.example.com", "TRUSTED_PROXIES": "10.0.0.0/8", "OAUTH_CLIENT_ID": "x"}
	for _, test := range []struct {
		name   string
		source Source
		want   []string // part of each warning, in order
	}{
		{"none", Source{}, nil},
		{"typo", Source{DotEnv: write(t, ".env", "SEVER_URL=x\nserver_url=x\nSESSION_KEYFILE=x\nREDIS_URL=x\nHOME=x\nJWKS_URI=x")}, []string{
			`line 1 sets "SEVER_URL", which is not a setting; did you mean SERVER_URL?`,
			`line 2 sets "server_url", which is not a setting; did you mean SERVER_URL?`,
			`line 3 sets "SESSION_KEYFILE", which is not a setting; did you mean SESSION_KEY_FILE?`,
			`line 6 sets "JWKS_URI", which is not a setting; did you mean JWKS_URL?`,
		}},
		{"readable .env with a secret", Source{DotEnv: readable}, []string{"chmod 600"}},
		{"readable .env without secret", Source{DotEnv: plain}, nil},
		{"readable secret file", Source{LookupEnv: env(map[string]string{"OAUTH_CLIENT_SECRET_FILE": secretFile, "OAUTH_CLIENT_ID": "x"})}, []string{"every user of this machine may read"}},
		{"secret as a flag", Source{Flags: map[string]string{"OAUTH_CLIENT_SECRET": "hunter2", "OAUTH_CLIENT_ID": "x"}}, []string{"--oauth-client-secret-file"}},
		{"canonical form", Source{LookupEnv: env(map[string]string{"SERVER_URL": "http://LOCALHOST:80/"})}, []string{`is used as "http://localhost"`}},
		{"development on every interface", Source{LookupEnv: env(map[string]string{"LISTEN_ADDR": "0.0.0.0:8000"})}, []string{"other machines"}},
		{"generated key in production", Source{LookupEnv: env(production)}, []string{"is generated at each start"}},
		{"scope nobody asks for", Source{LookupEnv: env(map[string]string{"REQUIRED_SCOPES": "openid teams:read"})}, []string{`asks for "teams:read"`}},
		{"audience without client", Source{LookupEnv: env(map[string]string{"OAUTH_AUDIENCE": "x"})}, []string{"does nothing without"}},
		{"plain http API in development", Source{LookupEnv: env(map[string]string{"OTUS_URL": "http://otus:3000"})}, []string{"unencrypted"}},
		{"telemetry in .env", Source{DotEnv: write(t, ".env", "OTEL_EXPORTER_OTLP_ENDPOINT=http://x\nOTEL_SERVICE_NAME=y"), LookupEnv: env(map[string]string{"OTEL_SERVICE_NAME": "x"})}, []string{"environment of the process only"}},
		{"metrics on every address", Source{LookupEnv: env(map[string]string{"METRICS_ADDR": ":9464"})}, []string{"inside your network"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			loaded, err := Load(test.source)
			if err != nil {
				t.Fatal(err)
			}
			if len(loaded.Warnings) != len(test.want) {
				t.Fatalf("got %+v", loaded.Warnings)
			}
			for i, warning := range loaded.Warnings {
				if !strings.Contains(warning.Text, test.want[i]) {
					t.Errorf("%q does not say %q", warning.Text, test.want[i])
				}
				if strings.Contains(warning.Text, "hunter") {
					t.Errorf("a warning holds a secret: %q", warning.Text)
				}
			}
		})
	}
}
