package policy

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

const claims = `{"sub":"user|1","department":"sales","level":3,"ratio":0.5,"big":123456789012345678,"huge":18446744073709551615,
	"roles":["reader","writer"],"address":{"country":"ES"},"email_verified":true,"text":"true"}`

func compile(tb testing.TB, source string) *Rule {
	tb.Helper()
	compiler, err := NewCompiler()
	if err != nil {
		tb.Fatal(err)
	}
	rule, err := compiler.Compile(source)
	if err != nil {
		tb.Fatalf("%s: %v", source, err)
	}
	return rule
}

func facts(tb testing.TB) *Facts {
	tb.Helper()
	f, err := NewFacts(Caller{
		Issuer: "https://as.example", Subject: "user|1", ClientID: "claude", Scopes: []string{"openid", "teams:read"},
		Claims: json.RawMessage(claims),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// TestReq059_RulesSeeTheTokenTheToolAndTheArguments also has what a rule says
// before the arguments are known: only what no argument could change.
func TestReq059_RulesSeeTheTokenTheToolAndTheArguments(t *testing.T) {
	arguments := map[string]json.RawMessage{"team": json.RawMessage(`"red"`), "limit": json.RawMessage(`50`), "ratio": json.RawMessage(`1.0`)}
	for source, want := range map[string]struct{ before, with Verdict }{
		`true`:                                                   {Allow, Allow},
		`false`:                                                  {Deny, Deny},
		`claims.department == "sales"`:                           {Allow, Allow},
		`claims.department == "Sales"`:                           {Deny, Deny},
		`"writer" in claims.roles`:                               {Allow, Allow},
		`claims.address.country == "ES"`:                         {Allow, Allow},
		`claims.level >= 3 && claims.ratio < 1`:                  {Allow, Allow},
		`claims.big == 123456789012345678`:                       {Allow, Allow},
		`claims.big == 123456789012345679`:                       {Deny, Deny}, // the same as a float
		`claims.huge == 18446744073709551615u`:                   {Allow, Allow},
		`claims.email_verified`:                                  {Allow, Allow},
		`has(claims.manager) && claims.manager == "x"`:           {Deny, Deny},
		`principal.issuer == "https://as.example"`:               {Allow, Allow},
		`principal.subject.startsWith("user|")`:                  {Allow, Allow},
		`principal.client_id == "claude"`:                        {Allow, Allow},
		`"teams:read" in principal.scopes`:                       {Allow, Allow},
		`tool == "otus_teams"`:                                   {Allow, Allow},
		`arguments.team == "red"`:                                {Undecided, Allow},
		`arguments.team == "blue"`:                               {Undecided, Deny},
		`arguments.limit <= 50 && arguments.ratio == 1`:          {Undecided, Allow},
		`!has(arguments.owner) || arguments.owner == claims.sub`: {Undecided, Allow},
		`claims.level > 9 && arguments.team == "red"`:            {Deny, Deny},
		`claims.level == 3 || arguments.team == "red"`:           {Allow, Allow},
		`claims.roles.exists(r, r == "reader")`:                  {Allow, Allow},
	} {
		rule := compile(t, source)
		before, err := rule.Decide(t.Context(), facts(t), "otus_teams", nil)
		if err != nil || before != want.before {
			t.Errorf("%s, arguments not known: %v, %v, want %v", source, before, err, want.before)
		}
		with, err := rule.Decide(t.Context(), facts(t), "otus_teams", arguments)
		if err != nil || with != want.with {
			t.Errorf("%s: %v, %v, want %v", source, with, err, want.with)
		}
		if needs := strings.Contains(source, "arguments"); rule.NeedsArguments() != needs {
			t.Errorf("%s: NeedsArguments = %v", source, !needs)
		}
	}
}

// TestReq057_FailingRulesDeny: whatever goes wrong in a rule denies, and what is
// told of it is a word of a closed list.
func TestReq057_FailingRulesDeny(t *testing.T) {
	loop := "[" + strings.Repeat("1,", 60) + "1]"
	for source, want := range map[string]string{
		`claims.manager == "x"`:               ReasonMissingKey,
		`arguments.owner == "x"`:              ReasonMissingKey,
		`claims.text`:                         ReasonNotBoolean, // the text "true" is not true
		`claims.level`:                        ReasonNotBoolean,
		`claims.address`:                      ReasonNotBoolean,
		`claims.department > 3`:               ReasonError,
		`1 / (claims.level - 3) == 1`:         ReasonError,
		`claims.department.matches(tool+"(")`: ReasonError,
		loop + `.all(a, ` + loop + `.all(b, ` + loop + `.all(c, a + b + c > 0)))`: ReasonCost,
	} {
		synctest.Test(t, func(t *testing.T) { // where no machine is too slow for the time bound
			verdict, err := compile(t, source).Decide(t.Context(), facts(t), "otus_teams", map[string]json.RawMessage{})
			failure, ok := errors.AsType[*EvaluationError](err)
			if !ok || failure.Reason != want || verdict != Deny {
				t.Errorf("%.60s: %v, %v, want Deny and %s", source, verdict, err, want)
			}
			if ok && strings.Contains(err.Error(), "sales") {
				t.Errorf("the error repeats a claim: %v", err)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	verdict, err := compile(t, loop+`.all(a, `+loop+`.all(b, a + b > 0))`).Decide(ended, facts(t), "otus_teams", nil)
	if failure, ok := errors.AsType[*EvaluationError](err); !ok || failure.Reason != ReasonTimeout || verdict != Deny {
		t.Errorf("out of time: %v, %v", verdict, err)
	}
	for _, bad := range []string{`[]`, `"x"`, `{`, `{"n":1e999}`} {
		if _, err := NewFacts(Caller{Claims: json.RawMessage(bad)}); err == nil {
			t.Errorf("claims %s were taken", bad)
		}
	}
	verdict, err = compile(t, `true`).Decide(t.Context(), facts(t), "otus_teams", map[string]json.RawMessage{"n": json.RawMessage(`1e999`)})
	if err == nil || verdict != Deny {
		t.Errorf("an argument that no rule can compute with: %v", verdict)
	}
}

func TestReq057_BrokenRulesAreFoundBeforeTheFirstCall(t *testing.T) {
	compiler, err := NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		``:                       "line 1, column",
		`claims.a ==`:            "line 1, column 12",
		"true &&\n  clams.x":     "line 2, column 3 of the rule: undeclared reference to 'clams'",
		`principal.isuer == "x"`: "undeclared reference",
		`tool + 1 == "x"`:        "found no matching overload",
		`principal.scopes`:       "the type list(string)",
		`"x"`:                    "the type string",
		`1`:                      "the type int",
		`tool.matches("(")`:      "cannot be evaluated",
		`now() > timestamp("x")`: "undeclared reference to 'now'",
		strings.Repeat("(", 40) + "true" + strings.Repeat(")", 40): "of the rule",
		strings.Repeat(" ", MaxRule) + "true":                      "of the rule",
	} {
		if _, err := compiler.Compile(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", source, err, want)
		}
	}
}

// FuzzRule: a rule from anywhere is refused or gives a verdict, a failure denies
// with a reason, and no argument changes what was decided without them.
func FuzzRule(f *testing.F) {
	f.Add(`claims.department == "sales"`, `{"department":"sales"}`, `{"team":"red"}`)
	f.Add(`arguments.all(k, k in claims)`, `{"a":[1,2.5,null]}`, `{"a":{}}`)
	f.Add(`claims.a.b.c || arguments.x`, `{"a":{"b":{"c":true}}}`, `{}`)
	f.Add(`tool.matches("^(a+)+$")`, `{}`, `{}`)
	compiler, err := NewCompiler()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source, claims, arguments string) {
		rule, err := compiler.Compile(source)
		if err != nil {
			return
		}
		facts, err := NewFacts(Caller{Claims: json.RawMessage(claims)})
		if err != nil {
			return
		}
		given := map[string]json.RawMessage{}
		_ = json.Unmarshal([]byte(arguments), &given)
		if given == nil { // null
			given = map[string]json.RawMessage{}
		}
		before, beforeErr := rule.Decide(t.Context(), facts, "tool", nil)
		with, withErr := rule.Decide(t.Context(), facts, "tool", given)
		for _, decided := range []struct {
			verdict Verdict
			err     error
		}{{before, beforeErr}, {with, withErr}} {
			failure, failed := errors.AsType[*EvaluationError](decided.err)
			if decided.err != nil && (!failed || failure.Reason == "" || decided.verdict != Deny) {
				t.Fatalf("%v, %v", decided.verdict, decided.err)
			}
		}
		if with == Undecided {
			t.Fatal("undecided although everything is known")
		}
		if beforeErr == nil && withErr == nil && before != Undecided && before != with {
			t.Fatalf("%v before the arguments, %v with them", before, with)
		}
	})
}

// BenchmarkDecide is what a rule adds to a call: reading the claims, which a
// call does once, and one evaluation.
func BenchmarkDecide(b *testing.B) {
	arguments := map[string]json.RawMessage{"team": json.RawMessage(`"red"`)}
	for name, source := range map[string]string{
		"scope":     `"teams:read" in principal.scopes`,
		"claim":     `claims.department == "sales" && claims.level >= 3`,
		"arguments": `claims.department == "sales" && arguments.team in ["red", "blue"]`,
	} {
		b.Run(name, func(b *testing.B) {
			rule := compile(b, source)
			b.ReportAllocs()
			for b.Loop() {
				facts := facts(b)
				if verdict, err := rule.Decide(b.Context(), facts, "otus_teams", arguments); verdict != Allow {
					b.Fatal(verdict, err)
				}
			}
		})
	}
}
