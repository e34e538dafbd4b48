package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// registration is the client to sign in as.
type registration struct {
	ClientID   string       `json:"client_id"`
	Secret     secret.Value `json:"client_secret"`
	AuthMethod string       `json:"token_endpoint_auth_method"`
}

// register registers a public client for this one redirect URI (RFC 7591
// section 3.1).
func (c *client) register(ctx context.Context, at found, redirectURI string) (registration, error) {
	endpoint := at.server.RegistrationEndpoint
	if endpoint == "" {
		return registration{}, fmt.Errorf("the authorization server %s registers no clients; give the ID of one with --client-id", at.server.Issuer)
	}
	if err := discovery.CheckURL(endpoint); err != nil {
		return registration{}, fmt.Errorf("registration endpoint: %w", err)
	}
	body, err := json.Marshal(map[string]any{
		"client_name":                "oauth-mcp-server login",
		"redirect_uris":              []string{redirectURI},
		"grant_types":                []string{"authorization_code"},
		"response_types":             []string{"code"},
		"token_endpoint_auth_method": "none",
		"scope":                      at.scopes.String(),
	})
	if err != nil {
		return registration{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return registration{}, errors.New("the registration endpoint is not a URL")
	}
	request.Header.Set("Content-Type", "application/json")
	var client registration
	if err := c.ask(request, &client); err != nil {
		return registration{}, fmt.Errorf("registration: %w", err)
	}
	if client.ClientID == "" {
		return registration{}, errors.New("registration: the answer has no client_id")
	}
	return client, nil
}

// ask sends a request and decodes a JSON answer, or returns the OAuth error in
// it.
func (c *client) ask(request *http.Request, into any) error {
	request.Header.Set("Accept", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) //nolint:forbidigo // bounded by the line's own limit
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		var failure struct {
			Code        string `json:"error"`
			Description string `json:"error_description"`
		}
		_ = json.Unmarshal(body, &failure) // the status says enough if it is none
		return refused(fmt.Sprintf("status %d", response.StatusCode), failure.Code, failure.Description)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return errors.New("the answer is not the JSON object it should be")
	}
	return nil
}

// refused puts an OAuth error into a sentence that is safe to print.
func refused(what, code, description string) error {
	if code != "" {
		what += ", " + oauth.SafeText(code)
	}
	if description != "" {
		what += ": " + oauth.SafeText(description)
	}
	return errors.New(what)
}
