// Package schema compiles the JSON Schemas (draft 2020-12) of tools and checks
// values against them, in bounded time.
//
// A schema comes from an operator's catalogue or from somebody's OpenAPI
// document, a value from a model. Every keyword of the draft works, recursion and
// composition included; what could make a check take for ever does not:
//
//   - references lead into the schema itself, never to another document;
//   - a schema that refers to itself without going into a property or an item is
//     refused when it is compiled;
//   - how many schemas a value would be held against is counted before it is,
//     because a validator may need exponential time for a recursive anyOf.
//
// [Compile] is the start. What decides is github.com/google/jsonschema-go; this
// package only keeps it within its bounds and has words for people.
//
//	keywords.go  the keywords of the draft, and which of them hold schemas
//	schema.go    compiling and validating
//	graph.go     which schemas lead to which, and how often each is evaluated
//	words.go     a schema in words, for refusals
package schema
