package apptest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreePorts returns the first of three ports in a row that nobody listened on a
// moment ago. It has four digits, as those of the documents have, so that lengths
// are the same.
func FreePorts(tb testing.TB) int {
	tb.Helper()
	const lowest, step, groups = 8410, 10, 150
	start := rand.IntN(groups) //nolint:gosec // spreads tests that look at the same time
	for i := range groups {
		port := lowest + step*((start+i)%groups)
		if isFree(tb, port) && isFree(tb, port+1) && isFree(tb, port+2) {
			return port
		}
	}
	tb.Fatal("no three free ports in a row")
	return 0
}

func isFree(tb testing.TB, port int) bool {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	return err == nil && listener.Close() == nil
}
