package mcp

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

// countedLimits lets a number of requests through and remembers what they were.
type countedLimits struct {
	mu    sync.Mutex
	left  int
	tools []string
}

func (l *countedLimits) AdmitRequest(_ context.Context, p oauth.Principal, tool string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tools = append(l.tools, p.Subject+":"+tool)
	if l.left--; l.left < 0 {
		return &oauth.Refusal{Status: http.StatusTooManyRequests, Code: oauth.CodeTooManyRequests, Description: "slower", RetryAfter: time.Second}
	}
	return nil
}

func TestReq062_EveryRequestIsCountedOnce(t *testing.T) {
	h := newHarness(t)
	limits := &countedLimits{left: 6}
	h.limits = limits
	url := h.serve(t)
	unknown := strings.Replace(callBody, "teams", "my own text", 1)
	notification := `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	for _, body := range []string{listBody, callBody, unknown, notification} {
		if got := post(t, url+"/mcp", body, nil); got.status >= 400 {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	batch := post(t, url+"/mcp", "["+listBody+","+callBody+"]", nil)
	stream := connect(t, http.DefaultClient, url, "bruno/claude/1")
	taken := stream.send("bruno/claude/1", callBody)
	if batch.status != http.StatusOK || strings.Contains(batch.body, "429") || taken.status != http.StatusAccepted {
		t.Fatalf("%d %s, then %d %s", batch.status, batch.body, taken.status, taken.body)
	}
	stream.message()

	// From here on nothing is left, and that is an answer of HTTP wherever it can
	// be one.
	if got := post(t, url+"/mcp", callBody, nil); got.status != http.StatusTooManyRequests || !strings.Contains(got.body, "slower") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := post(t, url+"/mcp", "["+callBody+"]", nil); got.status != http.StatusTooManyRequests {
		t.Errorf("a batch of one: %d %s", got.status, got.body)
	}
	if got := post(t, url+"/mcp", "["+listBody+","+callBody+"]", nil); got.status != http.StatusOK || strings.Count(got.body, `"code":429`) != 2 || !strings.Contains(got.body, `"retryAfter":1`) {
		t.Errorf("a batch: %d %s", got.status, got.body)
	}
	if got := stream.send("bruno/claude/1", callBody); got.status != http.StatusTooManyRequests {
		t.Errorf("on a stream it comes before the 202: %d %s", got.status, got.body)
	}
	if got := stream.send("bruno/claude/1", notification); got.status != http.StatusAccepted {
		t.Errorf("a notification: %d %s", got.status, got.body)
	}
	want := []string{"ana:", "ana:teams", "ana:", "ana:", "ana:teams", "bruno:teams", "ana:teams", "ana:teams", "ana:", "ana:teams", "bruno:teams"}
	if !slices.Equal(limits.tools, want) {
		t.Errorf("counted %q\n   want %q", limits.tools, want)
	}
}
