package devstack

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Bounds of the forge.
const (
	maxForgedLifetime = 24 * time.Hour
	maxForgedText     = 2048 // bytes of one parameter
)

// Mint says what token to forge. The zero Mint is a good token of Ana's for the
// protected server.
type Mint struct {
	User     string        // "ana", "bruno", "carla"; "" means ana
	Subject  string        // "" means the person's own; another one makes another person of the same kind
	Scope    string        // space-separated; "" means openid profile email
	Resource []string      // with Audience, the "aud"; none means the server
	Audience []string      // Auth0's name for the same thing
	Lifetime time.Duration // whole seconds up to 24 h; 0 means the person's own
	Defect   string        // one of [Defects]; "" means none
	ClientID string        // "" means [DevClientID]
	ACR      string        // "acr": how the person signed in; "" does not tell
	AuthTime time.Time     // "auth_time": when; zero does not tell
	DPoPKey  string        // thumbprint of the key to bind it to, or "dev" for the stack's own; "" binds it to none
	CertHash string        // "x5t#S256" of the certificate to bind it to; "" binds it to none
	Actor    string        // "act": who acts for the person; "" means nobody
	MayAct   string        // "may_act": who may act for the person; "" means that it is not said

	Algorithm string // one of [Algorithms]; "" means RS256
	// Format is "jwt", or "opaque" for a token that only introspection can read
	// and whose defect shows in its claims, if it is one of claims; "" means jwt.
	Format string
}

// formatOpaque is the [Mint].Format of tokens that only their issuer can read.
const formatOpaque = "opaque"

// Mint forges a token response. The token is good in everything but the defect
// that was asked for. Unlike the token endpoint it takes any audience and any
// scope. It returns an error for a person or a defect that does not exist; the
// latter lists the known ones.
func (s *Stack) Mint(m Mint) (TokenResponse, error) {
	if m.User == "" {
		m.User = people[0].id
	}
	if m.Scope == "" {
		m.Scope = "openid profile email"
	}
	if m.ClientID == "" {
		m.ClientID = DevClientID
	}
	owner, known := findPerson(m.User)
	if !known {
		return TokenResponse{}, fmt.Errorf("unknown user %q; there are %s", m.User, strings.Join(peopleIDs(), ", "))
	}
	if m.Lifetime < 0 || m.Lifetime > maxForgedLifetime {
		return TokenResponse{}, fmt.Errorf("lifetime %s is not between 0 and %s; for a token in the past use the defect expired", m.Lifetime, maxForgedLifetime)
	}
	if m.Lifetime == 0 {
		m.Lifetime = owner.lifetime(s.broker.storage.lifetime)
	}
	if m.Subject != "" {
		owner.subject = m.Subject
	}
	if m.DPoPKey == devKey {
		m.DPoPKey = s.prover.thumbprint
	}
	d, err := s.draft(owner, m)
	if err != nil {
		return TokenResponse{}, err
	}
	if m.Defect != "" {
		at := slices.IndexFunc(defects, func(candidate defect) bool { return candidate.name == m.Defect })
		if at < 0 {
			return TokenResponse{}, fmt.Errorf("unknown defect %q; there are %s", m.Defect, strings.Join(Defects(), ", "))
		}
		defects[at].spoil(d)
	}
	var token string
	switch m.Format {
	case "", "jwt":
		if token, err = d.assemble(); err != nil {
			return TokenResponse{}, fmt.Errorf("forge a token: %w", err)
		}
	case formatOpaque:
		token = s.broker.spoken.keep(d.claims, time.Now().Add(m.Lifetime))
	default:
		return TokenResponse{}, fmt.Errorf("unknown format %q; there are jwt, opaque", m.Format)
	}
	s.broker.issued.add(token)
	return TokenResponse{AccessToken: token, TokenType: tokenType(m.DPoPKey), ExpiresIn: int64(m.Lifetime.Seconds()), Scope: m.Scope}, nil
}

// draft is a token that is good in every respect, made of the same claims as
// one of the token endpoint.
func (s *Stack) draft(owner person, m Mint) (*draft, error) {
	keys := s.broker.storage.keys
	key := keys.current()
	now := time.Now()
	var audience any = s.broker.resources.server
	switch asked := slices.Concat(m.Resource, m.Audience); len(asked) {
	case 0:
	case 1:
		audience = asked[0] // Auth0 writes a single audience as a string
	default:
		audience = asked
	}
	d := &draft{
		key: key, stranger: keys.stranger, issuer: s.broker.urls.TokenIssuer, clientID: m.ClientID,
		header: object{{"alg", "RS256"}, {"typ", "JWT"}, {"kid", key.id}},
		claims: object{
			{"iss", s.broker.urls.TokenIssuer},
			{"sub", owner.subject},
			{"aud", audience},
			{"iat", now.Unix()},
			{"nbf", now.Unix()},
			{"exp", now.Add(m.Lifetime).Unix()},
			{"jti", rand.Text()},
			{"azp", m.ClientID},
			{"client_id", m.ClientID},
			{"scope", m.Scope},
			{"permissions", owner.ownPermissions()},
		},
		sign: signRS256,
	}
	if m.ACR != "" {
		d.claims.add("acr", m.ACR)
	}
	if !m.AuthTime.IsZero() {
		d.claims.add("auth_time", m.AuthTime.Unix())
	}
	if cnf := confirmation(m.DPoPKey, m.CertHash); cnf != nil {
		d.claims.add("cnf", cnf)
	}
	if m.Actor != "" {
		d.claims.add("act", party{Subject: m.Actor})
	}
	if m.MayAct != "" {
		d.claims.add("may_act", party{Subject: m.MayAct})
	}
	if m.Algorithm != "" && m.Algorithm != "RS256" {
		other, err := keys.other(m.Algorithm)
		if err != nil {
			return nil, err
		}
		d.header.set("alg", m.Algorithm)
		d.header.set("kid", other.id)
		d.sign = signOther(other)
	}
	return d, nil
}

// confirmation is the "cnf" of a token, nil for one that is bound to nothing.
func confirmation(dpopKey, certHash string) map[string]string {
	cnf := map[string]string{}
	if dpopKey != "" {
		cnf["jkt"] = dpopKey
	}
	if certHash != "" {
		cnf["x5t#S256"] = certHash
	}
	if len(cnf) == 0 {
		return nil
	}
	return cnf
}

// tokenType is what a token response calls a token (RFC 9449 section 5).
func tokenType(dpopKey string) string {
	if dpopKey != "" {
		return oauth.SchemeDPoP
	}
	return oauth.SchemeBearer
}

// forgeParameters are those of POST /dev/tokens. auth_time is in seconds since 1970,
// dpop_jkt is named as in RFC 9449 section 10, x5t is the value of "x5t#S256".
var forgeParameters = []string{"user", "scope", "resource", "audience", "lifetime", "defect", "client_id", "acr", "auth_time", "dpop_jkt", "x5t", "algorithm", "format"}

// forge answers POST /dev/tokens. Other than the token endpoint it asks for no
// proof of anything: it is for curl and tests on this machine.
func (s *Stack) forge(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return tooLarge(err)
	}
	for name, values := range r.PostForm {
		if !slices.Contains(forgeParameters, name) {
			return badRequest(oauth.CodeInvalidRequest, "Unknown parameter; there are "+strings.Join(forgeParameters, ", "))
		}
		for _, value := range values {
			if len(value) > maxForgedText || len(values) > maxResources {
				return badRequest(oauth.CodeInvalidRequest, "A parameter is too long or repeated too often")
			}
		}
	}
	lifetime, err := parseDuration(r.PostForm.Get("lifetime"))
	if err != nil {
		return badRequest(oauth.CodeInvalidRequest, "lifetime is a number of seconds or a duration such as 90s")
	}
	if name := r.PostForm.Get("defect"); name != "" && !slices.Contains(Defects(), name) {
		return writeJSON(w, http.StatusBadRequest, unknownDefect())
	}
	authTime, err := parseAuthTime(r.PostForm.Get("auth_time"))
	if err != nil {
		return badRequest(oauth.CodeInvalidRequest, "auth_time is a number of seconds since 1970")
	}
	answer, err := s.Mint(Mint{
		User: r.PostForm.Get("user"), Scope: r.PostForm.Get("scope"), Lifetime: lifetime,
		Resource: r.PostForm["resource"], Audience: r.PostForm["audience"],
		Defect: r.PostForm.Get("defect"), ClientID: r.PostForm.Get("client_id"),
		ACR: r.PostForm.Get("acr"), AuthTime: authTime,
		DPoPKey: r.PostForm.Get("dpop_jkt"), CertHash: r.PostForm.Get("x5t"),
		Algorithm: r.PostForm.Get("algorithm"), Format: r.PostForm.Get("format"),
	})
	if err != nil {
		return badRequest(oauth.CodeInvalidRequest, err.Error())
	}
	s.logger.InfoContext(r.Context(), "token forged", slog.String("defect", r.PostForm.Get("defect")))
	return writeJSON(w, http.StatusOK, answer)
}

// forgeHelp answers GET /dev/tokens: what may be asked for.
func (s *Stack) forgeHelp(w http.ResponseWriter, _ *http.Request) error {
	about := map[string]string{}
	for _, known := range defects {
		about[known.name] = known.about
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"parameters": forgeParameters,
		"users":      peopleIDs(),
		"algorithms": Algorithms(),
		"formats":    []string{"jwt", formatOpaque},
		"defects":    about,
	})
}

func unknownDefect() any {
	return struct {
		Error       string   `json:"error"`
		Description string   `json:"error_description"`
		Defects     []string `json:"defects"`
	}{oauth.CodeInvalidRequest, "Unknown defect; \"defects\" lists the known ones", Defects()}
}

// parseDuration reads whole seconds or a Go duration; "" is zero.
func parseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("duration: %w", err)
	}
	return parsed, nil
}

// parseAuthTime reads seconds since 1970; "" is the zero time.
func parseAuthTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("time: %w", err)
	}
	return time.Unix(seconds, 0), nil
}
