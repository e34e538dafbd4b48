package openapi

import (
	"net/url"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxReferences bounds how many references lead from one to the next.
const maxReferences = 32

// index remembers the components by reference, so that finding one does not
// mean reading through all of them.
func (d *Document) index() {
	d.components = map[string]*yaml.Node{}
	for _, kind := range fields(get(d.root, "components")) {
		for _, f := range fields(kind.value) {
			d.components["#/components/"+escapePointer(kind.key.Value)+"/"+escapePointer(f.key.Value)] = f.value
		}
	}
}

// escapePointer and its inverse are of RFC 6901 section 3.
func escapePointer(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

func unescapePointer(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// resolve returns what a reference stands for, when it is one, following it to
// its end. It is for everything but schemas.
func (d *Document) resolve(node *yaml.Node) (*yaml.Node, error) {
	for range maxReferences {
		reference := get(node, "$ref")
		if reference == nil {
			return node, nil
		}
		_, target, err := d.lookup(reference)
		if err != nil {
			return nil, err
		}
		node = target
	}
	return nil, problem(node, "the reference leads to more references, %d or in a circle", maxReferences)
}

// lookup finds the target of a reference, which must lie in the document:
// nothing is ever fetched. It returns the reference in one form for each target
// besides.
func (d *Document) lookup(reference *yaml.Node) (string, *yaml.Node, error) {
	written := text(reference)
	pointer := written
	if d.self != "" {
		pointer = strings.TrimPrefix(written, d.self)
	}
	if !strings.HasPrefix(pointer, "#") {
		return "", nil, problem(reference, "the reference %s leads out of the document, and nothing is fetched; bundle the document into one file first", quote(written))
	}
	decoded, err := url.PathUnescape(pointer)
	if err != nil {
		return "", nil, problem(reference, "the reference %s is not well-formed", quote(written))
	}
	if target, ok := d.components[decoded]; ok {
		return decoded, target, nil
	}
	rest, ok := strings.CutPrefix(decoded, "#/")
	if !ok {
		return "", nil, problem(reference, "the reference %s is not a path into the document, such as #/components/schemas/Name", quote(written))
	}
	target := d.root
	for token := range strings.SplitSeq(rest, "/") {
		if target = child(target, unescapePointer(token)); target == nil {
			return "", nil, problem(reference, "there is nothing at %s", quote(written))
		}
	}
	return decoded, target, nil
}

// child returns the value at a key or place, nil when there is none.
func child(node *yaml.Node, token string) *yaml.Node {
	if list := items(node); list != nil {
		place, err := strconv.Atoi(token)
		if err != nil || place < 0 || place >= len(list) {
			return nil
		}
		return list[place]
	}
	return get(node, token)
}
