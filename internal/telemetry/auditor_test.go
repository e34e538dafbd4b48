package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/audit.schema.json again")

// lines decodes a log of JSON objects.
func lines(t *testing.T, text string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		all = append(all, object)
	}
	return all
}

func attached(t *testing.T, cfg AuditConfig, level string) (*slog.Logger, *Auditor, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	logger, err := NewLogger(log, level, "json")
	if err != nil {
		t.Fatal(err)
	}
	auditor, err := NewAuditor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = auditor.Close() })
	return auditor.Attach(logger), auditor, log
}

var decision = Audit{Event: EventAuthentication, Decision: "allow", Reason: "ok", Issuer: "https://i", Subject: "auth0|ana", SubjectHash: "0123456789abcdef"}

// TestReq098_AuditRecordsGoWhereTheyShould is also about LOG_LEVEL, which is not
// about them.
func TestReq098_AuditRecordsGoWhereTheyShould(t *testing.T) {
	for _, to := range []string{AuditToStderr, AuditToStdout, AuditOff, filepath.Join(t.TempDir(), "audit.log")} {
		t.Run(filepath.Base(to), func(t *testing.T) {
			var stdout bytes.Buffer
			logger, _, log := attached(t, AuditConfig{To: to, Stdout: &stdout}, "error")
			ctx := With(t.Context(), slog.String("request_id", "r1"), slog.String("subject_hash", "0123456789abcdef"))
			decision.Write(ctx, logger)
			logger.InfoContext(ctx, "not shown")
			texts := map[string]string{AuditToStderr: log.String(), AuditToStdout: stdout.String()}
			if file, err := os.ReadFile(to); err == nil {
				texts[to] = string(file)
				if info, err := os.Stat(to); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != auditFileMode {
					t.Errorf("%v, mode %v", err, info.Mode())
				}
			}
			for place, text := range texts {
				records := lines(t, text)
				if place != to {
					if len(records) > 0 {
						t.Errorf("%s has %s", place, text)
					}
					continue
				}
				if len(records) != 1 || records[0]["level"] != "AUDIT" || records[0]["request_id"] != "r1" || records[0]["audit"] != true {
					t.Errorf("%s has %s", place, text)
				}
				if strings.Count(text, "subject_hash") != 1 {
					t.Errorf("one key twice: %s", text)
				}
			}
		})
	}
}

// TestReq098_PeopleAreWrittenAsThePolicySays: the pseudonym is the same on every
// replica that shares a key, another one without it, and never what anybody could
// compute from the name; the name itself stands only where it was asked for.
func TestReq098_PeopleAreWrittenAsThePolicySays(t *testing.T) {
	written := func(cfg AuditConfig) (hash, name any) {
		logger, _, log := attached(t, cfg, "info")
		decision.Write(t.Context(), logger)
		logger.InfoContext(t.Context(), "line", slog.String("subject_hash", decision.SubjectHash), slog.Any("subject", rawSubject("x")), slog.String("subject", "y"))
		records := lines(t, log.String())
		if cfg.Subject != AuditBySubject && (strings.Contains(log.String(), "auth0|ana") || records[1]["subject"] != nil) {
			t.Errorf("a name: %s", log)
		}
		if records[0]["subject_hash"] != records[1]["subject_hash"] {
			t.Errorf("two pseudonyms for one person: %s", log)
		}
		return records[0]["subject_hash"], records[0]["subject"]
	}
	shared := []byte(strings.Repeat("k", 32))
	first, name := written(AuditConfig{Key: shared})
	second, _ := written(AuditConfig{Key: shared})
	other, _ := written(AuditConfig{Key: []byte(strings.Repeat("l", 32))})
	generated, _ := written(AuditConfig{})
	again, _ := written(AuditConfig{})
	if first != second || name != nil {
		t.Errorf("%v, then %v, named %v", first, second, name)
	}
	for _, different := range []any{other, generated, again, decision.SubjectHash} {
		if first == different {
			t.Errorf("%v is the pseudonym under another key", different)
		}
	}
	if generated == again || len(fmt.Sprint(first)) != 16 {
		t.Errorf("generated keys: %v and %v", generated, again)
	}
	if _, name := written(AuditConfig{Key: shared, Subject: AuditBySubject}); name != "auth0|ana" {
		t.Errorf("named %v", name)
	}
}

// TestReq069_ActorsWhoArePeopleHaveTheSamePseudonym: whoever acts for somebody
// is found under the pseudonym of their own records, and a client under its id.
func TestReq069_ActorsWhoArePeopleHaveTheSamePseudonym(t *testing.T) {
	logger, _, log := attached(t, AuditConfig{}, "info")
	record := decision
	record.Event, record.Actor = EventToolCall, "gateway"+ActorSeparator+ActorPerson+decision.SubjectHash
	record.Write(t.Context(), logger)
	got := lines(t, log.String())[0]
	if want := fmt.Sprintf("gateway < person:%v", got["subject_hash"]); got["actor"] != want || strings.Contains(log.String(), decision.SubjectHash) {
		t.Errorf("actor %v, want %s in %s", got["actor"], want, log)
	}
}

// brittle is a disk that fills up: it takes room bytes.
type brittle struct {
	bytes.Buffer

	room int
}

func (b *brittle) Write(p []byte) (int, error) {
	n, _ := b.Buffer.Write(p[:min(len(p), b.room)])
	if b.room -= n; n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

// TestReq098_NoRecordIsLostSilently fills the disk in the middle of a record.
// What cannot be written there is in the log, the replica is not ready until it
// can, and the file itself tells of the gap.
func TestReq098_NoRecordIsLostSilently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &brittle{room: 1 << 20}
		logger, auditor, log := attached(t, AuditConfig{To: AuditToStdout, Stdout: disk}, "info")
		decision.Write(t.Context(), logger)
		if auditor.Unready() != nil || log.Len() > 0 {
			t.Fatal(auditor.Unready(), log)
		}
		disk.room = 10
		for range 3 {
			decision.Write(t.Context(), logger)
		}
		got := lines(t, log.String())
		if len(got) != 4 || got[0]["level"] != "ERROR" || got[0]["error"] != "no space left on device" || got[1]["event"] != EventAuthentication {
			t.Errorf("the log has %s", log)
		}
		if auditor.Unready() == nil {
			t.Error("ready with a full disk")
		}
		disk.room = 1 << 20
		if auditor.Unready() == nil {
			t.Error("a probe a moment later writes again")
		}
		time.Sleep(retryPause)
		if reasons := auditor.Unready(); reasons != nil {
			t.Error(reasons)
		}
		decision.Write(t.Context(), logger)
		whole := strings.Split(strings.TrimSpace(disk.String()), "\n")
		if len(whole) != 4 || json.Valid([]byte(whole[1])) {
			t.Fatalf("want a record, a torn one, the gap and a record; there are\n%s", disk)
		}
		var gap map[string]any
		if err := json.Unmarshal([]byte(whole[2]), &gap); err != nil || gap["event"] != EventGap || gap["records"] != 3.0 {
			t.Errorf("%v: the gap is told as %s", err, whole[2])
		}
		if !json.Valid([]byte(whole[3])) {
			t.Errorf("the record after the gap is %s", whole[3])
		}
	})
}

func TestAuditLogIsOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	logger, auditor, _ := attached(t, AuditConfig{To: path}, "info")
	decision.Write(t.Context(), logger)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	decision.Write(t.Context(), logger) // the moved file is still open
	if err := auditor.Reopen(); err != nil {
		t.Fatal(err)
	}
	decision.Write(t.Context(), logger)
	for name, want := range map[string]int{path + ".1": 2, path: 1} {
		text, err := os.ReadFile(name)
		if got := len(lines(t, string(text))); err != nil || got != want {
			t.Errorf("%s has %d records, want %d; %v", name, got, want, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := auditor.Reopen(); err == nil || !strings.Contains(err.Error(), "AUDIT_LOG") {
		t.Errorf("a directory was opened: %v", err)
	}
	decision.Write(t.Context(), logger)
	if reasons := auditor.Unready(); reasons != nil {
		t.Errorf("the open file is not in use any more: %v", reasons)
	}
}

// changeSchema is the form of a [Change].
var changeSchema = map[string]any{
	"type": "object",
	"properties": map[string]any{
		"kind":   map[string]any{"enum": []string{"tool", "resource", "prompt"}},
		"name":   map[string]any{"type": "string", "description": "name, or URI of a resource"},
		"before": map[string]any{"type": "string", "pattern": sha256Pattern, "description": "SHA-256 of its definition; missing for a new one"},
		"after":  map[string]any{"type": "string", "pattern": sha256Pattern, "description": "the same after the change; missing for one that is gone"},
		"keys":   map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "description": "keys of the catalogue that differ, those that clients do not see among them"},
	},
	"required":             []string{"kind", "name"},
	"additionalProperties": false,
}

// TestAuditSchemaIsCurrent generates docs/audit.schema.json from the table of
// fields. What the server writes is held against it by every test that runs a
// system (internal/apptest).
func TestAuditSchemaIsCurrent(t *testing.T) {
	properties := map[string]any{
		"time":       map[string]any{"type": "string", "format": "date-time", "description": "when"},
		"level":      map[string]any{"const": "AUDIT"},
		"msg":        map[string]any{"const": "audit"},
		"audit":      map[string]any{"const": true},
		"request_id": map[string]any{"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "description": "X-Request-Id of the answer, on every log line of the request too"},
		"trace_id":   map[string]any{"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "trace of the request, where traces are on"},
	}
	for _, field := range auditFields {
		property := map[string]any{"type": field.kind, "description": field.about}
		if field.pattern != "" {
			property["pattern"] = field.pattern
		}
		switch field.kind {
		case "array":
			property["items"] = map[string]any{"type": "string"}
		case "changes":
			property["type"], property["items"] = "array", changeSchema
		}
		properties[field.key] = property
	}
	var kinds []any
	for _, event := range events {
		kinds = append(kinds, map[string]any{"const": event.name, "description": event.about})
	}
	properties["event"] = map[string]any{"oneOf": kinds, "description": "what the record is about"}
	decided := []string{EventAuthentication, EventToolCall, EventSignIn, EventTokenRefresh, EventCatalogue}
	schema, err := json.MarshalIndent(map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "Audit record of oauth-mcp-server",
		"description":          "One JSON object a line, one record a decision. Generated from internal/telemetry; do not edit.",
		"type":                 "object",
		"properties":           properties,
		"required":             []string{"time", "level", "msg", "audit", "event"},
		"additionalProperties": false,
		"if":                   map[string]any{"properties": map[string]any{"event": map[string]any{"enum": decided}}},
		"then":                 map[string]any{"required": []string{"decision", "reason"}},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "docs", "audit.schema.json")
	if *update {
		if err := os.WriteFile(path, append(schema, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	current, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(schema)+"\n", string(current)); diff != "" {
		t.Errorf("run: go test ./internal/telemetry -update (-want +got):\n%s", diff)
	}
	keys := slices.Sorted(maps.Keys(properties))
	if len(keys) != len(auditFields)+6 {
		t.Errorf("a key twice: %v", keys)
	}
}
