// Package authcode is this server in the role of an OAuth client, for people
// whose MCP client cannot do OAuth: /auth/start sends the browser to the
// authorization server, /auth/callback shows the token that comes back, and
// /auth/refresh trades a refresh token for new ones.
//
// Start with [New] and [Flow.Start]. The state machine of one sign-in lives in
// the browser's cookie, sealed, so any replica with the same key can finish
// what another one began:
//
//	start     attempt (state, PKCE verifier, nonce, issuer, time) is sealed
//	          into the cookie; 303 to the authorization server
//	callback  cookie opened, attempt found by state, taken out of the cookie;
//	          iss checked; code exchanged; token verified; page shown
//
// A browser may have [maxAttempts] sign-ins open at once, in different tabs;
// one more pushes out the oldest. Two tabs started in the very same moment may
// overwrite each other's cookie; the loser is asked to start again.
//
// It defends against cross-site request forgery and other people's codes
// (state bound to the browser), code injection (PKCE, nonce), authorization
// server mix-up (RFC 9207), open redirects (no address comes from the request),
// tokens meant for somebody else (nothing is shown that this server's own
// verifier refuses), script injection (html/template under a strict content
// security policy; no text of the authorization server is ever shown), and
// floods of refresh requests.
//
// A state is used once: the cookie forgets it, and each replica remembers the
// states it used, up to [maxUsedStates], for as long as they could be
// replayed. What stays is a replay on another replica by someone who
// kept the cookie; there the authorization server's single-use code refuses.
//
// It does not verify tokens (its Config brings the verifier), keeps no session
// and stores no token: refreshed tokens stay in memory for ten seconds, sealed
// under a key that only the refresh token they replaced can derive.
package authcode
