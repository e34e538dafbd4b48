package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// evaluationTime bounds one evaluation. Its cost is bounded too; this is for a
// machine that is slower than expected.
const evaluationTime = 100 * time.Millisecond

// Verdict is what a rule says. The zero Verdict denies.
type Verdict int

// The verdicts.
const (
	Deny Verdict = iota
	Allow
	Undecided // the arguments decide, and they are not known yet
)

// Why a rule failed, for [EvaluationError].
const (
	ReasonTimeout    = "rule_timeout"
	ReasonCost       = "rule_cost"
	ReasonMissingKey = "rule_missing_key" // such as a claim that the token does not have
	ReasonNotBoolean = "rule_not_boolean"
	ReasonError      = "rule_error" // wrong types, a division by zero and the like
)

// EvaluationError says that a rule gave no verdict, which denies. Its text is a
// word of a closed list: what an evaluation failed at may hold a person's data.
type EvaluationError struct{ Reason string }

// Error returns the reason.
func (e *EvaluationError) Error() string { return "policy: " + e.Reason }

// Facts is what rules may know of a caller, read once for any number of rules.
// It does not change. Use [NewFacts].
type Facts struct{ variables map[string]any }

// Caller is who calls, as a verified token says.
type Caller struct {
	Issuer, Subject, ClientID string
	Scopes                    []string        // with those they stand for
	Claims                    json.RawMessage // a JSON object; nil is one without members
}

// NewFacts reads the claims. The error is an [*EvaluationError]: claims that are
// no JSON object.
func NewFacts(c Caller) (*Facts, error) {
	claims := map[string]any{}
	if len(c.Claims) > 0 {
		decoded, err := decode(c.Claims)
		object, ok := decoded.(map[string]any)
		if err != nil || !ok {
			return nil, &EvaluationError{Reason: ReasonError}
		}
		claims = object
	}
	if c.Scopes == nil {
		c.Scopes = []string{}
	}
	return &Facts{variables: map[string]any{
		varClaims: claims, varIssuer: c.Issuer, varSubject: c.Subject, varClientID: c.ClientID, varScopes: c.Scopes,
	}}, nil
}

// Decide evaluates the rule for a call of tool. Nil arguments are not known yet:
// then the verdict may be Undecided. A call without arguments has an empty map.
// With an error, an [*EvaluationError], the verdict is Deny.
func (r *Rule) Decide(ctx context.Context, facts *Facts, tool string, arguments map[string]json.RawMessage) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, evaluationTime)
	defer cancel()
	variables := maps.Clone(facts.variables)
	variables[varTool] = tool
	var input any = variables
	if arguments == nil {
		partial, err := cel.PartialVars(variables, cel.AttributePattern(varArguments))
		if err != nil {
			return Deny, &EvaluationError{Reason: ReasonError}
		}
		input = partial
	} else {
		decoded := make(map[string]any, len(arguments))
		for name, raw := range arguments {
			value, err := decode(raw)
			if err != nil {
				return Deny, &EvaluationError{Reason: ReasonError}
			}
			decoded[name] = value
		}
		variables[varArguments] = decoded
	}
	value, _, err := r.program.ContextEval(ctx, input)
	switch {
	case err != nil:
		return Deny, &EvaluationError{Reason: reasonOf(ctx, err)}
	case value == types.True:
		return Allow, nil
	case value == types.False:
		return Deny, nil
	case types.IsUnknown(value):
		return Undecided, nil
	}
	return Deny, &EvaluationError{Reason: ReasonNotBoolean}
}

// reasonOf sorts what CEL reports. It has texts only, but for the context's end.
func reasonOf(ctx context.Context, err error) string {
	text := err.Error()
	switch {
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return ReasonTimeout
	case strings.Contains(text, "cost limit exceeded"):
		return ReasonCost
	case strings.HasPrefix(text, "no such key"):
		return ReasonMissingKey
	}
	return ReasonError
}

// decode reads JSON into what CEL computes with: whole numbers stay whole, so
// that an identifier of 18 digits equals itself.
func decode(raw json.RawMessage) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return withNumbers(value)
}

func withNumbers(value any) (any, error) {
	var err error
	switch value := value.(type) {
	case json.Number:
		return number(value.String())
	case map[string]any:
		for key, member := range value {
			if value[key], err = withNumbers(member); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, item := range value {
			if value[i], err = withNumbers(item); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func number(text string) (any, error) {
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		return whole, nil
	}
	if whole, err := strconv.ParseUint(text, 10, 64); err == nil {
		return whole, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("the number is out of range: %w", err)
	}
	return value, nil
}
