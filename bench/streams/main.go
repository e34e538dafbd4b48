// Command streams measures what open HTTP+SSE streams cost one server: resident
// memory for each idle stream, and what they do to the latency of those that
// work.
//
// It runs the real binary as a process of its own, with a development stack in
// this one, and is the client of all streams: first only those that work, then
// the same beside the idle ones, then alone again. Everything is on loopback. docs/performance.md
// has the figures and says how they were taken.
//
//	main.go     flags and the report
//	server.go   the server under test
//	client.go   streams, idle and working
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"
)

// Bounds of a run.
const (
	maxIdle    = 19_000 // the server takes 20,000 streams
	maxWorking = 500
	maxCalls   = 1_000_000
)

// plan is what a run does.
type plan struct {
	binary  string        // the server; "" builds the one of this tree
	idle    int           // streams that only stay open
	working int           // streams that call
	calls   int           // of all working streams together, in each phase
	settle  time.Duration // between opening the idle streams and looking at memory
	tls     bool          // the server ends TLS itself
	http2   bool          // idle streams over HTTP/2; with tls only
}

// report is what a run found.
type report struct {
	Idle             int     `json:"idle_streams"`
	Working          int     `json:"working_streams"`
	Transport        string  `json:"transport"`
	ResidentBefore   int     `json:"resident_kib_before"`
	ResidentAfter    int     `json:"resident_kib_after"`
	KiBPerIdleStream float64 `json:"kib_per_idle_stream"`
	OpenedPerSecond  float64 `json:"opened_per_second"`
	Alone            latency `json:"latency_alone"`
	BesideIdle       latency `json:"latency_beside_idle"`
	P99Ratio         float64 `json:"p99_ratio"`
	Failed           int     `json:"failed_calls"`
}

// latency is of calls, from the POST to the answer on the stream, in
// milliseconds.
type latency struct {
	Calls int     `json:"calls"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
}

func summarize(took []time.Duration) latency {
	slices.Sort(took)
	at := func(q float64) float64 {
		if len(took) == 0 {
			return 0
		}
		return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000
	}
	return latency{len(took), at(0.50), at(0.99)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "streams:", err)
		os.Exit(1) //nolint:gocritic // stop has nothing left to do
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var p plan
	flags := flag.NewFlagSet("streams", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&p.binary, "server", "", "binary of the server under test; without it the one of this tree is built")
	flags.IntVar(&p.idle, "idle", 10_000, "streams that only stay open")
	flags.IntVar(&p.working, "working", 50, "streams that call")
	flags.IntVar(&p.calls, "calls", 20_000, "calls in each phase")
	flags.DurationVar(&p.settle, "settle", 20*time.Second, "wait before looking at memory")
	flags.BoolVar(&p.tls, "tls", false, "the server ends TLS itself")
	flags.BoolVar(&p.http2, "http2", false, "idle streams over HTTP/2, 100 on a connection; needs --tls")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case p.idle < 1 || p.idle > maxIdle, p.working < 1 || p.working > maxWorking, p.calls < p.working || p.calls > maxCalls:
		return fmt.Errorf("--idle is 1 to %d, --working 1 to %d, --calls from --working to %d", maxIdle, maxWorking, maxCalls)
	case p.http2 && !p.tls:
		return errors.New("--http2 needs --tls: without TLS the server speaks HTTP/1.1")
	}
	r, err := measure(ctx, p, stderr)
	if err != nil {
		return err
	}
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	return r.print(stdout)
}

// measurement is a run under way.
type measurement struct {
	plan
	report

	server   *server
	workers  *workers
	progress io.Writer
}

func (m *measurement) say(format string, args ...any) {
	_, _ = fmt.Fprintf(m.progress, format+"\n", args...)
}

// measure does a whole run.
func measure(ctx context.Context, p plan, progress io.Writer) (report, error) {
	m := &measurement{plan: p, progress: progress}
	m.report = report{Idle: p.idle, Working: p.working, Transport: "HTTP/1.1"}
	if p.tls {
		m.Transport += " over TLS"
	}
	if p.http2 {
		m.Transport = "HTTP/2 over TLS (idle), HTTP/1.1 over TLS (working)"
	}
	var err error
	if m.server, err = startServer(ctx, p, m.say); err != nil {
		return m.report, err
	}
	defer m.server.stop()
	if m.workers, err = openWorkers(ctx, m.server, p.working); err != nil {
		return m.report, err
	}
	m.say("warming up")
	if _, err := m.call(ctx, p.calls/4+p.working); err != nil {
		return m.report, err
	}
	m.say("calling, without idle streams")
	before, err := m.call(ctx, p.calls)
	if err != nil {
		return m.report, err
	}
	beside, err := m.besideIdle(ctx)
	if err != nil {
		return m.report, err
	}
	m.say("calling, without idle streams again") // whatever else the machine does now counts for both
	after, err := m.call(ctx, p.calls)
	if err != nil {
		return m.report, err
	}
	m.Alone, m.BesideIdle = summarize(append(before, after...)), summarize(beside)
	m.P99Ratio = m.BesideIdle.P99 / m.Alone.P99
	return m.report, nil
}

func (m *measurement) call(ctx context.Context, calls int) ([]time.Duration, error) {
	took, failed, err := m.workers.call(ctx, calls)
	m.Failed += failed
	return took, err
}

// besideIdle opens the idle streams, looks at the server's memory, and calls
// beside them.
func (m *measurement) besideIdle(ctx context.Context) (took []time.Duration, err error) {
	if m.ResidentBefore, err = m.server.resident(); err != nil {
		return nil, err
	}
	m.say("opening %d idle streams", m.idle)
	began := time.Now()
	idle, err := openIdle(ctx, m.server, m.plan)
	if err != nil {
		return nil, err
	}
	defer idle.close()
	m.OpenedPerSecond = float64(m.idle) / time.Since(began).Seconds()
	m.say("waiting %s", m.settle)
	select {
	case <-time.After(m.settle):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if m.ResidentAfter, err = m.server.resident(); err != nil {
		return nil, err
	}
	m.KiBPerIdleStream = float64(m.ResidentAfter-m.ResidentBefore) / float64(m.idle)
	m.say("calling, beside %d idle streams", m.idle)
	if took, err = m.call(ctx, m.calls); err != nil {
		return nil, err
	}
	if lost := idle.lost(); lost > 0 {
		return nil, fmt.Errorf("%d of the idle streams ended during the run", lost)
	}
	return took, nil
}

func (r report) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "idle streams\t%d, %s, opened at %.0f/s\n", r.Idle, r.Transport, r.OpenedPerSecond)
	_, _ = fmt.Fprintf(table, "resident memory\t%.1f MiB before, %.1f MiB after\n", float64(r.ResidentBefore)/1024, float64(r.ResidentAfter)/1024)
	_, _ = fmt.Fprintf(table, "for each idle stream\t%.1f KiB\n", r.KiBPerIdleStream)
	_, _ = fmt.Fprintf(table, "latency of %d working streams, alone\tp50 %.2f ms, p99 %.2f ms (%d calls)\n", r.Working, r.Alone.P50, r.Alone.P99, r.Alone.Calls)
	_, _ = fmt.Fprintf(table, "beside the idle ones\tp50 %.2f ms, p99 %.2f ms (%d calls)\n", r.BesideIdle.P50, r.BesideIdle.P99, r.BesideIdle.Calls)
	_, _ = fmt.Fprintf(table, "p99 ratio\t%.2f\n", r.P99Ratio)
	_, _ = fmt.Fprintf(table, "failed calls\t%d\n", r.Failed)
	return table.Flush()
}
