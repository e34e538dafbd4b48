package config

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText writes the effective configuration as an aligned table: name,
// origin, value. Secrets are masked.
func (l Loaded) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, setting := range l.Settings {
		value := setting.Value
		switch {
		case value == "" && setting.Derived != "":
			value = "(" + setting.Derived + ")"
		case value == "":
			value = "-"
		}
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\n", setting.Name, setting.Origin, printable(value)); err != nil {
			return err
		}
	}
	return table.Flush()
}

// WriteIssuers writes what is in force for each entry of ISSUERS_FILE, nothing
// without one. Secrets are left out.
func (l Loaded) WriteIssuers(w io.Writer) error {
	if len(l.Config.Issuers) == 0 {
		return nil
	}
	if _, err := fmt.Fprint(w, "\nTrusted issuers\n"); err != nil {
		return err
	}
	for _, issuer := range l.Config.TrustedIssuers() {
		rows := [][2]string{
			{"algorithms", strings.Join(issuer.Algorithms, " ")},
			{"audiences", strings.Join(issuer.Audiences, " ")},
			{"types", issuer.Types},
			{"leeway", encode(&issuer.Leeway)},
			{"clients", strings.Join(issuer.Clients, " ")},
			{"max_age", encode(&issuer.MaxAge)},
			{"max_lifetime", encode(&issuer.MaxLifetime)},
			{"introspection", issuer.Introspection.Tokens},
		}
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintf(table, "  %s\n", printable(issuer.Issuer)) // Flush reports the error
		for _, row := range rows {
			if row[1] != "" && row[1] != "0s" {
				_, _ = fmt.Fprintf(table, "    %s\t%s\n", row[0], printable(row[1]))
			}
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// WriteProblems writes problems for people: the name, then what was found, then
// what to do, each on its own line.
func WriteProblems(w io.Writer, problems []*Problem) error {
	for _, problem := range problems {
		if _, err := fmt.Fprintf(w, "%s\n  found: %s\n  fix:   %s\n", printable(problem.Name), printable(problem.Shape), printable(problem.Fix)); err != nil {
			return err
		}
	}
	return nil
}

// WriteWarnings writes one line per warning.
func WriteWarnings(w io.Writer, warnings []Warning) error {
	for _, warning := range warnings {
		if _, err := fmt.Fprintf(w, "warning: %s %s\n", printable(warning.Name), printable(warning.Text)); err != nil {
			return err
		}
	}
	return nil
}

// printable replaces control characters, which could rewrite a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return '?'
		}
		return r
	}, text)
}

// report is the JSON form of a check.
type report struct {
	OK         bool       `json:"ok"`
	Production bool       `json:"production"`
	Settings   []Setting  `json:"settings,omitempty"`
	Warnings   []Warning  `json:"warnings,omitempty"`
	Problems   []*Problem `json:"problems,omitempty"`
}

// WriteJSON writes the whole check as one JSON object. With problems there are
// no settings: a value that was refused may hold a credential where none
// belongs.
func (l Loaded) WriteJSON(w io.Writer, problems []*Problem) error {
	out := report{
		OK:         len(problems) == 0,
		Production: l.Config.Production(),
		Warnings:   l.Warnings,
		Problems:   problems,
	}
	if out.OK {
		out.Settings = l.Settings
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}
