// Command oauth-mcp-server puts an HTTP API behind MCP as an OAuth 2.1
// protected resource.
//
// This package owns flags, signals and exit codes, and is the only one that
// reads the process environment. Start with run; each command has a file. The
// settings themselves and their rules are in internal/config, and the server
// is put together in internal/app.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the command ran and its answer is no
	exitUsage  = 2 // the command line was not understood
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program: what it reads and writes comes in, the exit code
// goes out.
func run(ctx context.Context, args []string, lookupEnv func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the default action is back: a second one ends the
	// process at once, should shutting down hang.
	context.AfterFunc(ctx, stop)
	return execute(ctx, process{lookupEnv: lookupEnv, stdin: stdin, stdout: stdout, stderr: stderr}, args)
}
