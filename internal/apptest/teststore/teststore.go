// Package teststore runs a real redis-server for tests. It is for tests only
// and imports nothing of this module, so that the tests of every package may
// use it.
package teststore

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
)

// Store is a server that a test can stop and start again. Use [Start].
type Store struct {
	// URL is what CLUSTER_URL takes; the port stays the same.
	URL string

	tb      testing.TB
	port    string
	command *exec.Cmd
}

// Start runs a store until the test ends. Without redis-server the test is
// skipped, and fails in CI.
func Start(tb testing.TB) *Store {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" { //nolint:forbidigo // a test kit asks whether it runs in CI
			tb.Fatal("redis-server is not installed")
		}
		tb.Skip("redis-server is not installed")
	}
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	_ = listener.Close() // only its port was wanted
	s := &Store{URL: "redis://127.0.0.1:" + port, tb: tb, port: port}
	s.Start()
	tb.Cleanup(s.Stop)
	return s
}

// Start runs the server again, empty.
func (s *Store) Start() {
	s.tb.Helper()
	//nolint:gosec // the port is this package's own
	s.command = exec.CommandContext(context.WithoutCancel(s.tb.Context()), "redis-server",
		"--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.tb.TempDir())
	if err := s.command.Start(); err != nil {
		s.tb.Fatal(err)
	}
}

// Stop kills the server.
func (s *Store) Stop() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait() // killed, or stopped before
}
