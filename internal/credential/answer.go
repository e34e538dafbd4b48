package credential

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// Token types of RFC 8693 section 3.
const (
	TypeAccessToken = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // the name of a type
	TypeJWT         = "urn:ietf:params:oauth:token-type:jwt"
)

// Bounds of what is read of a token response.
const (
	maxLifetime = 30 * 24 * time.Hour
	maxToken    = 16 << 10 // bytes
	maxActors   = 8
)

// issued is a token that this server was given.
type issued struct {
	token   secret.Value
	expires time.Time // zero: the endpoint did not say
	actor   string    // who acts for the person, as audit records show it; "" for nobody
}

// readToken reads a successful token response (RFC 6749 section 5.1). Where an
// exchange was asked for (RFC 8693 section 2.2.1), wanted is the type that was
// requested, and issued_token_type must fit; "" otherwise. The errors are
// constant texts: a decoder's own would quote the token.
func readToken(answer strictjson.Object, wanted string, now time.Time) (issued, error) {
	tokenType, _ := answer.Text("token_type")
	access, _ := answer.Text("access_token")
	issuedType, _ := answer.Text("issued_token_type")
	switch {
	case wanted != "" && issuedType == "":
		return issued{}, errors.New("issued_token_type is missing")
	case wanted != "" && issuedType != TypeAccessToken && issuedType != TypeJWT, wanted == TypeJWT && issuedType != TypeJWT:
		return issued{}, errors.New("issued_token_type is not what was asked for")
	case strings.EqualFold(tokenType, "N_A"):
		return issued{}, errors.New("token_type N_A: what was issued is no access token, so no API takes it")
	case !strings.EqualFold(tokenType, "Bearer"):
		return issued{}, errors.New("token_type is not Bearer, so the token cannot be sent as one")
	case len(access) > maxToken || !sendable(secret.New(access)):
		return issued{}, errors.New("access_token is missing, too long, or has characters that a bearer token may not have")
	}
	got := issued{token: secret.New(access), actor: actors(access)}
	lifetime, _ := answer.Get("expires_in")
	if length := parseLifetime(lifetime); length > 0 {
		got.expires = now.Add(length)
	}
	return got, nil
}

// parseLifetime reads expires_in, in seconds; some servers send it as a text.
// Anything unusable is "not said".
func parseLifetime(raw json.RawMessage) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err == nil && seconds >= 1 && seconds <= maxLifetime.Seconds() {
		return time.Duration(seconds) * time.Second
	}
	return 0
}

// actors returns who acts for the person in a token that this server was just
// given: the "act" chain (RFC 8693 section 4.1), the current actor first, each as
// its client_id or as a pseudonym. It is for the record only, and the token came
// from the token endpoint itself, so its signature is not looked at; a token that
// cannot be read has nobody.
func actors(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	claims, ok := parseObject(payload)
	if !ok {
		return ""
	}
	issuer, _ := claims.Text("iss")
	var chain []string
	for len(chain) < maxActors {
		raw, _ := claims.Get("act")
		if claims, err = strictjson.ParseObject(raw); err != nil {
			break
		}
		chain = append(chain, actor(claims, issuer))
	}
	return strings.Join(chain, telemetry.ActorSeparator)
}

// actor names one actor.
func actor(claims strictjson.Object, issuer string) string {
	if id, _ := claims.Text("client_id"); id != "" && len(id) <= 128 {
		return oauth.SafeText(id)
	}
	if own, _ := claims.Text("iss"); own != "" {
		issuer = own
	}
	subject, _ := claims.Text("sub")
	return telemetry.ActorPerson + oauth.Principal{Issuer: issuer, Subject: subject}.SubjectHash()
}
