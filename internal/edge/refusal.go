package edge

import (
	"encoding/json"
	"log/slog"
	"net/http"
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
		header.Set("WWW-Authenticate", e.challenge(*route, refusal).String())
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

// challenge names the metadata document of the endpoint that was hit.
func (e *Edge) challenge(route Route, refusal *oauth.Refusal) oauth.Challenge {
	challenge := oauth.Challenge{
		ResourceMetadata: e.resourceMetadata(route),
		Scope:            e.cfg.ChallengeScopes,
	}
	if refusal.Scope != nil {
		challenge.Scope = refusal.Scope
	}
	if refusal.Code != oauth.CodeUnauthorized { // no error code without credentials
		challenge.Error, challenge.ErrorDescription = refusal.Code, refusal.Description
		challenge.ACRValues, challenge.MaxAge = refusal.ACRValues, refusal.MaxAge
	}
	return challenge
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
