package app_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/app"
	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

// TestDocumentedCatalogue loads the catalogue of docs/authorization.md and lists
// who may call its tools.
func TestDocumentedCatalogue(t *testing.T) {
	document, err := os.ReadFile("../../docs/authorization.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(document), "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("there is no catalogue in the document")
	}
	text += "  - {name: closed, description: d, upstream: otus, method: GET, path: /, input: {type: object, additionalProperties: false}}\n"
	file := filepath.Join(t.TempDir(), "tools.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	if lint, err := app.LintTools(t.Context(), file, cfg, false); err != nil || lint.Tools != 2 {
		t.Fatalf("%+v, %v", lint, err)
	}
	cfg.ToolsFile = file
	var out bytes.Buffer
	if err := app.ListTools(t.Context(), &out, cfg, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`teams:admin  urn:example:mfa within 10m0s  claims.department == "operations" || arguments.team in claims.own_teams`,
		`-            -                             nobody (default: deny)`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, out.String())
		}
	}
}
