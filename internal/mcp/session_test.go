package mcp

import (
	"net/http"
	"regexp"
	"testing"
	"testing/synctest"
	"time"
)

// TestReq082_SessionsEndWithTheirStream: a session id cannot be guessed, and
// opens nothing once its stream has ended, however that ended.
func TestReq082_SessionsEndWithTheirStream(t *testing.T) {
	unguessable := regexp.MustCompile(`^/mcp/sse\?session_id=[A-Z2-7]{26,}$`) // 5 bits each: at least 128
	seen := map[string]bool{}
	for name, end := range map[string]func(*harness, *openStream){
		"the client goes":   func(_ *harness, s *openStream) { s.cancel() },
		"the token expires": func(_ *harness, _ *openStream) { <-time.After(time.Minute) }, // fake time
		"the server drains": func(h *harness, _ *openStream) { h.Drain() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, time.Minute, func(t *testing.T, h *harness, client *http.Client) {
				t.Helper()
				s := connect(t, client, "http://server", "ana/claude/1")
				if !unguessable.MatchString(s.endpoint) || seen[s.endpoint] {
					t.Errorf("endpoint %q", s.endpoint)
				}
				seen[s.endpoint] = true
				go func() { // a client that reads, so that the server is not held up
					for name := ""; name != "end"; name, _ = s.next() {
					}
				}()
				end(h, s)
				synctest.Wait()
				if got := s.send("ana/claude/1", callBody); got.status != http.StatusNotFound {
					t.Errorf("a message for a session that has ended: %d %s", got.status, got.body)
				}
			})
		})
	}
}
