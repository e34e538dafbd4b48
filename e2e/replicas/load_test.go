package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// How the load behaves.
const (
	callDeadline  = time.Minute            // for one attempt: longer than any lease
	retryPause    = 100 * time.Millisecond // before a call is tried again
	callsPerShare = 2                      // in flight at a time in one session
)

// load is many calls of SDK clients on one transport. A call that fails in a way
// its client can retry is tried again until it is answered.
type load struct {
	name    string
	connect func(ctx context.Context) (*mcp.ClientSession, error)
	calls   chan int // numbers of the calls that nobody has begun

	mu       sync.Mutex
	answered int
	retried  int            // answered, but not at the first attempt
	failures map[string]int // attempts that failed, by kind
	problems []string       // what must not be
}

func newLoad(name string, calls int, connect func(ctx context.Context) (*mcp.ClientSession, error)) *load {
	l := &load{name: name, connect: connect, calls: make(chan int, calls), failures: map[string]int{}}
	for i := range calls {
		l.calls <- i
	}
	close(l.calls)
	return l
}

// share is a session that a few callers use together. A broken one is replaced.
type share struct {
	mu      sync.Mutex
	session *mcp.ClientSession
}

// get returns the session, a new one if there is none.
func (s *share) get(ctx context.Context, connect func(ctx context.Context) (*mcp.ClientSession, error)) (*mcp.ClientSession, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session != nil {
		return s.session, nil
	}
	session, err := connect(ctx)
	if err == nil {
		s.session = session
	}
	return session, err
}

// drop closes a session that is broken, unless it has been replaced already.
func (s *share) drop(broken *mcp.ClientSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == broken && broken != nil {
		s.session = nil
		_ = broken.Close() // broken
	}
}

// run makes all calls over a number of sessions and returns the sessions, still
// open, when every call was answered or ctx has ended.
func (l *load) run(ctx context.Context, sessions int) []*share {
	shares := make([]*share, sessions)
	var callers sync.WaitGroup
	for i := range shares {
		shares[i] = &share{}
		for range callsPerShare {
			callers.Go(func() {
				for number := range l.calls {
					l.persist(ctx, shares[i], number)
				}
			})
		}
	}
	callers.Wait()
	return shares
}

// persist makes one call until it is answered.
func (l *load) persist(ctx context.Context, share *share, number int) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		argument := fmt.Sprintf("%s-%d-%d", l.name, number, attempt)
		session, err := share.get(ctx, l.connect)
		if err == nil {
			err = callEcho(ctx, session, argument)
		}
		if err == nil {
			l.succeeded(attempt)
			return
		}
		if _, answered := errors.AsType[*jsonrpc.Error](err); !answered {
			share.drop(session)
		}
		l.failed(ctx, argument, err)
		pause := time.NewTimer(retryPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// callEcho makes one attempt and looks whether the answer is the one to it.
func callEcho(ctx context.Context, session *mcp.ClientSession, argument string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callDeadline, errNoAnswer)
	defer cancel()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"call": argument}})
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errNoAnswer) {
			return cause
		}
		return err
	}
	encoded, err := json.Marshal(result.StructuredContent)
	if err != nil {
		return err
	}
	if want := fmt.Sprintf(`{"call":%q}`, argument); result.IsError || string(encoded) != want {
		return fmt.Errorf("answered with %s (error: %t), want %s", encoded, result.IsError, want)
	}
	return nil
}

// errNoAnswer means that a call was neither answered nor failed.
var errNoAnswer = errors.New("no answer, no error, no end of the stream")

func (l *load) succeeded(attempt int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered++
	if attempt > 1 {
		l.retried++
	}
}

func (l *load) failed(ctx context.Context, argument string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind := kindOf(err)
	l.failures[kind]++
	if kind == "" && ctx.Err() == nil {
		l.problems = append(l.problems, argument+": "+err.Error())
	}
}

// kindOf names the failures that a client can retry, "" for others.
func kindOf(err error) string {
	for _, kind := range []struct{ name, sign string }{
		{"503", http.StatusText(http.StatusServiceUnavailable)},
		{"502", http.StatusText(http.StatusBadGateway)},
		{"429", http.StatusText(http.StatusTooManyRequests)},
		{"connection", "EOF"},
		{"connection", "closed"},
		{"connection", "closing"},
		{"connection", "connection reset"},
	} {
		if strings.Contains(err.Error(), kind.sign) {
			return kind.name
		}
	}
	if answer, ok := errors.AsType[*jsonrpc.Error](err); ok && answer.Code == http.StatusServiceUnavailable {
		return "503 on the stream"
	}
	return ""
}

// done returns how many calls are answered.
func (l *load) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

// report prints what became of the calls, and fails the test when one was not
// answered, or failed as no call may.
func (l *load) report(t *testing.T, want int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintf(t.Output(), "%s: %d calls answered, %d of them after another attempt; attempts that failed: %v\n",
		l.name, l.answered, l.retried, l.failures)
	if l.answered != want {
		t.Errorf("%s: %d of %d calls were answered", l.name, l.answered, want)
	}
	for i, problem := range l.problems {
		if i == 10 {
			t.Errorf("and %d more", len(l.problems)-i)
			break
		}
		t.Error(problem)
	}
}

// sseClient connects with HTTP+SSE, streamableClient with a revision of
// Streamable HTTP. token is asked for each request.
func (f *fleet) sseClient(token func() string) func(ctx context.Context) (*mcp.ClientSession, error) {
	return func(ctx context.Context) (*mcp.ClientSession, error) {
		return newClient().Connect(ctx, &mcp.SSEClientTransport{
			Endpoint: f.proxy.URL + "/mcp/sse", HTTPClient: authorized(token),
		}, nil)
	}
}

func (f *fleet) streamableClient(token func() string, revision string) func(ctx context.Context) (*mcp.ClientSession, error) {
	return func(ctx context.Context) (*mcp.ClientSession, error) {
		return newClient().Connect(ctx, &mcp.StreamableClientTransport{
			Endpoint: f.proxy.URL + "/mcp", HTTPClient: authorized(token),
		}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	}
}

func newClient() *mcp.Client {
	return mcp.NewClient(&mcp.Implementation{Name: "replicas", Version: "1.0.0"}, nil)
}

// authorized sends a token with every request, over a connection of its own, so
// that each goes to another replica.
func authorized(token func() string) *http.Client {
	return &http.Client{Transport: &bearer{token: token, base: &http.Transport{DisableKeepAlives: true}}}
}

type bearer struct {
	token func() string
	base  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+b.token())
	return b.base.RoundTrip(request)
}
