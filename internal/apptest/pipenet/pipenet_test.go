package pipenet

import (
	"errors"
	"io"
	"net"
	"testing"
)

func TestConnects(t *testing.T) {
	l := Listen()
	done := make(chan string)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			done <- err.Error()
			return
		}
		text, _ := io.ReadAll(conn)
		done <- string(text)
	}()
	conn, err := l.DialContext(t.Context(), "tcp", "anywhere:1")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "hello")
	_ = conn.Close()
	if got := <-done; got != "hello" {
		t.Errorf("the server read %q", got)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if _, err := l.DialContext(t.Context(), "tcp", "anywhere:1"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Dial after Close: %v", err)
	}
}
