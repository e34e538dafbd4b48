package devstack

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// OtusRequest is one request that reached the development Otus API.
type OtusRequest struct {
	Method string
	Path   string
	Query  string
	Header http.Header
}

// team is one entry of GET /teams.
type team struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	City    string `json:"city"`
	Members int    `json:"members"`
}

var teams = []team{
	{"t-01", "Albatros", "Cádiz", 7},
	{"t-02", "Búho", "Granada", 5},
	{"t-03", "Cigüeña", "Salamanca", 9},
	{"t-04", "Delfín", "Valencia", 6},
	{"t-05", "Erizo", "León", 4},
	{"t-06", "Flamenco", "Huelva", 8},
	{"t-07", "Garza", "Sevilla", 5},
	{"t-08", "Halcón", "Toledo", 6},
	{"t-09", "Íbice", "Ávila", 3},
	{"t-10", "Jilguero", "Murcia", 7},
	{"t-11", "Lince", "Jaén", 6},
	{"t-12", "Milano", "Zamora", 5},
}

// otus is the development Otus API. It validates tokens by itself and knows
// nothing of the server under development but its address.
type otus struct {
	verifier *verifier
	self     string
	apis     []string // the audiences it accepts
	faults   *otusFaults
	requests journal[OtusRequest]
	logger   *slog.Logger

	exchangedOnly atomic.Bool // only tokens for self alone
}

func newOtus(v *verifier, server, self string, logger *slog.Logger) *otus {
	base := strings.TrimSuffix(server, "/")
	return &otus{
		verifier: v,
		self:     self,
		apis:     []string{base, base + "/mcp", base + "/mcp/sse", self},
		faults:   &otusFaults{},
		requests: journal[OtusRequest]{max: maxOtusRequests},
		logger:   logger,
	}
}

func (o *otus) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /teams", api(o.logger, o.teams))
	mux.Handle("/", api(o.logger, notFound))
	recorded := o.record(o.faults.middleware(mux))

	protection := http.NewCrossOriginProtection()
	all := http.NewServeMux()
	all.Handle("POST "+faultsPath, protection.Handler(api(o.logger, o.faults.set)))
	all.Handle("DELETE "+faultsPath, protection.Handler(api(o.logger, o.faults.clear)))
	all.Handle("GET "+faultsPath, api(o.logger, o.faults.show))
	all.Handle("/", recorded)
	return all
}

func (o *otus) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.requests.add(OtusRequest{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header.Clone()})
		next.ServeHTTP(w, r)
	})
}

// teams answers GET /teams: 401 for a token that is not good, 403 for a person
// who may not read teams.
func (o *otus) teams(w http.ResponseWriter, r *http.Request) error {
	token, ok := bearerToken(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer realm="otus"`)
		return otusRefusal(http.StatusUnauthorized, oauth.CodeUnauthorized, "Otus needs a bearer token")
	}
	claims, err := o.verifier.verify(token)
	if err == nil && (!claims.meantFor(o.apis...) || o.exchangedOnly.Load() && !claims.onlyFor(o.self)) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="otus", error="invalid_token"`)
		return otusRefusal(http.StatusUnauthorized, oauth.CodeInvalidToken, "Otus does not accept this token: it is meant for another API")
	}
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="otus", error="invalid_token"`)
		return otusRefusal(http.StatusUnauthorized, oauth.CodeInvalidToken, "Otus does not accept this token: "+err.Error())
	}
	if !slices.Contains(claims.Permissions, permissionTeams) {
		return otusRefusal(http.StatusForbidden, oauth.CodeForbidden, "Otus: the permission "+permissionTeams+" is missing")
	}
	return writeJSON(w, http.StatusOK, map[string][]team{"teams": teams})
}

func otusRefusal(status int, code, description string) *oauth.Refusal {
	return &oauth.Refusal{Status: status, Code: code, Description: description, Reason: code}
}
