package eventstream

import (
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"time"
)

// WriteTimeout is how long one write may take; a reader that takes longer is cut
// off.
const WriteTimeout = 10 * time.Second

// output is where the frames of a stream go. Only one goroutine writes at a
// time.
type output interface {
	write(frame []byte) error
	finish() // the response is complete
	abort()  // nobody reads any more; ends a write that is under way
}

// connection is an HTTP/1.1 connection that was taken over after the response's
// header, which announced a body in chunks (RFC 9112 section 7.1).
type connection struct{ net.Conn }

var lastChunk = []byte("0\r\n\r\n")

func (c connection) write(frame []byte) error {
	chunk := make([]byte, 0, len(frame)+len("ffffffff\r\n\r\n"))
	chunk = strconv.AppendInt(chunk, int64(len(frame)), 16)
	chunk = append(chunk, "\r\n"...)
	chunk = append(chunk, frame...)
	chunk = append(chunk, "\r\n"...)
	return c.writeAll(chunk)
}

func (c connection) writeAll(data []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(WriteTimeout)); err != nil {
		return err
	}
	_, err := c.Write(data)
	return err
}

func (c connection) finish() {
	_ = c.writeAll(lastChunk) // a client that has gone needs none
	_ = c.Close()
}

// abort closes the connection below TLS, which would want to say goodbye first.
func (c connection) abort() {
	if encrypted, ok := c.Conn.(*tls.Conn); ok {
		_ = encrypted.NetConn().Close()
		return
	}
	_ = c.Close()
}

// Writer writes events on a response, each flushed at once and under its own
// deadline. It is for answers that end with their request.
type Writer struct {
	w          http.ResponseWriter
	controller *http.ResponseController
}

// NewWriter starts a response of events.
func NewWriter(w http.ResponseWriter) *Writer {
	begin(w)
	return writerOn(w)
}

func writerOn(w http.ResponseWriter) *Writer {
	return &Writer{w: w, controller: http.NewResponseController(w)}
}

// begin writes the header of a response of events. The last two fields keep
// proxies from storing, compressing and buffering it.
func begin(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
}

// Write writes one frame. The server's own write deadline does not apply.
func (w *Writer) Write(frame []byte) error {
	if err := w.controller.SetWriteDeadline(time.Now().Add(WriteTimeout)); err != nil {
		return err
	}
	if _, err := w.w.Write(frame); err != nil {
		return err
	}
	if err := w.controller.Flush(); err != nil {
		return err
	}
	// HTTP/2 ends an idle stream whose deadline passes.
	return w.controller.SetWriteDeadline(time.Time{})
}

func (w *Writer) write(frame []byte) error { return w.Write(frame) }

func (w *Writer) finish() {} // the handler returns

func (w *Writer) abort() {} // the write's own deadline ends it
