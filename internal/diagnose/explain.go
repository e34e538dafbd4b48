package diagnose

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// ExplainConfig says which token to explain and by whose rules.
type ExplainConfig struct {
	Token secret.Value
	// Audiences returns what the server accepts of an issuer, of all of them when
	// it does not know that one.
	Audiences func(issuer string) []string
	// Verify is the server's own verifier, for a token whose keys nobody has proven
	// yet; nil means the token is only decoded.
	Verify func(context.Context, secret.Value) (oauth.Principal, error)
	Now    func() time.Time // nil means the wall clock
}

// Explanation is what can be said of a token without showing it.
type Explanation struct {
	Kind    string   `json:"kind"`
	Token   string   `json:"token"` // a fingerprint
	Parts   int      `json:"parts"`
	Length  int      `json:"length"` // in bytes
	Header  []Claim  `json:"header,omitempty"`
	Claims  []Claim  `json:"claims,omitempty"`
	Others  []string `json:"other_claims,omitempty"` // names of claims whose values are nobody's business
	Verdict *Verdict `json:"verdict,omitempty"`      // nil when the token was only decoded

	Audiences []string `json:"accepted_audiences,omitempty"`
}

// Claim is one member of a token's header or claims.
type Claim struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"` // in words
}

// Verdict is what the server would answer.
type Verdict struct {
	Accepted bool   `json:"accepted"`
	Status   int    `json:"status"` // HTTP
	Reason   string `json:"reason"` // word of the server's logs and metrics
	Text     string `json:"text"`
}

// shownHeaders and shownClaims are shown with their values, in this order. What
// else a token says of a person is named only.
var (
	shownHeaders = []string{"alg", "kid", "typ", "enc", "cty"}
	shownClaims  = []string{"iss", "sub", "aud", "client_id", "azp", "scope", "scp", "iat", "nbf", "exp", "jti", "acr", "amr", "auth_time", "cnf"}
)

// Explain decodes a token and, with a verifier, judges it. Nothing of what it
// returns holds the token or its signature.
func Explain(ctx context.Context, cfg ExplainConfig) Explanation {
	now := time.Now
	if cfg.Now != nil {
		now = cfg.Now
	}
	raw := cfg.Token.Reveal()
	parts := strings.Split(raw, ".")
	e := Explanation{Token: cfg.Token.String(), Parts: len(parts), Length: len(raw), Audiences: cfg.Audiences("")}
	header, err := decodePart(parts[0])
	switch {
	case err != nil || len(parts) == 1:
		e.Kind = "opaque: not a JWT, only its issuer can read it"
	case len(parts) == 5:
		e.Kind = "encrypted (JWE): only its recipient can read it"
		e.Header, _ = shown(header, shownHeaders, nil)
	case len(parts) == 3:
		e.Kind = "signed JWT"
		e.Header, _ = shown(header, shownHeaders, nil)
		claims, err := decodePart(parts[1])
		if err != nil {
			e.Kind = "broken JWT: its claims cannot be decoded"
			break
		}
		e.Claims, e.Others = shown(claims, shownClaims, func(name, value string) string { return note(name, value, now()) })
		e.Audiences = cfg.Audiences(text(claims, "iss"))
		e.noteAudience(claims)
	default:
		e.Kind = "broken: a JWT has three parts, separated by dots"
	}
	if cfg.Verify != nil {
		principal, err := cfg.Verify(ctx, cfg.Token)
		e.Verdict = verdict(principal.Confirmation, err)
	}
	return e
}

func decodePart(part string) (map[string]json.RawMessage, error) {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || object == nil {
		return nil, errors.New("not a JSON object")
	}
	return object, nil
}

// maxOthers bounds how many further names are listed.
const maxOthers = 50

// shown returns the members of order, and the names of the others.
func shown(object map[string]json.RawMessage, order []string, words func(name, value string) string) (claims []Claim, others []string) {
	for _, name := range order {
		raw, present := object[name]
		if !present {
			continue
		}
		claim := Claim{Name: name, Value: plain(raw)}
		if words != nil {
			claim.Note = words(name, claim.Value)
		}
		claims = append(claims, claim)
	}
	for name := range object {
		if !slices.Contains(order, name) {
			others = append(others, printable(name))
		}
	}
	slices.Sort(others)
	return claims, others[:min(len(others), maxOthers)]
}

// plain returns a JSON value as people write it.
func plain(raw json.RawMessage) string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return printable(one)
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return printable(strings.Join(list, ", "))
	}
	return printable(string(raw))
}

// note puts times into words.
func note(name, value string, now time.Time) string {
	if !slices.Contains([]string{"exp", "iat", "nbf", "auth_time"}, name) {
		return ""
	}
	const lastSecond = 253402300799 // of the year 9999
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || !(seconds >= 0 && seconds <= lastSecond) {
		return "not a time"
	}
	at := time.Unix(int64(seconds), 0).UTC()
	distance := now.Sub(at).Round(time.Second)
	when := "now"
	switch {
	case distance > 0:
		when = inWords(distance) + " ago"
	case distance < 0:
		when = "in " + inWords(-distance)
	}
	if name == "exp" && distance >= 0 {
		when = "expired, " + when
	}
	return at.Format(time.RFC3339) + ", " + when
}

// inWords is a duration in its largest whole unit.
func inWords(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := int64(d / unit.length); n > 0 {
			if n > 1 {
				unit.name += "s"
			}
			return fmt.Sprintf("%d %s", n, unit.name)
		}
	}
	return "a moment"
}

// noteAudience says whether the token names this server.
func (e *Explanation) noteAudience(claims map[string]json.RawMessage) {
	i := slices.IndexFunc(e.Claims, func(c Claim) bool { return c.Name == "aud" })
	if i < 0 || len(e.Audiences) == 0 {
		return
	}
	var audiences []string
	if json.Unmarshal(claims["aud"], &audiences) != nil {
		audiences = []string{text(claims, "aud")}
	}
	e.Claims[i].Note = "not accepted here"
	for _, audience := range audiences {
		if slices.ContainsFunc(e.Audiences, func(accepted string) bool { return oauth.SameResource(audience, accepted) }) {
			e.Claims[i].Note = "accepted here"
		}
	}
}

func verdict(bound oauth.Confirmation, err error) *Verdict {
	if err == nil {
		return &Verdict{Accepted: true, Status: http.StatusOK, Reason: "ok", Text: "The server accepts this token" + proofs(bound) + "."}
	}
	refusal := oauth.AsRefusal(err)
	v := &Verdict{Status: refusal.Status, Reason: refusal.Reason, Text: refusal.Description}
	if refusal.Status >= http.StatusInternalServerError && refusal.Err != nil {
		v.Text += " Cause: " + printable(refusal.Err.Error()) // of the issuer, not of the token
	}
	return v
}

// proofs says what a bound token has to come with.
func proofs(bound oauth.Confirmation) string {
	var with []string
	if bound.KeyThumbprint != "" {
		with = append(with, "a DPoP proof of its key (cnf jkt)")
	}
	if bound.CertificateThumbprint != "" {
		with = append(with, "its client certificate (cnf x5t#S256)")
	}
	if len(with) == 0 {
		return ""
	}
	return ", with " + strings.Join(with, " and ")
}

// WriteText writes the explanation for people.
func (e Explanation) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value, note string) {
		if note != "" {
			value += "  (" + note + ")"
		}
		_, _ = fmt.Fprintf(table, "  %s\t%s\n", name, value) // Flush reports the error
	}
	_, _ = fmt.Fprintf(table, "%s, %d bytes in %d parts, %s\n", e.Kind, e.Length, e.Parts, e.Token)
	for _, part := range []struct {
		title  string
		claims []Claim
	}{{"Header", e.Header}, {"Claims", e.Claims}} {
		if len(part.claims) > 0 {
			_, _ = fmt.Fprintf(table, "\n%s\n", part.title)
		}
		for _, claim := range part.claims {
			row(claim.Name, claim.Value, claim.Note)
		}
	}
	if len(e.Others) > 0 {
		row("others", strings.Join(e.Others, ", "), "values not shown")
	}
	if len(e.Audiences) > 0 {
		_, _ = fmt.Fprintf(table, "\nAccepted audiences\n  %s\n", strings.Join(e.Audiences, "\n  "))
	}
	switch {
	case e.Verdict == nil:
		_, _ = fmt.Fprint(table, "\nDecoded only: neither the signature nor anything else was checked.\n")
	case e.Verdict.Accepted:
		_, _ = fmt.Fprintf(table, "\nAccepted. %s\n", e.Verdict.Text)
	default:
		_, _ = fmt.Fprintf(table, "\nRefused with %d (%s). %s\n", e.Verdict.Status, e.Verdict.Reason, e.Verdict.Text)
	}
	return table.Flush()
}

// WriteJSON writes the explanation as one JSON object.
func (e Explanation) WriteJSON(w io.Writer) error { return writeJSON(w, e) }

// OK reports whether the token was not refused.
func (e Explanation) OK() bool { return e.Verdict == nil || e.Verdict.Accepted }
