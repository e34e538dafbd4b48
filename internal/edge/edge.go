package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"tecrolabs.dev/oauth-mcp-server/internal/bearer"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Config is what the boundary is made of.
type Config struct {
	Routes    []Route
	ServerURL string // public origin, no trailing slash; every absolute URL derives from it
	// Authenticate finds out who presents an access token; its error is an
	// *oauth.Refusal.
	Authenticate func(ctx context.Context, presented bearer.Presented) (oauth.Principal, error)
	DPoP         DPoPOffer
	// ChallengeScopes is what a challenge tells clients to ask for.
	ChallengeScopes oauth.Scopes
	// Hosts lists the Host values that are this server, as host or host:port.
	Hosts []string
	// AnyLoopbackHost adds every loopback name at any port: development.
	AnyLoopbackHost bool
	// Origins lists the browser origins that may call protected routes.
	Origins []string
	// AnyLoopbackOrigin adds every loopback origin: development.
	AnyLoopbackOrigin bool
	// RequireTLS refuses requests that came over plain HTTP: production.
	RequireTLS bool
	// TrustedProxies lists the peers whose X-Forwarded-* headers count.
	TrustedProxies []netip.Prefix
	// ClientCertHeader is the field in which those peers pass on the client's
	// certificate, in the form that bearer.ForwardedThumbprint reads; "" means
	// that they do not.
	ClientCertHeader string
	// Limits bounds failed authentications by address; nil: nothing does.
	Limits Limits
	Logger *slog.Logger
	Meter  metric.Meter // nil: nothing is measured
	Tracer trace.Tracer // nil: nothing is traced
}

// Edge is the boundary as one http.Handler. Use [New].
type Edge struct {
	cfg      Config
	table    map[string]map[string]Route // path, method
	observer *observer
	inFlight inFlight
	handler  http.Handler
}

// New checks the routes and builds the chain a request goes through.
func New(cfg Config) (*Edge, error) {
	if cfg.Authenticate == nil || cfg.Logger == nil || cfg.ServerURL == "" {
		return nil, errors.New("edge: authenticator, logger and server URL are required")
	}
	if cfg.DPoP.Only && len(cfg.DPoP.Algorithms) == 0 {
		return nil, errors.New("edge: only DPoP is taken, with no algorithm")
	}
	e := &Edge{cfg: cfg, table: map[string]map[string]Route{}}
	for _, route := range cfg.Routes {
		if route.Handler == nil || route.Policy < Probe || route.Policy > Protected {
			return nil, fmt.Errorf("edge: route %s %s has no handler or no policy", route.Method, route.Path)
		}
		if route.Policy == Protected && route.Resource == "" {
			return nil, fmt.Errorf("edge: protected route %s %s names no resource", route.Method, route.Path)
		}
		methods := e.table[route.Path]
		if methods == nil {
			methods = map[string]Route{}
			e.table[route.Path] = methods
		}
		if _, twice := methods[route.Method]; twice {
			return nil, fmt.Errorf("edge: route %s %s is there twice", route.Method, route.Path)
		}
		methods[route.Method] = route
	}
	var err error
	if e.observer, err = newObserver(cfg.Meter, cfg.Tracer); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	// In request order, outermost first.
	e.handler = e.withRequestID(e.withForwarding(e.withAccessLine(e.withRecovery(http.HandlerFunc(e.route)))))
	return e, nil
}

// ServeHTTP answers one request.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.handler.ServeHTTP(w, r) }

// route finds the route and applies its policy. Paths match exactly, with one
// slash at the end forgiven; there are no redirects, because a redirected POST
// becomes a GET in most clients (docs/adr/0011-exact-route-table.md).
func (e *Edge) route(w http.ResponseWriter, r *http.Request) {
	methods, path := e.find(r.URL.Path)
	setRoute(r.Context(), path)
	e.writeSecurityHeaders(w)
	if methods == nil {
		if refusal := e.checkBoundary(r); refusal != nil {
			e.refuse(w, r, nil, refusal)
			return
		}
		e.refuse(w, r, nil, &oauth.Refusal{
			Status: http.StatusNotFound, Code: oauth.CodeNotFound, Reason: "not_found",
			Description: "There is nothing at this path; see / for what there is.",
		})
		return
	}
	route, exact := methods[r.Method]
	if !exact && r.Method == http.MethodHead {
		route, exact = methods[http.MethodGet]
	}
	if !exact {
		route = anyOf(methods)
	}
	if route.Policy != Probe {
		if refusal := e.checkBoundary(r); refusal != nil {
			e.refuse(w, r, nil, refusal)
			return
		}
	}
	if e.crossOrigin(w, r, route, methods) {
		return
	}
	if !exact {
		route.Handler = notAllowed(methods)
	}
	if err := e.apply(route)(w, r); err != nil {
		e.refuse(w, r, &route, err)
	}
}

func (e *Edge) find(path string) (map[string]Route, string) {
	if methods, ok := e.table[path]; ok {
		return methods, path
	}
	if trimmed, ok := strings.CutSuffix(path, "/"); ok && trimmed != "" {
		if methods, ok := e.table[trimmed]; ok {
			return methods, trimmed
		}
	}
	return nil, ""
}

// anyOf returns a route of a path, the same each time; all routes of a path
// share their policy and resource.
func anyOf(methods map[string]Route) Route {
	return methods[allowed(methods)[0]]
}

func allowed(methods map[string]Route) []string {
	var names []string
	for method := range methods {
		names = append(names, method)
		if method == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	// The first name must be a key of methods: HEAD never sorts before GET.
	return names
}

// notAllowed answers a path's other methods. On a protected path it stands
// behind the gate: without a token the answer is the challenge.
func notAllowed(methods map[string]Route) Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		allow := strings.Join(allowed(methods), ", ")
		w.Header().Set("Allow", allow)
		return &oauth.Refusal{
			Status: http.StatusMethodNotAllowed, Code: oauth.CodeMethodNotAllowed, Reason: "method_not_allowed",
			Description: "This path answers " + allow + " only.",
		}
	}
}

// apply wraps a route's handler into its policy.
func (e *Edge) apply(route Route) Handler {
	handler := withBodyDeadline(route.Handler)
	if route.Policy == Protected {
		return e.limited(handler)
	}
	return handler
}
