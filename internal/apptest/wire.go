package apptest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// maxTapped bounds what is kept of one connection in one direction, in bytes.
// What comes later is not searched.
const maxTapped = 1 << 20

// tokenPaths are the answers that have to hold a token: the page of a sign-in
// and the answer of a refresh, where they succeed.
var tokenPaths = []string{"/auth/callback", "/auth/refresh"}

// wire keeps what went over every connection to the server, whoever the client
// was, to be searched for secrets at the end.
type wire struct {
	mu    sync.Mutex
	conns []*tappedConn
}

// tap returns a listener whose connections are kept.
func (w *wire) tap(listener net.Listener) net.Listener { return tappedListener{listener, w} }

type tappedListener struct {
	net.Listener

	wire *wire
}

// Accept implements net.Listener.
func (l tappedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tapped := &tappedConn{Conn: conn}
	l.wire.mu.Lock()
	defer l.wire.mu.Unlock()
	l.wire.conns = append(l.wire.conns, tapped)
	return tapped, nil
}

// tappedConn keeps the beginning of both directions.
type tappedConn struct {
	net.Conn

	mu        sync.Mutex
	in, out   bytes.Buffer
	partially bool // there was more
}

func (c *tappedConn) keep(into *bytes.Buffer, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := min(len(p), maxTapped-into.Len())
	into.Write(p[:room])
	c.partially = c.partially || room < len(p)
}

// Read implements net.Conn.
func (c *tappedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.keep(&c.in, p[:n])
	return n, err
}

// Write implements net.Conn.
func (c *tappedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.keep(&c.out, p[:n])
	return n, err
}

// answers returns every answer but those whose purpose is a token, headers
// included. What does not parse, such as TLS, is returned as it is.
func (w *wire) answers() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, conn := range w.conns {
		conn.mu.Lock()
		conn.searchable(&b)
		conn.mu.Unlock()
	}
	return b.String()
}

// searchable writes the answers on this connection, in the order of their
// requests.
func (c *tappedConn) searchable(b *strings.Builder) {
	in, out := bufio.NewReader(bytes.NewReader(c.in.Bytes())), bufio.NewReader(bytes.NewReader(c.out.Bytes()))
	for {
		request, err := http.ReadRequest(in)
		if err != nil {
			break
		}
		_, _ = io.Copy(io.Discard, request.Body)
		response, err := http.ReadResponse(out, request)
		if err != nil {
			break
		}
		body, _ := io.ReadAll(response.Body) //nolint:forbidigo // in memory already; a stream may have been cut
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK && slices.Contains(tokenPaths, request.URL.Path) {
			continue
		}
		fmt.Fprintf(b, "%s %v\n%s\n", response.Status, response.Header, body)
	}
	_, _ = io.Copy(b, out)
}
