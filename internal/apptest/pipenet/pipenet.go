// Package pipenet is a network in memory for tests under fake time: inside a
// testing/synctest bubble a goroutine that reads a real socket is never idle,
// one that reads a net.Pipe is. It is for tests only and imports nothing of
// this module, so that the tests of every package may use it.
package pipenet

import (
	"context"
	"net"
	"sync"
)

// Listener accepts the connections that Dial makes. Use [Listen].
type Listener struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

// Listen returns a network with one listener on it.
func Listen() *Listener {
	return &Listener{connections: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept returns the server's end of the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.connections:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and Dial fail.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns a loopback address that nobody listens on.
func (l *Listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// DialContext connects to the listener, whatever the address; it fits
// http.Transport.
func (l *Listener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.connections <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
