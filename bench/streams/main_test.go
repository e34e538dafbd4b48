package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest"
)

// TestAShortRun measures next to nothing, of the real binary: that every part of
// a run works, on each transport.
func TestAShortRun(t *testing.T) {
	binary := apptest.Build(t)
	for transport, flags := range map[string][]string{
		"HTTP/1.1":            nil,
		"HTTP/1.1 over TLS":   {"--tls"},
		"HTTP/2 over TLS (id": {"--tls", "--http2"},
	} {
		t.Run(transport, func(t *testing.T) {
			var out bytes.Buffer
			args := append([]string{"--server", binary, "--idle", "40", "--working", "2", "--calls", "20", "--settle", "10ms", "--json"}, flags...)
			if err := run(t.Context(), args, &out, t.Output()); err != nil {
				t.Fatal(err)
			}
			var got report
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got.Transport, transport) || got.Idle != 40 || got.Failed != 0 || got.ResidentAfter < got.ResidentBefore/2 ||
				got.Alone.Calls != 40 || got.BesideIdle.Calls != 20 || got.P99Ratio <= 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	for _, args := range []string{"--idle 0", "--idle 20000", "--working 0", "--calls 1", "--http2", "--unknown"} {
		if err := run(t.Context(), strings.Fields(args), &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
			t.Errorf("%s: taken", args)
		}
	}
}
