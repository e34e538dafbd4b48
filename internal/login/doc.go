// Package login signs a person in at a protected resource as an MCP client
// does, and returns the tokens: discovery from the resource's own 401 (RFC
// 9728), a client id given or registered (RFC 7591), authorization code with
// PKCE (RFC 7636) and a redirect to this machine (RFC 8252).
//
// Start with [SignIn]. discover.go finds the authorization server, register.go
// the client id, redirect.go waits for the browser, token.go redeems the code.
//
// It defends against a resource that names somebody else's metadata, an
// authorization server that is not who it says (RFC 8414 section 3.3, RFC 9207),
// a redirect that nobody asked for (state), and answers of any size. Tokens go
// to the caller only, never into a page or a log.
//
// It keeps nothing, refreshes nothing and opens no browser itself.
package login
