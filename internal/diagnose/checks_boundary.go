package diagnose

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func checkUnknownHost(ctx context.Context, p *probe) outcome {
	c := p.message(pingBody, nil)
	c.host = p.random + ".example"
	r, err := p.do(ctx, c)
	if err != nil {
		return noAnswer(err)
	}
	if r.status < 400 || r.status >= 500 || r.status == http.StatusUnauthorized {
		return fail("a Host header of another server gets %d; want 403 or 421, before authentication", r.status)
	}
	return good("%d", r.status)
}

func checkUnknownOrigin(ctx context.Context, p *probe) outcome {
	for _, origin := range []string{"https://" + p.random + ".example", "null"} {
		r, err := p.post(ctx, header("Origin", origin))
		if err != nil {
			return noAnswer(err)
		}
		if r.status != http.StatusForbidden {
			return fail("Origin %s gets %d; want 403", origin, r.status)
		}
	}
	return good("403")
}

// browserHeaders are those that clients in a browser send.
var browserHeaders = []string{"authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name"}

func checkPreflight(ctx context.Context, p *probe) outcome {
	r, err := p.do(ctx, call{method: http.MethodOptions, url: p.endpoint, header: header(
		"Origin", p.browser, "Access-Control-Request-Method", http.MethodPost,
		"Access-Control-Request-Headers", strings.Join(browserHeaders, ","))})
	if err != nil {
		return noAnswer(err)
	}
	allow := r.header.Get("Access-Control-Allow-Origin")
	switch {
	case r.status == http.StatusUnauthorized:
		return fail("a preflight gets 401: it is authenticated, and browsers send none with it")
	case r.status == http.StatusForbidden:
		return skip("the origin %s is not allowed; name one that is with --origin", p.browser)
	case r.status < 200 || r.status > 299:
		return fail("a preflight gets %d; want 204", r.status)
	case allow != p.browser && allow != "*":
		return fail("Access-Control-Allow-Origin is %q for the origin %s", allow, p.browser)
	case r.header.Get("Access-Control-Allow-Credentials") != "":
		return fail("cookies of other sites are allowed; tokens travel in a header")
	}
	allowed := strings.Split(strings.ToLower(r.header.Get("Access-Control-Allow-Headers")), ",")
	for i := range allowed {
		allowed[i] = strings.TrimSpace(allowed[i])
	}
	for _, want := range browserHeaders {
		if !slices.Contains(allowed, want) && (want == "authorization" || !slices.Contains(allowed, "*")) { // "*" never covers Authorization
			return fail("Access-Control-Allow-Headers lacks %s", want)
		}
	}
	return good("%d for %s", r.status, p.browser)
}

func checkChallengeReadable(ctx context.Context, p *probe) outcome {
	r, err := p.post(ctx, header("Origin", p.browser))
	if err != nil {
		return noAnswer(err)
	}
	exposed := r.header.Get("Access-Control-Expose-Headers")
	switch {
	case r.status == http.StatusForbidden:
		return skip("the origin %s is not allowed; name one that is with --origin", p.browser)
	case r.header.Get("Access-Control-Allow-Origin") == "":
		return fail("the 401 has no Access-Control-Allow-Origin: a browser hides it")
	case !strings.Contains(strings.ToLower(exposed), "www-authenticate"):
		return fail("Access-Control-Expose-Headers lacks WWW-Authenticate: a browser hides the challenge")
	}
	return good("exposed")
}

// serverDetail finds a version in a Server header.
var serverDetail = regexp.MustCompile(`/[0-9]`)

func checkSecurityHeaders(ctx context.Context, p *probe) outcome {
	r, err := p.post(ctx, nil)
	if err != nil {
		return noAnswer(err)
	}
	switch {
	case !strings.EqualFold(r.header.Get("X-Content-Type-Options"), "nosniff"):
		return warn("there is no X-Content-Type-Options: nosniff")
	case strings.HasPrefix(p.endpoint, "https:") && r.header.Get("Strict-Transport-Security") == "":
		return warn("there is no Strict-Transport-Security")
	case serverDetail.MatchString(r.header.Get("Server")):
		return warn("the Server header tells a version: %s", r.header.Get("Server"))
	}
	return good("nosniff")
}

// checkPlainHTTP asks the same host over plain HTTP, with a made-up token: a
// redirect would make clients send the next one in the clear as well.
func checkPlainHTTP(ctx context.Context, p *probe) outcome {
	rest, secure := strings.CutPrefix(p.endpoint, "https://")
	host, _, _ := strings.Cut(rest, "/")
	if !secure || strings.Contains(strings.Trim(host, "[]"), ":") {
		return skip("only where the server is at the https port 443")
	}
	c := p.message(pingBody, header("Authorization", "Bearer "+p.random))
	c.url = "http://" + rest
	r, err := p.do(ctx, c)
	switch {
	case err != nil:
		return good("plain HTTP is not answered")
	case r.status >= 300 && r.status < 400:
		return warn("a request with a token over plain HTTP is redirected (%d); refuse it, the token has been seen", r.status)
	case r.status < 300:
		return fail("plain HTTP is served (%d)", r.status)
	}
	return good("refused with %d", r.status)
}
