package edge

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// writeSecurityHeaders sets what every answer carries. Pages replace the
// policy with their own.
func (e *Edge) writeSecurityHeaders(w http.ResponseWriter) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if e.cfg.RequireTLS {
		header.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// checkBoundary refuses requests for other hosts (DNS rebinding) and, in
// production, requests that came in the clear: refused, not redirected, because
// their token has already been seen by everybody on the way.
func (e *Edge) checkBoundary(r *http.Request) *oauth.Refusal {
	if e.cfg.RequireTLS && !secure(r) {
		return &oauth.Refusal{
			Status: http.StatusForbidden, Code: oauth.CodeForbidden, Reason: "plain_http",
			Description: "This server takes https only; use " + e.cfg.ServerURL + " and replace the token if this request carried one.",
		}
	}
	if !e.knownHost(r.Host) {
		return &oauth.Refusal{
			Status: http.StatusForbidden, Code: oauth.CodeForbidden, Reason: "unknown_host",
			Description: "This host name is not one of this server's; the operator can add it to ALLOWED_HOSTS.",
		}
	}
	return nil
}

func (e *Edge) knownHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	for _, known := range e.cfg.Hosts {
		if strings.EqualFold(host, known) || strings.EqualFold(name, known) {
			return true
		}
	}
	return e.cfg.AnyLoopbackHost && loopbackName(name)
}

func loopbackName(name string) bool {
	if strings.EqualFold(name, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.IsLoopback()
}

// Headers of cross-origin calls (WHATWG Fetch). MCP's own are allowed, and a
// browser client may read the challenge.
const (
	corsAllowHeaders = "Authorization, DPoP, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id"
	corsExpose       = "WWW-Authenticate, DPoP-Nonce, Retry-After, MCP-Protocol-Version, Mcp-Session-Id, X-Request-Id"
	corsMaxAge       = "600" // seconds
)

// crossOrigin applies the origin policy and answers preflights, which come
// before authentication because browsers send them without credentials. It
// reports whether the request is done with. No origin is ever allowed
// credentials of the browser's own (cookies).
func (e *Edge) crossOrigin(w http.ResponseWriter, r *http.Request, route Route, methods map[string]Route) bool {
	origin := r.Header.Get("Origin")
	header := w.Header()
	switch route.Policy {
	case Published:
		header.Set("Access-Control-Allow-Origin", "*")
	case Protected:
		header.Add("Vary", "Origin")
		if origin == "" {
			break
		}
		if len(r.Header.Values("Origin")) > 1 || !e.knownOrigin(origin) {
			e.refuse(w, r, &route, &oauth.Refusal{
				Status: http.StatusForbidden, Code: oauth.CodeForbidden, Reason: "unknown_origin",
				Description: "Pages of this origin may not call this server; the operator can add it to ALLOWED_ORIGINS.",
			})
			return true
		}
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Expose-Headers", corsExpose)
	default:
		return false
	}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	allow := corsAllowHeaders
	if parameters := askedParameters(r.Header); parameters != "" {
		allow += ", " + parameters
	}
	header.Set("Access-Control-Allow-Methods", strings.Join(allowed(methods), ", "))
	header.Set("Access-Control-Allow-Headers", allow)
	header.Set("Access-Control-Max-Age", corsMaxAge)
	header.Add("Vary", "Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// maxAskedParameters bounds how many Mcp-Param-* names a preflight gets.
const maxAskedParameters = 32

// askedParameters returns the Mcp-Param-* names of a preflight: their names
// come from tool schemas, so they cannot be listed here.
func askedParameters(header http.Header) string {
	var names []string
	for name := range strings.SplitSeq(header.Get("Access-Control-Request-Headers"), ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if strings.HasPrefix(name, "mcp-param-") && plainID(name) && len(names) < maxAskedParameters {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func (e *Edge) knownOrigin(origin string) bool {
	if slices.Contains(e.cfg.Origins, origin) || origin == e.cfg.ServerURL {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && e.cfg.AnyLoopbackOrigin && loopbackName(u.Hostname()) && (u.Scheme == "http" || u.Scheme == "https")
}

type forwardedKey struct{}

// forwarded is what the peer and, if it is a trusted proxy, its headers say
// about a request.
type forwarded struct {
	client                netip.Addr
	secure                bool
	certificate           string // thumbprint of the client's; "" without one
	certificateUnreadable bool
}

// withForwarding finds out who really sent the request and whether it came
// encrypted. Only a trusted proxy's X-Forwarded-* count, and of those only the
// hop the nearest trusted proxy saw; everybody else's are dropped, so that
// nothing behind this point can be fooled by them.
func (e *Edge) withForwarding(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := forwarded{secure: r.TLS != nil, client: e.clientAddress(r)}
		if peer := peerAddress(r); e.trusted(peer) {
			f.secure = f.secure || strings.EqualFold(lastElement(r.Header, "X-Forwarded-Proto"), "https")
		}
		f.certificate, f.certificateUnreadable = e.clientCertificate(r)
		e.dropCertificateHeaders(r.Header)
		for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip"} {
			r.Header.Del(name)
		}
		r.RemoteAddr = netip.AddrPortFrom(f.client, 0).String()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), forwardedKey{}, f)))
	})
}

func forwardedBy(r *http.Request) forwarded {
	f, _ := r.Context().Value(forwardedKey{}).(forwarded)
	return f
}

func secure(r *http.Request) bool { return forwardedBy(r).secure }

func client(r *http.Request) netip.Addr { return forwardedBy(r).client }

// clientAddress walks X-Forwarded-For from the right past trusted proxies and
// returns the first address that is not one.
func (e *Edge) clientAddress(r *http.Request) netip.Addr {
	address := peerAddress(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && e.trusted(address); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		address = hop.Unmap()
	}
	return address
}

func (e *Edge) trusted(address netip.Addr) bool {
	return address.IsValid() && slices.ContainsFunc(e.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

func peerAddress(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}

func lastElement(header http.Header, name string) string {
	values := strings.Split(strings.Join(header.Values(name), ","), ",")
	return strings.TrimSpace(values[len(values)-1])
}
