package upstream

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// Waits between attempts.
const (
	firstBackoff  = 100 * time.Millisecond
	maxBackoff    = 2 * time.Second
	maxRetryAfter = 5 * time.Second // an API that wants a longer wait is not asked again in this call
)

// When the circuit breaker of an API opens, and for how long: half of at least
// breakerCalls attempts within breakerWindow failed. Then one attempt is let
// through to see.
const (
	breakerRate   = 0.5
	breakerCalls  = 20
	breakerWindow = 30 * time.Second
	breakerPause  = 10 * time.Second
)

// outcome is what an attempt comes to, its error aside.
type outcome struct {
	response *http.Response // complete, in memory; nil after a failure
}

// resilience is what stands around the attempts of a call, outermost first: a
// bounded number of calls in all, further attempts of idempotent calls, the
// circuit breaker, a bounded number of requests at a time.
type resilience struct {
	admitted bulkhead.Bulkhead[outcome]
	breaker  circuitbreaker.CircuitBreaker[outcome]
	slots    bulkhead.Bulkhead[outcome]
	once     failsafe.Executor[outcome]
	again    failsafe.Executor[outcome]
}

func newResilience(cfg Config) *resilience {
	concurrent, queue := cfg.MaxConcurrent, cfg.MaxQueue
	r := &resilience{
		admitted: bulkhead.New[outcome](uint(concurrent + queue)),
		breaker: circuitbreaker.NewBuilder[outcome]().
			HandleIf(unwell).
			WithFailureRateThreshold(breakerRate, breakerCalls, breakerWindow).
			WithDelay(breakerPause).
			WithSuccessThreshold(1).
			OnOpen(func(change circuitbreaker.StateChangedEvent) {
				if change.OldState == circuitbreaker.ClosedState { // no news after a trial
					cfg.Logger.Warn("an API failed too often and is left alone; one call now and then tries it",
						slog.String("upstream", cfg.Name), slog.Duration("every", breakerPause))
				}
			}).
			OnClose(func(circuitbreaker.StateChangedEvent) {
				cfg.Logger.Info("an API that was left alone is well again", slog.String("upstream", cfg.Name))
			}).
			Build(),
		slots: bulkhead.NewBuilder[outcome](uint(concurrent)).WithMaxWaitTime(cfg.Timeout).Build(),
	}
	retry := retrypolicy.NewBuilder[outcome]().
		HandleIf(transient).
		WithMaxRetries(cfg.Retries).
		WithDelayFunc(backoff).
		ReturnLastFailure().
		Build()
	r.once = failsafe.With[outcome](r.admitted, r.breaker, r.slots)
	r.again = failsafe.With[outcome](r.admitted, retry, r.breaker, r.slots)
	return r
}

// try performs the attempts of a call.
func (c *Client) try(ctx context.Context, call *call) (*http.Response, error) {
	executor := c.resilience.once
	if call.idempotent() && call.repeatable() {
		executor = c.resilience.again
	}
	attempts := 0
	var last outcome // of the latest attempt that the end of the call did not cut off
	var lastErr error
	got, err := executor.WithContext(ctx).Get(func() (outcome, error) {
		attempts++
		response, err := c.attempt(ctx, call) //nolint:bodyclose // attempt has closed it, what is left is in memory
		if ctx.Err() == nil {
			last, lastErr = outcome{response}, err
		}
		return outcome{response}, err
	})
	failure, ours := errors.AsType[*Failure](err)
	switch {
	case err == nil:
		return got.response, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, c.failure(Canceled, err)
	case errors.Is(err, circuitbreaker.ErrOpen):
		return nil, c.failure(CircuitOpen, err)
	case errors.Is(err, bulkhead.ErrFull), attempts == 0:
		return nil, c.failure(Busy, err)
	case ctx.Err() != nil && (last.response != nil || lastErr != nil): // it says more than that the time is over
		return last.response, lastErr
	case ours:
		return nil, failure
	default:
		return nil, c.failure(Timeout, err)
	}
}

// unwell reports whether an attempt says that the API is not well: what the
// circuit breaker counts. A caller who goes away says nothing, and neither does
// a queue of our own.
func unwell(got outcome, err error) bool {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure.Kind == Timeout || failure.Kind == Unreachable || failure.Kind == ClosedEarly
	}
	return got.response != nil && got.response.StatusCode >= 500 && got.response.StatusCode != http.StatusNotImplemented
}

// transient reports whether another attempt may fare better.
func transient(got outcome, err error) bool {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure.Kind == Timeout || failure.Kind == Unreachable || failure.Kind == ClosedEarly
	}
	if got.response == nil {
		return false
	}
	switch got.response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return retryAfter(got.response) <= maxRetryAfter
	default:
		return false
	}
}

// backoff returns how long to wait before the next attempt: as long as the API
// asked for, or twice as long each time; a part of it is chance, so that callers
// who failed together do not come back together.
func backoff(attempt failsafe.ExecutionAttempt[outcome]) time.Duration {
	if asked := retryAfter(attempt.LastResult().response); asked > 0 {
		return asked + rand.N(firstBackoff) //nolint:gosec // chance, not secrecy
	}
	wait := min(firstBackoff<<min(attempt.Retries(), 10), maxBackoff)
	return wait/2 + rand.N(wait/2) //nolint:gosec // chance, not secrecy
}

// retryAfter reads the Retry-After of an answer (RFC 9110 section 10.2.3), 0 when
// there is none.
func retryAfter(response *http.Response) time.Duration {
	if response == nil {
		return 0
	}
	value := response.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1<<30)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
