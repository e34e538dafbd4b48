// Package cluster lets replicas find each other's HTTP+SSE sessions and talk
// about them, through a Valkey or Redis server that all of them reach.
//
// [New] makes a [Bus], [Bus.Run] connects it. The bus has two halves: a
// directory (which replica holds a session, directory.go) and messages from one
// replica to another, with an answer (messages.go). What the messages say is
// the business of package mcp.
//
// It defends against what a shared store brings: everything in it, records and
// messages, is sealed with a key that only the replicas have and bound to the
// place it stands in, so whoever reads or writes the store learns and forges
// nothing; records expire; every wait and every queue is bounded. A store that
// goes away is an error of each operation that needs it and of nothing else, and
// the bus connects again by itself.
//
// It keeps nothing that a restart of the store must not lose: each replica
// writes the records of its own sessions again. It never sees a token.
package cluster
