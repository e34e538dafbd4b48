package wireschema

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// exchange is one HTTP request and its answer.
type exchange struct {
	method   string
	url      *url.URL
	header   http.Header
	body     []byte
	status   int
	media    string // of the answer
	answer   []byte
	complete bool // the answer was not cut off
}

// exchanges reads what a connection carried, as far as it can be read.
func (c *tappedConn) exchanges() []exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rest, ok := bytes.CutPrefix(c.requests, []byte(http2.ClientPreface)); ok {
		return readHTTP2(rest, c.responses)
	}
	return readHTTP1(c.requests, c.responses)
}

func readHTTP1(sent, received []byte) []exchange {
	requests, responses := bufio.NewReader(bytes.NewReader(sent)), bufio.NewReader(bytes.NewReader(received))
	var all []exchange
	for {
		request, err := http.ReadRequest(requests)
		if err != nil {
			return all // the end, or no HTTP
		}
		e := exchange{method: request.Method, url: request.URL, header: request.Header}
		e.body, _ = readUp(request.Body) // the server may have answered before it read everything
		if !e.readAnswer(responses, request) {
			return all
		}
		all = append(all, e)
		if !e.complete {
			return all
		}
	}
}

// readAnswer reads the answer of HTTP/1.1 that is not interim (RFC 9110,
// section 15.2).
func (e *exchange) readAnswer(responses *bufio.Reader, request *http.Request) bool {
	for e.status < http.StatusOK {
		response, err := http.ReadResponse(responses, request)
		if err != nil {
			return false
		}
		e.status, e.media = response.StatusCode, mediaType(response.Header.Get("Content-Type"))
		e.answer, err = readUp(response.Body)
		e.complete = err == nil
		_ = response.Body.Close() // of what is in memory
	}
	return true
}

// readUp reads what was kept of a body.
func readUp(body io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(body, maxKept)) //nolint:forbidigo // the connection is kept up to maxKept
}

func mediaType(header string) string {
	media, _, _ := mime.ParseMediaType(header)
	return media
}

// half is one direction of an HTTP/2 stream.
type half struct {
	fields []hpack.HeaderField
	body   []byte
	ended  bool
}

func (h half) field(name string) string {
	for _, f := range h.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func readHTTP2(sent, received []byte) []exchange {
	requests, order := readFrames(sent)
	responses, _ := readFrames(received)
	var all []exchange
	for _, id := range order {
		request, response := requests[id], responses[id]
		target, err := url.Parse(request.field(":path"))
		if response == nil || err != nil {
			continue
		}
		e := exchange{
			method: request.field(":method"), url: target, header: http.Header{}, body: request.body,
			status: number(response.field(":status")), media: mediaType(response.field("content-type")),
			answer: response.body, complete: response.ended,
		}
		for _, f := range request.fields {
			if !strings.HasPrefix(f.Name, ":") {
				e.header.Add(f.Name, f.Value)
			}
		}
		all = append(all, e)
	}
	return all
}

func number(digits string) int {
	n := 0
	for _, d := range digits {
		n = n*10 + int(d-'0')
	}
	return n
}

// readFrames returns the streams of one direction, and their ids in the order
// they were opened.
func readFrames(kept []byte) (streams map[uint32]*half, order []uint32) {
	framer := http2.NewFramer(io.Discard, bytes.NewReader(kept))
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	streams = map[uint32]*half{}
	for {
		frame, err := framer.ReadFrame()
		if _, ofStream := errors.AsType[http2.StreamError](err); err != nil && !ofStream {
			return streams, order
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			stream := streams[f.StreamID]
			if stream == nil {
				stream = &half{}
				streams[f.StreamID] = stream
				order = append(order, f.StreamID)
			}
			stream.fields = append(stream.fields, f.Fields...)
			stream.ended = f.StreamEnded()
		case *http2.DataFrame:
			if stream := streams[f.StreamID]; stream != nil {
				stream.body = append(stream.body, f.Data()...)
				stream.ended = f.StreamEnded()
			}
		}
	}
}
