package eventstream

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/pipenet"
)

// served is one stream with the client's end of it.
type served struct {
	*Stream

	conn  net.Conn
	ended chan struct{}
}

// serve opens a stream over a network in memory, in a bubble, for a request of
// that version of HTTP.
func serve(t *testing.T, version string, f func(t *testing.T, s served)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opened, ended, returned := make(chan *Stream, 1), make(chan struct{}), make(chan struct{})
		listener := pipenet.Listen()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(returned)
			w.Header().Set("X-Request-Id", "r1")
			s := Open(w, r)
			opened <- s
			s.Hold(func() { close(ended) })
		})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(listener)
		}()
		conn, err := listener.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET / "+version+"\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		header := make([]byte, 0, 512)
		for one := make([]byte, 1); !bytes.HasSuffix(header, []byte("\r\n\r\n")); header = append(header, one[0]) {
			if _, err := conn.Read(one); err != nil {
				t.Fatalf("%v after %q", err, header)
			}
		}
		for _, want := range []string{
			version + " 200", "Content-Type: text/event-stream", "Cache-Control: no-store, no-transform",
			"X-Accel-Buffering: no", "X-Request-Id: r1", "Date: ",
		} {
			if !strings.Contains(string(header), want) {
				t.Errorf("no %q in %q", want, header)
			}
		}
		s := served{<-opened, conn, ended}
		if version == "HTTP/1.1" {
			if !strings.Contains(string(header), "Connection: close") || !strings.Contains(string(header), "Transfer-Encoding: chunked") {
				t.Errorf("the header does not say what comes: %q", header)
			}
			<-returned // the stream does not need its handler
		}
		f(t, s)
		_ = conn.Close()
		<-ended
		<-returned
		_ = server.Close()
		<-done
	})
}

// chunk reads one chunk of the body; nil is the last.
func chunk(t *testing.T, r *bufio.Reader) []byte {
	t.Helper()
	var size int
	if _, err := fmt.Fscanf(r, "%x\r\n", &size); err != nil {
		t.Fatalf("no chunk: %v", err)
	}
	body := make([]byte, size+2)
	if _, err := io.ReadFull(r, body); err != nil || string(body[size:]) != "\r\n" {
		t.Fatalf("a chunk of %d ends with %q: %v", size, body[size:], err)
	}
	if size == 0 {
		return nil
	}
	return body[:size]
}

func TestFramesBecomeChunks(t *testing.T) {
	serve(t, "HTTP/1.1", func(t *testing.T, s served) {
		t.Helper()
		r := bufio.NewReader(s.conn)
		s.Send(Message([]byte("1")))
		if !s.TrySend(Event("endpoint", []byte("/x"))) {
			t.Error("an idle stream has no room")
		}
		s.Close()
		if s.Send(Message([]byte("late"))) || s.TrySend(Message([]byte("late"))) {
			t.Error("a closed stream takes frames")
		}
		s.Announce("late", Message([]byte("late")))
		for _, want := range []string{"event: message\ndata: 1\n\n", "event: endpoint\ndata: /x\n\n"} {
			if got := chunk(t, r); string(got) != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if got := chunk(t, r); got != nil {
			t.Errorf("after the last frame: %q", got)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("after the last chunk: %v", err)
		}
		<-s.Done()
		if got := s.Written(); got != int64(len("event: message\ndata: 1\n\n"+"event: endpoint\ndata: /x\n\n")) {
			t.Errorf("%d bytes written", got)
		}
	})
}

// HTTP/1.0 has no chunks: the handler stays and the body ends with the
// connection.
func TestHTTP10IsHeld(t *testing.T) {
	serve(t, "HTTP/1.0", func(t *testing.T, s served) {
		t.Helper()
		s.Send(Message([]byte("1")))
		s.Close()
		if got, err := io.ReadAll(s.conn); err != nil || string(got) != "event: message\ndata: 1\n\n" {
			t.Errorf("%q %v", got, err)
		}
	})
}

func TestReq084_IdleStreamsGetComments(t *testing.T) {
	serve(t, "HTTP/1.1", func(t *testing.T, s served) {
		t.Helper()
		r, began := bufio.NewReader(s.conn), time.Now()
		comment := func(after time.Duration) {
			t.Helper()
			if got := chunk(t, r); string(got) != ": keep-alive\n\n" || time.Since(began) != after {
				t.Errorf("%q after %s, want a comment after %s", got, time.Since(began), after)
			}
		}
		comment(KeepAlive)
		time.Sleep(KeepAlive / 3)
		s.Send(Message([]byte("1")))
		chunk(t, r)
		comment(KeepAlive + KeepAlive/3 + KeepAlive) // of the last write, not of the clock
	})
}

// A reader that does not read is cut off, whatever waits for room meanwhile.
func TestReq084_SlowReadersAreCutOff(t *testing.T) {
	serve(t, "HTTP/1.1", func(t *testing.T, s served) {
		t.Helper()
		began := time.Now()
		s.Send(Message([]byte("taken")))
		synctest.Wait() // it is being written
		for range maxQueued {
			if !s.TrySend(Message([]byte("queued"))) {
				t.Fatal("no room")
			}
		}
		if s.TrySend(Message([]byte("one more"))) {
			t.Errorf("more than %d frames wait", maxQueued)
		}
		if s.Send(Message([]byte("waits"))) {
			t.Error("a frame was taken that nobody will read")
		}
		if waited := time.Since(began); waited != WriteTimeout {
			t.Errorf("the reader was borne with for %s", waited)
		}
		<-s.ended
	})
}

func TestOnlyTheNewestAnnouncementIsWritten(t *testing.T) {
	serve(t, "HTTP/1.1", func(t *testing.T, s served) {
		t.Helper()
		s.Send(Message([]byte("taken")))
		synctest.Wait() // it is being written
		s.Announce("tools", Message([]byte("old")))
		s.Announce("prompts", Message([]byte("other")))
		s.Announce("tools", Message([]byte("new")))
		s.Send(Message([]byte("first")))
		r := bufio.NewReader(s.conn)
		for _, want := range []string{"taken", "first", "other", "new"} {
			if got := chunk(t, r); !bytes.Contains(got, []byte(want)) {
				t.Errorf("%q, want %s", got, want)
			}
		}
	})
}

func TestAClientThatGoesEndsTheStream(t *testing.T) {
	for _, version := range []string{"HTTP/1.0", "HTTP/1.1"} {
		serve(t, version, func(t *testing.T, s served) {
			t.Helper()
			_ = s.conn.Close()
			<-s.ended
			if s.Send(Message(nil)) {
				t.Error("a stream that is over takes frames")
			}
		})
	}
}

// What a client sends where nothing is expected is dropped up to a bound.
func TestAClientThatTalksIsCutOff(t *testing.T) {
	serve(t, "HTTP/1.1", func(t *testing.T, s served) {
		t.Helper()
		if _, err := io.WriteString(s.conn, "GET /again HTTP/1.1\r\n"); err != nil {
			t.Fatal(err)
		}
		s.Send(Message([]byte("1")))
		chunk(t, bufio.NewReader(s.conn))
		if _, err := s.conn.Write(make([]byte, 2*maxIgnored)); err == nil {
			t.Errorf("%d bytes were taken", 2*maxIgnored)
		}
		<-s.ended
	})
}

// Over TLS, with a real socket: HTTP/1.1 is taken over, HTTP/2 is not, and both
// end as a client expects it.
func TestTLS(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			ended := make(chan struct{})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := Open(w, r)
				s.Send(Message([]byte(r.Proto)))
				s.Close()
				s.Hold(func() { close(ended) })
			}))
			server.EnableHTTP2 = protocol == "HTTP/2.0"
			server.StartTLS()
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if got, err := io.ReadAll(response.Body); err != nil || string(got) != "event: message\ndata: "+protocol+"\n\n" {
				t.Errorf("%q %v", got, err)
			}
			<-ended
		})
	}
}

// A client that does not read and a connection below TLS: cutting it off does
// not wait for a goodbye.
func TestCutDoesNotWait(t *testing.T) {
	serve(t, "HTTP/1.1", func(t *testing.T, s served) {
		t.Helper()
		began := time.Now()
		s.Send(Message([]byte("nobody reads")))
		synctest.Wait()
		s.Cut()
		s.Cut()
		<-s.ended
		if waited := time.Since(began); waited != 0 {
			t.Errorf("it took %s", waited)
		}
	})
}
