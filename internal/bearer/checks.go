package bearer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// check is one step of verification. run returns the sentence that tells the
// person what is wrong and what to do, or "" when the token passes.
type check struct {
	reason Reason
	run    func(*Verifier, *token) string
	live   bool // its outcome changes while the token does not: a remembered token passes it again
}

// headerChecks look at what a token says about itself. They come before any key
// is chosen, so that no token chooses how it is verified.
var headerChecks = []check{
	{reason: WrongAlgorithm, run: (*Verifier).checkAlgorithm},
	{reason: CriticalHeader, run: (*Verifier).checkCritical},
	{reason: WrongType, run: (*Verifier).checkType},
}

// signerChecks come when the token's issuer is known and its keys are about to
// be tried: now its own rules count, not every issuer's.
var signerChecks = []check{
	{reason: WrongAlgorithm, run: (*Verifier).checkAlgorithm},
	{reason: WrongType, run: (*Verifier).checkType},
}

// claimChecks look at the claims of a token whose signature was verified. The
// first that fails is the reason: what a token is, before whom it is for, before
// when it is valid.
var claimChecks = []check{
	{reason: WrongIssuer, run: (*Verifier).checkIssuer},
	{reason: IDToken, run: (*Verifier).checkIDToken},
	{reason: WrongUse, run: (*Verifier).checkUse},
	{reason: WrongAudience, run: (*Verifier).checkAudience},
	{reason: WrongClient, run: (*Verifier).checkClient},
	{reason: NoExpiry, run: (*Verifier).checkHasExpiry},
	{reason: Expired, run: (*Verifier).checkExpiry, live: true},
	{reason: NotYetValid, run: (*Verifier).checkNotBefore, live: true},
	{reason: IssuedInFuture, run: (*Verifier).checkIssuedAt, live: true},
	{reason: TooOld, run: (*Verifier).checkAge, live: true},
	{reason: LivesTooLong, run: (*Verifier).checkLifetime},
	{reason: NoSubject, run: (*Verifier).checkSubject},
}

// liveChecks are those of claimChecks that a remembered token passes again.
var liveChecks = slices.DeleteFunc(slices.Clone(claimChecks), func(c check) bool { return !c.live })

// pass runs checks in their order. The error is a [*oauth.Refusal].
func (v *Verifier) pass(checks []check, t *token) error {
	for _, c := range checks {
		if sentence := c.run(v, t); sentence != "" {
			return c.reason.refuse(sentence, nil)
		}
	}
	return nil
}

// checkAlgorithm takes only algorithms that some issuer is configured for (RFC
// 8725 section 3.1); the token's own issuer is asked when it is known.
// Algorithms without a signature or with a shared secret cannot be configured.
func (v *Verifier) checkAlgorithm(t *token) string {
	var accepted []string
	for _, i := range v.issuers {
		if t.signer == nil || t.signer == i {
			accepted = append(accepted, i.config.Algorithms...)
		}
	}
	if slices.Contains(accepted, t.algorithm) {
		return ""
	}
	slices.Sort(accepted)
	return fmt.Sprintf("The token is signed with the algorithm %s; this server accepts %s from its issuer. Change the API's signing algorithm at the identity provider.",
		echo(t.algorithm), echoList(slices.Compact(accepted)))
}

// checkCritical refuses every extension that must be understood: this server
// understands none (RFC 7515 section 4.1.11), b64 (RFC 7797) included.
func (v *Verifier) checkCritical(t *token) string {
	_, crit := t.header.Get("crit")
	_, b64 := t.header.Get("b64")
	if crit || b64 {
		return "The token's header demands an extension (crit, b64) that this server does not have; ask the identity provider for a plain JWT."
	}
	return ""
}

// checkType accepts what access tokens are declared as: at+jwt (RFC 9068 section
// 2.1) and, unless the token's own issuer is strict, JWT or nothing. Everything
// else belongs to another profile: ID-JAG, logout, security event, DPoP proof
// (RFC 8725 section 3.11). Media types are case-insensitive and may leave out
// application/ (RFC 7515 section 4.1.9).
func (v *Verifier) checkType(t *token) string {
	strict := t.signer != nil && t.signer.config.Types == TypesStrict
	_, present := t.header.Get("typ")
	declared, _ := t.header.Text("typ")
	name := strings.TrimPrefix(strings.ToLower(declared), "application/")
	switch {
	case name == "at+jwt", !strict && (name == "jwt" || !present):
		return ""
	case name == "jwt" || !present:
		return "The token does not say that it is an access token (typ at+jwt, RFC 9068), which this server wants of its issuer; turn that profile on for the API at the identity provider."
	}
	return "The token is of the type " + echo(declared) + ", which is not an access token; send the access_token of the token response."
}

// checkIssuer compares again after the signature: until then the issuer was only
// a hint for choosing keys (RFC 8725 section 3.8).
func (v *Verifier) checkIssuer(t *token) string {
	if t.keys != nil && t.issuer != "" && t.issuer == t.keys.issuer {
		return ""
	}
	return v.wrongIssuer(t.issuer)
}

func (v *Verifier) wrongIssuer(got string) string {
	var accepted []string
	hint := "Sign in at the authorization server that this server's metadata names."
	for _, i := range v.issuers {
		name := i.name()
		accepted = append(accepted, name)
		if got != name && sameButSlash(got, name) {
			hint = "They differ only by a trailing slash: set JWT_ISSUER to the token's issuer."
		}
	}
	return fmt.Sprintf("The token's issuer is %s; this server accepts %s. %s", echo(got), echoList(accepted), hint)
}

// checkIDToken refuses ID tokens by positive evidence: claims that only they
// have (OpenID Connect Core sections 2 and 3.3.2.11), or a client as the only
// audience.
func (v *Verifier) checkIDToken(t *token) string {
	const sentence = "This is an ID token; send the access_token of the token response instead."
	for _, name := range []string{"nonce", "at_hash", "c_hash"} {
		if _, present := t.members.Get(name); present {
			return sentence
		}
	}
	if len(t.claims.audience) == 1 {
		only := t.claims.audience[0]
		if only != "" && (only == t.claims.clientID || only == t.claims.azp) && !t.signer.accepts(only) {
			return sentence
		}
	}
	return ""
}

// notAccess are the words by which identity providers mark a token that is none
// for an API, in lower case.
var notAccess = []string{"id", "id_token", "refresh", "refresh_token", "offline"}

// checkUse refuses a token that says of itself that it is a refresh or an ID
// token: in "token_use" as Cognito and Hydra have it, in the claim "typ" as
// Keycloak has it, in "token_type" of an introspection response (RFC 7662
// section 2.2).
func (v *Verifier) checkUse(t *token) string {
	for _, name := range []string{"token_use", "typ", "token_type"} {
		if word, _ := t.members.Text(name); slices.Contains(notAccess, strings.ToLower(word)) {
			return "The token says that it is a refresh or an ID token; send the access_token of the token response instead."
		}
	}
	return ""
}

// checkAudience wants one of the configured audiences (RFC 9068 section 4). It
// tells which arrived: it is the commonest question of all.
func (v *Verifier) checkAudience(t *token) string {
	accepted := t.signer.config.Audiences
	if slices.ContainsFunc(t.claims.audience, t.signer.accepts) {
		return ""
	}
	const fix = "Send the resource parameter, or set a default audience at the identity provider."
	if len(t.claims.audience) == 0 {
		return fmt.Sprintf("The token names no audience; this server accepts %s. %s", echoList(accepted), fix)
	}
	return fmt.Sprintf("The token is for %s; this server accepts %s. %s",
		echoList(t.claims.audience), echoList(accepted), fix)
}

func (i *issuer) accepts(audience string) bool {
	return slices.ContainsFunc(i.config.Audiences, func(ours string) bool { return oauth.SameResource(audience, ours) })
}

// checkClient holds a token against the issuer's list of clients, if it has one.
// It comes on top of the audience, never instead of it.
func (v *Verifier) checkClient(t *token) string {
	clients := t.signer.config.Clients
	if len(clients) == 0 || slices.Contains(clients, t.client()) {
		return ""
	}
	return "The token was issued to the client " + echo(t.client()) + ", which may not use this server; sign in with one that may, or ask its operator."
}

func (v *Verifier) checkHasExpiry(t *token) string {
	if t.claims.expiry.IsZero() {
		return "The token has no expiry (exp); this server accepts only tokens that expire."
	}
	return ""
}

// checkExpiry: "on or after" exp a token is not accepted (RFC 7519 section
// 4.1.4).
func (v *Verifier) checkExpiry(t *token) string {
	if t.now.Before(t.claims.expiry.Add(t.signer.config.Leeway)) {
		return ""
	}
	return "The token expired at " + t.claims.expiry.Format(time.RFC3339) + "; refresh it or sign in again."
}

func (v *Verifier) checkNotBefore(t *token) string {
	if !t.now.Add(t.signer.config.Leeway).Before(t.claims.notBefore) {
		return ""
	}
	return "The token is not valid before " + t.claims.notBefore.Format(time.RFC3339) + "; wait, or compare the clocks of this server and the identity provider."
}

func (v *Verifier) checkIssuedAt(t *token) string {
	if !t.now.Add(t.signer.config.Leeway).Before(t.claims.issuedAt) {
		return ""
	}
	return "The token was issued in the future, at " + t.claims.issuedAt.Format(time.RFC3339) + "; compare the clocks of this server and the identity provider."
}

// checkAge holds a token against the issuer's policy for how old one may be,
// however long it lives.
func (v *Verifier) checkAge(t *token) string {
	policy := t.signer.config.MaxAge
	switch {
	case policy == 0:
		return ""
	case t.claims.issuedAt.IsZero():
		return fmt.Sprintf("The token does not say when it was issued (iat), and this server takes one for %s after that only; have the identity provider add it.", policy)
	case t.now.Before(t.claims.issuedAt.Add(policy + t.signer.config.Leeway)):
		return ""
	}
	return fmt.Sprintf("The token was issued at %s, and this server takes one for %s after that only; refresh it or sign in again.",
		t.claims.issuedAt.Format(time.RFC3339), policy)
}

// checkLifetime holds a token against the issuer's policy for how long one may
// be good. One that does not say since when is taken to begin now.
func (v *Verifier) checkLifetime(t *token) string {
	policy, from := t.signer.config.MaxLifetime, t.claims.issuedAt
	if from.IsZero() {
		from = t.now
	}
	lifetime := t.claims.expiry.Sub(from)
	if policy == 0 || lifetime <= policy {
		return ""
	}
	return fmt.Sprintf("The token is good for %s, and this server takes none that is good for more than %s; shorten the lifetime of the API's tokens at the identity provider.",
		lifetime.Truncate(time.Second), policy)
}

func (v *Verifier) checkSubject(t *token) string {
	if t.claims.subject == "" {
		return "The token names nobody (sub); this server needs to know who calls."
	}
	return ""
}
