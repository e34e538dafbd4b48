package openapi

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
)

// Document is a loaded document. It does not change, and many goroutines may
// use it.
type Document struct {
	Title      string
	Version    string          // of the API
	Servers    []string        // base URLs, variables filled in with their defaults
	Operations []Operation     // in the order of the document
	Problems   []DocumentError // what was left out of Operations, and why

	root       *yaml.Node
	minor      int                   // of OpenAPI 3
	self       string                // the document's own URI (3.2), "" when it has none
	components map[string]*yaml.Node // by reference, such as "#/components/schemas/Team"
}

// Operation is what is known of an operation before its schemas are made.
type Operation struct {
	Name        string // of the tool: a-z, 0-9 and _, unique in the document
	ID          string // operationId, "" when there is none
	Method      string // in capitals
	Path        string // the template, such as /teams/{id}
	Tags        []string
	Summary     string
	Description string
	Deprecated  bool
	Line        int

	item      *yaml.Node // the path item
	node      *yaml.Node
	ambiguous bool // the operationId is that of others too, or too long to be compared
}

// Key is how filters and overrides call the operation: by its operationId, or
// by method and path, such as "GET /teams", when it has none of its own. What is
// said of one operation must never hold for another.
func (o Operation) Key() string {
	if o.ID != "" && !o.ambiguous {
		return o.ID
	}
	return o.Method + " " + o.Path
}

// Details are what a tool needs to know of an operation besides.
type Details struct {
	Path       paramstyle.Template
	Parameters []Parameter
	Body       *Body           // nil when the operation takes none
	Input      json.RawMessage // JSON Schema of the arguments: a closed object
	Output     json.RawMessage // JSON Schema of the first JSON answer that is a success; nil when there is none
	Scopes     []string        // of the first alternative of the security requirements
	Servers    []string        // base URLs of this operation alone; nil when the document's hold
	Notes      []string        // what was left out or decided, for the operator
}

// In is the place of a parameter.
type In string

// The places a parameter can be in.
const (
	InPath   In = "path"
	InQuery  In = "query"
	InHeader In = "header"
	InCookie In = "cookie"
)

// Parameter is an argument that becomes a part of the request besides its body.
type Parameter struct {
	Argument string // its name in Details.Input
	In       In
	Required bool
	Write    paramstyle.Parameter
}

// BodyKind is how a body is written.
type BodyKind string

// The kinds of a body.
const (
	BodyJSON      BodyKind = "json"
	BodyForm      BodyKind = "form"      // application/x-www-form-urlencoded
	BodyMultipart BodyKind = "multipart" // multipart/form-data
	BodyText      BodyKind = "text"      // the argument is the text
	BodyBinary    BodyKind = "binary"    // the argument is the content in Base64
)

// Body is the argument that becomes the request's body.
type Body struct {
	Argument    string // its name in Details.Input
	Required    bool
	Kind        BodyKind
	ContentType string
	Fields      []Field // of BodyForm and BodyMultipart: the declared properties, in order
}

// Field is a property of a body that is written property by property.
type Field struct {
	Write       paramstyle.Parameter // its name, and how BodyForm writes it
	ContentType string               // of its part in BodyMultipart
	Base64      bool                 // the value, or each member of it, is content in Base64
}

// DocumentError is something in a document that cannot be used.
type DocumentError struct {
	Line      int
	Operation string // its key, "" when the problem is not about one
	Text      string
}

// Error says where the problem is and what to do about it.
func (p *DocumentError) Error() string {
	if p.Operation == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Text)
	}
	return fmt.Sprintf("line %d: %s: %s", p.Line, p.Operation, p.Text)
}

func problem(node *yaml.Node, format string, args ...any) *DocumentError {
	return &DocumentError{Line: node.Line, Text: fmt.Sprintf(format, args...)}
}
