package edge

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// refuse is the one error writer. The body is the generic OAuth pair, whatever
// the cause; the private cause goes to the log only.
func (e *Edge) refuse(w http.ResponseWriter, r *http.Request, route *Route, err error) {
	refusal := oauth.AsRefusal(err)
	ctx := r.Context()
	telemetry.Annotate(ctx, slog.String("reason", refusal.Reason))
	if refusal.Status >= http.StatusInternalServerError {
		attrs := []slog.Attr{slog.String("reason", refusal.Reason)}
		if refusal.Err != nil {
			attrs = append(attrs, slog.String("error", refusal.Err.Error()))
		}
		e.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "request failed", attrs...)
	}
	if started(w) {
		return // a stream that broke; the access line has the reason
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	if refusal.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((refusal.RetryAfter+time.Second-1)/time.Second)))
	}
	if refusal.Challenge && route != nil && route.Policy == Protected {
		for _, challenge := range e.challenges(*route, refusal) {
			header.Add("WWW-Authenticate", challenge.String())
		}
	}
	w.WriteHeader(refusal.Status)
	_, _ = w.Write(refusalBody(refusal))
}

// refusalBody is the JSON of a refusal, byte for byte the same for the same
// refusal. Two texts always encode.
func refusalBody(refusal *oauth.Refusal) []byte {
	body, err := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{refusal.Code, oauth.SafeText(refusal.Description)})
	if err != nil {
		return []byte(`{"error":"server_error"}`)
	}
	return body
}

// challenges offers every scheme that is taken, Bearer first: some clients read
// the first challenge only. Each names the metadata document of the endpoint that
// was hit; the error is on the one whose scheme was used.
func (e *Edge) challenges(route Route, refusal *oauth.Refusal) []oauth.Challenge {
	var offered []oauth.Challenge
	if !e.cfg.DPoP.Only {
		offered = append(offered, oauth.Challenge{Scheme: oauth.SchemeBearer})
	}
	if len(e.cfg.DPoP.Algorithms) > 0 {
		offered = append(offered, oauth.Challenge{Scheme: oauth.SchemeDPoP, Algorithms: e.cfg.DPoP.Algorithms})
	}
	failed := max(0, slices.IndexFunc(offered, func(c oauth.Challenge) bool { return c.Scheme == refusal.Scheme }))
	for i := range offered {
		c := &offered[i]
		c.ResourceMetadata, c.Scope = e.resourceMetadata(route), e.cfg.ChallengeScopes
		if refusal.Scope != nil {
			c.Scope = refusal.Scope
		}
		if i == failed && refusal.Code != oauth.CodeUnauthorized { // no error code without credentials
			c.Error, c.ErrorDescription = refusal.Code, refusal.Description
			c.ACRValues, c.MaxAge = refusal.ACRValues, refusal.MaxAge
		}
	}
	return offered
}

// resourceMetadata returns the URL in a route's challenge. The stream endpoint
// names the root document, the others their own
// (docs/adr/0008-two-challenges.md).
func (e *Edge) resourceMetadata(route Route) string {
	if route.Resource == PathSSE {
		return oauth.MetadataURL(e.cfg.ServerURL)
	}
	return oauth.MetadataURL(e.cfg.ServerURL + route.Resource)
}
