package main_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "tecrolabs.dev/oauth-mcp-server/"

// layers is the house, bottom first. A package may import packages of lower
// layers only, never one of its own layer. The reasons are in
// docs/architecture.md.
var layers = map[string]int{
	"internal/eventstream": 1,
	"internal/seal":        1,
	"internal/schema":      1,
	"internal/secret":      1,
	"internal/shape":       1,
	"internal/negotiate":   1,
	"internal/generations": 1,
	"internal/oauth":       1,
	"internal/outbound":    1,
	"internal/policy":      1,
	"internal/egress":      1,
	"internal/discovery":   1,
	"internal/strictjson":  1,
	"internal/strictyaml":  1,
	"internal/site":        1,
	"internal/telemetry":   1,
	"internal/paramstyle":  1,

	"internal/bearer":     2,
	"internal/authcode":   2,
	"internal/tool":       2,
	"internal/credential": 2,
	"internal/upstream":   2,
	"internal/cluster":    2,
	"internal/config":     2,
	"internal/diagnose":   2,
	"internal/login":      2,
	"internal/ratelimit":  2,
	"internal/devstack":   2,
	"internal/openapi":    2,

	"internal/edge":    3,
	"internal/mcp":     3,
	"internal/imports": 3,

	"internal/app": 4,

	"cmd/oauth-mcp-server": 5,
	"bench/streams":        5,
	"internal/mutate":      5,
}

// onlyFor names packages that only some others may import.
var onlyFor = map[string][]string{
	"internal/devstack": {"cmd/oauth-mcp-server", "bench/streams", "internal/app", "internal/apptest"},
	// tests only
	"internal/apptest":            nil,
	"internal/apptest/page":       nil,
	"internal/apptest/pipenet":    nil,
	"internal/apptest/teststore":  nil,
	"internal/apptest/wireschema": nil,
}

// TestImportsGoDown parses the files instead of asking the go command, because
// the test cache does not see what a subprocess reads.
func TestImportsGoDown(t *testing.T) {
	for file, imports := range goFiles(t) {
		pkg := filepath.ToSlash(filepath.Dir(file))
		isTest := strings.HasSuffix(file, "_test.go") || strings.HasPrefix(pkg, "internal/apptest") || strings.HasPrefix(pkg, "e2e")
		layer, known := layers[pkg]
		if !known && !isTest && pkg != "." {
			t.Errorf("%s: package %s has no layer; give it one in layers_test.go and docs/architecture.md", file, pkg)
		}
		for _, path := range imports {
			imported, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			if allowed, restricted := onlyFor[imported]; restricted && !isTest && !slices.Contains(allowed, pkg) {
				t.Errorf("%s imports %s, which is only for %v and tests", file, imported, allowed)
			}
			if !isTest && layers[imported] >= layer {
				t.Errorf("%s (layer %d) imports %s (layer %d): imports go down only", file, layer, imported, layers[imported])
			}
		}
	}
}

// goFiles returns the imports of every Go file of the module.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "tools" || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		imports := []string{}
		for _, spec := range parsed.Imports {
			importPath, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, importPath)
		}
		files[path] = imports
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("found only %d Go files: the walk is broken", len(files))
	}
	return files
}
