package eventstream

import (
	"net"
	"net/http"
)

// canTakeOver reports whether the connection of a response can be had: not on
// HTTP/2, and not on HTTP/1.0, which has no chunks.
func canTakeOver(w http.ResponseWriter, r *http.Request) bool {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return false
	}
	for {
		switch v := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return false
		}
	}
}

// takeOver writes the header of the response and returns its connection.
// net/http writes the header because it does that best: a body of no known
// length becomes one in chunks, which goes on here. "Connection: close" is the
// truth about a connection that will not be given back.
func takeOver(w http.ResponseWriter) (net.Conn, error) {
	w.Header().Set("Connection", "close")
	begin(w)
	conn, _, err := http.NewResponseController(w).Hijack()
	return conn, err
}

// watch waits for the client to go. What a client sends where nothing is
// expected is dropped, up to a bound.
func (s *Stream) watch(conn net.Conn) {
	dropped := make([]byte, 64)
	for ignored := 0; ignored < maxIgnored; {
		n, err := conn.Read(dropped)
		if err != nil {
			break
		}
		ignored += n
	}
	s.Cut()
	s.mu.Lock()
	s.running--
	s.settle()
}
