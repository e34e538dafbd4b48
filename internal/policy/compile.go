package policy

import (
	"errors"
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// Bounds of one rule.
const (
	MaxRule    = 4 << 10 // characters
	maxNesting = 32      // of its parts
	maxCost    = 100_000 // units of CEL's cost model in one evaluation
	checkEvery = 100     // steps of a loop between two looks at the clock
)

// The variables of a rule.
const (
	varClaims    = "claims"    // all claims of the token
	varTool      = "tool"      // the name of the tool
	varArguments = "arguments" // the checked arguments of the call
	varIssuer    = "principal.issuer"
	varSubject   = "principal.subject"
	varClientID  = "principal.client_id"
	varScopes    = "principal.scopes" // granted ones, and those they stand for
)

// Compiler compiles rules. Use [NewCompiler].
type Compiler struct{ environment *cel.Env }

// NewCompiler returns a Compiler. Its error is a defect of this program.
func NewCompiler() (*Compiler, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	environment, err := cel.NewEnv(
		cel.Variable(varClaims, object),
		cel.Variable(varTool, cel.StringType),
		cel.Variable(varArguments, object),
		cel.Variable(varIssuer, cel.StringType),
		cel.Variable(varSubject, cel.StringType),
		cel.Variable(varClientID, cel.StringType),
		cel.Variable(varScopes, cel.ListType(cel.StringType)),
		cel.CrossTypeNumericComparisons(true), // JSON has one kind of number
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(MaxRule),
		cel.ParserRecursionLimit(maxNesting),
	)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return &Compiler{environment: environment}, nil
}

// Rule is one compiled rule. It is safe for concurrent use.
type Rule struct {
	source         string
	program        cel.Program
	needsArguments bool
}

// String returns the rule as it was written.
func (r *Rule) String() string { return r.source }

// NeedsArguments reports whether the rule looks at the arguments of a call.
func (r *Rule) NeedsArguments() bool { return r.needsArguments }

// Compile reads a rule and checks its types. The error is one sentence that says
// where in the rule something is wrong, and what.
func (c *Compiler) Compile(source string) (*Rule, error) {
	checked, issues := c.environment.Compile(source)
	if err := issues.Err(); err != nil {
		first := issues.Errors()[0]
		return nil, fmt.Errorf("line %d, column %d of the rule: %s", max(first.Location.Line(), 1), first.Location.Column()+1, first.Message)
	}
	// What a claim holds is known only at a call; everything else is known now.
	if got := checked.OutputType(); got.Kind() != types.BoolKind && got.Kind() != types.DynKind {
		return nil, fmt.Errorf("the rule gives a value of the type %s; it must give true or false", got)
	}
	program, err := c.environment.Program(checked,
		cel.EvalOptions(cel.OptOptimize, cel.OptPartialEval),
		cel.CostLimit(maxCost),
		cel.InterruptCheckFrequency(checkEvery),
	)
	if err != nil { // such as a regular expression that cannot be read
		return nil, errors.New("the rule cannot be evaluated: " + err.Error())
	}
	return &Rule{source: source, program: program, needsArguments: mentions(checked, varArguments)}, nil
}

// mentions reports whether an expression refers to a variable.
func mentions(checked *cel.Ast, variable string) bool {
	references := checked.NativeRep().ReferenceMap()
	return slices.ContainsFunc(ast.MatchDescendants(ast.NavigateAST(checked.NativeRep()), ast.KindMatcher(ast.IdentKind)), func(e ast.NavigableExpr) bool {
		reference := references[e.ID()]
		return reference != nil && reference.Name == variable
	})
}
