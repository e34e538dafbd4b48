package diagnose_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/diagnose"
)

// back is an answer on its way back.
type back struct{ *http.Response }

const wellKnown = "/.well-known/oauth-protected-resource"

// member changes one member of the JSON answers at path; nil removes it.
func member(path, name string, value any) func(back) {
	return func(r back) {
		if !strings.HasPrefix(r.Request.URL.Path, path) || r.StatusCode != http.StatusOK {
			return
		}
		object := map[string]any{}
		if json.NewDecoder(r.Body).Decode(&object) != nil {
			return
		}
		if object[name] = value; value == nil {
			delete(object, name)
		}
		body, _ := json.Marshal(object)
		replace(r, string(body))
	}
}

func replace(r back, body string) {
	r.Body = io.NopCloser(strings.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

// edit replaces text in a header of the answers at path.
func edit(path, name, from, to string) func(back) {
	return func(r back) {
		if value := r.Header.Get(name); strings.HasPrefix(r.Request.URL.Path, path) && value != "" {
			r.Header.Set(name, strings.ReplaceAll(value, from, to))
		}
	}
}

// set sets a header of the answers at path; "" removes it.
func set(path, name, value string) func(back) {
	return func(r back) {
		if strings.HasPrefix(r.Request.URL.Path, path) {
			r.Header.Set(name, value)
			if value == "" {
				r.Header.Del(name)
			}
		}
	}
}

// answer answers requests that match by itself.
func answer(match func(*http.Request) bool, status int, pairs ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !match(r) {
			return false
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			w.Header().Set(pairs[i], pairs[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "{}")
		return true
	}
}

func at(method, path string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && r.URL.Path == path }
}

// change lets a request pass after a change.
func change(f func(*http.Request)) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool { f(r); return false }
}

type found = map[string]diagnose.Status

const (
	fails = diagnose.Fail
	warns = diagnose.Warning
)

func metadataDefects(s *site) []spoiled {
	get := http.MethodGet
	return []spoiled{
		{"no path form", answer(at(get, wellKnown+"/mcp"), 404), nil, found{"metadata-path": fails, "metadata-cors": warns}},
		{"no root form", answer(at(get, wellKnown), 404), nil, found{"metadata-root": fails}},
		{"resource with a slash", nil, member(wellKnown+"/mcp", "resource", s.url+"/mcp/"), found{"metadata-resource": fails}},
		{"resource http on another host", nil, member(wellKnown, "resource", "http://mcp.example.com/mcp"), found{"metadata-resource": fails, "metadata-resource-url": fails}},
		{"resource with a query", nil, member(wellKnown, "resource", s.url+"/mcp?x"), found{"metadata-resource": fails, "metadata-resource-url": fails}},
		{"metadata as text", nil, set(wellKnown, "Content-Type", "text/plain"), found{"metadata-json": fails, "unknown-well-known": fails}},
		{"empty member", nil, member(wellKnown, "resource_name", ""), found{"metadata-json": fails, "metadata-for-people": warns}},
		{"member of another type", nil, member(wellKnown, "resource_name", 5), found{"metadata-json": fails, "metadata-for-people": warns}},
		{"no authorization server", nil, member(wellKnown, "authorization_servers", nil), found{"authorization-servers": fails}},
		{"issuer with a slash", nil, member(wellKnown, "authorization_servers", []string{s.system.Stack.URLs().AuthorizationServer + "/"}), found{"authorization-servers": fails}},
		{"authorization server without S256", nil, member(wellKnown, "authorization_servers", []string{s.system.Stack.URLs().TokenIssuer}), found{"pkce-s256": fails}},
		{"HEAD refused", answer(at(http.MethodHead, wellKnown+"/mcp"), 405), nil, found{"metadata-head": fails}},
		{"POST taken", answer(at(http.MethodPost, wellKnown+"/mcp"), 200), nil, found{"metadata-post": fails}},
		{"405 without Allow", answer(at(http.MethodPost, wellKnown+"/mcp"), 405), nil, found{"metadata-post": fails}},
		{"offline_access published", nil, member(wellKnown, "scopes_supported", []string{"openid", "offline_access"}), found{"metadata-scopes": warns}},
		{"every scope published", nil, member(wellKnown, "scopes_supported", []string{"*"}), found{"metadata-scopes": fails}},
		{"no scopes published", nil, member(wellKnown, "scopes_supported", nil), found{"metadata-scopes": warns}},
		{"tokens in bodies", nil, member(wellKnown, "bearer_methods_supported", []string{"header", "body"}), found{"metadata-bearer-methods": fails}},
		{"DPoP in the metadata only", nil, member(wellKnown+"/mcp", "dpop_signing_alg_values_supported", []string{"ES256"}), found{"metadata-bound-tokens": fails}},
		{"DPoP with a shared secret", nil, member(wellKnown+"/mcp", "dpop_signing_alg_values_supported", []string{"HS256"}), found{"metadata-bound-tokens": fails}},
		{"DPoP required without algorithms", nil, member(wellKnown+"/mcp", "dpop_bound_access_tokens_required", true), found{"metadata-bound-tokens": fails}},
		{"DPoP in the challenge only", nil, func(r back) {
			if r.StatusCode == http.StatusUnauthorized {
				r.Header.Add("WWW-Authenticate", `DPoP algs="ES256"`)
			}
		}, found{"metadata-bound-tokens": fails}},
		{"no documentation", nil, member(wellKnown, "resource_documentation", nil), found{"metadata-for-people": warns}},
		{"cached for a day", nil, set(wellKnown, "Cache-Control", "max-age=86400"), found{"metadata-cache": warns}},
		{"metadata for one origin", nil, set(wellKnown, "Access-Control-Allow-Origin", "https://a.example"), found{"metadata-cors": warns}},
		{"metadata with cookies", nil, set(wellKnown, "Access-Control-Allow-Credentials", "true"), found{"metadata-cors": fails}},
		{"page for what is not there", answer(func(r *http.Request) bool {
			return strings.HasPrefix(r.URL.Path, "/.well-known/") && !strings.HasPrefix(r.URL.Path, wellKnown)
		}, 200, "Content-Type", "text/html"), nil, found{"unknown-well-known": fails}},
		{"forwarded host believed", nil, func(r back) {
			if host := r.Request.Header.Get("X-Forwarded-Host"); host != "" {
				r.Header.Set("WWW-Authenticate", `Bearer resource_metadata="https://`+host+`"`)
			}
		}, found{"forwarded-headers": fails}},
	}
}

func credentialDefects() []spoiled {
	unauthenticated := func(r *http.Request) bool {
		return r.Method == http.MethodPost && r.URL.Path == "/mcp" && r.Header.Get("Authorization") == "" && r.URL.RawQuery == ""
	}
	bearer := func(match func(string) bool) func(*http.Request) bool {
		return func(r *http.Request) bool { return match(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")) }
	}
	unsigned := bearer(func(token string) bool { return strings.HasSuffix(token, ".") && strings.Count(token, ".") == 2 })
	return []spoiled{
		{"error code without a token", nil, func(r back) {
			if r.StatusCode == 401 && r.Request.Header.Get("Authorization") == "" {
				r.Header.Set("WWW-Authenticate", r.Header.Get("WWW-Authenticate")+`, error="invalid_token"`)
			}
		}, found{"no-token": fails}},
		{"redirect to a slash", answer(unauthenticated, 301, "Location", "/mcp/"), nil, found{
			"no-token": fails, "no-redirect": fails, "challenge-readable": fails, "no-session-bypass": fails, "refusals-not-stored": warns, "token-in-form": fails,
			"security-headers": warns, "unknown-host": fails, "unknown-origin": fails,
		}},
		{"no commas in the challenge", nil, edit("/mcp", "WWW-Authenticate", ", ", " "), found{
			"no-token": fails, "challenge-syntax": fails, "opaque-token": fails, "encrypted-token": fails, "unsigned-token": fails,
			"forged-token": fails, "hostile-claims": fails, "other-scheme": fails,
		}},
		{"backslash in the challenge", nil, edit("/mcp", "WWW-Authenticate", "openid ", `open\\id `), found{"challenge-syntax": fails, "challenge-scope": fails, "hostile-claims": fails}},
		{"root metadata in the challenge", nil, edit("/mcp", "WWW-Authenticate", wellKnown+"/mcp", wellKnown), found{"challenge-metadata": fails}},
		{"other metadata in the challenge", nil, edit("/mcp", "WWW-Authenticate", "oauth-protected-resource", "oauth-authorization-server"), found{"challenge-metadata": fails}},
		{"no metadata in the challenge", nil, edit("/mcp", "WWW-Authenticate", "resource_metadata", "x"), found{"challenge-metadata": fails}},
		{"no scope in the challenge", nil, edit("/mcp", "WWW-Authenticate", "scope=", "scoop="), found{"challenge-scope": warns}},
		{
			"403 for opaque tokens", answer(bearer(func(token string) bool {
				return token != "" && !strings.ContainsAny(token, ". ,\"") && token != "Bearer"
			}), 403), nil,
			found{"opaque-token": fails, "two-headers": fails, "refusal-body": warns},
		},
		{"500 for encrypted tokens", answer(bearer(func(token string) bool { return strings.Count(token, ".") == 4 }), 500), nil, found{"encrypted-token": fails}},
		{"unsigned tokens taken", answer(unsigned, 200), nil, found{"unsigned-token": fails}},
		{"signatures not checked", answer(bearer(func(token string) bool {
			_, rest, _ := strings.Cut(token, ".")
			claims, signature, found := strings.Cut(rest, ".")
			text, err := base64.RawURLEncoding.DecodeString(claims)
			return found && signature != "" && !strings.Contains(signature, ".") && err == nil && !bytes.Contains(text, []byte(`"scope"`)) // the good token has some
		}), 200), nil, found{"forged-token": fails, "hostile-claims": fails}},
		{"no error code for bad tokens", nil, edit("/mcp", "WWW-Authenticate", `error="invalid_token"`, `realm="x"`), found{
			"opaque-token": fails, "encrypted-token": fails, "unsigned-token": fails, "forged-token": fails, "hostile-claims": fails,
		}},
		{"401 for a malformed header", answer(func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer a b" }, 401), nil, found{"malformed-header": fails}},
		{"two headers taken", answer(func(r *http.Request) bool { return len(r.Header.Values("Authorization")) > 1 }, 200), nil, found{"two-headers": fails}},
		{"token in the query taken", answer(func(r *http.Request) bool { return r.URL.Query().Has("access_token") }, 200), nil, found{"token-in-query": fails}},
		{"token in the query ignored", change(func(r *http.Request) {
			if r.URL.Query().Has("access_token") {
				r.URL.RawQuery = ""
			}
		}), nil, found{"token-in-query": warns}},
		{"token in a form taken", answer(func(r *http.Request) bool { return strings.Contains(r.Header.Get("Content-Type"), "form") }, 200), nil, found{"token-in-form": fails}},
		{"Basic taken", answer(func(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("Authorization"), "Basic ") }, 200), nil, found{"other-scheme": fails}},
		{"refusals stored", nil, func(r back) {
			if r.StatusCode == 401 {
				r.Header.Del("Cache-Control")
			}
		}, found{"refusals-not-stored": warns}},
		{"DELETE without a token", answer(at(http.MethodDelete, "/mcp"), 204), nil, found{"every-method": fails}},
		{"a session is enough", answer(func(r *http.Request) bool { return r.Header.Get("Mcp-Session-Id") != "" && r.Method == http.MethodPost }, 200), nil, found{"no-session-bypass": fails}},
		{"messages for a stream without a token", answer(func(r *http.Request) bool {
			return r.Method == http.MethodPost && r.URL.Path == "/mcp/sse" && r.Header.Get("Authorization") == ""
		}, 202), nil, found{"sse-without-token": fails, "sse-message-without-token": fails}},
		{"a page as refusal", nil, func(r back) {
			if r.StatusCode == 401 {
				replace(r, "<html>")
			}
		}, found{"refusal-body": warns}},
	}
}

func boundaryDefects() []spoiled {
	preflight := func(r *http.Request) bool { return r.Method == http.MethodOptions }
	return []spoiled{
		{"any host", change(func(r *http.Request) { r.Host = "localhost" }), nil, found{"unknown-host": fails}},
		{"any origin", change(func(r *http.Request) {
			if r.Header.Get("Origin") != "" {
				r.Header.Set("Origin", "http://localhost")
			}
		}), func(r back) {
			if r.Header.Get("Access-Control-Allow-Origin") == "http://localhost" {
				r.Header.Set("Access-Control-Allow-Origin", "*")
			}
		}, found{"unknown-origin": fails}},
		{"origin null", change(func(r *http.Request) {
			if r.Header.Get("Origin") == "null" {
				r.Header.Del("Origin")
			}
		}), nil, found{"unknown-origin": fails}},
		{"preflight authenticated", answer(preflight, 401), nil, found{"preflight": fails}},
		{"preflight without headers", answer(preflight, 204, "Access-Control-Allow-Origin", "*", "Access-Control-Allow-Headers", "*"), nil, found{"preflight": fails}},
		{"preflight with cookies", nil, func(r back) {
			if r.Request.Method == http.MethodOptions {
				r.Header.Set("Access-Control-Allow-Credentials", "true")
			}
		}, found{"preflight": fails}},
		{"challenge hidden", nil, set("/mcp", "Access-Control-Expose-Headers", ""), found{"challenge-readable": fails}},
		{"content sniffing", nil, set("/mcp", "X-Content-Type-Options", ""), found{"security-headers": warns}},
		{"server version", nil, set("/mcp", "Server", "nginx/1.2.3"), found{"security-headers": warns}},
	}
}

func tokenDefects() []spoiled {
	withToken := func(r *http.Request) bool { return len(r.Header.Get("Authorization")) > 300 }
	says := func(text string) func(*http.Request) bool {
		return func(r *http.Request) bool {
			if r.Method != http.MethodPost || !withToken(r) {
				return false
			}
			body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			r.Body = io.NopCloser(bytes.NewReader(body))
			return bytes.Contains(body, []byte(text))
		}
	}
	lists := 0
	return []spoiled{
		{
			"token refused", answer(func(r *http.Request) bool {
				return says(`"initialize"`)(r) && strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ")
			}, 401), nil,
			found{"token-accepted": fails, "answers-not-stored": warns},
		},
		{"scheme with case", answer(func(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("Authorization"), "bEARER") }, 400), nil, found{"scheme-case": fails}},
		{"answers stored", nil, func(r back) {
			if r.StatusCode == 200 && r.Request.Method == http.MethodPost {
				r.Header.Set("Cache-Control", "private")
			}
		}, found{"answers-not-stored": warns}},
		{"no list", answer(says(`"tools/list"`), 403), nil, found{"tools-list": fails}},
		{"lists differ", nil, func(r back) {
			if r.Request.Method != http.MethodPost || r.StatusCode != 200 {
				return
			}
			body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			lists++
			replace(r, strings.Replace(string(body), `"otus_teams"`, `"tool_`+strconv.Itoa(lists)+`"`, 1))
		}, found{"tools-list": fails}},
		{"GET is a page", answer(func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Path == "/mcp" && withToken(r) }, 200), nil, found{"get-with-token": fails}},
		{"discover breaks", answer(says(`"server/discover"`), 500), nil, found{"discover": fails}},
		{"any version", answer(says("1999-01-01"), 200), nil, found{"unknown-version": fails}},
		{"headers not compared", change(func(r *http.Request) {
			if r.Header.Get("Mcp-Method") == "tools/list" {
				r.Header.Set("Mcp-Method", "server/discover")
			}
		}), nil, found{"header-mismatch": fails}},
		{"stream stored", nil, set("/mcp/sse", "Cache-Control", "public"), found{"sse-stream": fails}},
		{"stream buffered", nil, set("/mcp/sse", "X-Accel-Buffering", ""), found{"sse-stream": warns}},
		{"endpoint elsewhere", answer(func(r *http.Request) bool {
			return r.Method == http.MethodGet && r.URL.Path == "/mcp/sse" && withToken(r)
		}, 200, "Content-Type", "application/json"), nil, found{"sse-stream": fails}},
	}
}
