package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/metric"
)

// The words of AUDIT_LOG; anything else is a path.
const (
	AuditToStderr = "stderr" // among the log lines, in their form
	AuditToStdout = "stdout"
	AuditOff      = "off" // development only
)

// AuditBySubject is the word of AUDIT_SUBJECT that names people.
const AuditBySubject = "value"

// AuditConfig is what an [Auditor] is made of.
type AuditConfig struct {
	To      string       // AUDIT_LOG; "" means among the log lines
	Subject string       // AUDIT_SUBJECT; anything but [AuditBySubject] means pseudonyms
	Key     []byte       // makes pseudonyms, the same on every replica; empty: one of this process
	Stdout  io.Writer    // nil: the process' own
	Meter   metric.Meter // nil: nothing is counted
}

// Auditor is where audit records go. Use [NewAuditor], then [Auditor.Attach] it
// to the logger. It is safe for concurrent use.
//
// A record that cannot be written (a full disk, a closed pipe) is not lost: it
// goes among the log lines, [Auditor.Unready] says so, and when writing succeeds
// again the first thing written is a record of the gap
// (docs/adr/0024-audit-records.md).
type Auditor struct {
	people  people
	off     bool
	sink    *auditSink // nil: among the log lines
	records slog.Handler
}

// NewAuditor opens what cfg names. An error says which setting is wrong.
func NewAuditor(cfg AuditConfig) (*Auditor, error) {
	people, err := newPeople(cfg.Key, cfg.Subject == AuditBySubject)
	if err != nil {
		return nil, err
	}
	a := &Auditor{people: people}
	switch cfg.To {
	case "", AuditToStderr:
		return a, nil
	case AuditOff:
		a.off = true
		return a, nil
	case AuditToStdout:
		a.sink = &auditSink{file: cfg.Stdout}
		if cfg.Stdout == nil {
			a.sink.file = os.Stdout
		}
	default:
		a.sink = &auditSink{path: cfg.To}
		if err := a.sink.reopen(); err != nil {
			return nil, fmt.Errorf("AUDIT_LOG: %w", err)
		}
	}
	if cfg.Meter != nil {
		if a.sink.unwritten, err = cfg.Meter.Int64Counter("oauth_mcp_server.audit.unwritten", metric.WithUnit("{record}"),
			metric.WithDescription("Audit records that went among the log lines, because they could not be written.")); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	a.records = slog.NewJSONHandler(a.sink, &slog.HandlerOptions{Level: LevelAudit, ReplaceAttr: nameLevel})
	return a, nil
}

// Attach returns a logger whose audit records go where a says; everything else
// goes where it went before.
func (a *Auditor) Attach(logger *slog.Logger) *slog.Logger {
	next, ok := logger.Handler().(handler)
	if !ok {
		next = handler{Handler: logger.Handler()}
	}
	next.auditor = a
	return slog.New(next)
}

// write writes a finished record, or passes it on to the log lines with the
// reason why.
func (a *Auditor) write(ctx context.Context, record slog.Record, lines slog.Handler) error {
	if a.off {
		return nil
	}
	if a.records == nil {
		return lines.Handle(ctx, record)
	}
	err := a.records.Handle(ctx, record)
	if err == nil {
		return nil
	}
	if first := a.sink.count(ctx); first {
		trouble := slog.NewRecord(record.Time, slog.LevelError, "audit records cannot be written; until they can, they are here", 0)
		trouble.AddAttrs(slog.String("error", err.Error()))
		err = lines.Handle(ctx, trouble)
	} else {
		err = nil
	}
	return errors.Join(err, lines.Handle(ctx, record))
}

// Unready returns why this replica should not get traffic: its audit records
// cannot be written. It tries again first.
func (a *Auditor) Unready() []string {
	if a == nil || a.sink == nil || a.sink.recovered() {
		return nil
	}
	return []string{"audit records cannot be written"}
}

// Reopen opens the file again under its name, for whoever moves it away. On an
// error the file that is open stays in use.
func (a *Auditor) Reopen() error {
	if a == nil || a.sink == nil || a.sink.path == "" {
		return nil
	}
	if err := a.sink.reopen(); err != nil {
		return fmt.Errorf("AUDIT_LOG: %w", err)
	}
	return nil
}

// Close closes the file.
func (a *Auditor) Close() error {
	if a == nil || a.sink == nil {
		return nil
	}
	return a.sink.close()
}

// nameLevel gives audit records the name of their level.
func nameLevel(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.LevelKey {
		if level, ok := attr.Value.Any().(slog.Level); ok && level == LevelAudit {
			attr.Value = slog.StringValue("AUDIT")
		}
	}
	return attr
}
