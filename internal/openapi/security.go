package openapi

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// maxScopes bounds the scopes of one operation.
const maxScopes = 64

// security returns the requirements of an operation. What is declared with it
// wins, an empty list too (OpenAPI 3.2 section 4.10).
func (d *Document) security(o Operation) *yaml.Node {
	if node := get(o.node, "security"); node != nil {
		return node
	}
	return get(d.root, "security")
}

// security reads the scopes of the first alternative, and notes it when others
// want others.
func (w *worker) security(o Operation) error {
	node := w.document.security(o)
	alternatives := items(node)
	for i, alternative := range alternatives {
		scopes, err := w.document.scopes(alternative)
		switch {
		case err != nil:
			return err
		case i == 0:
			w.details.Scopes = scopes
		case !slices.Equal(scopes, w.details.Scopes):
			w.note(node, "there are %d alternatives of security with different scopes; the first is taken", len(alternatives))
			return nil
		}
	}
	return nil
}

// scopes returns the scopes of all schemes of one alternative.
func (d *Document) scopes(alternative *yaml.Node) ([]string, error) {
	var scopes []string
	for _, f := range fields(alternative) {
		scoped, err := d.hasScopes(f.key)
		if err != nil {
			return nil, err
		}
		if !scoped {
			continue
		}
		for _, scope := range texts(f.value) {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
			if len(scopes) > maxScopes {
				return nil, problem(f.key, "more than the %d scopes allowed are required", maxScopes)
			}
		}
	}
	return scopes, nil
}

// hasScopes reports whether the names a security scheme is required with are
// OAuth scopes; for others they are roles that mean nothing outside the document.
// Of a scheme that cannot be found nobody knows: an operation must not lose its
// scopes by a typing error.
func (d *Document) hasScopes(name *yaml.Node) (bool, error) {
	scheme, err := d.resolve(get(get(get(d.root, "components"), "securitySchemes"), name.Value))
	if err != nil {
		return false, err
	}
	if scheme == nil {
		return false, problem(name, "the security scheme %s is not declared under components.securitySchemes", quote(name.Value))
	}
	kind := text(get(scheme, "type"))
	return kind == "oauth2" || kind == "openIdConnect", nil
}
