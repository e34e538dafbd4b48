// Package paramstyle writes arguments into requests as the Parameter Object of
// OpenAPI 3 says: the styles simple, label, matrix, form, spaceDelimited,
// pipeDelimited, deepObject and cookie, exploded or not. Where OpenAPI refers to
// RFC 6570, this is RFC 6570.
//
// Start with [Parameter], one way of writing, and [Template], the path that
// pieces are put into.
//
// It defends an API's routes: whatever an argument holds, it stays the one
// segment, query value, header value or cookie it was declared to be. Numbers
// keep the text they had in JSON.
//
// It does no I/O, does not know requests or schemas, and has no opinion on what
// an argument may be; package tool checks that before.
package paramstyle
