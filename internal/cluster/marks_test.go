package cluster

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

func TestReq039_MarksReachEveryReplica(t *testing.T) {
	s := teststore.Start(t)
	var changes atomic.Int64
	a, b := replica(t, s, "key"), newBus(t, s.URL, "key", nil)
	b.marksChanged = func() { changes.Add(1) }
	running(t, b)
	eventually(t, "both have heard of no mark", func() bool {
		_, _, x := a.Marks()
		_, _, y := b.Marks()
		return x && y
	})
	if a.Marked("x") || b.Marked("x") {
		t.Error("x is marked")
	}
	began := time.Now()
	if told, err := a.Mark(t.Context(), "x", time.Minute); err != nil || told != 2 {
		t.Fatalf("told %d, %v", told, err)
	}
	eventually(t, "both know x", func() bool { return a.Marked("x") && b.Marked("x") })
	if took := time.Since(began); took > time.Second {
		t.Errorf("that took %s", took)
	}
	if count, age, ok := b.Marks(); count != 1 || age > time.Minute || !ok || changes.Load() == 0 || b.Marked("y") {
		t.Errorf("%d marks, %s old, %v; %d changes", count, age, ok, changes.Load())
	}
	if _, err := a.Mark(t.Context(), "x", time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Mark(t.Context(), "short", 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the short mark is known", func() bool { count, _, _ := b.Marks(); return count == 2 })
	eventually(t, "the short mark ends", func() bool { return !b.Marked("short") })
	if !b.Marked("x") {
		t.Error("a shorter mark has ended a longer one")
	}
	later := replica(t, s, "key")
	eventually(t, "a replica that starts later knows", func() bool { return later.Marked("x") })

	if _, err := b.Unmark(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "x is taken back", func() bool { return !a.Marked("x") && !b.Marked("x") })
}

func TestReq039_MarksGoOnWhileTheStoreIsAway(t *testing.T) {
	s := teststore.Start(t)
	a := replica(t, s, "key")
	if _, err := a.Mark(t.Context(), "x", time.Minute); err != nil {
		t.Fatal(err)
	}
	eventually(t, "x is known", func() bool { return a.Marked("x") })
	s.Stop()
	eventually(t, "the store is missed", func() bool {
		_, err := a.Mark(t.Context(), "y", time.Minute)
		return errors.Is(err, ErrUnavailable)
	})
	if _, age, ok := a.Marks(); !a.Marked("x") || !ok || age <= 0 {
		t.Errorf("x is forgotten; the list is %s old", age)
	}
	s.Start() // empty
	later := replica(t, s, "key")
	eventually(t, "the store has learned of x again", func() bool { return later.Marked("x") })
	if !a.Marked("x") {
		t.Error("x was forgotten with the store's memory")
	}
	if _, err := later.Unmark(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "x is taken back", func() bool { return !a.Marked("x") && !later.Marked("x") })
}

func TestMarksOfACommand(t *testing.T) {
	s := teststore.Start(t)
	a := replica(t, s, "key")
	command, err := New(Config{URL: secret.New(s.URL), Namespace: "https://mcp.example", Key: secret.New("key"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done, err := command.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if _, err := command.Mark(t.Context(), "x", time.Minute); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica knows", func() bool { return a.Marked("x") })
	for _, life := range []time.Duration{0, -1, maxMarkLife + 1} {
		if _, err := command.Mark(t.Context(), "x", life); err == nil {
			t.Errorf("a mark of %s", life)
		}
	}
	s.Stop()
	if _, err := command.Connect(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}
