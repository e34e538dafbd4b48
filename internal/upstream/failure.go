package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
)

// Kind is the closed list of ways a call can fail without an answer.
type Kind int

// The kinds of failure. The zero Kind stands for a failure nobody classified.
const (
	Timeout          Kind = iota + 1 // no complete answer in time
	Unreachable                      // no connection: refused, no such host, TLS not accepted
	TooLarge                         // body over the limit, after decompression
	Canceled                         // the caller went away
	ClosedEarly                      // the connection broke or spoke something else than HTTP
	ForbiddenAddress                 // an address outside the egress policy or outside the API's base URL
	Busy                             // no free slot in time, or too many wait already
	CircuitOpen                      // the API failed too often just now; nothing was sent
)

// String returns the kind as a word for logs and metrics.
func (k Kind) String() string {
	switch k {
	case Timeout:
		return "timeout"
	case Unreachable:
		return "unreachable"
	case TooLarge:
		return "too_large"
	case Canceled:
		return "canceled"
	case ClosedEarly:
		return "closed_early"
	case ForbiddenAddress:
		return "forbidden_address"
	case Busy:
		return "busy"
	case CircuitOpen:
		return "circuit_open"
	default:
		return "unknown"
	}
}

// Failure is a call that got no usable answer. Error is for the log: it names
// addresses, never a token, path or query. Safe is for the caller.
type Failure struct { //nolint:errname // what happened upstream, told in one sentence
	Kind     Kind
	Upstream string // its declared name
	Detail   string // what the limit was, where there is one
	Err      error  // private cause; may be nil
}

// Error returns the kind and the private cause.
func (f *Failure) Error() string {
	text := fmt.Sprintf("upstream %s: %s", f.Upstream, f.Kind)
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	return text
}

// Unwrap returns the private cause.
func (f *Failure) Unwrap() error { return f.Err }

// Reason returns the kind as a word for logs.
func (f *Failure) Reason() string { return f.Kind.String() }

// Safe returns one sentence that says what happened and holds nothing private.
func (f *Failure) Safe() string {
	api := fmt.Sprintf("The API %q ", f.Upstream)
	switch f.Kind {
	case Timeout:
		if f.Detail == "" {
			return api + "did not begin to answer in time; try again later."
		}
		return api + "did not answer completely within " + f.Detail + "; try again later."
	case Unreachable:
		return api + "could not be reached; try again later."
	case TooLarge:
		return api + "sent more than the " + f.Detail + " allowed for an answer."
	case Canceled:
		return "The call to the API was canceled before it was complete."
	case ClosedEarly:
		return api + "broke off before its answer was complete; try again later."
	case ForbiddenAddress:
		return api + "is at an address this server may not connect to; the operator has to look at its configuration."
	case Busy:
		return api + "is busy with other calls of this server; try again later."
	case CircuitOpen:
		return api + "failed too often just now and is left alone for a moment; try again in " + f.Detail + "."
	default:
		return api + "could not be called."
	}
}

func (c *Client) failure(kind Kind, cause error) *Failure {
	failure := &Failure{Kind: kind, Upstream: c.name, Err: cause}
	switch kind {
	case Timeout:
		failure.Detail = c.timeout.String()
	case TooLarge:
		failure.Detail = fmt.Sprintf("%d bytes", c.maxResponse)
	case CircuitOpen:
		pause := c.resilience.breaker.RemainingDelay() // 0 while the one trial is on its way
		failure.Detail = fmt.Sprintf("%d seconds", max(1, int(math.Ceil(pause.Seconds()))))
	case ClosedEarly:
		// net/http quotes what it could not parse, which is the API's text.
		if _, network := errors.AsType[*net.OpError](cause); !network && !errors.Is(cause, io.EOF) && !errors.Is(cause, io.ErrUnexpectedEOF) {
			failure.Err = errors.New("not a well-formed HTTP answer")
		}
	default: // the other kinds have no limit to name
	}
	return failure
}

// broken says why an attempt has no answer.
func (c *Client) broken(ctx context.Context, err error) *Failure {
	failure := c.failure(classify(ctx, err), err)
	if failure.Kind == Timeout && ctx.Err() == nil {
		failure.Detail = "" // the time of a connection or of a first byte, not of the call
	}
	return failure
}

// classify finds the kind of a transport or body error. The context is asked
// first: its end shows up as many different errors.
func classify(ctx context.Context, err error) Kind {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Canceled
	case ctx.Err() != nil:
		return Timeout
	case errors.Is(err, egress.ErrForbiddenAddress):
		return ForbiddenAddress
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return Timeout
	}
	if _, late := errors.AsType[bodyError](err); late {
		return ClosedEarly
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return Unreachable
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return Unreachable
	}
	if isTLS(err) {
		return Unreachable
	}
	return ClosedEarly
}

// isTLS reports whether a handshake failed: the peer has no acceptable
// certificate, or does not speak TLS.
func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}
