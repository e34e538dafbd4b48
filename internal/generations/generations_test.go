package generations

import (
	"strconv"
	"testing"
	"time"
)

func TestEntriesAreForgottenLate(t *testing.T) {
	g := New[struct{}](4, time.Minute)
	now := time.Now()
	claim := func(at time.Duration, key string) bool {
		_, made := g.Claim(now.Add(at), key, func() struct{} { return struct{}{} })
		return made
	}
	if !claim(0, "a") || claim(59*time.Second, "a") || claim(90*time.Second, "a") {
		t.Error("forgotten too early")
	}
	if !claim(10*time.Minute, "a") {
		t.Error("never forgotten")
	}
	for i := range 100 {
		claim(10*time.Minute, strconv.Itoa(i))
		if n := g.Len(); n > 8 {
			t.Fatalf("%d entries", n)
		}
	}
}

func TestEntriesMoveAndAreReplaced(t *testing.T) {
	g, now := New[int](4, time.Minute), time.Now()
	g.Put(now, "a", 1)
	g.Put(now.Add(90*time.Second), "a", 2) // the older generation has it too
	if value, found := g.Get(now.Add(90*time.Second), "a"); !found || value != 2 || g.Len() != 1 {
		t.Error(value, found, g.Len())
	}
	if _, found := g.Get(now, "b"); found {
		t.Error("found what was never put")
	}
}
