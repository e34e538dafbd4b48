package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

const (
	// maxResultDepth bounds how deep an answer nests: parsers of clients give
	// up or overflow long before ours does.
	maxResultDepth = 200
	// maxRetryAfter bounds what is repeated of an API's Retry-After, in seconds.
	maxRetryAfter = 24 * 60 * 60
)

// answer maps an upstream's answer: 2xx to a result, 401 and 403 to what they
// mean for the caller, everything else to a sentence.
func (c *call) answer(ctx context.Context, response *http.Response) (Result, error) {
	status := response.StatusCode
	forwarded := c.upstream.Credential == CredentialForward
	c.outcome = "upstream_" + strconv.Itoa(status)
	switch {
	case status >= 200 && status <= 299:
		return c.success(ctx, response), nil
	case status == http.StatusUnauthorized && forwarded:
		// The token is the caller's, so the caller is told; were it ours, a
		// challenge would send people to sign in again for nothing.
		return Result{}, oauth.InvalidToken("upstream_401", "The API did not accept this access token; sign in again.", nil)
	case status == http.StatusForbidden && forwarded:
		return Result{}, c.forbidden(response)
	default:
		return c.toolError(c.sentence(response)), nil
	}
}

// forbidden maps 403. Only an API that names a scope which the caller lacks
// causes a challenge: any other new token would meet the same answer.
func (c *call) forbidden(response *http.Response) error {
	granted := c.caller.Principal.Scopes
	need := neededScopes(response.Header.Values("WWW-Authenticate"))
	if len(granted.Missing(need)) > 0 {
		refusal := oauth.InsufficientScope(need, granted)
		refusal.Reason = "upstream_403"
		return refusal
	}
	return &oauth.Refusal{
		Status: http.StatusForbidden, Code: oauth.CodeAccessDenied, Reason: "upstream_403",
		Description: "The API says this user may not do this",
	}
}

// read returns the body. The sender bounds it already; this makes the bound
// hold for every sender.
func (c *call) read(response *http.Response) ([]byte, error) {
	var body bytes.Buffer
	if n := response.ContentLength; n > 0 && n <= c.upstream.MaxResponse {
		body.Grow(int(n) + bytes.MinRead)
	}
	n, err := body.ReadFrom(io.LimitReader(response.Body, c.upstream.MaxResponse+1))
	if err == nil && n > c.upstream.MaxResponse {
		err = fmt.Errorf("more than %d bytes", c.upstream.MaxResponse)
	}
	return body.Bytes(), err
}

// conforms reports whether an answer is as the tool declares. One with a key that
// is there twice is not: another reader of it could see another value.
func (c *call) conforms(body []byte) bool {
	if c.tool.output == nil {
		return true
	}
	var value any
	return json.Unmarshal(body, &value) == nil && strictjson.Unique(body) == nil && c.tool.output.Validate(value) == nil
}

// isJSON reports whether a media type is JSON (RFC 6839 section 3.1 for +json).
func isJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mediaType == "application/json" ||
		strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json"))
}

// sentence says what a status means, in one sentence that has nothing of the
// answer but the status and a bounded number of seconds.
func (c *call) sentence(response *http.Response) string {
	api, status := fmt.Sprintf("The API %q ", c.upstream.Name), response.StatusCode
	later := "; try again later"
	if seconds, ok := retryAfter(response.Header.Get("Retry-After")); ok {
		later = fmt.Sprintf("; try again in %d seconds", seconds)
	}
	switch {
	case status >= 300 && status <= 399:
		return api + "answered with a redirect, which is not followed (" + c.named() + "); the operator has to look at its URL."
	case status == http.StatusUnauthorized:
		return api + "did not accept this server (" + c.named() + "); the operator has to look at its credential."
	case status == http.StatusForbidden && c.upstream.Personal():
		return api + "says this user may not do this (" + c.named() + ")."
	case status == http.StatusForbidden:
		return api + "does not let this server do this (" + c.named() + "); the operator has to look at its credential."
	case status == http.StatusNotFound:
		return api + "has nothing there (" + c.named() + ")."
	case status == http.StatusConflict:
		return api + "says that this conflicts with its current state (" + c.named() + ")."
	case status == http.StatusTooManyRequests:
		return api + "gets too many requests (" + c.named() + ")" + later + "."
	case status >= 400 && status <= 499:
		return api + "refused the request (" + c.named() + ")."
	case status >= 500 && status <= 599:
		return api + "failed (" + c.named() + ")" + later + "."
	default:
		return api + "answered with a status this server does not understand (" + c.named() + ")."
	}
}

// named returns the upstream's status with its standard name, never with the
// text that the upstream gave it.
func (c *call) named() string {
	return strings.TrimSpace(strconv.Itoa(c.status) + " " + http.StatusText(c.status))
}

// retryAfter reads a Retry-After in seconds; the form with a date is ignored.
func retryAfter(value string) (int, bool) {
	seconds, err := strconv.Atoi(value)
	return seconds, err == nil && seconds > 0 && seconds <= maxRetryAfter
}
