package openapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// flowKeys writes n keys of a mapping.
func flowKeys(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%d: 1, ", prefix, i)
	}
	return b.String()
}

func TestMergedKeysAreWrittenOut(t *testing.T) {
	for name, tc := range map[string]struct{ operation, want string }{
		"own keys win":      {"{<<: *a, summary: own}", "own|da"},
		"the earlier wins":  {"{<<: [*b, *a]}", "sb|da"},
		"what was merged":   {"{<<: *c}", "sa|dc"},
		"in place":          {"{<<: {summary: x, <<: *a}}", "x|da"},
		"nothing to merge":  {"{<<: [1, [], ~], summary: s}", "s|"},
		"a word like it":    {"{'<<': *a, summary: '<<', description: <<}", "<<|<<"},
		"all of the others": {"{<<: *many}", "sm|"},
	} {
		t.Run(name, func(t *testing.T) {
			document := mustLoad(t, `
openapi: 3.1.0
x-a: &a {summary: sa, description: da}
x-b: &b {summary: sb}
x-c: &c {<<: *a, description: dc}
x-m: &many {`+flowKeys("x", 50)+`summary: sm}
paths: {/x: {get: `+tc.operation+`}}`)
			operation := document.Operations[0]
			if diff := cmp.Diff(tc.want, operation.Summary+"|"+operation.Description); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
		})
	}
}

// A few bytes can merge thousands of keys each, whether they are there already
// or not.
func TestMergedKeysAreCounted(t *testing.T) {
	many := "openapi: 3.1.0\nx-a: &a {" + flowKeys("a", 1000) + "}\n"
	for name, extra := range map[string]string{
		"new ones":    strings.Repeat("- {<<: *a}\n", maxMergedKeys/1000+1),
		"known ones":  strings.Repeat("- {<<: [*a, *a]}\n", maxMergedKeys/2000+1),
		"from merged": "- &b {<<: *a}\n" + strings.Repeat("- {<<: *b}\n", maxMergedKeys/1000),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(t.Context(), []byte(many+"x-b:\n"+extra))
			if want := "more than the 100000 keys allowed are merged in the document"; err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("got %v\nwant %q", err, want)
			}
		})
	}
	fits := many + "x-b:\n" + strings.Repeat("- {<<: *a}\n", maxMergedKeys/1000) + "paths: {/x: {get: {}}}"
	mustLoad(t, fits)
}

// endsWithin is a context that ends when it has been looked at some times.
type endsWithin struct {
	context.Context //nolint:containedctx // is one
	looks           int
}

func (c *endsWithin) Err() error {
	if c.looks--; c.looks < 0 {
		return context.Canceled
	}
	return nil
}

func TestMergingEndsWithTheContext(t *testing.T) {
	text := "openapi: 3.1.0\nx-a: &a {" + flowKeys("a", 1000) + "}\nx-b: {<<: [" + strings.Repeat("*a, ", maxMerged) + "]}\npaths: {/x: {get: {}}}"
	ctx := &endsWithin{t.Context(), 1 + 3} // once before the document is parsed
	if _, err := Load(ctx, []byte(text)); !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v", err)
	}
}
