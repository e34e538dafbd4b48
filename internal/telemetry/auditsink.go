package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// auditFileMode lets only the server's user read the file.
const auditFileMode = 0o600

// retryPause bounds how often a readiness probe tries to write, while records
// cannot be written.
const retryPause = time.Second

// auditSink is a writer of whole lines that remembers what it could not write.
//
//	writing ──a write fails──► failing: each record is counted and goes elsewhere
//	failing ──a write succeeds──► writing, after a record of the gap
type auditSink struct {
	path      string // "" for what was opened by somebody else
	unwritten metric.Int64Counter

	mu      sync.Mutex
	file    io.Writer
	lost    int       // records since the last one that was written
	torn    bool      // the last write ended within a line
	triedAt time.Time // last try of a probe
}

// Write writes one line. slog hands over one at a time.
func (s *auditSink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mend(); err != nil {
		return 0, err
	}
	return s.append(line)
}

// append writes a line, on a line of its own even after a torn one. s.mu is
// held.
func (s *auditSink) append(line []byte) (int, error) {
	if s.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := s.file.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	s.torn = err != nil && (s.torn || n > 0)
	return n, err
}

// mend says how many records are missing, if any are. s.mu is held.
func (s *auditSink) mend() error {
	if s.lost == 0 {
		return nil
	}
	gap, err := json.Marshal(map[string]any{
		"time": time.Now(), "level": "AUDIT", "msg": "audit", "audit": true, "event": EventGap, "records": s.lost,
	})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if _, err := s.append(append(gap, '\n')); err != nil {
		return err
	}
	s.lost = 0
	return nil
}

// count notes a record that could not be written, and reports whether it is the
// first.
func (s *auditSink) count(ctx context.Context) (first bool) {
	s.mu.Lock()
	s.lost++
	first = s.lost == 1
	s.mu.Unlock()
	if s.unwritten != nil {
		s.unwritten.Add(ctx, 1)
	}
	return first
}

// recovered reports whether records can be written. While they cannot, it tries,
// because nothing else may: a replica that is not ready gets no traffic.
func (s *auditSink) recovered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost == 0 {
		return true
	}
	now := time.Now()
	if now.Sub(s.triedAt) < retryPause {
		return false
	}
	s.triedAt = now
	return s.mend() == nil
}

// reopen opens path for appending and closes what was open before.
func (s *auditSink) reopen() error {
	file, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, auditFileMode)
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.file
	s.file, s.torn = file, false
	s.mu.Unlock()
	if closer, ok := before.(io.Closer); ok {
		_ = closer.Close() // everything was written through
	}
	return nil
}

func (s *auditSink) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if closer, ok := s.file.(io.Closer); ok && s.path != "" {
		s.file = closedSink{}
		return closer.Close()
	}
	return nil
}

// closedSink refuses what comes after the end.
type closedSink struct{}

func (closedSink) Write([]byte) (int, error) { return 0, errors.New("the audit log is closed") }
