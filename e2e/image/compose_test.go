package image_test

import (
	"net"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// composeFile is what is read of compose.yaml.
type composeFile struct {
	Services map[string]struct {
		Command     []string          `yaml:"command"`
		NetworkMode string            `yaml:"network_mode"`
		Ports       []string          `yaml:"ports"`
		Environment map[string]string `yaml:"environment"`
	} `yaml:"services"`
}

// TestComposeServesTheDevelopmentStack: the server of compose.yaml is configured
// as the dev command configures its own, and nothing leaves loopback.
func TestComposeServesTheDevelopmentStack(t *testing.T) {
	text, err := os.ReadFile("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose composeFile
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	commands := map[string][]string{}
	for name, service := range compose.Services {
		commands[name] = service.Command
		if service.NetworkMode != "host" || len(service.Ports) > 0 {
			t.Errorf("%s: network_mode %q, ports %q; the stack is reachable on the host's loopback only", name, service.NetworkMode, service.Ports)
		}
	}
	want := map[string][]string{"devstack": {"dev", "--stack-only", "--port", "8000"}, "server": {"serve"}}
	if diff := cmp.Diff(want, commands); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}

	server := compose.Services["server"].Environment
	known := map[string]bool{}
	for _, field := range config.Fields() {
		known[field.Name] = true
	}
	for name := range server {
		if !known[name] {
			t.Errorf("%s is no setting", name)
		}
	}
	loaded, err := config.Load(config.Source{LookupEnv: func(name string) (string, bool) {
		value, set := server[name]
		return value, set
	}})
	if err != nil {
		t.Fatal(err)
	}
	stack, err := devstack.New(devstack.Config{
		AuthListener: loopback{port: 8001},
		OtusListener: loopback{port: 8002},
		ServerURL:    loaded.Config.ServerURL,
	})
	if err != nil {
		t.Fatal(err)
	}
	dev := app.DevConfig(loaded.Config.ServerURL, stack.URLs())
	if diff := cmp.Diff(dev, loaded.Config); diff != "" {
		t.Errorf("configuration, compared with the dev command's (-dev +compose):\n%s", diff)
	}
}

// loopback is an address to be told; nobody listens.
type loopback struct {
	net.Listener
	port int
}

func (l loopback) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.port} }
