// Package apptest runs the whole system in a test: the server as internal/app
// wires it and the development stack around it, in one process, on real
// loopback sockets.
//
// [Start] is the start; what it returns has the URL, the stack and tokens. When
// the test ends everything is stopped and awaited, and the test fails
//   - if any log line, span, metric or answer of the server holds twelve
//     characters in a row of any token, code or secret that was issued in it or
//     handed to [System.Secret]; only answers whose purpose is a token are left out,
//   - if an audit record does not fit docs/audit.schema.json,
//   - if a goroutine of the system is still there,
//   - if any message of the server is not valid against the published JSON
//     Schema of its revision (internal/apptest/wireschema).
//
// [System.StartProcess] runs the real binary against the same stack.
// [Eventually] waits for conditions; nothing here sleeps. The package is for
// tests only and may import anything.
package apptest
