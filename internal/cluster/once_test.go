package cluster

import (
	"errors"
	"testing"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/apptest/teststore"
)

func TestReq050_ANameIsClaimedOnce(t *testing.T) {
	s := teststore.Start(t)
	a, b := replica(t, s, "key"), replica(t, s, "key")
	claim := func(bus *Bus, name string, life time.Duration) bool {
		t.Helper()
		first, err := bus.Claim(t.Context(), name, life)
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	if !claim(a, "x", time.Minute) || claim(b, "x", time.Minute) || claim(a, "x", time.Minute) {
		t.Error("x was not claimed once")
	}
	if !claim(b, "y", 50*time.Millisecond) {
		t.Error("y was claimed by nobody")
	}
	eventually(t, "the claim of y ends", func() bool { return claim(a, "y", time.Minute) })
	s.Stop()
	eventually(t, "the store is missed", func() bool {
		_, err := a.Claim(t.Context(), "z", time.Minute)
		return errors.Is(err, ErrUnavailable)
	})
}
