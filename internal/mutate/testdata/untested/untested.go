// Package untested has checks that no test misses.
package untested

var nameChecks = []func(string) bool{
	func(s string) bool { return s != "" },
	func(s string) bool { return len(s) < 5 },
	func(s string) bool { return s != "a" },
	func(s string) bool { return s != "b" },
	func(s string) bool { return s != "c" },
}

// Check runs them.
func Check(s string) bool {
	for _, check := range nameChecks {
		if !check(s) {
			return false
		}
	}
	return true
}
