package upstream

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
)

// maxDrain bounds what is read of a body that nobody looks at, so that its
// connection can be used again. Bytes.
const maxDrain = 4 << 10

// kept lists the only response header fields that leave this package: what a
// result is made from. Set-Cookie and all others end here.
var kept = []string{"Content-Type", "Link", "Retry-After", "Www-Authenticate"}

// looked lists the fields that this package itself looks at besides: what
// memory.go needs.
var looked = []string{"Age", "Cache-Control", "Date", "Etag", "Expires", "Last-Modified", "Vary"}

// answer turns what the API sent into a complete response in memory, and closes
// response. The result has no Request: that one holds the credential.
func (c *Client) answer(ctx context.Context, response *http.Response) (*http.Response, error) {
	defer func() { _ = response.Body.Close() }()
	complete := &http.Response{
		Status: response.Status, StatusCode: response.StatusCode,
		Proto: response.Proto, ProtoMajor: response.ProtoMajor, ProtoMinor: response.ProtoMinor,
		Header: http.Header{}, Body: http.NoBody,
	}
	for _, name := range slices.Concat(kept, looked) {
		if values := response.Header[name]; len(values) > 0 {
			complete.Header[name] = values
		}
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		drain(response) // the status is the answer, however the body behaves
		return complete, nil
	}
	length := response.ContentLength
	if response.Request != nil && response.Request.Method == http.MethodHead {
		length = 0 // it is that of another answer (RFC 9110 section 9.3.2)
	}
	if length > c.maxResponse {
		return nil, c.failure(TooLarge, nil)
	}
	var body bytes.Buffer
	if length > 0 {
		body.Grow(int(length) + bytes.MinRead)
	}
	// The body is behind the transport's decompression: a bomb is cut here too.
	n, err := body.ReadFrom(io.LimitReader(response.Body, c.maxResponse+1))
	if err != nil {
		return nil, c.failure(classify(ctx, bodyError{err}), err)
	}
	if n > c.maxResponse {
		return nil, c.failure(TooLarge, nil)
	}
	complete.ContentLength = n
	complete.Body = io.NopCloser(&body)
	return complete, nil
}

// drain reads a short body that nobody looks at.
func drain(response *http.Response) {
	if response.ContentLength >= 0 && response.ContentLength <= maxDrain {
		_, _ = io.CopyN(io.Discard, response.Body, maxDrain)
	}
}

// presentable removes what only this package looks at.
func presentable(response *http.Response) *http.Response {
	for _, name := range looked {
		response.Header.Del(name)
	}
	return response
}

// bodyError marks an error met after the header had arrived.
type bodyError struct{ error }

func (e bodyError) Unwrap() error { return e.error }
