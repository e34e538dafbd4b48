package wireschema

import (
	"net"
	"sync"
)

// maxKept bounds what is kept of one connection, in bytes and each way. What a
// test says beyond it would go unjudged, so the verdict fails.
const maxKept = 64 << 20

type tappedListener struct {
	net.Listener

	judge *Judge
}

// Accept taps the next connection.
func (l tappedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tapped := &tappedConn{Conn: conn}
	l.judge.mu.Lock()
	defer l.judge.mu.Unlock()
	l.judge.connections = append(l.judge.connections, tapped)
	return tapped, nil
}

// tappedConn keeps what passes through a connection.
type tappedConn struct {
	net.Conn

	mu            sync.Mutex
	requests      []byte // as the server has read them
	responses     []byte // as the server has written them
	tooMuchToKeep bool
}

// Read keeps what the client sent.
func (c *tappedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.keep(&c.requests, b[:n])
	return n, err
}

// Write keeps what reached the connection. A write that fails may have reached
// it in part.
func (c *tappedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.keep(&c.responses, b[:n])
	return n, err
}

// CloseWrite lets the server say that it is done and still read, as it can on
// the connection itself: without it a client that is still sending might see a
// reset instead of the answer.
func (c *tappedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *tappedConn) keep(kept *[]byte, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(*kept)+len(b) > maxKept {
		c.tooMuchToKeep = true
		return
	}
	*kept = append(*kept, b...)
}
