package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// How many scenarios each run has to score: a list that shrank would make a
// test that passes by looking away.
var scoredCounts = map[string]int{"2025-11-25": 30, "2026-07-28": 37, "0.1.16 active": 30}

// TestConformance lets the suite judge the server with a real token, once for
// each set of scenarios.
func TestConformance(t *testing.T) {
	for _, revision := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(revision, func(t *testing.T) {
			t.Parallel()
			system := start(t)
			ran := runSuite(t, system, newest, system.Token("ana"), "--requirements", revision)
			judge(t, revision, scored(t, revision), ran)
		})
	}
	t.Run("0.1.16 active", func(t *testing.T) {
		t.Parallel()
		system := start(t)
		ran := runSuite(t, system, latest, system.Token("ana"), "--suite", "active")
		judge(t, "0.1.16 active", slices.Sorted(maps.Keys(ran)), ran) // all of it is scored
	})
}

// TestNothingConformsWithoutAToken proves that the bearer gate is in front of
// everything, and that the verdicts above come from behind it.
func TestNothingConformsWithoutAToken(t *testing.T) {
	for _, revision := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(revision, func(t *testing.T) {
			t.Parallel()
			ran := runSuite(t, start(t), newest, "", "--requirements", revision)
			for _, scenario := range scored(t, revision) {
				if checks, ok := ran[scenario]; !ok || verdict(checks) == "" {
					t.Errorf("%s passes without a token (it ran: %t)", scenario, ok)
				}
			}
		})
	}
}

// judge prints what became of every scored scenario and fails the test for what
// failed and was not expected to, and for what was expected to and did not.
func judge(t *testing.T, run string, scenarios []string, ran map[string][]check) {
	t.Helper()
	if len(scenarios) != scoredCounts[run] {
		t.Errorf("%d scenarios are scored, want %d", len(scenarios), scoredCounts[run])
	}
	expected := maps.Clone(expectedFailures(t, run))
	table := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
	passed := 0
	for _, scenario := range scenarios {
		reason := verdict(ran[scenario])
		why, mayFail := expected[scenario]
		delete(expected, scenario)
		state := "pass"
		switch {
		case reason == "" && mayFail:
			state = "STALE"
			t.Errorf("%s passes: remove it from expected-failures.yaml", scenario)
		case reason == "":
			passed++
		case mayFail:
			state, reason = "expected", why
		default:
			state = "FAIL"
			t.Errorf("%s: %s", scenario, reason)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d checks\t%s\n", state, scenario, len(ran[scenario]), firstLine(reason))
	}
	_, _ = fmt.Fprintf(table, "%d of %d scored\n", passed, len(scenarios))
	reportUnscored(table, scenarios, ran)
	if err := table.Flush(); err != nil {
		t.Error(err)
	}
	for scenario := range expected {
		t.Errorf("expected-failures.yaml names %s, which is not scored in %s", scenario, run)
	}
}

// reportUnscored prints what ran besides; it decides nothing.
func reportUnscored(table *tabwriter.Writer, scenarios []string, ran map[string][]check) {
	for _, scenario := range slices.Sorted(maps.Keys(ran)) {
		if slices.Contains(scenarios, scenario) {
			continue
		}
		state, reason := "pass", verdict(ran[scenario])
		if reason != "" {
			state = "fail"
		}
		_, _ = fmt.Fprintf(table, "(%s)\t%s\t%d checks\tnot scored. %s\n", state, scenario, len(ran[scenario]), firstLine(reason))
	}
}

// verdict returns why a scenario did not pass, "" if it did. One that verified
// nothing but the shape of the messages, or nothing at all, did not.
func verdict(checks []check) string {
	real := false
	for _, c := range checks {
		switch c.Status {
		case "FAILURE":
			return c.ID + ": " + c.Message
		case "SUCCESS":
			real = real || !strings.HasPrefix(c.ID, "wire-schema-")
		}
	}
	if !real {
		return "verified nothing real"
	}
	return ""
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func TestVerdict(t *testing.T) {
	success, wire := check{ID: "ping", Status: "SUCCESS"}, check{ID: "wire-schema-valid", Status: "SUCCESS"}
	for name, test := range map[string]struct {
		checks []check
		passes bool
	}{
		"nothing":               {nil, false},
		"only the wire schema":  {[]check{wire}, false},
		"only a warning":        {[]check{{ID: "ping", Status: "WARNING"}, wire}, false},
		"only skipped":          {[]check{{ID: "ping", Status: "SKIPPED"}}, false},
		"something real":        {[]check{wire, success}, true},
		"real and a warning":    {[]check{success, {ID: "ping", Status: "WARNING"}}, true},
		"a failure":             {[]check{success, {ID: "pong", Status: "FAILURE", Message: "no"}}, false},
		"a broken wire message": {[]check{success, {ID: "wire-schema-valid", Status: "FAILURE"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if reason := verdict(test.checks); (reason == "") != test.passes {
				t.Errorf("verdict = %q, want a pass: %t", reason, test.passes)
			}
		})
	}
}
