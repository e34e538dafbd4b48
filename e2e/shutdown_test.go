package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
	"tecrolabs.dev/oauth-mcp-server/internal/devstack"
)

// TestSIGTERMUnderLoad ends the real binary while many call it. A request that
// the server took is answered whole; one that it did not take was refused
// whole. The server's own access log is the witness: what is in it, the client
// must have got.
func TestSIGTERMUnderLoad(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	p := system.StartProcess(apptest.Build(t))
	system.Stack.SetOtusFault(devstack.OtusFault{Delay: 30 * time.Millisecond, Count: 1_000_000})
	token := system.Token("ana")

	const workers, enough = 8, 40
	var answered sync.Map // request ids
	var count atomic.Int32
	loaded := make(chan struct{})
	var once sync.Once
	problems := make(chan string, workers)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			// One connection for each call: a client that reuses one may lose a
			// race with its closing, whoever the server is.
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for call := 0; ; call++ {
				id := fmt.Sprintf("load-%d-%d", worker, call)
				err := callOnce(ctx, client, p.URL, token, id)
				if err == nil {
					answered.Store(id, true)
					if count.Add(1) >= enough {
						once.Do(func() { close(loaded) })
					}
					continue
				}
				if !refusedWhole(err) {
					problems <- fmt.Sprintf("%s: %v", id, err)
				}
				return
			}
		})
	}
	select {
	case <-loaded:
	case <-ctx.Done():
		t.Fatal("the load never got going")
	}
	p.Signal(syscall.SIGTERM)
	group.Wait()
	close(problems)
	for problem := range problems {
		t.Error(problem)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("the process ended with %v, want exit code 0", err)
	}
	for id, status := range accessLog(system.Logs.String(), "load-") {
		if _, ok := answered.Load(id); !ok {
			t.Errorf("the server answered %s with %d and the client did not get it", id, status)
		}
	}
	t.Logf("%d calls were answered", count.Load())
}

// refusedWhole reports whether a call failed before the server took it: no
// connection, or one that the kernel had taken for a listener that was closed.
func refusedWhole(err error) bool {
	if _, torn := errors.AsType[*tornError](err); torn {
		return false
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || strings.HasSuffix(err.Error(), ": EOF")
}

// accessLog returns the statuses of requests whose id has the prefix.
func accessLog(logs, prefix string) map[string]int {
	statuses := map[string]int{}
	for line := range strings.Lines(logs) {
		var record struct {
			Message   string `json:"msg"`
			RequestID string `json:"request_id"`
			Status    int    `json:"status"`
		}
		if json.Unmarshal([]byte(line), &record) == nil && record.Message == "request" && strings.HasPrefix(record.RequestID, prefix) {
			statuses[record.RequestID] = record.Status
		}
	}
	return statuses
}

// TestShutdownAnswersOpenStreams ends the server with a call in flight on an
// HTTP+SSE stream, whose answer has to come before the stream ends.
func TestShutdownAnswersOpenStreams(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	token := system.Token("ana")
	session := openStream(t, system, token)
	idle := openStream(t, system, token)
	system.Stack.SetOtusFault(devstack.OtusFault{Delay: 500 * time.Millisecond})
	if got := post(t, system, session.endpoint, token, callTeams); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	apptest.Eventually(t, "Otus has the request", func() bool { return len(system.Stack.OtusRequests()) == 1 })
	stopped := make(chan error, 1)
	go func() { stopped <- system.StopServer() }()
	rest := session.ended(t)
	if len(rest) != 1 {
		t.Fatalf("events before the end: %+v, want the answer", rest)
	}
	wantResult(t, parseResponse(t, rest[0].data).Result)
	if rest := idle.ended(t); len(rest) != 0 {
		t.Errorf("events on the idle stream: %+v, want none", rest)
	}
	if err := <-stopped; err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// TestReadinessFailsFirst is what a load balancer goes by: while an accepted
// call is still running, the server takes no new connection.
func TestReadinessFailsFirst(t *testing.T) {
	t.Parallel()
	system := apptest.Start(t)
	system.Stack.SetOtusFault(devstack.OtusFault{Delay: 500 * time.Millisecond})
	answered := make(chan error, 1)
	go func() { answered <- callOnce(t.Context(), system.Client(), system.URL, system.Token("ana"), "") }()
	apptest.Eventually(t, "Otus has the request", func() bool { return len(system.Stack.OtusRequests()) == 1 })
	stopped := make(chan error, 1)
	go func() { stopped <- system.StopServer() }()
	apptest.Eventually(t, "the server says it is not ready", func() bool { return len(system.App.Unready()) > 0 })
	if err := <-answered; err != nil {
		t.Errorf("the accepted call: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
