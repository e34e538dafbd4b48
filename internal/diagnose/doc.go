// Package diagnose answers "why does it not work?" with lists of named
// findings, the same for people and for CI.
//
// Three lists start here:
//
//   - [Verify] looks at a running MCP server from outside, as any client could;
//     checks.go is the table, and each check cites the numbered requirement and
//     the section of the specification it proves;
//   - [Doctor] looks at everything a configured server depends on: authorization
//     servers, key sets, APIs;
//   - [Explain] takes one access token apart and says what a server makes of it.
//
// What other systems answer is untrusted: answers are read within bounds, and
// every text of them is cut and cleaned before it reaches a terminal. No finding
// holds a token, and a token is sent to the server under test only, in a header
// and never over plain HTTP beyond loopback.
//
// The package decides nothing about a request, reads no configuration and knows
// no verifier: plain values and functions come in.
package diagnose
