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
