package apptest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

// window is how many characters of a secret in a row make a leak.
const window = 12

// maxLeaks bounds what [Leaks] reports; the first line says it all.
const maxLeaks = 5

// Logs keeps everything that was logged. The zero Logs is empty and ready to
// use.
type Logs struct {
	mu     sync.Mutex
	buffer bytes.Buffer
	also   io.Writer // the test's own output, until the test is over
}

func newLogs(tb testing.TB) *Logs {
	tb.Helper()
	return &Logs{also: tb.Output()}
}

// Write implements io.Writer.
func (l *Logs) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.also != nil {
		if _, err := l.also.Write(line); err != nil {
			return 0, err
		}
	}
	return l.buffer.Write(line)
}

// String returns everything logged so far.
func (l *Logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// close stops copying to the test's output, which ends with the test.
func (l *Logs) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.also = nil
}

// Leaks returns where logs hold twelve characters in a row of any of secrets.
// It names the line and not the secret.
func Leaks(logs string, secrets []string) []string {
	parts := map[string]struct{}{}
	for _, secret := range secrets {
		for at := 0; at+window <= len(secret); at++ {
			parts[secret[at:at+window]] = struct{}{}
		}
	}
	var leaks []string
	number := 0
	for line := range strings.Lines(logs) {
		number++
		for at := 0; at+window <= len(line); at++ {
			if _, leaked := parts[line[at:at+window]]; leaked {
				leaks = append(leaks, fmt.Sprintf("log line %d, column %d: %s", number, at+1, masked(line, at)))
				break
			}
		}
		if len(leaks) == maxLeaks {
			break
		}
	}
	return leaks
}

// masked returns line up to the leak.
func masked(line string, at int) string { return strings.TrimSpace(line[:at]) + "..." }
