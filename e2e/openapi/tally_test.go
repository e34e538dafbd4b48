package openapi

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
)

// tally counts what was judged. It is safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	counts map[string]map[string]int
}

// What a tally counts.
const (
	operations = "operations"     // by method and path
	parameters = "parameters"     // by kindOf
	bodies     = "bodies"         // by media type, but for text and bytes
	answers    = "answers"        // by how they were made up
	excuses    = "not judged, as" // by reason
)

// add counts one more.
func (c *tally) add(of, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]map[string]int{}
	}
	if c.counts[of] == nil {
		c.counts[of] = map[string]int{}
	}
	c.counts[of][key]++
}

// log prints the counts, and of operations only how many there are.
func (c *tally) log(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("%d operations judged", len(c.counts[operations]))
	for _, of := range []string{parameters, bodies, answers, excuses} {
		for _, key := range slices.Sorted(maps.Keys(c.counts[of])) {
			t.Logf("%5d %s: %s", c.counts[of][key], of, key)
		}
	}
}

// want fails the test for everything that was never judged.
func (c *tally) want(t *testing.T, of string, keys []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		if c.counts[of][key] == 0 {
			t.Errorf("%s: nothing judged was %s", of, key)
		}
	}
}

// written names a parameter by all that makes a difference in how it is written.
func written(in, style string, explode bool, value any) string {
	kind := "number"
	switch value.(type) {
	case string:
		kind = "text"
	case bool:
		kind = "boolean"
	case []any:
		kind = "list"
	case map[string]any:
		kind = "object"
	}
	return fmt.Sprintf("%s in %s, %s, explode %v", kind, in, style, explode)
}
