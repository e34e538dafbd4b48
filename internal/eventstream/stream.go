package eventstream

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Bounds of one stream.
const (
	KeepAlive  = 15 * time.Second // a comment this often defeats idle proxies
	maxQueued  = 64               // frames that wait for a slow reader
	maxIgnored = 4 << 10          // bytes a client may send on a connection of events
)

// state is how far a stream is.
//
//	open ──Close──► closing ──queue written──► complete
//	open, closing ──client gone, write failed, Cut──► lost
type state int

const (
	open state = iota
	closing
	complete
	lost
)

// Stream is one open response of events. Use [Open]. It is safe for concurrent
// use.
type Stream struct {
	out  output
	held bool // the handler has to stay
	done chan struct{}

	mu        sync.Mutex
	room      sync.Cond // the queue has room again, or never will
	ended     func()    // nil before Hold
	over      bool
	state     state
	queue     [][]byte
	announced []announcement
	writing   bool // a goroutine writes the queue
	running   int  // goroutines of this stream
	written   int64
	lastWrite time.Time
	beat      *time.Timer
}

// announcement is a frame of which only the newest of its kind is worth writing.
type announcement struct {
	kind  string
	frame []byte
}

// Open starts a response of events. The body of r must have been read. The
// handler must call [Stream.Hold] before it returns, and touch w no more.
func Open(w http.ResponseWriter, r *http.Request) *Stream {
	s := &Stream{done: make(chan struct{}), lastWrite: time.Now()}
	s.room.L = &s.mu
	s.mu.Lock() // until everything stands
	defer s.mu.Unlock()
	s.beat = time.AfterFunc(KeepAlive, s.keepAlive)
	if canTakeOver(w, r) {
		conn, err := takeOver(w)
		if err == nil {
			s.out = connection{conn}
			s.running++
			go s.watch(conn) // ends with the connection; done is closed after it
			return s
		}
		s.out, s.held = writerOn(w), true // it broke; the first write will say so
	} else {
		s.out, s.held = NewWriter(w), true
		_ = http.NewResponseController(w).Flush() // the first write would say so too
	}
	context.AfterFunc(r.Context(), s.Cut)
	return s
}

// Hold returns when the handler may: at once on a connection that was taken
// over, at the end of the stream otherwise. ended is called once, when the stream
// is over and nothing of it runs any more: after [Stream.Close], or because the
// client has gone or was cut off.
func (s *Stream) Hold(ended func()) {
	s.mu.Lock()
	s.ended = ended
	s.settle()
	if s.held {
		<-s.done
	}
}

// Done is closed when the stream is over.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Written returns how many bytes of events were written.
func (s *Stream) Written() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

// Send queues a frame and waits while there is no room, which is as long as a
// slow reader is borne with at most. It reports whether the stream took it.
func (s *Stream) Send(frame []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.state == open && len(s.queue) >= maxQueued {
		s.room.Wait()
	}
	if s.state != open {
		return false
	}
	s.queue = append(s.queue, frame)
	s.startWriting()
	return true
}

// TrySend is Send that does not wait: it reports false when there is no room.
func (s *Stream) TrySend(frame []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open || len(s.queue) >= maxQueued {
		return false
	}
	s.queue = append(s.queue, frame)
	s.startWriting()
	return true
}

// Announce writes a frame when the queue is empty, and does not wait. A frame of
// the same kind that was not written yet is dropped; the caller bounds how many
// kinds there are.
func (s *Stream) Announce(kind string, frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return
	}
	s.announced = slices.DeleteFunc(s.announced, func(a announcement) bool { return a.kind == kind })
	s.announced = append(s.announced, announcement{kind, frame})
	s.startWriting()
}

// Close takes no more frames, and ends the response when all are written. It
// does not wait; see [Stream.Done].
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return
	}
	s.state = closing
	s.beat.Stop()
	s.room.Broadcast()
	s.startWriting()
}

// Cut ends the stream now; what is queued is lost.
func (s *Stream) Cut() {
	s.mu.Lock()
	if s.state == open || s.state == closing {
		s.state = lost
		s.beat.Stop()
		s.queue, s.announced = nil, nil
		s.room.Broadcast()
		s.out.abort()
	}
	s.settle()
}

// settle unlocks, and says that the stream is over when nothing runs any more.
func (s *Stream) settle() {
	over := !s.over && s.running == 0 && s.ended != nil && (s.state == complete || s.state == lost)
	s.over = s.over || over
	s.mu.Unlock()
	if over {
		close(s.done)
		s.ended()
	}
}

// startWriting starts the goroutine that writes, if none does. The lock is
// held.
func (s *Stream) startWriting() {
	if s.writing {
		return
	}
	s.writing = true
	s.running++
	go s.write() // ends when the queue is empty; done is closed after it
}

// write writes what is queued. There is at most one at a time, and none while
// nothing is to be written: thousands of idle streams need no goroutine for it.
func (s *Stream) write() {
	s.mu.Lock()
	for frame := s.next(); frame != nil; frame = s.next() {
		s.mu.Unlock()
		err := s.out.write(frame)
		if err != nil {
			s.Cut()
		}
		s.mu.Lock()
		if err == nil {
			s.written += int64(len(frame))
			s.lastWrite = time.Now()
		}
	}
	if s.state == closing {
		s.mu.Unlock()
		s.out.finish()
		s.mu.Lock()
		if s.state == closing { // not cut meanwhile
			s.state = complete
		}
	}
	s.writing = false
	s.running--
	s.settle()
}

// next returns the next frame, nil when there is none. The lock is held.
func (s *Stream) next() (frame []byte) {
	switch {
	case s.state == lost:
	case len(s.queue) > 0:
		frame, s.queue = s.queue[0], s.queue[1:]
		s.room.Signal()
		return frame
	case len(s.announced) > 0:
		frame, s.announced = s.announced[0].frame, s.announced[1:]
		return frame
	}
	s.queue, s.announced = nil, nil // an idle stream keeps no buffer
	return nil
}

// keepAlive queues a comment when nothing was written for a while.
func (s *Stream) keepAlive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return
	}
	left := KeepAlive - time.Since(s.lastWrite)
	if left <= 0 && !s.writing {
		s.queue = append(s.queue, keepAliveComment)
		s.startWriting()
	}
	if left <= 0 {
		left = KeepAlive
	}
	s.beat.Reset(left)
}
