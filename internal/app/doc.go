// Package app is the composition root: it turns a validated configuration into
// typed parts, wires them by hand and runs them with an ordered shutdown.
//
// [New] and [App.Run] are the server, the same for production and for tests;
// [Serve] and [Dev] are the two commands on top. Nothing below this package
// reads configuration, and nothing here decides about a request.
package app
