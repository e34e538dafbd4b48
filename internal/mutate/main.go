// Command mutate proves that tests notice when a check is missing: it removes
// one check of a package at a time, runs the package's tests, and fails when
// they pass.
//
//	go run ./internal/mutate ./internal/bearer
//
// What counts as a check is found by parsing (see find.go), so that a new one is
// covered without being listed anywhere. Nothing in the tree is changed: the
// go command gets the changed file as an overlay.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Bounds of a run.
const (
	atOnce      = 2               // test runs; each compiles and links
	testTimeout = 2 * time.Minute // of the tests of one mutant, once compiled: a check may be what ends a loop
	minMutants  = 5               // fewer means that they are not found any more
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, dir := range os.Args[1:] {
		if err := run(ctx, os.Stdout, dir); err != nil {
			fmt.Fprintln(os.Stderr, "mutate:", err)
			os.Exit(1)
		}
	}
}

// run tries every mutant of the package in dir.
func run(ctx context.Context, w io.Writer, dir string) error {
	mutants, err := find(dir)
	if err != nil {
		return err
	}
	if len(mutants) < minMutants {
		return fmt.Errorf("%s: found only %d checks", dir, len(mutants))
	}
	scratch, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if output, err := test(ctx, dir, ""); err != nil {
		return fmt.Errorf("%s: the tests fail without any change: %w\n%s", dir, err, output)
	}
	var mu sync.Mutex
	survivors := 0
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, m := range mutants {
		group.Go(func() error {
			overlay, err := m.overlay(filepath.Join(scratch, fmt.Sprint(i)))
			if err != nil {
				return err
			}
			output, err := test(ctx, dir, overlay)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case strings.Contains(output, "[build failed]") || strings.Contains(output, "[setup failed]"):
				return fmt.Errorf("%s does not compile without it:\n%s", m, output)
			}
			mu.Lock()
			defer mu.Unlock()
			word := "noticed "
			if err == nil {
				word = "SURVIVED"
				survivors++
			}
			_, err = fmt.Fprintln(w, word, m)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if survivors > 0 {
		return fmt.Errorf("%s: no test misses %d of %d checks", dir, survivors, len(mutants))
	}
	_, err = fmt.Fprintf(w, "%s: each of %d checks is missed by a test\n", dir, len(mutants))
	return err
}

// test runs the package's tests; its error means that one failed.
func test(ctx context.Context, dir, overlay string) (output string, err error) {
	args := []string{"test", "-count=1", "-failfast", "-vet=off", "-timeout=" + testTimeout.String()}
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	command := exec.CommandContext(ctx, "go", append(args, dir)...) //nolint:gosec // the directory is of who runs this
	combined, err := command.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		return "", err
	}
	return string(combined), err
}

// overlay writes the changed file and the description of it that the go command
// reads, and returns the path of the latter.
func (m mutant) overlay(scratch string) (string, error) {
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return "", err
	}
	changed := filepath.Join(scratch, filepath.Base(m.path))
	if err := os.WriteFile(changed, m.text, 0o600); err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.path)
	if err != nil {
		return "", err
	}
	description, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(scratch, "overlay.json")
	return overlay, os.WriteFile(overlay, description, 0o600)
}
