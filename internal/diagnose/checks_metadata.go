package diagnose

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// maxMetadataAge is how long metadata may be cached, in seconds.
const maxMetadataAge = 300

// document gets the metadata of a resource.
func (p *probe) document(ctx context.Context, resource string) (reply, map[string]json.RawMessage, outcome) {
	where := oauth.MetadataURL(resource)
	r, err := p.get(ctx, where, nil)
	if err != nil {
		return r, nil, noAnswer(err)
	}
	if r.status != http.StatusOK {
		return r, nil, fail("GET %s answers %d", where, r.status)
	}
	object, ok := r.json()
	if !ok {
		return r, nil, fail("GET %s is not a JSON object", where)
	}
	return r, object, good("%s", where)
}

// anyDocument returns the metadata of the endpoint, or of the origin where the
// endpoint has none.
func (p *probe) anyDocument(ctx context.Context) (map[string]json.RawMessage, outcome) {
	_, object, result := p.document(ctx, p.endpoint)
	if result.status != OK {
		if _, root, atRoot := p.document(ctx, p.origin); atRoot.status == OK {
			return root, atRoot
		}
	}
	return object, result
}

// eachDocument applies look to the metadata of every resource that has some.
func (p *probe) eachDocument(ctx context.Context, look func(resource string, r reply, object map[string]json.RawMessage) outcome) outcome {
	result := skip("there is no metadata")
	for _, resource := range p.resources() {
		r, object, got := p.document(ctx, resource)
		if got.status != OK {
			continue // metadata-path and metadata-root report it
		}
		if result = look(resource, r, object); result.status != OK {
			return result
		}
	}
	return result
}

func checkMetadataPath(ctx context.Context, p *probe) outcome {
	for _, resource := range p.protected() {
		if _, _, result := p.document(ctx, resource); result.status != OK {
			return result
		}
	}
	return good("%s", oauth.MetadataURL(p.endpoint))
}

func checkMetadataRoot(ctx context.Context, p *probe) outcome {
	_, _, result := p.document(ctx, p.origin)
	return result
}

func checkResource(ctx context.Context, p *probe) outcome {
	return p.eachDocument(ctx, func(resource string, _ reply, object map[string]json.RawMessage) outcome {
		got := text(object, "resource")
		switch {
		case got == resource:
			return good("%s", got)
		case got == "" && text(object, "issuer") != "":
			return fail("%s is authorization server metadata, not that of a protected resource", oauth.MetadataURL(resource))
		}
		return fail("%s says resource %q; want %q, byte for byte", oauth.MetadataURL(resource), got, resource)
	})
}

func checkResourceURL(ctx context.Context, p *probe) outcome {
	return p.eachDocument(ctx, func(_ string, _ reply, object map[string]json.RawMessage) outcome {
		resource := text(object, "resource")
		u, err := url.Parse(resource)
		switch {
		case err != nil || u.Host == "":
			return fail("resource %q is not an absolute URL", resource)
		case discovery.CheckURL(resource) != nil:
			return fail("resource %q is not https", resource)
		case strings.ContainsAny(resource, "#?"):
			return fail("resource %q has a query or fragment", resource)
		}
		return good("%s", u.Scheme)
	})
}

// memberKinds are the members of RFC 9728 section 2 that clients read, with the
// first byte of their JSON.
var memberKinds = map[string]byte{
	"resource": '"', "authorization_servers": '[', "scopes_supported": '[', "bearer_methods_supported": '[',
	"resource_name": '"', "resource_documentation": '"', "jwks_uri": '"',
}

func checkMetadataJSON(ctx context.Context, p *probe) outcome {
	return p.eachDocument(ctx, func(resource string, r reply, object map[string]json.RawMessage) outcome {
		if r.mediaType() != "application/json" {
			return fail("%s has Content-Type %q; want application/json", oauth.MetadataURL(resource), r.header.Get("Content-Type"))
		}
		for name, raw := range object {
			switch kind := memberKinds[name]; {
			case string(raw) == "[]" || string(raw) == "null" || string(raw) == `""`:
				return fail("the member %s is empty; it must be left out", name)
			case kind != 0 && raw[0] != kind:
				return fail("the member %s has the wrong JSON type", name)
			}
		}
		return good("application/json")
	})
}

// issuers returns the authorization servers that the metadata names.
func (p *probe) issuers(ctx context.Context) ([]string, outcome) {
	object, result := p.anyDocument(ctx)
	if result.status != OK {
		return nil, skip("there is no metadata")
	}
	var issuers []string
	if json.Unmarshal(object["authorization_servers"], &issuers) != nil || len(issuers) == 0 {
		return nil, fail("authorization_servers is missing or empty: clients do not know where to sign in")
	}
	const maxIssuers = 10
	if len(issuers) > maxIssuers {
		return nil, fail("%d authorization servers; at most %d are looked at", len(issuers), maxIssuers)
	}
	return issuers, good("%s", strings.Join(issuers, ", "))
}

func checkAuthorizationServers(ctx context.Context, p *probe) outcome {
	issuers, result := p.issuers(ctx)
	for _, issuer := range issuers {
		metadata, err := p.fetcher.Metadata(ctx, issuer)
		if err != nil {
			return fail("the metadata of %s cannot be had: %v", issuer, err)
		}
		if metadata.Issuer != issuer {
			return fail("%s calls itself %q; strict clients stop at the difference", issuer, metadata.Issuer)
		}
	}
	return result
}

func checkS256(ctx context.Context, p *probe) outcome {
	issuers, result := p.issuers(ctx)
	if result.status != OK {
		return skip("no authorization server is known")
	}
	for _, issuer := range issuers {
		metadata, err := p.fetcher.Metadata(ctx, issuer)
		if err != nil {
			return skip("the metadata of %s cannot be had", issuer)
		}
		if !metadata.SupportsS256() {
			return fail("%s does not list S256 in code_challenge_methods_supported; clients must refuse to go on", issuer)
		}
	}
	return good("S256")
}

func checkMetadataHead(ctx context.Context, p *probe) outcome {
	r, err := p.do(ctx, call{method: http.MethodHead, url: oauth.MetadataURL(p.endpoint)})
	if err != nil {
		return noAnswer(err)
	}
	if r.status != http.StatusOK {
		return fail("HEAD answers %d; want 200", r.status)
	}
	return good("200")
}

func checkMetadataPost(ctx context.Context, p *probe) outcome {
	r, err := p.do(ctx, call{method: http.MethodPost, url: oauth.MetadataURL(p.endpoint), header: header("Content-Type", "application/json"), body: "{}"})
	if err != nil {
		return noAnswer(err)
	}
	if r.status != http.StatusMethodNotAllowed || !strings.Contains(r.header.Get("Allow"), http.MethodGet) {
		return fail("POST answers %d with Allow %q; want 405 with the allowed methods", r.status, r.header.Get("Allow"))
	}
	return good("405, Allow: %s", r.header.Get("Allow"))
}

func checkMetadataScopes(ctx context.Context, p *probe) outcome {
	return p.eachDocument(ctx, func(_ string, _ reply, object map[string]json.RawMessage) outcome {
		raw, present := object["scopes_supported"]
		if !present {
			return warn("there is no scopes_supported: clients guess what to ask for")
		}
		var scopes oauth.Scopes
		if json.Unmarshal(raw, &scopes) != nil {
			return fail("scopes_supported is not a list of strings")
		}
		if err := scopes.Validate(); err != nil {
			return fail("scopes_supported: %v", err)
		}
		switch {
		case scopes.Has("*"):
			return fail(`scopes_supported has "*", which is no scope`)
		case scopes.Has("offline_access"):
			return warn("scopes_supported has offline_access: some authorization servers refuse it, and clients ask for it themselves")
		}
		return good("%s", scopes)
	})
}

func checkBearerMethods(ctx context.Context, p *probe) outcome {
	return p.eachDocument(ctx, func(_ string, _ reply, object map[string]json.RawMessage) outcome {
		var methods []string
		raw, present := object["bearer_methods_supported"]
		switch {
		case !present:
			return warn(`there is no bearer_methods_supported; say ["header"]`)
		case json.Unmarshal(raw, &methods) != nil || !slices.Equal(methods, []string{"header"}):
			return fail(`bearer_methods_supported is not ["header"], the only method MCP allows`)
		}
		return good("header")
	})
}

func checkForPeople(ctx context.Context, p *probe) outcome {
	object, result := p.anyDocument(ctx)
	if result.status != OK {
		return skip("there is no metadata")
	}
	var missing []string
	for _, name := range []string{"resource_name", "resource_documentation"} {
		if text(object, name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return warn("not set: %s", strings.Join(missing, ", "))
	}
	return good("%s", text(object, "resource_name"))
}

func checkMetadataCache(ctx context.Context, p *probe) outcome {
	return p.eachDocument(ctx, func(_ string, r reply, _ map[string]json.RawMessage) outcome {
		control := r.header.Get("Cache-Control")
		for directive := range strings.SplitSeq(control, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
			if seconds, err := strconv.Atoi(value); strings.EqualFold(name, "max-age") && (err != nil || seconds > maxMetadataAge) {
				return warn("Cache-Control %q keeps old metadata for more than %d s", control, maxMetadataAge)
			}
		}
		if control == "" {
			return warn("there is no Cache-Control: caches decide how long old metadata lives")
		}
		return good("%s", control)
	})
}

func checkMetadataCORS(ctx context.Context, p *probe) outcome {
	r, err := p.get(ctx, oauth.MetadataURL(p.endpoint), header("Origin", "https://"+p.random+".example"))
	if err != nil {
		return noAnswer(err)
	}
	switch {
	case r.header.Get("Access-Control-Allow-Credentials") != "":
		return fail("metadata allows cookies of other sites")
	case r.header.Get("Access-Control-Allow-Origin") != "*":
		return warn("Access-Control-Allow-Origin is %q; clients in a browser cannot read the metadata", r.header.Get("Access-Control-Allow-Origin"))
	}
	return good("*")
}

func checkUnknownWellKnown(ctx context.Context, p *probe) outcome {
	for _, path := range []string{oauth.ProtectedResourcePath + "/" + p.random, "/.well-known/" + p.random, "/.well-known/oauth-authorization-server"} {
		r, err := p.get(ctx, p.origin+path, nil)
		if err != nil {
			return noAnswer(err)
		}
		object, isJSON := r.json()
		switch {
		case r.status == http.StatusOK && isJSON && text(object, "issuer") != "":
			continue // the server is an authorization server too
		case r.status != http.StatusNotFound:
			return fail("GET %s answers %d; want 404", path, r.status)
		case r.mediaType() != "application/json":
			return fail("GET %s has Content-Type %q; clients want JSON", path, r.header.Get("Content-Type"))
		}
	}
	return good("404, application/json")
}

func checkForwardedHeaders(ctx context.Context, p *probe) outcome {
	evil := p.random + ".example"
	forged := header(
		"X-Forwarded-Host", evil, "X-Forwarded-Proto", "https", "X-Forwarded-Prefix", "/"+p.random,
		"X-Original-Host", evil, "Forwarded", "host="+evil+";proto=https",
	)
	document, err := p.get(ctx, oauth.MetadataURL(p.endpoint), forged)
	if err != nil {
		return noAnswer(err)
	}
	refused, err := p.post(ctx, forged)
	if err != nil {
		return noAnswer(err)
	}
	for name, r := range map[string]reply{"metadata": document, "challenge": refused} {
		all := string(r.body) + r.header.Get("Www-Authenticate") + r.header.Get("Location")
		if strings.Contains(strings.ToLower(all), p.random) {
			return fail("the %s takes URLs from X-Forwarded-* or Forwarded of anybody", name)
		}
	}
	return good("not used")
}
