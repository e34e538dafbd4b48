package diagnose

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
)

// Issuer is an issuer whose tokens are accepted.
type Issuer struct {
	Server           string // authorization server that it is, "" if it is none
	Name             string // exact "iss"; "" means that of Server's metadata
	JWKSURL          string // "" means that of the metadata
	Algorithms       []string
	Introspection    bool   // it is asked about tokens
	IntrospectionURL string // "" means that of the metadata
}

// issuers looks at the keys that token signatures will be checked with, and at
// where issuers are asked about tokens. servers is what is known already, by
// the authorization server.
func (d *doctor) issuers(ctx context.Context, servers map[string]discovery.Metadata) {
	type asked struct{ url, algorithms string }
	var done []asked
	for n, issuer := range d.cfg.Issuers {
		suffix := ""
		if len(d.cfg.Issuers) > 1 {
			suffix = "-" + strconv.Itoa(n+1)
		}
		metadata, ok := servers[issuer.Server]
		if issuer.Server == "" {
			metadata, ok = d.issuer(ctx, issuer, "jwt-issuer"+suffix)
		}
		if issuer.JWKSURL != "" {
			metadata.JWKSURI, ok = issuer.JWKSURL, true
		}
		if !ok {
			continue // reported
		}
		set := asked{metadata.JWKSURI, strings.Join(issuer.Algorithms, " ")}
		if !slices.Contains(done, set) {
			done = append(done, set)
			d.keySet(ctx, "keys"+suffix, metadata.JWKSURI, issuer.Algorithms)
		}
		if issuer.Introspection {
			if issuer.IntrospectionURL != "" {
				metadata.IntrospectionEndpoint = issuer.IntrospectionURL
			}
			d.introspection(ctx, "introspection"+suffix, metadata.IntrospectionEndpoint)
		}
	}
}

// issuer looks at the metadata of an issuer that is no authorization server of
// this server's, as far as it is needed.
func (d *doctor) issuer(ctx context.Context, issuer Issuer, name string) (discovery.Metadata, bool) {
	if issuer.JWKSURL != "" && (!issuer.Introspection || issuer.IntrospectionURL != "") {
		return discovery.Metadata{}, true
	}
	metadata, err := d.fetcher.Metadata(ctx, issuer.Name)
	if err != nil {
		d.add(Problem, name, "RFC 8414 section 3", "no metadata of "+issuer.Name+": "+err.Error(),
			"Check JWT_ISSUER or ISSUERS_FILE, or give the address of its key set if it publishes no metadata.")
		return metadata, false
	}
	if metadata.Issuer != issuer.Name {
		d.add(Problem, name, "RFC 8725 section 3.8", fmt.Sprintf("it calls itself %q; tokens are compared byte for byte", metadata.Issuer),
			"Write it in JWT_ISSUER or ISSUERS_FILE exactly so, slash included.")
	} else {
		d.ok(name, metadata.Issuer)
	}
	return metadata, true
}

func (d *doctor) keySet(ctx context.Context, name, where string, algorithms []string) {
	wanted := strings.Join(algorithms, ", ")
	fix := "Check the issuer and the address of its key set; it must publish a signing key for " + wanted + ", RSA with at least 2048 bits."
	if where == "" {
		d.add(Problem, name, "RFC 8414 section 2", "the issuer's metadata has no jwks_uri", fix)
		return
	}
	body, err := d.fetcher.Document(ctx, where)
	if err != nil {
		d.add(Problem, name, "RFC 7517 section 5", err.Error(), fix)
		return
	}
	set, err := readKeySet(body, algorithms)
	switch {
	case err != nil:
		d.add(Problem, name, "RFC 7517 section 5", where+": "+err.Error(), fix)
	case set.usable == 0:
		d.add(Problem, name, "RFC 7517 section 4", where+" has no usable key for "+wanted+": "+set.String(), fix)
	default:
		d.ok(name, where+": "+set.String())
	}
}

// introspection asks about nothing in particular, without credentials: an
// endpoint that answers that would tell anybody what a token is worth.
func (d *doctor) introspection(ctx context.Context, name, where string) {
	const fix = "Check the issuer's introspection endpoint, and INTROSPECTION_URL or introspection.url."
	if where == "" {
		d.add(Problem, name, "RFC 8414 section 2", "the issuer's metadata has no introspection_endpoint", fix)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	form := url.Values{"token": {"none"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(form.Encode()))
	if err != nil {
		d.add(Problem, name, "", where+" is not a URL", fix)
		return
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("User-Agent", "oauth-mcp-server")
	response, err := d.cfg.Transport.RoundTrip(request) // follows no redirect
	if err != nil {
		d.add(Problem, name, "RFC 7662 section 2", where+" does not answer: "+bare(err).Error(), fix)
		return
	}
	_ = response.Body.Close() // nothing was read of it
	switch response.StatusCode {
	case http.StatusOK:
		d.add(Warning, name, "RFC 7662 section 2.1", where+" answers without credentials", "Have the identity provider answer authenticated clients only.")
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		d.ok(name, fmt.Sprintf("%s answers %d without credentials", where, response.StatusCode))
	default:
		d.add(Problem, name, "RFC 7662 section 2", fmt.Sprintf("%s answers %d", where, response.StatusCode), fix)
	}
}
