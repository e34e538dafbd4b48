// Package oauth is the vocabulary of OAuth 2.1 and its neighbours as this
// server speaks it: scopes, principals, resource identifiers, challenges,
// protected-resource metadata, PKCE and the refusal every layer answers with.
//
// It does no I/O and keeps no state. Start with [Principal] (who calls),
// [Refusal] (how a request is turned down) and [Challenge] (what a client reads
// in WWW-Authenticate).
package oauth
