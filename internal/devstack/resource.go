package devstack

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// maxResources bounds the resource indicators of one request.
const maxResources = 8

// resources are the APIs that tokens may be asked for (RFC 8707): the protected
// server with everything under it, and Otus.
type resources struct {
	server string
	otus   string
}

// accepts reports whether resource names one of the APIs: the server's URL, a
// URL under it, or Otus.
func (r resources) accepts(resource string) bool {
	if oauth.SameResource(resource, r.server) || oauth.SameResource(resource, r.otus) {
		return true
	}
	u, err := url.Parse(resource)
	if err != nil || u.RawQuery != "" || u.ForceQuery || u.User != nil || strings.Contains(resource, "#") {
		return false
	}
	return !hasDotSegment(u) && strings.HasPrefix(resource, strings.TrimSuffix(r.server, "/")+"/")
}

// hasDotSegment reports whether the path climbs, escaped or not: such a URL
// could leave the prefix it seems to be under.
func hasDotSegment(u *url.URL) bool {
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// requested returns what a request asks for with resource (RFC 8707 section 2)
// or with Auth0's audience, without repetitions and verbatim, or the refusal
// invalid_target.
func (r resources) requested(form url.Values) ([]string, error) {
	var asked []string
	for _, value := range slices.Concat(form["resource"], form["audience"]) {
		if value != "" && !slices.Contains(asked, value) {
			asked = append(asked, value)
		}
	}
	if len(asked) > maxResources {
		return nil, invalidTarget("Too many resources in one request")
	}
	for _, value := range asked {
		if !r.accepts(value) {
			return nil, invalidTarget("This authorization server issues no tokens for that resource; ask for " + r.server)
		}
	}
	return asked, nil
}

// narrow returns the audience of an access token: what was asked for in the
// token request as far as it was granted, else everything granted, else the
// server (RFC 8707 section 2.2).
func (r resources) narrow(granted, asked []string) ([]string, error) {
	switch {
	case len(asked) == 0 && len(granted) == 0:
		return []string{r.server}, nil
	case len(asked) == 0:
		return granted, nil
	case len(granted) == 0:
		return asked, nil
	}
	for _, value := range asked {
		if !slices.ContainsFunc(granted, func(g string) bool { return oauth.SameResource(g, value) }) {
			return nil, invalidTarget("That resource was not part of the authorization")
		}
	}
	return asked, nil
}

func invalidTarget(description string) *oauth.Refusal {
	return &oauth.Refusal{Status: http.StatusBadRequest, Code: codeInvalidTarget, Description: description, Reason: codeInvalidTarget}
}
