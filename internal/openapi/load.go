package openapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
)

// Bounds of what is kept of a document. Aliases can repeat a long list without
// end, so what every operation has is bounded for each.
const (
	maxProblems = 1000
	maxTags     = 32      // of one operation
	maxServers  = 32      // of the document, of one operation
	maxServer   = 2 << 10 // bytes of a URL
)

// methodKeys are the keys of a path item that are operations, in a fixed order,
// with the version of OpenAPI 3 that has them.
var methodKeys = []struct {
	key   string
	since int
}{
	{"get", 0}, {"put", 0}, {"post", 0}, {"delete", 0}, {"options", 0}, {"head", 0}, {"patch", 0}, {"trace", 0}, {"query", 2},
}

// Load reads a document. It makes no connection, and ends with the context's
// error when that ends. What makes the whole document unusable is an error with
// its line; what makes one operation unusable is one of [Document.Problems].
func Load(ctx context.Context, data []byte) (*Document, error) {
	root, err := parse(ctx, data)
	if err != nil {
		return nil, err
	}
	minor, err := minorVersion(root)
	if err != nil {
		return nil, err
	}
	info := get(root, "info")
	document := &Document{
		Title: prose(get(info, "title")), Version: prose(get(info, "version")), Servers: servers(root),
		root: root, minor: minor,
	}
	if minor >= 2 {
		document.self = text(get(root, "$self"))
	}
	document.index()
	for _, f := range fields(get(root, "paths")) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if strings.HasPrefix(f.key.Value, "x-") {
			continue
		}
		document.addPath(f)
		if len(document.Operations) > maxOperations {
			return nil, fmt.Errorf("the document has more than the %d operations allowed", maxOperations)
		}
	}
	if len(document.Operations) == 0 {
		if len(document.Problems) > 0 {
			return nil, fmt.Errorf("no operation of the document can be used; the first problem: %w", &document.Problems[0])
		}
		return nil, errors.New("the document has no operations under paths")
	}
	document.name()
	document.tellApart()
	return document, nil
}

// tellApart finds the operations that their operationId does not name alone.
func (d *Document) tellApart() {
	count := map[string]int{}
	for _, operation := range d.Operations {
		count[operation.ID]++
	}
	for i := range d.Operations {
		operation := &d.Operations[i]
		operation.ambiguous = count[operation.ID] > 1 || len(text(get(operation.node, "operationId"))) > maxShown
	}
}

// report remembers a problem of an operation.
func (d *Document) report(key string, err error) {
	if found, ok := errors.AsType[*DocumentError](err); ok && len(d.Problems) < maxProblems {
		d.Problems = append(d.Problems, DocumentError{Line: found.Line, Operation: key, Text: found.Text})
	}
}

// addPath reads the operations of a path.
func (d *Document) addPath(f field) {
	path := f.key.Value
	item, err := d.resolve(f.value)
	if err != nil {
		d.report(path, err)
		return
	}
	for _, method := range methodKeys {
		node := get(item, method.key)
		if node == nil || method.since > d.minor {
			continue
		}
		d.addOperation(strings.ToUpper(method.key), path, item, node)
	}
	if d.minor >= 2 {
		for _, more := range fields(get(item, "additionalOperations")) {
			if get(item, strings.ToLower(more.key.Value)) != nil {
				d.report(more.key.Value+" "+path, problem(more.key, "the path declares this method twice"))
				continue
			}
			d.addOperation(more.key.Value, path, item, more.value)
		}
	}
}

func (d *Document) addOperation(method, path string, item, node *yaml.Node) {
	node, err := d.resolve(node)
	if err != nil {
		d.report(method+" "+path, err)
		return
	}
	operation := Operation{
		ID: cut(text(get(node, "operationId")), maxShown), Method: method, Path: path, Tags: firstTexts(get(node, "tags"), maxTags),
		Summary: prose(get(node, "summary")), Description: prose(get(node, "description")),
		Deprecated: flag(get(node, "deprecated")), Line: node.Line, item: item, node: node,
	}
	if err := operationFault(operation); err != nil {
		d.report(operation.Key(), err)
		return
	}
	d.Operations = append(d.Operations, operation)
}

// operationFault says why an operation cannot be called.
func operationFault(o Operation) error {
	switch {
	case o.node.Kind != yaml.MappingNode:
		return problem(o.node, "want a mapping with the keys of an operation")
	case o.Method == "TRACE" || o.Method == "CONNECT":
		return problem(o.node, "%s is no method for tools", o.Method)
	case !isMethod(o.Method):
		return problem(o.node, "%s is not a method in capital letters", quote(o.Method))
	}
	if _, err := paramstyle.ParseTemplate(o.Path); err != nil {
		return problem(o.node, "the path %s %v", quote(o.Path), err)
	}
	return nil
}

func isMethod(method string) bool {
	return method != "" && len(method) <= 32 && strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}

// servers returns the base URLs declared at node, with each variable replaced by
// its default. A default is text: what looks like a variable in it is none.
func servers(node *yaml.Node) []string {
	var list []string
	for _, server := range items(get(node, "servers")) {
		var defaults []string
		for _, variable := range fields(get(server, "variables")) {
			defaults = append(defaults, "{"+variable.key.Value+"}", cut(text(get(variable.value, "default")), maxServer))
		}
		address := cut(strings.NewReplacer(defaults...).Replace(cut(text(get(server, "url")), maxServer)), maxServer)
		if address != "" && !slices.Contains(list, address) {
			list = append(list, address)
		}
		if len(list) == maxServers {
			break
		}
	}
	return list
}
