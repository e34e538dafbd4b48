package devstack

import (
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Error codes of RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6
// and RFC 8707 that package oauth has no use for.
const (
	codeInvalidTarget   = "invalid_target"
	codeLoginRequired   = "login_required"
	codeConsentRequired = "consent_required"
	codeInvalidClient   = "invalid_client"
)

// maxState bounds the state and the nonce of a request, in bytes.
const maxState = 4096

// maxACR bounds one value of acr_values, in bytes.
const maxACR = 256

// challengePattern is an S256 challenge: 32 bytes in base64url (RFC 7636
// section 4.2).
var challengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// authorization is a checked authorization request.
type authorization struct {
	clientID, clientName    string
	redirectURI             string
	state, nonce, challenge string
	scopes                  oauth.Scopes
	resources               []string // as asked for; empty means the server
	prompt                  []string
	loginHint               string
	maxAge                  time.Duration // how old a sign-in may be; negative when the client does not care
	acr                     string        // how the person should sign in; "" when the client does not care
}

// authorize answers /ares/authorize. An unknown client or redirect URI is shown
// to the person and never redirected to (RFC 9700 section 4.11); every other
// outcome goes back to the client, with iss.
//
//	signed in | prompt, login_hint, max_age   | consent | outcome
//	----------|-------------------------------|---------|------------------
//	yes       | nothing against it            | yes     | code
//	no        | none                          |         | login_required
//	yes       | none, other person, too old   |         | login_required
//	yes       | none                          | no      | consent_required
//	otherwise |                               |         | the sign-in page
func (b *broker) authorize(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return tooLarge(err)
	}
	request, refusal := b.whereTo(r)
	if refusal != nil {
		return refusal
	}
	if refusal := b.parseAuthorization(r.Form, &request); refusal != nil {
		b.deny(w, r, request, refusal)
		return nil
	}
	who, signedIn := b.signIns.signedIn(r)
	fits := signedIn && who.fits(request, b.signIns.now())
	consented := b.signIns.permanent != "" || fits && b.signIns.consented(who.person, request)
	asks := b.signIns.permanent == "" && slices.ContainsFunc(request.prompt, func(p string) bool {
		return p == oidc.PromptLogin || p == oidc.PromptConsent || p == oidc.PromptSelectAccount
	})
	switch {
	case fits && consented && !asks:
		b.allow(w, r, request, who)
	case !slices.Contains(request.prompt, oidc.PromptNone):
		b.signIns.ask(w, r, request)
	case !fits:
		b.deny(w, r, request, badRequest(codeLoginRequired, "Nobody who fits the request is signed in"))
	default:
		b.deny(w, r, request, badRequest(codeConsentRequired, "The person has not allowed this client that yet"))
	}
	return nil
}

// whereTo finds the client and checks the redirect URI: until both are sure,
// nobody is redirected.
func (b *broker) whereTo(r *http.Request) (authorization, *oauth.Refusal) {
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(r.Form[name]) != 1 || len(r.Form.Get(name)) > maxURL {
			return authorization{}, badRequest(oauth.CodeInvalidRequest, "The request needs exactly one "+name)
		}
	}
	found, err := b.clients.find(r.Context(), r.Form.Get("client_id"))
	if err != nil {
		return authorization{}, &oauth.Refusal{
			Status: http.StatusBadRequest, Code: codeInvalidClient, Reason: codeInvalidClient, Err: err,
			Description: "This client is not registered here, or the document that describes it cannot be used",
		}
	}
	redirectURI := r.Form.Get("redirect_uri")
	if !found.redirectAllowed(redirectURI) {
		return authorization{}, badRequest(oauth.CodeInvalidRequest, "The client did not register this redirect_uri")
	}
	return authorization{clientID: found.id, clientName: found.name, redirectURI: redirectURI, state: r.Form.Get("state")}, nil
}

// parseAuthorization fills in the rest of a request.
func (b *broker) parseAuthorization(form url.Values, request *authorization) *oauth.Refusal {
	if name, repeated := repeatedParameter(form); repeated {
		return badRequest(oauth.CodeInvalidRequest, "The parameter "+name+" is repeated")
	}
	if refusal := checkForm(form); refusal != nil {
		return refusal
	}
	asked, err := b.resources.requested(form)
	if err != nil {
		return oauth.AsRefusal(err)
	}
	request.resources = asked
	request.nonce = form.Get("nonce")
	request.challenge = form.Get("code_challenge")
	request.loginHint = form.Get("login_hint")
	request.prompt = strings.Fields(form.Get("prompt"))
	if len(request.prompt) > 1 && slices.Contains(request.prompt, oidc.PromptNone) {
		return badRequest(oauth.CodeInvalidRequest, "prompt=none stands alone")
	}
	request.scopes = oauth.ParseScopes(form.Get("scope"))
	if err := request.scopes.Validate(); err != nil {
		return badRequest("invalid_scope", err.Error())
	}
	// A stand-in has one way to sign in; it counts as whatever is asked for first
	// (OpenID Connect Core section 3.1.2.1).
	if values := strings.Fields(form.Get("acr_values")); len(values) > 0 {
		request.acr = values[0]
	}
	if len(request.acr) > maxACR {
		return badRequest(oauth.CodeInvalidRequest, "acr_values is too long")
	}
	request.maxAge = -1
	if text := form.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return badRequest(oauth.CodeInvalidRequest, "max_age is a number of seconds")
		}
		request.maxAge = time.Duration(seconds) * time.Second
	}
	return nil
}

// checkForm checks the parameters that allow one value only.
func checkForm(form url.Values) *oauth.Refusal {
	switch {
	case form.Get("response_type") != string(oidc.ResponseTypeCode):
		return badRequest("unsupported_response_type", "response_type is code")
	case form.Has("response_mode") && form.Get("response_mode") != string(oidc.ResponseModeQuery):
		return badRequest(oauth.CodeInvalidRequest, "response_mode is query")
	case form.Has("request"):
		return badRequest("request_not_supported", "Request objects are not supported")
	case form.Has("request_uri"):
		return badRequest("request_uri_not_supported", "Request objects are not supported")
	case form.Get("code_challenge") == "":
		return badRequest(oauth.CodeInvalidRequest, "PKCE is required: code_challenge is missing")
	case form.Get("code_challenge_method") != oauth.ChallengeMethodS256:
		return badRequest(oauth.CodeInvalidRequest, "PKCE is required with code_challenge_method S256")
	case !challengePattern.MatchString(form.Get("code_challenge")):
		return badRequest(oauth.CodeInvalidRequest, "code_challenge is not a SHA-256 in base64url")
	case len(form.Get("state")) > maxState || len(form.Get("nonce")) > maxState:
		return badRequest(oauth.CodeInvalidRequest, "state or nonce is too long")
	}
	return nil
}

// allow sends the client a code.
func (b *broker) allow(w http.ResponseWriter, r *http.Request, request authorization, who session) {
	code := b.storage.grants.newCode(grant{
		authorization: request, person: who.person, authTime: who.since, granted: who.person.grantable(request.scopes),
	})
	b.issued.add(code)
	b.logger.InfoContext(r.Context(), "authorization granted", slog.String("person", who.person.id), slog.String("client_id", request.clientID))
	b.redirect(w, r, request, url.Values{"code": {code}})
}

// deny sends the client an error.
func (b *broker) deny(w http.ResponseWriter, r *http.Request, request authorization, refusal *oauth.Refusal) {
	b.logger.InfoContext(r.Context(), "authorization denied", slog.String("reason", refusal.Code), slog.String("client_id", request.clientID))
	b.redirect(w, r, request, url.Values{"error": {refusal.Code}, "error_description": {oauth.SafeText(refusal.Description)}})
}

// redirect is the only way back to a client: every authorization response
// carries the issuer (RFC 9207 section 2) and the state.
func (b *broker) redirect(w http.ResponseWriter, r *http.Request, request authorization, answer url.Values) {
	target, err := url.Parse(request.redirectURI) // checked by whereTo
	if err != nil {
		http.Error(w, "redirect_uri", http.StatusBadRequest)
		return
	}
	query := target.Query()
	maps.Copy(query, answer)
	query.Set("iss", b.urls.AuthorizationServer)
	if request.state != "" {
		query.Set("state", request.state)
	}
	target.RawQuery = query.Encode()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	// 303 makes a browser GET the client after the form was posted (RFC 9700
	// section 4.12).
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
}
