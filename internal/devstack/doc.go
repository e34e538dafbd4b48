// Package devstack is the development stack: stand-ins, on loopback and in
// memory, for the systems around this server in its first deployment.
//
//   - Ares, the OAuth broker that clients are sent to: the authorization
//     server, issuer http://localhost:PORT/ares. Its core (client
//     authentication, PKCE, token creation) is zitadel/oidc's op package; what
//     MCP clients need beyond that stands around it: dynamic registration (RFC
//     7591), client id metadata documents, resource indicators (RFC 8707), iss
//     in every authorization response (RFC 9207), rotating refresh tokens,
//     introspection (RFC 7662), a page to sign in and consent, and for services
//     token exchange (RFC 8693).
//   - Auth0, which signs the tokens: issuer http://localhost:PORT/auth0/ with
//     the trailing slash, RS256, its own metadata and key set.
//   - Otus, the API: it validates tokens by itself and answers GET /teams.
//
// Three people have accounts: Ana may read teams, Bruno may not, Carla's tokens
// live for a minute. Beside the truth there is a switchboard to leave it: the
// token forge ([Stack.Mint], POST /dev/tokens) mints tokens with one named
// defect, [Stack.SetIdPFault] and [Stack.SetOtusFault] (POST /dev/faults) make
// either side misbehave, [Stack.RotateKeys] and [Stack.ReplaceKey]
// change keys while running.
//
// Start with [New], [Stack.Run] and [Stack.URLs]; authorize.go has the flow.
//
// It is strict where a real provider may be lax (PKCE with S256 only, exact
// redirect URIs but for loopback ports, single-use codes), so that a client
// that works here works elsewhere. It refuses addresses that are not loopback
// and hosts that are not this machine, so that neither the network nor a web
// page that rebinds DNS can reach accounts without passwords. Keys are new at
// every start and nothing is stored. It is no identity provider: there are no
// passwords, and only the dev command and tests may import it.
package devstack
