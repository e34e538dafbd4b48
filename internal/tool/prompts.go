package tool

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/oauth"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// Bounds of prompts.
const (
	maxPrompts         = 64
	maxPromptArguments = 16
	maxPromptMessages  = 16
	maxPromptText      = 16 << 10 // bytes of a message, and of what fills a gap in it
	maxPromptValues    = 100      // MCP completes with at most as many
)

// The keys of prompts.
var (
	promptKeys         = []string{"name", "title", "description", "arguments", "messages", "scopes"}
	promptArgumentKeys = []string{"name", "description", "required", "values"}
	messageKeys        = []string{"role", "text"}
)

// gap is where a message takes the value of an argument.
var gap = regexp.MustCompile(`\{\{([^{}]*)\}\}`)

// Prompt is a text with gaps that people choose in their client.
type Prompt struct {
	Name        string           `json:"name"`
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Arguments   []PromptArgument `json:"arguments,omitempty"`
	Messages    []PromptMessage  `json:"messages"` // with their gaps
	Scopes      oauth.Scopes     `json:"-"`        // of whoever may use it
}

// PromptArgument fills gaps.
type PromptArgument struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Required    bool     `json:"required,omitempty"`
	Values      []string `json:"values,omitempty"` // the only ones; none: any text
}

// PromptMessage is one message of a prompt.
type PromptMessage struct {
	Role string `json:"role"` // user or assistant
	Text string `json:"text"`
}

// HasPrompts reports whether there is any prompt, whoever asks.
func (r *Runner) HasPrompts() bool { return len(r.catalogue.prompts) > 0 }

// FillPrompt returns the messages of a prompt with the gaps filled. It returns an
// *[UnknownPromptError], an *[InvalidArgumentsError], or an *[oauth.Refusal] for
// a caller who lacks a scope.
func (r *Runner) FillPrompt(_ context.Context, caller Caller, name string, arguments map[string]string) (Prompt, error) {
	i := slices.IndexFunc(r.catalogue.prompts, func(p Prompt) bool { return p.Name == name })
	if i < 0 {
		return Prompt{}, &UnknownPromptError{Name: name}
	}
	prompt := r.catalogue.prompts[i]
	if refusal := r.applicant(caller.Principal).lacking(prompt.Scopes); refusal != nil {
		return Prompt{}, refusal
	}
	if err := prompt.check(arguments); err != nil {
		return Prompt{}, err
	}
	messages := make([]PromptMessage, len(prompt.Messages))
	for i, message := range prompt.Messages {
		message.Text = gap.ReplaceAllStringFunc(message.Text, func(found string) string {
			return arguments[gap.FindStringSubmatch(found)[1]]
		})
		messages[i] = message
	}
	prompt.Messages = messages
	return prompt, nil
}

// check says which argument is missing, unknown or wrong, never its value.
func (p Prompt) check(arguments map[string]string) error {
	for _, argument := range p.Arguments {
		value, given := arguments[argument.Name]
		switch {
		case !given && argument.Required:
			return &InvalidArgumentsError{Detail: fmt.Sprintf("The argument %q is missing.", argument.Name)}
		case given && len(value) > maxPromptText:
			return &InvalidArgumentsError{Detail: fmt.Sprintf("The argument %q is longer than %d bytes.", argument.Name, maxPromptText)}
		case given && len(argument.Values) > 0 && !slices.Contains(argument.Values, value):
			return &InvalidArgumentsError{Detail: fmt.Sprintf("The argument %q must be one of: %s.", argument.Name, strings.Join(argument.Values, ", "))}
		}
	}
	for name := range arguments {
		if !slices.ContainsFunc(p.Arguments, func(a PromptArgument) bool { return a.Name == name }) {
			return &InvalidArgumentsError{Detail: fmt.Sprintf("There is no argument %s.", quote(name))}
		}
	}
	return nil
}

// CompletePrompt returns the values of a prompt's argument that begin with what
// was typed. A prompt that p is not shown has none, like one that is not there.
func (r *Runner) CompletePrompt(p oauth.Principal, name, argument, typed string) []string {
	i := slices.IndexFunc(r.catalogue.prompts, func(prompt Prompt) bool { return prompt.Name == name })
	if i < 0 || !r.showsPrompt(r.applicant(p), r.catalogue.prompts[i]) {
		return nil
	}
	for _, a := range r.catalogue.prompts[i].Arguments {
		if a.Name == argument {
			return beginning(a.Values, typed)
		}
	}
	return nil
}

func beginning(values []string, typed string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(value string) bool { return !strings.HasPrefix(value, typed) })
}

// items returns the entries of the list at key, at most limit.
func (l *loader) items(entry strictyaml.Object, key string, limit int, known []string) []strictyaml.Object {
	node := entry.Fields[key]
	switch {
	case node == nil:
		return nil
	case node.Kind != yaml.SequenceNode:
		l.Add(node, entry.At(key), "want a list")
		return nil
	case len(node.Content) > limit:
		l.Add(node, entry.At(key), "there are %d; at most %d are allowed", len(node.Content), limit)
		return nil
	}
	entries := make([]strictyaml.Object, 0, len(node.Content))
	for i, item := range node.Content {
		entries = append(entries, l.Object(item, fmt.Sprintf("%s[%d]", entry.At(key), i), known))
	}
	return entries
}

func (l *loader) prompts(top strictyaml.Object) {
	lines := map[string]int{}
	for _, entry := range l.items(top, "prompts", maxPrompts, promptKeys) {
		prompt := Prompt{
			Name:        l.itemName(entry, "prompt", lines),
			Title:       l.bounded(entry, "title", entry.Text("title"), maxTitle),
			Description: l.bounded(entry, "description", entry.Required("description", "say what it is for; people choose by it"), maxDescription),
			Scopes:      l.itemScopes(entry),
		}
		for _, argument := range l.items(entry, "arguments", maxPromptArguments, promptArgumentKeys) {
			required := argument.Flag("required")
			prompt.Arguments = append(prompt.Arguments, PromptArgument{
				Name:        l.itemName(argument, "argument", nil),
				Description: l.bounded(argument, "description", argument.Text("description"), maxDescription),
				Required:    required != nil && *required,
				Values:      l.values(argument),
			})
		}
		prompt.Messages = l.messages(entry, prompt.Arguments)
		l.keep(KindPrompt, prompt.Name, entry)
		l.catalogue.prompts = append(l.catalogue.prompts, prompt)
	}
	slices.SortFunc(l.catalogue.prompts, func(a, b Prompt) int { return strings.Compare(a.Name, b.Name) })
}

func (l *loader) values(argument strictyaml.Object) []string {
	values := argument.Texts("values")
	if len(values) > maxPromptValues {
		l.Add(argument.Fields["values"], argument.At("values"), "there are %d; at most %d are allowed", len(values), maxPromptValues)
	}
	return values
}

// messages reads the messages of a prompt. Every gap needs an argument, and every
// argument a gap: one that is asked for and not used would be a lie.
func (l *loader) messages(entry strictyaml.Object, arguments []PromptArgument) []PromptMessage {
	var messages []PromptMessage
	used := map[string]bool{}
	for _, item := range l.items(entry, "messages", maxPromptMessages, messageKeys) {
		message := PromptMessage{Role: item.Required("role", "write user or assistant"), Text: item.Required("text", "write what the message says")}
		if message.Role != "" && message.Role != "user" && message.Role != "assistant" {
			l.Add(item.Fields["role"], item.At("role"), "unknown role %q; write user or assistant", strictyaml.Clip(message.Role))
		}
		if len(message.Text) > maxPromptText {
			l.Add(item.Fields["text"], item.At("text"), "want at most %d bytes", maxPromptText)
		}
		for _, match := range gap.FindAllStringSubmatch(message.Text, -1) {
			used[match[1]] = true
			if !slices.ContainsFunc(arguments, func(a PromptArgument) bool { return a.Name == match[1] }) {
				l.Add(item.Fields["text"], item.At("text"), "there is no argument %q; declare it", strictyaml.Clip(match[1]))
			}
		}
		messages = append(messages, message)
	}
	if len(messages) == 0 {
		l.Add(entry.Node, entry.At("messages"), "missing; write at least one message")
	}
	for _, argument := range arguments {
		if !used[argument.Name] {
			l.Add(entry.Node, entry.At("arguments"), "the argument %q goes nowhere; write {{%s}} in a message or remove it", strictyaml.Clip(argument.Name), strictyaml.Clip(argument.Name))
		}
	}
	return messages
}

// itemName reads the name of a kind of item. Lines holds each with its line, to find
// a second one; it is nil where the names are looked at elsewhere.
func (l *loader) itemName(entry strictyaml.Object, kind string, lines map[string]int) string {
	name := entry.Required("name", nameRule)
	if name == "" {
		return ""
	}
	node := entry.Fields["name"]
	if !namePattern.MatchString(name) {
		l.Add(node, entry.At("name"), "%q is not a name: %s", strictyaml.Clip(name), nameRule)
	}
	if line, taken := lines[name]; taken {
		l.Add(node, entry.At("name"), "the name %q is taken by the %s at line %d; choose another", strictyaml.Clip(name), kind, line)
	}
	if lines != nil {
		lines[name] = node.Line
	}
	return name
}

// itemScopes reads the scopes of what is not a tool.
func (l *loader) itemScopes(entry strictyaml.Object) oauth.Scopes {
	scopes := oauth.Scopes(entry.Texts("scopes"))
	if err := scopes.Validate(); err != nil || len(scopes) > maxScopes {
		l.Add(entry.Fields["scopes"], entry.At("scopes"), "want at most %d scopes without spaces and quotes", maxScopes)
	}
	return scopes
}
