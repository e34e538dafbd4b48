package tool

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
)

const inVain = "Asking again will not help"

// challenged calls admin, which needs admin and write, and returns the refusal,
// the zero one when the call was allowed.
func challenged(t *testing.T, r *Runner, who Caller) oauth.Refusal {
	t.Helper()
	_, err := r.Call(t.Context(), who, "admin", json.RawMessage(`{}`))
	if err == nil {
		return oauth.Refusal{}
	}
	return *oauth.AsRefusal(err)
}

func TestReq054_Req056_TheSameOperationGetsTheSameChallenge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := guardedRunner(t, nil)
		first := challenged(t, r, with("openid read", `{}`))
		if first.Scope.String() != "openid read admin write" || !strings.HasSuffix(first.Description, "the scopes: admin write") {
			t.Errorf("%+v", first)
		}
		for n := 2; n <= 10; n++ {
			again := challenged(t, r, with("openid read", `{}`))
			if again.Code != first.Code || again.Scope.String() != first.Scope.String() {
				t.Errorf("challenge %d is another one: %+v", n, again)
			}
			want := n > maxChallenged
			if strings.Contains(again.Description, inVain) != want {
				t.Errorf("challenge %d says %q", n, again.Description)
			}
			if !want && again.Description != first.Description {
				t.Errorf("challenge %d: %q, want %q", n, again.Description, first.Description)
			}
		}
		last := challenged(t, r, with("openid read", `{}`)).Description
		if again := challenged(t, r, with("openid read", `{}`)).Description; again != last {
			t.Errorf("%q, then %q", last, again)
		}
		other := with("openid read", `{}`)
		other.Principal.Subject = "somebody else"
		if strings.Contains(challenged(t, r, other).Description, inVain) {
			t.Error("one person's circle is told to another")
		}
		time.Sleep(elevationWindow + time.Second)
		if got := challenged(t, r, with("openid read", `{}`)); got.Description != first.Description {
			t.Errorf("after the window: %q", got.Description)
		}
	})
}

func TestReq063_ElevationsAreOnRecord(t *testing.T) {
	r, log := guardedRunner(t, nil)
	records := func(event string) []map[string]any {
		var found []map[string]any
		for line := range strings.Lines(log.String()) {
			var record map[string]any
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatal(err)
			}
			if record["event"] == event {
				found = append(found, record)
			}
		}
		return found
	}
	challenged(t, r, with("openid", `{}`))
	call := records("tool_call")[0]
	id := call["elevation_id"]
	if id == nil || call["scopes_asked"] != "admin write" || len(records("elevation")) != 0 {
		t.Fatalf("%v", call)
	}
	if refusal := challenged(t, r, with("openid write", `{}`)); refusal.Status == 0 {
		t.Fatal("allowed")
	}
	if refusal := challenged(t, r, with("openid admin", `{}`)); refusal.Status != 0 {
		t.Fatal(refusal.Description)
	}
	challenged(t, r, with("openid admin", `{}`)) // nothing is new
	got := records("elevation")
	if len(got) != 2 {
		t.Fatalf("%d elevations: %v", len(got), got)
	}
	for i, granted := range []string{"write", "admin"} {
		record := got[i]
		if record["scopes_granted"] != granted || record["scopes_asked"] != "admin write" || record["elevation_id"] != id ||
			record["tool"] != "admin" || record["subject_hash"] == nil || record["audit"] != true {
			t.Errorf("%v", record)
		}
	}
}

// What is remembered is bounded, and kept when a catalogue is replaced.
func TestElevationsOutliveACatalogue(t *testing.T) {
	kept := NewElevations()
	for range maxChallenged + 1 {
		r, _ := guardedRunner(t, func(c *RunnerConfig) { c.Elevations = kept })
		challenged(t, r, with("", `{}`))
	}
	r, _ := guardedRunner(t, func(c *RunnerConfig) { c.Elevations = kept })
	if got := challenged(t, r, with("", `{}`)); !strings.Contains(got.Description, inVain) {
		t.Error("a new catalogue forgot what was asked")
	}
	now := time.Now()
	for i := range 5 * maxElevations {
		kept.note(now, strings.Repeat("x", 1+i%7)+string(rune(i)), oauth.Scopes{"a"}, oauth.Scopes{"a"})
	}
	if n := kept.recent.Len(); n > 2*maxElevations {
		t.Errorf("%d entries", n)
	}
}
