package config

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one reason not to start. Its texts hold no secret.
type Problem struct { //nolint:errname // a problem with the configuration, listed with others
	Name  string `json:"name"`  // variable, or file, that has to change
	Shape string `json:"shape"` // what was found there, described
	Fix   string `json:"fix"`   // what to do
}

// Error returns the problem in one line.
func (p *Problem) Error() string { return p.Name + ": " + p.Shape + "; " + p.Fix }

// Warning is something to know that does not stop the start. Its text holds no
// secret.
type Warning struct {
	Name string `json:"name"` // variable or file
	Text string `json:"text"` // what and why
}

// Problems returns every [Problem] in err, in the order in which settings are
// declared. An error of another kind becomes a Problem too, so that nothing is
// lost.
func Problems(err error) []*Problem {
	var problems []*Problem
	collect(err, &problems)
	order := map[string]int{}
	for i, field := range Fields() {
		order[field.Name], order[field.FileName()] = i+1, i+1
	}
	slices.SortStableFunc(problems, func(a, b *Problem) int { return cmp.Compare(order[a.Name], order[b.Name]) })
	return problems
}

func collect(err error, problems *[]*Problem) {
	switch e := err.(type) { //nolint:errorlint // walks the tree of errors itself
	case nil:
	case *Problem:
		*problems = append(*problems, e)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			collect(one, problems)
		}
	default:
		*problems = append(*problems, &Problem{Name: "configuration", Shape: err.Error(), Fix: "see the text"})
	}
}

// maxShown bounds how much of a value a message repeats, in bytes.
const maxShown = 60

// quoted shows a value that is not a secret, cut and with every control
// character escaped.
func quoted(text string) string {
	if len(text) <= maxShown {
		return fmt.Sprintf("%q", text)
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return fmt.Sprintf("%q...", text[:cut])
}

// length describes a value that is not shown.
func length(text string) string {
	return fmt.Sprintf("text of %d characters", utf8.RuneCountInString(text))
}

// urlShape describes a URL without what may be a credential in it: user
// information, query and fragment are named, not shown.
func urlShape(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return length(raw) + " that is not an absolute URL"
	}
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	shape := "URL " + quoted(bare.String())
	var with []string
	if u.User != nil {
		with = append(with, "user information")
	}
	if u.RawQuery != "" || u.ForceQuery {
		with = append(with, "a query")
	}
	if u.Fragment != "" || strings.HasSuffix(raw, "#") {
		with = append(with, "a fragment")
	}
	if len(with) > 0 {
		shape += " with " + strings.Join(with, " and ")
	}
	return shape
}
