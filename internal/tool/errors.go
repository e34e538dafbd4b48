package tool

// UnknownToolError says that no tool has the name.
type UnknownToolError struct {
	Name string // the caller's text, of any length: quote and cut it before showing
}

// Error returns a bounded sentence.
func (e *UnknownToolError) Error() string { return "unknown tool " + quote(e.Name) }

// InvalidArgumentsError says that arguments do not match the tool's schema.
type InvalidArgumentsError struct {
	Detail string // one sentence, safe to show: which argument, and what was wanted
}

// Error returns the sentence.
func (e *InvalidArgumentsError) Error() string { return e.Detail }

// UnknownPromptError says that no prompt has the name.
type UnknownPromptError struct {
	Name string // the caller's text, as in UnknownToolError
}

// Error returns a bounded sentence.
func (e *UnknownPromptError) Error() string { return "unknown prompt " + quote(e.Name) }

// UnknownResourceError says that no resource has the URI.
type UnknownResourceError struct {
	URI string // the caller's text, as in UnknownToolError
}

// Error returns a bounded sentence.
func (e *UnknownResourceError) Error() string { return "unknown resource " + quote(e.URI) }

// ReadError says why a resource could not be read.
type ReadError struct {
	Sentence string // safe to show
}

// Error returns the sentence.
func (e *ReadError) Error() string { return e.Sentence }
