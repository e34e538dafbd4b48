package apptest

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// exitDeadline bounds the wait for a process that was told to end.
const exitDeadline = time.Minute

// Build compiles the command and returns its path.
func Build(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "oauth-mcp-server")
	build := exec.CommandContext(tb.Context(), "go", "build", "-o", path, "tecrolabs.dev/oauth-mcp-server/cmd/oauth-mcp-server") //nolint:gosec // our own command
	if output, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build the command: %v\n%s", err, output)
	}
	return path
}

// Process is the real binary, running "serve". Use [System.StartProcess].
type Process struct {
	URL     string // http://localhost:PORT, of this process itself
	Address string // 127.0.0.1:PORT

	tb      testing.TB
	command *exec.Cmd
	exited  chan error
}

// StartProcess runs a binary of [Build] against the system's development stack
// and waits until it is ready. It takes the tokens that [System.Token] returns.
// settings are further "NAME=value", or others than these. What it logs goes to
// the system's logs and through the same checks. The end of the test kills it.
func (s *System) StartProcess(binary string, settings ...string) *Process {
	s.t.Helper()
	listener, url := listen(s.t)
	address := listener.Addr().String()
	if err := listener.Close(); err != nil { // free for the process
		s.t.Fatal(err)
	}
	urls := s.Stack.URLs()
	command := exec.CommandContext(context.WithoutCancel(s.t.Context()), binary, "serve")
	command.Dir = s.t.TempDir() // without anybody's .env
	command.Env = append([]string{
		"SERVER_URL=" + url, "LISTEN_ADDR=" + address, "JWT_AUDIENCE=" + s.URL,
		"AUTHORIZATION_SERVERS=" + urls.AuthorizationServer, "JWT_ISSUER=" + urls.TokenIssuer, "OTUS_URL=" + urls.Otus,
		"LOG_LEVEL=debug",
	}, settings...)
	command.Stdout, command.Stderr = s.Logs, s.Logs
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	p := &Process{URL: url, Address: address, tb: s.t, command: command, exited: make(chan error, 1)}
	go func() { p.exited <- command.Wait() }()
	s.t.Cleanup(p.Kill)
	Eventually(s.t, "the process is ready", func() bool {
		request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url+"/readyz", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		got, err := s.httpClient.Do(request)
		if err != nil {
			return false
		}
		_ = got.Body.Close()
		return got.StatusCode == http.StatusOK
	})
	return p
}

// Signal sends a signal to the process.
func (p *Process) Signal(signal os.Signal) {
	p.tb.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		p.tb.Fatal(err)
	}
}

// Wait returns how the process ended, once it has.
func (p *Process) Wait() error {
	p.tb.Helper()
	select {
	case err := <-p.exited:
		p.exited <- err // for the next one who asks
		return err
	case <-time.After(exitDeadline):
		p.tb.Fatal("the process did not end")
		return errors.New("unreachable")
	}
}

// Kill ends the process as SIGKILL does and waits until it is gone. One that has
// ended may be killed.
func (p *Process) Kill() {
	p.tb.Helper()
	_ = p.command.Process.Kill() // it may have ended
	p.tb.Logf("the process at %s ended: %v", p.Address, p.Wait())
}
