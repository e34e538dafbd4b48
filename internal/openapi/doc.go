// Package openapi reads OpenAPI documents (3.0, 3.1 and 3.2, as YAML or JSON)
// and tells of each operation what a tool needs: a name, one JSON Schema for
// its arguments, how each argument is written into the request, what comes
// back, and the scopes to ask for.
//
// Start with [Load], which reads a document and lists its operations, and
// [Document.Details], which works one of them out. [Document.Select] chooses
// among them, [NewIndex] finds them by words. Schemas are made for the
// operations that are wanted only: all of a large document together would be
// many times its size.
//
// It defends the server against documents: nothing is fetched, what is large,
// deep or recursive has a bound, and what cannot be understood is reported with
// its line and left out, never guessed.
//
// It does not call anything, does not know tools or catalogues (package tool),
// and does not judge a document's style.
package openapi
