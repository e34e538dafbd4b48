package diagnose

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Status is the outcome of one check.
type Status string

// The outcomes.
const (
	OK      Status = "ok"
	Warning Status = "warning" // works, and somebody should know
	Problem Status = "problem" // of what a server depends on
	Fail    Status = "fail"    // a requirement that is not met
	Skipped Status = "skipped" // could not be looked at; the detail says why
)

// Finding is the outcome of one named check.
type Finding struct {
	Name         string `json:"name"`
	Status       Status `json:"status"`
	Requirements []int  `json:"requirements,omitempty"` // numbers in the project's list
	Source       string `json:"source,omitempty"`       // section of the specification
	Detail       string `json:"detail,omitempty"`       // what was seen
	Fix          string `json:"fix,omitempty"`          // one sentence
}

// Report is a list of findings about one target.
type Report struct {
	Target   string
	Findings []Finding
}

// OK reports whether nothing failed and there is no problem.
func (r Report) OK() bool { return r.count(Fail)+r.count(Problem) == 0 }

func (r Report) count(status Status) int {
	n := 0
	for _, finding := range r.Findings {
		if finding.Status == status {
			n++
		}
	}
	return n
}

// maxShown bounds how much of a text from elsewhere a report repeats, in bytes.
const maxShown = 300

// printable cuts text and replaces control characters, which could rewrite a
// terminal, and line breaks, which could add lines to a report.
func printable(text string) string {
	if len(text) > maxShown {
		cut := maxShown
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "..."
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)
}

// WriteText writes one line per finding, what to do about it below, and a
// summary.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	width := 0
	for _, finding := range r.Findings {
		width = max(width, len(finding.Name))
	}
	for _, finding := range r.Findings {
		status := string(finding.Status)
		if finding.Status == Fail {
			status = "FAIL" // found at a glance
		}
		line := fmt.Sprintf("%-7s  %-*s", status, width, finding.Name)
		if finding.Detail != "" {
			line += "  " + finding.Detail
		}
		if cited := finding.cited(); cited != "" && finding.Status != OK && finding.Status != Skipped {
			line += " " + cited
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if finding.Fix != "" {
			b.WriteString("         fix: " + finding.Fix + "\n")
		}
	}
	b.WriteString("\n" + r.summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// cited returns what a finding rests on: "[3, 18; RFC 9728 section 3.1]".
func (f Finding) cited() string {
	numbers := make([]string, 0, len(f.Requirements))
	for _, number := range f.Requirements {
		numbers = append(numbers, strconv.Itoa(number))
	}
	parts := make([]string, 0, 2)
	if len(numbers) > 0 {
		parts = append(parts, strings.Join(numbers, ", "))
	}
	if f.Source != "" {
		parts = append(parts, f.Source)
	}
	if len(parts) == 0 {
		return ""
	}
	return "[" + strings.Join(parts, "; ") + "]"
}

func (r Report) summary() string {
	parts := []string{strconv.Itoa(r.count(OK)) + " ok"}
	for _, status := range []Status{Warning, Problem, Fail, Skipped} {
		n := r.count(status)
		word := string(status)
		switch {
		case n == 0:
			continue
		case status == Fail:
			word = "failed"
		case status == Problem && n > 1, status == Warning && n > 1:
			word += "s"
		}
		parts = append(parts, strconv.Itoa(n)+" "+word)
	}
	return printable(r.Target) + ": " + strings.Join(parts, ", ")
}

// WriteJSON writes the report as one JSON object.
func (r Report) WriteJSON(w io.Writer) error {
	return writeJSON(w, struct {
		OK       bool      `json:"ok"`
		Target   string    `json:"target"`
		Findings []Finding `json:"findings"`
	}{r.OK(), printable(r.Target), r.Findings})
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
