// Package bearer verifies OAuth 2.0 access tokens that arrive as bearer tokens
// (RFC 6750) or with a proof of the key they are bound to (RFC 9449, RFC 8705) and
// are JWTs (RFC 9068, RFC 7519) signed by a known issuer.
//
// It owns where a token may stand in a request ([FromRequest]), what makes it
// acceptable ([Verifier.Authenticate]), the issuers' signing keys with a fetch
// policy of their own ([Verifier.Run]), and what issuers say of tokens that only
// they can read (RFC 7662, introspect.go). Start with checks.go: verification is
// an ordered table of small checks, each with its own [Reason].
//
// What it defends against, and where:
//
//   - a token in a place that gets logged or cached: request.go
//   - two parsers that read one token differently (repeated and case-folded
//     members, lax base64url, several credentials): token.go, request.go
//   - a token that chooses its own key or algorithm (none, HS256 with the public
//     key, jku, x5u, jwk, x5c, crit): token.go, checks.go, keyset.go
//   - one issuer that speaks for another: keys and rules never leave their issuer
//   - tokens meant for somebody else, ID tokens: checks.go
//   - stolen tokens that are bound to a key, and proofs that are stolen, replayed or
//     made for something else: binding.go, dpop.go, dpop_replay.go
//   - identity providers that are down, rotate keys or publish odd ones, and
//     attackers who turn forged key ids and signatures into traffic to them:
//     issuer.go, run.go
//   - a remembered verdict that outlives what it was based on: memory.go
//
// A problem of the identity provider is a 503 and never blamed on the token: a
// 401 would make every client sign in again.
//
// What it does not do: it keeps no token, only hashes and claims, and writes no
// HTTP answer.
package bearer
