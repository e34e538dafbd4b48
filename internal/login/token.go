package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// maxLifetime bounds an expires_in that is believed.
const maxLifetime = 10 * 365 * 24 * time.Hour

// redeem trades the code for tokens (RFC 6749 section 4.1.3, RFC 7636 section
// 4.5, RFC 8707 section 2.2).
func (c *client) redeem(ctx context.Context, a attempt, code secret.Value) (Tokens, error) {
	form := url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code.Reveal()},
		"redirect_uri":  {a.redirectURI},
		"client_id":     {a.client.ClientID},
		"code_verifier": {a.verifier},
		"resource":      {a.found.resource},
	}
	basic := a.client.Secret.IsSet() && a.client.AuthMethod != "client_secret_post"
	if a.client.Secret.IsSet() && !basic {
		form.Set("client_secret", a.client.Secret.Reveal())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.found.server.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return Tokens{}, errors.New("the token endpoint is not a URL")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic { // RFC 6749 section 2.3.1 wants both encoded
		request.SetBasicAuth(url.QueryEscape(a.client.ClientID), url.QueryEscape(a.client.Secret.Reveal()))
	}
	var answer struct {
		AccessToken  secret.Value `json:"access_token"`
		RefreshToken secret.Value `json:"refresh_token"`
		TokenType    string       `json:"token_type"`
		Scope        string       `json:"scope"`
		ExpiresIn    json.Number  `json:"expires_in"`
	}
	if err := c.ask(request, &answer); err != nil {
		return Tokens{}, fmt.Errorf("token request: %w", err)
	}
	switch {
	case !answer.AccessToken.IsSet():
		return Tokens{}, errors.New("token request: the answer has no access_token")
	case !strings.EqualFold(answer.TokenType, "Bearer"):
		return Tokens{}, errors.New("token request: the token is not a bearer token")
	}
	tokens := Tokens{
		AccessToken: answer.AccessToken, RefreshToken: answer.RefreshToken, TokenType: "Bearer", Scope: answer.Scope,
		Issuer: a.found.server.Issuer, ClientID: a.client.ClientID, Resource: a.found.resource,
	}
	if seconds, err := answer.ExpiresIn.Int64(); err == nil && seconds > 0 && seconds < int64(maxLifetime/time.Second) {
		tokens.Lifetime = time.Duration(seconds) * time.Second
	}
	return tokens, nil
}
