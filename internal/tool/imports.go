package tool

import (
	"slices"
	"time"
)

// Import says which operations of an OpenAPI document become tools, and what is
// asked of their callers. A catalogue only declares it: package imports reads the
// document and gives the tools to [Catalogue.With].
type Import struct {
	From       string // a file, relative to the catalogue's, or an https URL
	Upstream   string // the API that all of them call
	Prefix     string // before the name of each tool
	Include    Match
	Exclude    Match
	Deprecated bool // deprecated operations too
	Max        int  // tools; 0 is the default of package openapi
	// Search offers two tools instead, which find operations and call one.
	Search bool
	// IgnoreSecurity leaves the scopes out that the document asks for.
	IgnoreSecurity bool
	Override       map[string]Override // by operationId, or "GET /teams" where there is none

	Line int    // where it stands in the catalogue
	Path string // of keys, such as imports[0]

	treatment
	deny     bool              // what holds for tools that ask for neither scopes nor a rule
	declared map[string]string // everything in the file, by key, for [Compare]
}

// Match lists what operations are chosen by, as openapi.Match does.
type Match struct {
	Operations []string
	Tags       []string
	Paths      []string
	Methods    []string
}

// Override replaces what the document and the import say of one operation.
type Override struct {
	Name        string
	Title       string
	Description string
	Annotations *Annotations
	TTL         time.Duration // see [Declaration]

	treatment
}

// treatment is what an import, or an override of it, asks and makes of each call.
// What is not declared is nil or "".
type treatment struct {
	access   Access
	scopes   bool // the scopes of access are declared
	confirm  *string
	response *Response
	output   *bool
}

// apply sets what is declared, but for scopes, which are needed together, and
// output.
func (t treatment) apply(d *Declaration) {
	if t.confirm != nil {
		d.Confirm = *t.confirm
	}
	if t.response != nil {
		d.Response = *t.response
	}
	if t.access.Rule != nil {
		d.Access.Rule = t.access.Rule
	}
	if t.access.ACR != nil {
		d.Access.ACR = t.access.ACR
	}
	if t.access.MaxAge > 0 {
		d.Access.MaxAge = t.access.MaxAge
	}
}

// Treat completes a tool that was made of an operation, whose scopes are those of
// the document, with what the import says of it. The scopes of the import are
// needed besides; everything else an override of the operation replaces.
func (i *Import) Treat(operation string, d Declaration) Declaration {
	over := i.Override[operation]
	d.Upstream = i.Upstream
	if d.Name = i.Prefix + d.Name; over.Name != "" {
		d.Name = over.Name
	}
	if over.Title != "" {
		d.Title = over.Title
	}
	if over.Description != "" {
		d.Description = over.Description
	}
	if over.Annotations != nil {
		d.Annotations = over.Annotations
	}
	d.TTL = over.TTL
	if i.IgnoreSecurity {
		d.Access.Scopes = nil
	}
	output := false
	for _, t := range []treatment{i.treatment, over.treatment} {
		t.apply(&d)
		if t.output != nil {
			output = *t.output
		}
	}
	if !output {
		d.OutputSchema = nil
	}
	if over.scopes {
		d.Access.Scopes = over.access.Scopes
	}
	d.Access.Scopes = i.access.Scopes.Union(d.Access.Scopes)
	d.Access.Nobody = i.deny && len(d.Access.Scopes) == 0 && d.Access.Rule == nil
	return d
}

// Imports returns what the catalogue declares to be imported, in the order of the
// file.
func (c *Catalogue) Imports() []Import { return slices.Clone(c.imports) }
