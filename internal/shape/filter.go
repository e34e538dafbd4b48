package shape

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/itchyny/gojq"
)

// Bounds of a filter.
const (
	MaxFilter  = 4 << 10 // bytes of its source
	filterTime = 500 * time.Millisecond
	maxOutput  = 8 << 20 // bytes of what it makes
)

// Errors of [Filter.Apply]. The text of a failing filter is not among them: jq
// repeats the values it failed on.
var (
	ErrFilterFailed = errors.New("the filter cannot be applied to this answer")
	ErrFilterTime   = fmt.Errorf("the filter took longer than the %s allowed", filterTime)
	ErrFilterCount  = errors.New("the filter gave not exactly one value")
	ErrFilterOutput = fmt.Errorf("the filter made more than the %d bytes allowed", maxOutput)
)

// Filter is a compiled jq filter. It is safe for concurrent use.
type Filter struct {
	source string
	code   *gojq.Code
}

// Compile reads a jq filter. It has no environment, no modules and no further
// input. The error says what is wrong and where.
func Compile(source string) (*Filter, error) {
	if len(source) > MaxFilter {
		return nil, fmt.Errorf("it has %d bytes; at most %d are allowed", len(source), MaxFilter)
	}
	query, err := gojq.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("not a jq filter: %w", err)
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, fmt.Errorf("not a jq filter: %w", err)
	}
	return &Filter{source: source, code: code}, nil
}

// String returns the source.
func (f *Filter) String() string { return f.source }

// Apply returns the one value that the filter makes of raw, which is valid JSON.
// Numbers that the filter does not calculate with keep their digits.
func (f *Filter) Apply(ctx context.Context, raw []byte) (json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var input any
	if err := decoder.Decode(&input); err != nil {
		return nil, ErrFilterFailed
	}
	ctx, cancel := context.WithTimeout(ctx, filterTime)
	defer cancel()
	values := f.code.RunWithContext(ctx, input)
	value, some := values.Next()
	if !some {
		return nil, ErrFilterCount
	}
	if err, failed := value.(error); failed {
		return nil, failure(ctx, err)
	}
	switch next, more := values.Next(); {
	case !more:
	case isError(next):
		return nil, failure(ctx, next.(error)) //nolint:errcheck,forcetypeassert // isError has just looked
	default:
		return nil, ErrFilterCount
	}
	output, err := gojq.Marshal(value)
	if err != nil {
		return nil, ErrFilterFailed
	}
	if len(output) > maxOutput {
		return nil, ErrFilterOutput
	}
	return output, nil
}

func isError(value any) bool {
	_, is := value.(error)
	return is
}

func failure(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return ErrFilterTime
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return ErrFilterFailed
}
