package tool

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"tecrolabs.dev/oauth-mcp-server/internal/shape"
)

// Bounds of a question to the person.
const (
	maxConfirm = 512     // bytes of its text
	maxShown   = 2 << 10 // bytes of the arguments in it
)

// confirmAnything is the question of a tool that has no words of its own.
const confirmAnything = "Do you want this to be done?"

// Confirmation is what the person said to a [ConfirmationNeededError].
type Confirmation struct {
	State    []byte // of the question
	Accepted bool
}

// ConfirmationNeededError says that the person has to agree first. The call is
// made again with a [Confirmation].
type ConfirmationNeededError struct {
	Question string // for the person: what is to be done, and with which arguments
	State    []byte // binds the answer to this call; nobody else may be able to make one
}

// Error says so in general words.
func (e *ConfirmationNeededError) Error() string { return "the person has to confirm this call" }

// DeclinedError says that the person did not agree.
type DeclinedError struct{ Tool string }

// Error returns a sentence for the model.
func (e *DeclinedError) Error() string {
	return e.Tool + ": The person did not confirm this, so it was not done. Do not try again unless they ask for it."
}

// confirmed returns nil for a tool that asks nobody, and for a call that the
// person agreed to: this tool with these arguments.
func (c *call) confirmed(arguments map[string]json.RawMessage) error {
	question := c.tool.binding.confirm
	if question == "" {
		return nil
	}
	name := c.tool.definition.Name
	text, err := canonical(arguments)
	if err != nil {
		return invalid("The arguments cannot be read.") // they were read before
	}
	digest := sha256.Sum256([]byte(name + "\n" + text))
	given := c.caller.Confirmation
	switch {
	case given == nil || !bytes.Equal(given.State, digest[:]):
		shown, cut := shape.FitText(strings.Map(visible, text), maxShown)
		if cut {
			shown += "…"
		}
		return &ConfirmationNeededError{Question: question + "\n\nTool: " + name + "\nArguments: " + shown, State: digest[:]}
	case !given.Accepted:
		return &DeclinedError{Tool: name}
	default:
		return nil
	}
}

// canonical writes arguments in an order and a form that do not depend on the
// client; numbers keep their digits.
func canonical(arguments map[string]json.RawMessage) (string, error) {
	values := make(map[string]any, len(arguments))
	for name, raw := range arguments {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			return "", err
		}
		values[name] = value
	}
	return string(block(values)), nil
}

// visible replaces characters that nobody sees and that change how others are
// seen, such as those that turn the direction of writing.
func visible(r rune) rune {
	if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
		return unicode.ReplacementChar
	}
	return r
}

// hinted completes the hints of a tool that writes: unless it says otherwise it
// is one that destroys. MCP has the same default, which clients forget.
func hinted(method string, hints *Annotations) *Annotations {
	if !slices.Contains(bodyMethods, method) {
		return hints
	}
	complete := Annotations{}
	if hints != nil {
		complete = *hints
	}
	if complete.ReadOnlyHint == nil {
		complete.ReadOnlyHint = new(false)
	}
	if complete.DestructiveHint == nil {
		complete.DestructiveHint = new(!*complete.ReadOnlyHint)
	}
	return &complete
}
