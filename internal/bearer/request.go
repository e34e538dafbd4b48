package bearer

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// MaxToken is the longest token that is looked at, in bytes.
const MaxToken = 16 << 10

// maxFormPeek is how much of a form body is searched for a token, in bytes. A
// token behind it is not reported, and not accepted either: the body is no
// place for tokens.
const maxFormPeek = 32 << 10

// tokenParameter is the parameter that RFC 6750 sections 2.2 and 2.3 define and
// OAuth 2.1 section 5.1 and MCP forbid.
const tokenParameter = "access_token"

// Presented is an access token as a request presents it, together with what may
// show that it is in the right hands.
type Presented struct {
	Token  secret.Value
	Scheme string   // [oauth.SchemeBearer] or [oauth.SchemeDPoP]
	Proofs []string // values of the DPoP header fields (RFC 9449 section 4.1)
	Method string   // of the request
	Path   string   // of the request, as escaped there; its origin is the server's own
	// Certificate is the thumbprint of the certificate that the client has proven
	// to hold in its TLS handshake, as [Thumbprint] writes it; "" without one.
	// [FromRequest] leaves it to who knows the connection.
	Certificate string
}

// FromRequest takes the access token from the Authorization header, its only
// place (RFC 6750 section 2.1, RFC 9449 section 7.1). Errors are
// [*oauth.Refusal]:
//
//   - 401 without an error code when there is no Authorization header, or one of
//     another scheme;
//   - 401 invalid_token for a token longer than [MaxToken];
//   - 400 invalid_request for several headers, a value that is not a scheme and
//     one token, and a token in the query or in a form body.
//
// A body is looked at only if it declares itself a form, which no route with
// tokens takes; what was read of it is put back into r.Body.
func FromRequest(r *http.Request) (Presented, error) {
	if inQuery(r.URL) {
		return Presented{}, TokenInQuery.badRequest("The request has a token in its query; send it in the Authorization header only, and treat this one as leaked.")
	}
	if inForm(r) {
		return Presented{}, TokenInForm.badRequest("The request has a token in a form body; send it in the Authorization header only.")
	}
	values := r.Header.Values("Authorization")
	switch len(values) {
	case 0:
		return Presented{}, oauth.NoToken()
	case 1:
	default:
		return Presented{}, SeveralTokens.badRequest("The request has several Authorization headers; send one.")
	}
	scheme, token, err := fromHeader(values[0])
	if err != nil {
		return Presented{}, err
	}
	return Presented{
		Token: token, Scheme: scheme, Proofs: r.Header.Values(oauth.SchemeDPoP),
		Method: r.Method, Path: r.URL.EscapedPath(),
	}, nil
}

// fromHeader reads credentials = auth-scheme 1*SP b64token (RFC 6750 section
// 2.1, RFC 9110 section 11.4). The scheme is case-insensitive (section 11.1).
func fromHeader(value string) (scheme string, token secret.Value, err error) {
	name, rest, _ := strings.Cut(value, " ")
	text := strings.TrimLeft(rest, " ")
	for _, known := range []string{oauth.SchemeBearer, oauth.SchemeDPoP} {
		if strings.EqualFold(name, known) {
			scheme = known
		}
	}
	switch {
	case text != "" && isSchemeName(name) && scheme == "":
		return "", secret.Value{}, otherScheme()
	case len(text) > MaxToken: // a token that is not acceptable, well formed or not
		return "", secret.Value{}, underScheme(scheme, TooLarge.refuse(tooLargeHint, nil))
	case text == "" || scheme == "" || !isB64Token(text):
		return "", secret.Value{}, MalformedHeader.badRequest("The Authorization header is malformed; it must be the word Bearer, one space and one token.")
	}
	return scheme, secret.New(text), nil
}

// otherScheme refuses credentials that are no access token for this server: to
// the client it is as if there were none.
func otherScheme() *oauth.Refusal {
	refusal := oauth.NoToken()
	refusal.Reason = string(OtherScheme)
	return refusal
}

// isB64Token reports whether text is 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" /
// "+" / "/" ) *"=".
func isB64Token(text string) bool {
	text = strings.TrimRight(text, "=")
	return text != "" && strings.IndexFunc(text, func(r rune) bool {
		return !isAlphanumeric(r) && !strings.ContainsRune("-._~+/", r)
	}) < 0
}

// isSchemeName reports whether text is a token of RFC 9110 section 5.6.2.
func isSchemeName(text string) bool {
	return text != "" && strings.IndexFunc(text, func(r rune) bool {
		return !isAlphanumeric(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func inQuery(u *url.URL) bool {
	return u != nil && u.RawQuery != "" && hasToken(u.RawQuery)
}

// hasToken looks for the parameter in a query or form. Pairs that do not parse
// are passed over: nobody takes a token out of them.
func hasToken(encoded string) bool {
	values, _ := url.ParseQuery(encoded)
	return values.Has(tokenParameter)
}

func inForm(r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return false
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if mediaType != "application/x-www-form-urlencoded" {
		return false
	}
	// A body that breaks off gives its error again to whoever reads on.
	head, _ := io.ReadAll(io.LimitReader(r.Body, maxFormPeek)) //nolint:forbidigo // bounded by the line's own limit
	r.Body = &peekedBody{Reader: io.MultiReader(bytes.NewReader(head), r.Body), Closer: r.Body}
	return hasToken(string(head))
}

// peekedBody is a body whose beginning was read and put back.
type peekedBody struct {
	io.Reader
	io.Closer
}
