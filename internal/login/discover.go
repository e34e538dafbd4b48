package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// found is what discovery found.
type found struct {
	resource string // identifier for the resource parameter
	scopes   oauth.Scopes
	server   discovery.Metadata
}

// discover asks the resource without a token and follows what its 401 and its
// metadata say (RFC 9728 section 5). Clients take the first authorization
// server.
func (c *client) discover(ctx context.Context, resource string) (found, error) {
	header, err := c.challenge(ctx, resource)
	if err != nil {
		return found{}, err
	}
	metadata, err := c.metadata(ctx, resource, parameter(header, "resource_metadata"))
	if err != nil {
		return found{}, err
	}
	result := found{resource: metadata.Resource, scopes: oauth.ParseScopes(parameter(header, "scope"))}
	if len(result.scopes) == 0 {
		result.scopes = metadata.ScopesSupported
	}
	if err := result.scopes.Validate(); err != nil {
		return found{}, fmt.Errorf("%s asks for what is no scope: %w", resource, err)
	}
	if len(metadata.AuthorizationServers) == 0 {
		return found{}, fmt.Errorf("the metadata of %s names no authorization server", resource)
	}
	issuer := metadata.AuthorizationServers[0]
	if result.server, err = c.fetcher.Metadata(ctx, issuer); err != nil {
		return found{}, fmt.Errorf("the authorization server %s: %w", issuer, err)
	}
	server := result.server
	switch {
	case server.Issuer != issuer:
		return found{}, fmt.Errorf("the authorization server %s calls itself %q (RFC 8414 section 3.3)", issuer, server.Issuer)
	case !server.SupportsS256():
		return found{}, fmt.Errorf("the authorization server %s does not publish PKCE with S256", issuer)
	case server.AuthorizationEndpoint == "" || server.TokenEndpoint == "":
		return found{}, fmt.Errorf("the authorization server %s publishes no authorization or token endpoint", issuer)
	}
	return result, nil
}

// challenge returns the WWW-Authenticate header of a request without a token.
func (c *client) challenge(ctx context.Context, resource string) (string, error) {
	body := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, resource, body)
	if err != nil {
		return "", errors.New("the resource is not a URL")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	if err := response.Body.Close(); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusUnauthorized {
		return "", fmt.Errorf("%s answers %d without a token, not 401; is it the MCP endpoint?", resource, response.StatusCode)
	}
	return strings.Join(response.Header.Values("WWW-Authenticate"), ", "), nil
}

var parameterPattern = regexp.MustCompile(`(?i)[\s,]([a-z_]+)="([^"\\]*)"`)

// parameter returns a quoted parameter of a challenge, or "".
func parameter(header, name string) string {
	for _, match := range parameterPattern.FindAllStringSubmatch(header, -1) {
		if strings.EqualFold(match[1], name) {
			return match[2]
		}
	}
	return ""
}

// metadata gets the resource's metadata: from where its challenge says, which
// must be its own origin, else from the well-known places.
func (c *client) metadata(ctx context.Context, resource, named string) (oauth.ProtectedResourceMetadata, error) {
	u, err := url.Parse(resource)
	if err != nil {
		return oauth.ProtectedResourceMetadata{}, errors.New("the resource is not a URL")
	}
	origin := u.Scheme + "://" + u.Host
	places := []string{oauth.MetadataURL(resource), oauth.MetadataURL(origin)}
	if named != "" {
		if !strings.HasPrefix(named, origin+"/") {
			return oauth.ProtectedResourceMetadata{}, fmt.Errorf("the challenge of %s names metadata elsewhere: %q", resource, named)
		}
		places = []string{named}
	}
	var problems []error
	for _, place := range places {
		body, err := c.fetcher.Document(ctx, place)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		var metadata oauth.ProtectedResourceMetadata
		if err := json.Unmarshal(body, &metadata); err != nil {
			return metadata, fmt.Errorf("%s is not the metadata of a protected resource", place)
		}
		if !covers(metadata.Resource, resource, origin) {
			return metadata, fmt.Errorf("%s describes %q, not %s (RFC 9728 section 3.3)", place, metadata.Resource, resource)
		}
		return metadata, nil
	}
	return oauth.ProtectedResourceMetadata{}, errors.Join(problems...)
}

// covers reports whether metadata for one resource may be used for another: the
// same, or the origin as a whole.
func covers(described, resource, origin string) bool {
	return oauth.SameResource(described, resource) || oauth.SameResource(described, origin)
}
