package devstack

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// verifier is Otus' own view of a token, written apart from the server under
// development, so that the two can disagree.
type verifier struct {
	keys   *keyring
	spoken *spoken
	issuer string
	now    func() time.Time
}

// tokenClaims is what Otus reads of a token.
type tokenClaims struct {
	Issuer      string           `json:"iss"`
	Subject     string           `json:"sub"`
	Audience    jwt.Audience     `json:"aud"`
	Expiry      *jwt.NumericDate `json:"exp"`
	NotBefore   *jwt.NumericDate `json:"nbf"`
	ClientID    string           `json:"client_id"`
	Scope       string           `json:"scope"`
	Permissions []string         `json:"permissions"`
	Act         json.RawMessage  `json:"act"`
	MayAct      *party           `json:"may_act"`
}

// verify checks signature, issuer, subject and time; the audience is the
// caller's matter.
func (v *verifier) verify(token string) (tokenClaims, error) {
	payload, opaque := v.spoken.read(token)
	if !opaque {
		var err error
		if payload, err = v.payload(token); err != nil {
			return tokenClaims{}, err
		}
	}
	var claims tokenClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return tokenClaims{}, errors.New("claims are not readable")
	}
	now := v.now()
	switch {
	case claims.Issuer != v.issuer:
		return tokenClaims{}, errors.New("wrong issuer")
	case claims.Subject == "":
		return tokenClaims{}, errors.New("no subject")
	case claims.Expiry == nil || !now.Before(claims.Expiry.Time()):
		return tokenClaims{}, errors.New("expired")
	case claims.NotBefore != nil && now.Before(claims.NotBefore.Time()):
		return tokenClaims{}, errors.New("not valid yet")
	}
	return claims, nil
}

// payload returns the claims of a JWT whose signature is good.
func (v *verifier) payload(token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA})
	if err != nil {
		return nil, errors.New("not a signed token")
	}
	header := signed.Signatures[0].Header
	key, known := v.keys.find(header.KeyID, header.Algorithm)
	if !known {
		return nil, errors.New("signed with an unknown key")
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return nil, errors.New("wrong signature")
	}
	return payload, nil
}

// meantFor reports whether the token's audience names one of the given APIs.
func (c tokenClaims) meantFor(apis ...string) bool {
	return slices.ContainsFunc(c.Audience, func(audience string) bool {
		return slices.ContainsFunc(apis, func(api string) bool { return oauth.SameResource(audience, api) })
	})
}

func bearerToken(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}
