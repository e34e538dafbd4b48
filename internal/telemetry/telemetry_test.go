package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoggerAddsTheContext(t *testing.T) {
	var b bytes.Buffer
	logger, err := NewLogger(&b, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	ctx := With(With(t.Context(), slog.String("request_id", "r1")), slog.String("subject_hash", "s1"))
	logger.With(slog.String("component", "x")).LogAttrs(ctx, slog.LevelInfo, "hello", slog.Int("n", 1))
	logger.LogAttrs(ctx, slog.LevelDebug, "not shown")
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{"level": "INFO", "msg": "hello", "n": 1.0, "component": "x", "request_id": "r1", "subject_hash": "s1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoggerRefusesUnknownWords(t *testing.T) {
	for _, bad := range [][2]string{{"loud", "json"}, {"info", "xml"}} {
		if _, err := NewLogger(&bytes.Buffer{}, bad[0], bad[1]); err == nil {
			t.Errorf("%v accepted", bad)
		}
	}
	if _, err := NewLogger(&bytes.Buffer{}, "WARN", "TEXT"); err != nil {
		t.Error(err)
	}
}

func TestLineKeepsTheLatest(t *testing.T) {
	ctx, line := NewLine(t.Context(), nil)
	Annotate(ctx, slog.String("a", "1"), slog.String("b", "2"))
	Annotate(ctx, slog.String("a", "3"))
	Annotate(context.Background(), slog.String("c", "outside a request"))
	got := map[string]string{}
	for _, attr := range line.Attrs() {
		got[attr.Key] = attr.Value.String()
	}
	if diff := cmp.Diff(map[string]string{"a": "3", "b": "2"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestReq098_AuditRecord(t *testing.T) {
	var b bytes.Buffer
	Audit{
		Event: "tool_call", Decision: "allow", Reason: "ok", Issuer: "https://i", SubjectHash: "h", ClientID: "c", TokenHash: "t",
		Tool: "call_operation", Operation: "get_team", Upstream: "otus", Credential: "exchange", Actor: "gateway < 0123", Status: 200, Latency: time.Second,
	}.Write(t.Context(), slog.New(slog.NewJSONHandler(&b, nil)))
	Audit{Event: "authentication", Decision: "deny", Reason: "no_token"}.Write(t.Context(), slog.New(slog.NewJSONHandler(&b, nil)))
	var records []map[string]any
	for line := range bytes.Lines(b.Bytes()) {
		var record map[string]any
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		delete(record, "time")
		delete(record, "level")
		delete(record, "msg")
		records = append(records, record)
	}
	want := []map[string]any{
		{"audit": true, "event": "tool_call", "decision": "allow", "reason": "ok", "issuer": "https://i", "subject_hash": "h", "client_id": "c", "token_hash": "t", "tool": "call_operation", "operation": "get_team", "upstream": "otus", "credential": "exchange", "actor": "gateway < 0123", "upstream_status": 200.0, "latency": 1e9},
		{"audit": true, "event": "authentication", "decision": "deny", "reason": "no_token"},
	}
	if diff := cmp.Diff(want, records); diff != "" {
		t.Error(diff)
	}
}

// An answer that goes on after its handler writes its own line, once.
func TestDetachedLine(t *testing.T) {
	var lines [][]slog.Attr
	write := func(attrs []slog.Attr) { lines = append(lines, attrs) }
	ctx, line := NewLine(t.Context(), write)
	Annotate(ctx, slog.String("a", "1"))
	end := Detach(ctx)
	line.End(slog.Int("status", 500))
	if len(lines) != 0 {
		t.Fatalf("the handler's return wrote %v", lines)
	}
	Annotate(ctx, slog.String("a", "2"))
	end(slog.Int("status", 200))
	if len(lines) != 1 || len(lines[0]) != 2 || lines[0][0].Value.String() != "2" || lines[0][1].Value.Int64() != 200 {
		t.Errorf("lines: %v", lines)
	}
	_, line = NewLine(t.Context(), write)
	line.End()
	if len(lines) != 2 {
		t.Error("a line that nobody detached was not written")
	}
	Detach(context.Background())() // outside a request it does nothing
}

func TestCarryKeepsOnlyWhatLogsCarry(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(With(t.Context(), slog.String("request_id", "r1")), key{}, "big"))
	cancel()
	carried := Carry(ctx)
	var b bytes.Buffer
	logger, err := NewLogger(&b, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	logger.InfoContext(carried, "hello")
	if carried.Err() != nil || carried.Value(key{}) != nil || !bytes.Contains(b.Bytes(), []byte(`"request_id":"r1"`)) {
		t.Errorf("err %v, value %v, record %s", carried.Err(), carried.Value(key{}), b.Bytes())
	}
}
