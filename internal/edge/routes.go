package edge

import (
	"net/http"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// Policy is how a route treats a request before its handler sees it.
type Policy int

// The policies. The zero Policy is invalid, so that no route is open by
// accident.
const (
	Probe     Policy = iota + 1 // any host, plain HTTP too: liveness and readiness
	Published                   // no credentials, readable from any origin: metadata
	Page                        // no credentials: pages for people
	Browser                     // no credentials: the sign-in flow
	Protected                   // a valid bearer token on every request
)

// Handler answers a request or returns why it does not, usually an
// *oauth.Refusal.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Route is one URL with its method and policy.
type Route struct {
	Method  string
	Path    string
	Policy  Policy
	Handler Handler
	// Resource is the path of the protected resource whose metadata a
	// challenge of this route names.
	Resource string
}

// Paths of the protected endpoints.
const (
	PathMCP = "/mcp"
	PathSSE = "/mcp/sse"
)

// Handlers is what the routes lead to.
type Handlers struct {
	Index        Handler
	Health       Handler
	Ready        Handler
	Metadata     func(resourcePath string) Handler
	AuthStart    Handler
	AuthCallback Handler
	AuthRefresh  Handler
	Post         Handler // Streamable HTTP
	OpenStream   Handler // HTTP+SSE
	PostMessage  Handler // HTTP+SSE
}

// Routes is every URL this server answers. GET answers HEAD as well.
func Routes(h Handlers) []Route {
	return []Route{
		{http.MethodGet, "/healthz", Probe, h.Health, ""},
		{http.MethodGet, "/readyz", Probe, h.Ready, ""},
		{http.MethodGet, "/", Page, h.Index, ""},
		{http.MethodGet, oauth.ProtectedResourcePath, Published, h.Metadata(""), ""},
		{http.MethodGet, oauth.ProtectedResourcePath + PathMCP, Published, h.Metadata(PathMCP), ""},
		{http.MethodGet, oauth.ProtectedResourcePath + PathSSE, Published, h.Metadata(PathSSE), ""},
		{http.MethodGet, "/auth/start", Browser, h.AuthStart, ""},
		{http.MethodGet, "/auth/callback", Browser, h.AuthCallback, ""},
		{http.MethodPost, "/auth/refresh", Browser, h.AuthRefresh, ""},
		{http.MethodPost, PathMCP, Protected, h.Post, PathMCP},
		{http.MethodGet, PathSSE, Protected, h.OpenStream, PathSSE},
		{http.MethodPost, PathSSE, Protected, h.PostMessage, PathSSE},
	}
}
