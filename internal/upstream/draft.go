package upstream

import (
	"context"
	"errors"
	"net/http"

	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
)

// Draft returns the request that [Client.Send] would make of r, without its
// credential: for showing it to somebody. It asks nobody and sends nothing. The
// error is a *[Failure] that says why r would not be sent.
func (c *Client) Draft(ctx context.Context, r *http.Request) (*http.Request, error) {
	call, err := c.prepare(outbound.Request{HTTP: r})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, call.method, call.target.String(), call.single)
	if err != nil {
		return nil, c.failure(ForbiddenAddress, errors.New("the request is not well formed"))
	}
	request.Header, request.ContentLength, request.GetBody = call.header, call.length, call.body
	if call.body != nil {
		if request.Body, err = call.body(); err != nil {
			return nil, c.failure(ForbiddenAddress, errors.New("the request's body cannot be read"))
		}
	}
	return request, nil
}
