package credential

import "fmt"

// Kind is the closed list of ways to have no credential.
type Kind int

// The kinds of failure. The zero Kind stands for a failure nobody classified.
const (
	NoToken    Kind = iota + 1 // the caller has none that could be sent or exchanged
	Outage                     // the token endpoint does not answer, or not now
	Refused                    // the token endpoint says no, and not because of the caller's token
	Unusable                   // the token endpoint's answer is not a token that could be sent
	Unreadable                 // a file with a token of this server cannot be read
)

// String returns the kind as a word for logs and metrics.
func (k Kind) String() string {
	switch k {
	case NoToken:
		return "no_credential"
	case Outage:
		return "token_endpoint_down"
	case Refused:
		return "token_refused"
	case Unusable:
		return "token_unusable"
	case Unreadable:
		return "credential_unreadable"
	default:
		return "unknown"
	}
}

// Failure is a credential that could not be had. Error is for the log: it has
// the token endpoint's error code, never a token or its description, which may
// name people. Safe is for the caller.
type Failure struct { //nolint:errname // what happened, told in one sentence
	Kind     Kind
	Upstream string // the declared name of the API it was for
	Seconds  int    // how long to wait, where the token endpoint said so
	Err      error  // private cause; may be nil
}

// Error returns the kind and the private cause.
func (f *Failure) Error() string {
	text := fmt.Sprintf("credential for upstream %s: %s", f.Upstream, f.Kind)
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
	api := fmt.Sprintf("the API %q", f.Upstream)
	switch f.Kind {
	case NoToken:
		return "There is no access token that could be sent to " + api + "."
	case Outage:
		if f.Seconds > 0 {
			return fmt.Sprintf("The identity provider gives no access token for %s right now; try again in %d seconds.", api, f.Seconds)
		}
		return "The identity provider gives no access token for " + api + " right now; try again later."
	case Refused:
		return "The identity provider refuses this server an access token for " + api + "; the operator has to look at the log."
	case Unusable:
		return "The identity provider gave no usable access token for " + api + "; the operator has to look at the log."
	case Unreadable:
		return "This server cannot read its own credential for " + api + "; the operator has to look at the log."
	default:
		return "There is no credential for " + api + "."
	}
}
