package diagnose_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/diagnose"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestReq098_ExplainSaysMuchAndShowsNoToken(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	header := encode(`{"alg":"RS256","kid":"k1","typ":"at+jwt"}`)
	signature := encode("the signature of the token")
	jwt := func(claims string) string { return header + "." + encode(claims) + "." + signature }
	accept := func(context.Context, secret.Value) (oauth.Principal, error) { return oauth.Principal{}, nil }
	refuse := func(err error) func(context.Context, secret.Value) (oauth.Principal, error) {
		return func(context.Context, secret.Value) (oauth.Principal, error) { return oauth.Principal{}, err }
	}
	for _, test := range []struct {
		name, token string
		verify      func(context.Context, secret.Value) (oauth.Principal, error)
		ok          bool
		says        []string
	}{
		{
			"good", jwt(`{"iss":"https://idp","sub":"u1","aud":["x","https://h/mcp"],"scope":"a b","exp":1795442400,"iat":1795435140,"email":"ana@example.com"}`), accept, true,
			[]string{"signed JWT", "k1", "https://idp", "accepted here", "in 2 hours", "a minute", "others", "email", "Accepted."},
		},
		{
			"bound", jwt(`{"cnf":{"jkt":"thumb"}}`), func(context.Context, secret.Value) (oauth.Principal, error) {
				return oauth.Principal{Confirmation: oauth.Confirmation{KeyThumbprint: "thumb", CertificateThumbprint: "t"}}, nil
			}, true,
			[]string{`{"jkt":"thumb"}`, "with a DPoP proof of its key (cnf jkt) and its client certificate (cnf x5t#S256)."},
		},
		{"expired", jwt(`{"aud":"x","exp":1795348800}`), refuse(oauth.InvalidToken("expired", "It expired.", nil)), false, []string{"expired, 1 day ago", "not accepted here", "Refused with 401 (expired). It expired."}},
		{"other issuer", jwt(`{"iss":"https://two","aud":"urn:two"}`), nil, true, []string{"urn:two  (accepted here)"}},
		{"other issuer's audience", jwt(`{"iss":"https://two","aud":"https://h/mcp"}`), nil, true, []string{"https://h/mcp  (not accepted here)"}},
		{"sign-in", jwt(`{"acr":"urn:mfa","amr":["pwd","otp"],"auth_time":1795435140}`), nil, true, []string{"urn:mfa", "pwd, otp", "1 minute ago"}},
		{"offline", jwt(`{}`), nil, true, []string{"Decoded only"}},
		{"issuer down", jwt(`{}`), refuse(oauth.Unavailable("Later.", time.Second, errors.New("dial tcp: refused"))), false, []string{"503", "dial tcp: refused"}},
		{"odd time", jwt(`{"exp":"soon","iat":1e300}`), nil, true, []string{"not a time"}},
		{"encrypted", encode(`{"alg":"dir","enc":"A256GCM"}`) + "..AAAA.BBBB.CCCC", nil, true, []string{"encrypted", "A256GCM"}},
		{"opaque", "abcdefghijklmnopqrstuvwxyz", nil, true, []string{"opaque"}},
		{"two parts", header + ".AAAA", nil, true, []string{"broken"}},
		{"broken claims", header + ".!!!." + signature, nil, true, []string{"broken JWT"}},
		{"hostile", jwt(`{"sub":"\u001b[2J\nAccepted.","iss":"\u202e"}`), nil, true, []string{"?[2J Accepted."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := diagnose.Explain(t.Context(), diagnose.ExplainConfig{
				Audiences: func(issuer string) []string {
					if issuer == "https://two" {
						return []string{"urn:two"}
					}
					return []string{"https://h/mcp"}
				},
				Token: secret.New(test.token), Verify: test.verify, Now: func() time.Time { return now },
			})
			var text, object bytes.Buffer
			if err := errors.Join(e.WriteText(&text), e.WriteJSON(&object)); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.says {
				if want == "a minute" {
					want = "1 minute ago"
				}
				if !strings.Contains(text.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, &text)
				}
			}
			all := text.String() + object.String()
			for part := range strings.SplitSeq(test.token, ".") {
				if len(part) > 11 && strings.Contains(all, part) {
					t.Errorf("a part of the token is shown:\n%s", all)
				}
			}
			if strings.Contains(all, "ana@example.com") || strings.ContainsAny(text.String(), "\x1b\u202e") {
				t.Errorf("something is shown that should not be:\n%q", all)
			}
			if e.OK() != test.ok {
				t.Errorf("OK is %t", e.OK())
			}
		})
	}
}
