package wireschema

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

//go:embed schemas/*.json
var files embed.FS

// The revisions, oldest first.
const (
	rev20241105 = "2024-11-05"
	rev20250326 = "2025-03-26"
	rev20250618 = "2025-06-18"
	rev20251125 = "2025-11-25"
	rev20260728 = "2026-07-28"
)

// published is the schema of one revision.
type published struct {
	revision    string
	dialect     string
	definitions map[string]*jsonschema.Schema
	byMethod    map[string]string // definition of a request or notification
	byCode      map[int]string    // definition of an error
	fromServer  map[string]bool   // definitions that a server may send

	mu       sync.Mutex
	compiled map[string]*jsonschema.Resolved
}

// schemas is every revision by its name. A process reads them once.
var schemas = sync.OnceValues(readAll)

func readAll() (map[string]*published, error) {
	all := map[string]*published{}
	for _, revision := range []string{rev20250326, rev20250618, rev20251125, rev20260728} {
		text, err := files.ReadFile("schemas/" + revision + ".json")
		if err != nil {
			return nil, err
		}
		if all[revision], err = read(revision, text); err != nil {
			return nil, fmt.Errorf("schema of %s: %w", revision, err)
		}
	}
	var err error
	all[rev20241105], err = read20241105()
	return all, err
}

func read(revision string, text []byte) (*published, error) {
	var root jsonschema.Schema
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	p := &published{
		revision: revision, dialect: root.Schema, definitions: root.Defs,
		byMethod: map[string]string{}, byCode: map[int]string{}, fromServer: map[string]bool{},
		compiled: map[string]*jsonschema.Resolved{},
	}
	if p.definitions == nil {
		p.definitions = root.Definitions
	}
	for _, union := range []string{"ServerRequest", "ServerNotification"} {
		if definition := p.definitions[union]; definition != nil { // 2026-07-28 has no requests from servers
			for _, member := range definition.AnyOf {
				p.fromServer[target(member.Ref)] = true
			}
		}
	}
	for name, definition := range p.definitions {
		p.index(name, definition)
	}
	if len(p.byMethod) == 0 || len(p.fromServer) == 0 {
		return nil, errors.New("it has no methods: the reader does not fit it")
	}
	return p, nil
}

// index notes what a definition is for: a method, or the code of an error.
func (p *published) index(name string, definition *jsonschema.Schema) {
	if name == "ClientNotification" {
		return // 2026-07-28 writes it like a notification; it is the union of all there are
	}
	if method, ok := constant(definition.Properties["method"]).(string); ok {
		p.byMethod[method] = name
	}
	failure := definition.Properties["error"]
	if failure == nil {
		return
	}
	for _, part := range failure.AllOf {
		if code, ok := constant(part.Properties["code"]).(float64); ok {
			p.byCode[int(code)] = name
		}
	}
}

// target is the definition that a reference names.
func target(ref string) string {
	for i := len(ref) - 1; i >= 0; i-- {
		if ref[i] == '/' {
			return ref[i+1:]
		}
	}
	return ref
}

func constant(schema *jsonschema.Schema) any {
	if schema == nil || schema.Const == nil {
		return nil
	}
	return *schema.Const
}

// first returns the first of names that the revision defines.
func (p *published) first(names ...string) string {
	for _, name := range names {
		if p.definitions[name] != nil {
			return name
		}
	}
	return ""
}

// check holds a message, or a part of one, against a definition.
func (p *published) check(name string, instance any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.compiled[name] == nil {
		root := &jsonschema.Schema{Schema: p.dialect}
		prefix := "#/$defs/"
		if p.revision < rev20251125 { // draft-07
			prefix = "#/definitions/"
			root.Definitions = p.definitions
		} else {
			root.Defs = p.definitions
		}
		root.AllOf = []*jsonschema.Schema{{Ref: prefix + name}}
		resolved, err := root.Resolve(nil)
		if err != nil {
			return fmt.Errorf("the schema of %s cannot be used: %w", p.revision, err)
		}
		p.compiled[name] = resolved
	}
	if err := p.compiled[name].Validate(instance); err != nil {
		return fmt.Errorf("no %s of %s: %w", name, p.revision, err)
	}
	return nil
}
