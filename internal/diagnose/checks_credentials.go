package diagnose

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

func checkNoToken(ctx context.Context, p *probe) outcome {
	for _, resource := range p.protected() {
		r, err := p.unauthenticated(ctx, resource)
		if err != nil {
			return noAnswer(err)
		}
		if r.status != http.StatusUnauthorized {
			return fail("%s answers %d without a token; want 401", resource, r.status)
		}
		c, err := tokenChallenge(r.header)
		if err != nil {
			return fail("%s: %v", resource, err)
		}
		if code, present := c.params["error"]; present {
			return fail("the challenge of a request without a token has error=%q; some clients take that for a broken token", code)
		}
	}
	return good("401, no error code")
}

// unauthenticated asks a protected URL in the way it is used, without a token.
func (p *probe) unauthenticated(ctx context.Context, resource string) (reply, error) {
	if resource == p.sse {
		return p.openStream(ctx, resource, false)
	}
	return p.post(ctx, nil)
}

func checkNoRedirect(ctx context.Context, p *probe) outcome {
	for _, target := range []string{p.endpoint, strings.TrimSuffix(p.endpoint, "/") + "/"} {
		c := p.message(pingBody, nil)
		c.url = target
		r, err := p.do(ctx, c)
		if err != nil {
			return noAnswer(err)
		}
		if r.status >= 300 && r.status < 400 {
			return fail("POST %s is redirected (%d); many clients go on with a GET and without the token", target, r.status)
		}
	}
	return good("none")
}

func checkChallengeSyntax(ctx context.Context, p *probe) outcome {
	for _, credentials := range [][]string{nil, {"Bearer " + p.random}} {
		r, err := p.withCredentials(ctx, credentials...)
		if err != nil {
			return noAnswer(err)
		}
		if r.status != http.StatusUnauthorized {
			return skip("the answer is %d, not 401", r.status)
		}
		if result := safeChallenge(r); result.status != OK {
			return result
		}
	}
	return good("one challenge for access tokens")
}

// safeChallenge wants a challenge of the characters that RFC 6750 section 3
// allows in its values.
func safeChallenge(r reply) outcome {
	c, err := tokenChallenge(r.header)
	if err != nil {
		return fail("%v", err)
	}
	for name, value := range c.params {
		for _, b := range []byte(value) {
			if b < 0x20 || b > 0x7e || b == '"' || b == '\\' {
				return fail("the parameter %s of the challenge has the character %q", name, b)
			}
		}
	}
	return good("")
}

func checkChallengeMetadata(ctx context.Context, p *probe) outcome {
	for _, resource := range p.protected() {
		r, err := p.unauthenticated(ctx, resource)
		if err != nil {
			return noAnswer(err)
		}
		c, err := tokenChallenge(r.header)
		if err != nil {
			return skip("there is no challenge")
		}
		named, present := c.params["resource_metadata"]
		own, root := oauth.MetadataURL(resource), oauth.MetadataURL(p.origin)
		switch {
		case !present:
			return fail("the challenge of %s has no resource_metadata", resource)
		case !strings.Contains(strings.Join(r.header.Values("Www-Authenticate"), ","), `"`+named+`"`):
			return fail("resource_metadata is not quoted, and a URL is no token")
		case named == own, resource == p.sse && named == root: // HTTP+SSE clients take the origin for the resource
			continue
		case strings.Contains(named, "oauth-authorization-server") || strings.Contains(named, "openid-configuration"):
			return fail("resource_metadata %q is authorization server metadata", named)
		}
		return fail("resource_metadata of %s is %q; want %q", resource, named, own)
	}
	return good("%s", oauth.MetadataURL(p.endpoint))
}

func checkChallengeScope(ctx context.Context, p *probe) outcome {
	r, err := p.post(ctx, nil)
	if err != nil {
		return noAnswer(err)
	}
	c, err := tokenChallenge(r.header)
	if err != nil {
		return skip("there is no challenge")
	}
	scope, present := c.params["scope"]
	if !present {
		return warn("the challenge has no scope: clients guess what to ask for")
	}
	scopes := oauth.Scopes(strings.Split(scope, " "))
	if err := scopes.Validate(); err != nil {
		return fail("%v", err)
	}
	return good("%s", scope)
}

// refusesToken wants 401 invalid_token for a token.
func (p *probe) refusesToken(ctx context.Context, token string) (reply, outcome) {
	r, err := p.withCredentials(ctx, "Bearer "+token)
	if err != nil {
		return r, noAnswer(err)
	}
	if r.status == http.StatusServiceUnavailable {
		return r, skip("the server cannot get its issuer's keys at the moment (503)")
	}
	if r.status != http.StatusUnauthorized {
		return r, fail("it gets %d; want 401", r.status)
	}
	c, err := tokenChallenge(r.header)
	if err != nil {
		return r, fail("%v", err)
	}
	if c.params["error"] != oauth.CodeInvalidToken {
		return r, fail("the challenge has error=%q; want invalid_token, or clients do not refresh", c.params["error"])
	}
	return r, good("401 invalid_token")
}

func checkOpaqueToken(ctx context.Context, p *probe) outcome {
	_, result := p.refusesToken(ctx, p.random)
	return result
}

func checkEncryptedToken(ctx context.Context, p *probe) outcome {
	_, result := p.refusesToken(ctx, segment(map[string]any{"alg": "dir", "enc": "A256GCM"})+"..AAAA.AAAA.AAAA")
	return result
}

// segment encodes a part of a token.
func segment(v map[string]any) string {
	raw, _ := json.Marshal(v) // maps of texts and numbers always encode
	return base64.RawURLEncoding.EncodeToString(raw)
}

// forge makes a token that is right in all but its signature, as far as that can
// be known from outside.
func (p *probe) forge(ctx context.Context, algorithm string, change map[string]any) string {
	now := time.Now()
	claims := map[string]any{
		"iss": p.origin, "aud": p.endpoint, "sub": p.random, "client_id": p.random,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	if issuers, result := p.issuers(ctx); result.status == OK {
		claims["iss"] = issuers[0]
	}
	maps.Copy(claims, change)
	signature := ""
	if algorithm != "none" {
		signature = base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(p.random, 10)))
	}
	return segment(map[string]any{"alg": algorithm, "typ": "at+jwt", "kid": p.random}) + "." + segment(claims) + "." + signature
}

func checkUnsignedToken(ctx context.Context, p *probe) outcome {
	_, result := p.refusesToken(ctx, p.forge(ctx, "none", nil))
	return result
}

func checkForgedToken(ctx context.Context, p *probe) outcome {
	_, result := p.refusesToken(ctx, p.forge(ctx, "RS256", nil))
	return result
}

func checkHostileClaims(ctx context.Context, p *probe) outcome {
	injected := "X-" + p.random
	hostile := "x\", error=\"y\\\r\n" + injected + ": 1\r\n\r\n<script>\u2028"
	r, result := p.refusesToken(ctx, p.forge(ctx, "RS256", map[string]any{"iss": hostile, "aud": hostile, "sub": hostile}))
	switch {
	case result.status != OK:
		return result
	case r.header.Get(injected) != "":
		return fail("a claim of the token became a header of the answer")
	case strings.Contains(string(r.body), "<script>") && r.mediaType() != "application/json":
		return fail("a claim of the token is repeated in a page")
	}
	if result := safeChallenge(r); result.status != OK {
		return result
	}
	return good("nothing came through")
}

// badRequest wants 400 invalid_request, and certainly no success.
func badRequest(what string, r reply, err error) outcome {
	if err != nil {
		return noAnswer(err)
	}
	object, _ := r.json()
	switch {
	case r.status >= 200 && r.status < 400:
		return fail("%s is served with %d", what, r.status)
	case r.status != http.StatusBadRequest:
		return fail("%s gets %d; want 400", what, r.status)
	case text(object, "error") != oauth.CodeInvalidRequest:
		return fail("%s gets the error %q; want invalid_request", what, text(object, "error"))
	}
	return good("400 invalid_request")
}

func checkMalformedHeader(ctx context.Context, p *probe) outcome {
	var result outcome
	for _, value := range []string{"Bearer", "Bearer a b", "Bearer a,b", "Bearer \"" + p.random + "\""} {
		r, err := p.withCredentials(ctx, value)
		if result = badRequest("Authorization: "+value, r, err); result.status != OK {
			return result
		}
	}
	return result
}

func checkTwoHeaders(ctx context.Context, p *probe) outcome {
	r, err := p.withCredentials(ctx, "Bearer "+p.random, "Bearer "+p.random)
	return badRequest("a request with two Authorization headers", r, err)
}

func checkTokenInQuery(ctx context.Context, p *probe) outcome {
	c := p.message(pingBody, nil)
	c.url += "?access_token=" + p.random
	r, err := p.do(ctx, c)
	if err == nil && r.status == http.StatusUnauthorized {
		return warn("a token in the query gets 401, as if there were none; 400 invalid_request would tell the client")
	}
	return badRequest("a token in the query", r, err)
}

func checkTokenInForm(ctx context.Context, p *probe) outcome {
	c := p.message(url.Values{"access_token": {p.random}}.Encode(), header("Content-Type", "application/x-www-form-urlencoded"))
	r, err := p.do(ctx, c)
	if err == nil && (r.status == http.StatusUnauthorized || r.status == http.StatusUnsupportedMediaType) {
		return warn("a token in a form gets %d, as if there were none; 400 invalid_request would tell the client", r.status)
	}
	return badRequest("a token in a form", r, err)
}

func checkOtherScheme(ctx context.Context, p *probe) outcome {
	r, err := p.withCredentials(ctx, "Basic "+base64.StdEncoding.EncodeToString([]byte(p.random+":"+p.random)))
	if err != nil {
		return noAnswer(err)
	}
	if r.status != http.StatusUnauthorized && r.status != http.StatusBadRequest {
		return fail("Basic credentials get %d; want 401", r.status)
	}
	if _, err := tokenChallenge(r.header); err != nil && r.status == http.StatusUnauthorized {
		return fail("Basic credentials: %v", err)
	}
	return good("%d", r.status)
}

func checkRefusalsNotStored(ctx context.Context, p *probe) outcome {
	r, err := p.post(ctx, nil)
	if err != nil {
		return noAnswer(err)
	}
	return notStored(r)
}

func notStored(r reply) outcome {
	if control := r.header.Get("Cache-Control"); !strings.Contains(strings.ToLower(control), "no-store") {
		return warn("Cache-Control is %q; want no-store", control)
	}
	return good("no-store")
}

func checkEveryMethod(ctx context.Context, p *probe) outcome {
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPut} {
		r, err := p.do(ctx, call{method: method, url: p.endpoint, header: header("Accept", "text/event-stream")})
		if err != nil {
			return noAnswer(err)
		}
		// Without a token a method that does not exist may say so.
		if r.status != http.StatusUnauthorized && r.status != http.StatusMethodNotAllowed {
			return fail("%s without a token gets %d; want 401", method, r.status)
		}
	}
	return good("GET, DELETE and PUT")
}

func checkNoSessionBypass(ctx context.Context, p *probe) outcome {
	r, err := p.post(ctx, header("Mcp-Session-Id", p.random, "Cookie", "session="+p.random+"; access_token="+p.random))
	if err != nil {
		return noAnswer(err)
	}
	if r.status != http.StatusUnauthorized {
		return fail("a session id and cookies without a token get %d; want 401", r.status)
	}
	return good("401")
}

func checkSSEWithoutToken(ctx context.Context, p *probe) outcome {
	if p.sse == "" {
		return skip("there is no HTTP+SSE endpoint beside the MCP endpoint")
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		c := p.message(pingBody, header("Accept", "text/event-stream"))
		c.method, c.url = method, p.sse+"?session_id="+p.random
		r, err := p.do(ctx, c)
		if err != nil {
			return noAnswer(err)
		}
		if r.status != http.StatusUnauthorized {
			return fail("%s %s without a token gets %d; want 401", method, p.sse, r.status)
		}
	}
	return good("%s", p.sse)
}

func checkRefusalBody(ctx context.Context, p *probe) outcome {
	r, err := p.withCredentials(ctx, "Bearer "+p.random)
	if err != nil {
		return noAnswer(err)
	}
	object, ok := r.json()
	if !ok || text(object, "error") == "" || text(object, "error_description") == "" {
		return warn("the body of the 401 is not a JSON object with error and error_description")
	}
	return good("%s", text(object, "error"))
}
