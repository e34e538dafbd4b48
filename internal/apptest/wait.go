package apptest

import (
	"testing"
	"time"
)

// How conditions are waited for.
const (
	pollEvery    = 5 * time.Millisecond
	waitDeadline = 30 * time.Second
)

// Eventually waits until condition holds and fails the test when it does not
// within 30 s. what completes the sentence "waited in vain until ...".
func Eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	if !poll(waitDeadline, condition) {
		tb.Fatalf("waited in vain until %s", what)
	}
}

// poll asks condition again and again until it holds or the time is over.
func poll(limit time.Duration, condition func() bool) bool {
	if condition() {
		return true
	}
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if condition() {
				return true
			}
		case <-deadline.C:
			return condition()
		}
	}
}
