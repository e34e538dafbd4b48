package oauth

import (
	"net/url"
	"strings"
)

// ProtectedResourcePath is the well-known path of RFC 9728 section 3.
const ProtectedResourcePath = "/.well-known/oauth-protected-resource"

// ProtectedResourceMetadata is the document of RFC 9728 section 2. Members with
// zero elements are left out (section 3.2).
type ProtectedResourceMetadata struct {
	Resource               string   `json:"resource"`
	AuthorizationServers   []string `json:"authorization_servers"`
	ScopesSupported        []string `json:"scopes_supported,omitempty"`
	BearerMethodsSupported []string `json:"bearer_methods_supported"`
	ResourceName           string   `json:"resource_name,omitempty"`
	ResourceDocumentation  string   `json:"resource_documentation,omitempty"`

	// What this resource does about sender-constrained tokens; left out where it
	// takes none.
	CertificateBoundTokens bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	DPoPAlgorithms         []string `json:"dpop_signing_alg_values_supported,omitempty"`
	DPoPRequired           bool     `json:"dpop_bound_access_tokens_required,omitempty"`
}

// MetadataURL returns where the metadata of resource is served: the well-known
// path inserted between host and path (RFC 9728 section 3.1). resource must be
// an absolute URL without query and fragment; a bare origin has no path to
// insert before.
func MetadataURL(resource string) string {
	u, err := url.Parse(resource)
	if err != nil {
		return ""
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	return u.Scheme + "://" + u.Host + ProtectedResourcePath + path
}

// SameResource reports whether two resource identifiers (or an audience and
// one) are the same: byte for byte, with one tolerance, that a bare origin
// equals itself with "/", because two real clients add it. Nothing is
// normalised beyond that, and there is no prefix rule.
func SameResource(a, b string) bool {
	return a == b || withoutRootSlash(a) == withoutRootSlash(b)
}

func withoutRootSlash(resource string) string {
	trimmed, found := strings.CutSuffix(resource, "/")
	if !found {
		return resource
	}
	_, rest, ok := strings.Cut(trimmed, "://")
	if !ok || strings.ContainsAny(rest, "/?#") {
		return resource
	}
	return trimmed
}
