// Package imports makes tools of the operations of OpenAPI documents. It joins
// what package openapi reads with what a catalogue of package tool asks for.
//
// Start with [Resolve], which reads the documents that a catalogue names and
// returns the catalogue with their tools. documents.go gets each document once, by
// way of fetch.go; declare.go makes one operation a tool, and directory.go finds
// those that are too many to be tools of their own.
//
// It defends the server against where documents come from: a file beside the
// catalogue or one https URL, bounded in size and time, and nothing that a document
// says leads to another one. A document never decides where requests go: that is
// the upstream's URL.
//
// It does not know MCP, sends no calls and watches no files.
package imports
