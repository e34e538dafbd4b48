// Package credential gives requests to an API their credential: one type for
// each mode a catalogue can declare, each of them what package upstream sees as
// Credentials.
//
//   - [Forward] sends the caller's own token, byte for byte.
//   - [Exchange] trades it for one that is meant for the API (RFC 8693, or the
//     on-behalf-of flow of Microsoft Entra).
//   - [Self] is this server itself (RFC 6749 section 4.4).
//   - [Static] is a fixed header field.
//   - [None] sends nothing.
//
// Start with [Exchange.Apply]. endpoint.go talks to a token endpoint, client.go
// authenticates there, answer.go reads what it says, store.go keeps tokens.
//
// It defends against tokens that cross persons or APIs (each source belongs to
// one API; what is kept is found by the hash of the caller's token, and only
// until the earlier of both ends), against a token endpoint's answer that is not
// a usable token, and against blaming people for other people's faults: only a
// subject token that the token endpoint turns down becomes a 401.
//
// It does not verify tokens (package bearer) and does not decide which API a
// credential goes to (package upstream).
package credential
