package bearer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// claims are the registered claims of a token, decoded. A claim that is absent
// has its zero value; one of the wrong JSON type is an error, never absent.
type claims struct {
	subject  string
	clientID string
	azp      string
	tokenID  string
	audience []string
	scopes   oauth.Scopes

	expiry    time.Time
	notBefore time.Time
	issuedAt  time.Time

	acr      string
	amr      []string
	authTime time.Time

	confirmation oauth.Confirmation
}

// decodeClaims reads the claims that verification and [oauth.Principal] need,
// by exact name. The error names the first claim that is not what it should be,
// without its value.
func decodeClaims(members strictjson.Object) (claims, error) {
	var c claims
	var scopes []string
	r := claimReader{members: members}
	read(&r, "sub", &c.subject, textClaim)
	read(&r, "client_id", &c.clientID, textClaim)
	read(&r, "azp", &c.azp, textClaim)
	read(&r, "jti", &c.tokenID, textClaim)
	read(&r, "aud", &c.audience, listClaim)
	read(&r, scopeClaim(members), &scopes, listClaim)
	read(&r, "exp", &c.expiry, dateClaim)
	read(&r, "nbf", &c.notBefore, dateClaim)
	read(&r, "iat", &c.issuedAt, dateClaim)
	read(&r, "cnf", &c.confirmation, confirmationClaim)
	c.scopes = grantedScopes(scopes)
	readIfFit(members, "acr", &c.acr, textClaim)
	readIfFit(members, "amr", &c.amr, listClaim)
	readIfFit(members, "auth_time", &c.authTime, dateClaim)
	return c, r.err
}

// readIfFit takes a claim that can only ever prove more, never less. One that
// is not what it should be (AD FS writes auth_time as a text) proves nothing, and
// costs nobody the token.
func readIfFit[T any](members strictjson.Object, name string, into *T, decode func(json.RawMessage) (T, error)) {
	if raw, present := members.Get(name); present {
		if value, err := decode(raw); err == nil {
			*into = value
		}
	}
}

// claimReader keeps the first error of several reads.
type claimReader struct {
	members strictjson.Object
	err     error
}

func read[T any](r *claimReader, name string, into *T, decode func(json.RawMessage) (T, error)) {
	raw, present := r.members.Get(name)
	if !present || r.err != nil {
		return
	}
	value, err := decode(raw)
	if err != nil {
		r.err = fmt.Errorf("%s %w", name, err)
		return
	}
	*into = value
}

// scopeClaim names the claim that lists the scopes: "scope" (RFC 9068 section
// 2.2.3), else "scp" as Microsoft and Okta have it. Auth0's "permissions" are
// roles of the user, not what the client was granted, and never scopes.
func scopeClaim(members strictjson.Object) string {
	if _, present := members.Get("scope"); present {
		return "scope"
	}
	return "scp"
}

// grantedScopes drops what RFC 6749 section 3.3 does not allow as a scope
// token: nothing can require it, and it would come back in a challenge.
func grantedScopes(values []string) oauth.Scopes {
	var granted oauth.Scopes
	for _, scope := range oauth.ParseScopes(strings.Join(values, " ")) {
		if (oauth.Scopes{scope}).Validate() == nil {
			granted = append(granted, scope)
		}
	}
	return granted
}

// textClaim reads a JSON string. One with a lone surrogate is refused: Go would
// read it as U+FFFD, and two subjects would become one.
func textClaim(raw json.RawMessage) (string, error) {
	if kind(raw) != "a string" {
		return "", fmt.Errorf("is not a string but %s", kind(raw))
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return "", errors.New("is not valid Unicode")
	}
	return text, nil
}

// listClaim reads a JSON string or an array of strings.
func listClaim(raw json.RawMessage) ([]string, error) {
	switch kind(raw) {
	case "a string":
		text, err := textClaim(raw)
		return []string{text}, err
	case "an array":
		var elements []json.RawMessage
		if err := json.Unmarshal(raw, &elements); err != nil {
			return nil, errors.New("is not a list")
		}
		values := make([]string, 0, len(elements))
		for _, element := range elements {
			text, err := textClaim(element)
			if err != nil {
				return nil, fmt.Errorf("holds an element that %w", err)
			}
			values = append(values, text)
		}
		return values, nil
	}
	return nil, fmt.Errorf("is neither a string nor a list of strings but %s", kind(raw))
}

// maxNumericDate is the last second of the year 9999: RFC 3339 ends there, and
// no token lives that long.
const maxNumericDate = 253402300799

// dateClaim reads a NumericDate: seconds since 1970, possibly with a fraction (RFC 7519
// section 2).
func dateClaim(raw json.RawMessage) (time.Time, error) {
	if kind(raw) != "a number" {
		return time.Time{}, fmt.Errorf("is not a number but %s", kind(raw))
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > maxNumericDate {
		return time.Time{}, errors.New("is outside the years 1970 to 9999")
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*float64(time.Second))).UTC(), nil
}

// kind names the JSON type of a value, for sentences.
func kind(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "a string"
	case '[':
		return "an array"
	case '{':
		return "an object"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
