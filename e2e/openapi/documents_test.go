// Package openapi holds the import of OpenAPI documents against documents that
// nobody here wrote, as their makers publish them, and against readers of OpenAPI
// and JSON Schema that are not ours. What the documents become is served by a whole
// server, listed, searched and called; a stub of the API judges what arrives.
//
// The documents are npm packages, pinned in package.json; "npm ci" in this folder
// brings them.
package openapi

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"tecrolabs.dev/oauth-mcp-server/internal/openapi"
)

// document is a document with what it is known to have.
type document struct {
	path       string
	operations int
	unusable   int // operations that are reported, not listed
}

// documents are of seven makers, in 3.0 and 3.1, in YAML and JSON. authentik's has
// more than a thousand operations, Figma's and the circular one are recursive.
var documents = map[string]document{
	"authentik":    {"@goauthentik/api/schema.yml", 1007, 0},
	"Catalyst":     {"@dcl/catalyst-api-specs/lib/api.yaml", 42, 0},
	"Dialogporten": {"@digdir/dialogporten-schema/swagger.verified.json", 29, 0},
	"Figma":        {"@figma/rest-api-spec/openapi/openapi.yaml", 54, 0},
	"Galaxy":       {"@scalar/galaxy/dist/latest.yaml", 10, 0},
	"rclone":       {"rclone-openapi/openapi.yaml", 101, 0},
	"ReadMe":       {"@readme/oas-examples/3.1/json/readme.json", 54, 0},
	"STAPI":        {"@readme/oas-examples/3.0/yaml/star-trek.yaml", 120, 0},
	"Train Travel": {"@readme/oas-examples/3.1/yaml/train-travel.yaml", 7, 0},
	"styles":       {"@readme/oas-examples/3.1/json/parameters-style.json", 23, 2},
	"circular":     {"@readme/oas-examples/3.0/json/schema-circular.json", 3, 0},
}

// maxWorked bounds for how many operations of a document schemas are made: a
// catalogue has far fewer.
const maxWorked = 40

// textOf returns the text of a document. A missing installation is a failure,
// because a test that is skipped proves nothing.
func textOf(t *testing.T, d document) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("node_modules", filepath.FromSlash(d.path)))
	if err != nil {
		t.Fatalf("the pinned documents are not installed: run \"npm ci\" in e2e/openapi/ (%v)", err)
	}
	return text
}

func load(t *testing.T, text []byte) *openapi.Document {
	t.Helper()
	loaded, err := openapi.Load(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// operation is one that was worked out.
type operation struct {
	openapi.Operation
	details *openapi.Details
}

// TestReq072_Documents reads every document, prints what that costs (the memory
// that stays is bounded), and compares operations and parameters with kin-openapi.
func TestReq072_Documents(t *testing.T) {
	const perByte = 32 // bytes that stay for one of a document, at most
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		t.Run(name, func(t *testing.T) {
			d := documents[name]
			text := textOf(t, d)
			before, start := heap(), time.Now()
			loaded := load(t, text)
			took, used := time.Since(start), heap()-before
			if len(loaded.Operations) != d.operations || len(loaded.Problems) != d.unusable {
				t.Errorf("%d operations and the problems %v; want %d and %d", len(loaded.Operations), loaded.Problems, d.operations, d.unusable)
			}
			if limit := int64(len(text)*perByte + 1<<20); used > limit {
				t.Errorf("%d bytes stay in memory, more than %d", used, limit)
			}
			start = time.Now()
			worked := workOut(t, loaded)
			t.Logf("%d bytes, %d operations: read in %s, %d KiB stay; %d worked out in %s",
				len(text), len(loaded.Operations), took.Round(time.Millisecond), used>>10, len(worked), time.Since(start).Round(time.Millisecond))

			theirs := judged(t, text)
			count := 0
			for _, item := range theirs.Paths.Map() {
				count += len(item.Operations())
			}
			if count != len(loaded.Operations)+len(loaded.Problems) {
				t.Errorf("kin-openapi sees %d operations, we %d and %d unusable", count, len(loaded.Operations), len(loaded.Problems))
			}
			compared := 0
			for _, one := range worked {
				compared += compare(t, one, theirs)
			}
			t.Logf("%d parameters compared", compared)
		})
	}
}

// workOut returns operations from all over a document with their details, whose
// schemas have been compiled.
func workOut(t *testing.T, loaded *openapi.Document) []operation {
	t.Helper()
	var worked []operation
	count := min(len(loaded.Operations), maxWorked)
	for i := range count {
		one := loaded.Operations[i*len(loaded.Operations)/count]
		details, err := loaded.Details(t.Context(), one)
		if err != nil {
			t.Error(err)
			continue
		}
		worked = append(worked, operation{one, details})
	}
	return worked
}

// heap returns how much of the heap is in use.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// judged returns how kin-openapi reads a document.
func judged(t *testing.T, text []byte) *openapi3.T {
	t.Helper()
	loaded, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// compare holds the parameters of one operation against the judge's and returns
// how many there are.
func compare(t *testing.T, o operation, theirs *openapi3.T) int {
	t.Helper()
	item := theirs.Paths.Value(o.Path)
	if item == nil || item.GetOperation(o.Method) == nil || item.GetOperation(o.Method).OperationID != o.ID {
		t.Fatalf("kin-openapi does not see %s %s", o.Method, o.Path)
	}
	for _, p := range o.details.Parameters {
		their := parameter(item, item.GetOperation(o.Method), p)
		if their == nil {
			t.Errorf("%s: kin-openapi does not see the parameter %s in %s", o.Key(), p.Write.Name, p.In)
			continue
		}
		if their.Schema == nil {
			continue // written as its content says
		}
		method, err := their.SerializationMethod()
		if err != nil {
			t.Errorf("%s: %v", o.Key(), err)
			continue
		}
		if method.Style != string(p.Write.Style) || method.Explode != p.Write.Explode || their.Required != p.Required {
			t.Errorf("%s: parameter %s is %+v, required %v; kin-openapi says %+v, required %v",
				o.Key(), p.Write.Name, p.Write, p.Required, method, their.Required)
		}
	}
	return len(o.details.Parameters)
}

// parameter finds a parameter in the judge's document.
func parameter(item *openapi3.PathItem, operation *openapi3.Operation, p openapi.Parameter) *openapi3.Parameter {
	if found := operation.Parameters.GetByInAndName(string(p.In), p.Write.Name); found != nil {
		return found
	}
	return item.Parameters.GetByInAndName(string(p.In), p.Write.Name)
}
