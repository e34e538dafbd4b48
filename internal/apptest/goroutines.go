package apptest

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// labelKey marks the goroutines of a system in a profile.
const labelKey = "apptest"

// leakDeadline is how long goroutines may take to end after everything was
// stopped, in case the machine is busy.
const leakDeadline = 10 * time.Second

// labelled runs f in a goroutine that carries label. Every goroutine started
// below it inherits the label, so that tests which run at the same time do not
// see each other's.
func labelled(label string, f func()) {
	go pprof.Do(context.Background(), pprof.Labels(labelKey, label), func(context.Context) { f() })
}

// remaining waits for the end of all goroutines with label and returns the
// stacks of those that stay.
func remaining(label string) string {
	var left string
	poll(leakDeadline, func() bool {
		left = stacks(label)
		return left == ""
	})
	return left
}

// stacks returns the stacks of the goroutines with label.
func stacks(label string) string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return "no goroutine profile: " + err.Error()
	}
	var found []string
	for record := range strings.SplitSeq(profile.String(), "\n\n") {
		_, labels, _ := strings.Cut(record, "# labels: ")
		labels, _, _ = strings.Cut(labels, "\n")
		if strings.Contains(labels, strconv.Quote(label)) {
			found = append(found, record)
		}
	}
	return strings.Join(found, "\n\n")
}
