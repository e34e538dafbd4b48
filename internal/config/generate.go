package config

import (
	"bytes"
	_ "embed" // for the prose of the documentation
	"fmt"
	"strings"
	"text/template"
)

//go:embed configuration.md.tmpl
var markdownTemplate string

// exampleWidth is where comments of .env.example are wrapped, in bytes.
const exampleWidth = 78

// EnvExample returns the text of .env.example: every setting, commented out,
// with its default.
func EnvExample() []byte {
	var b bytes.Buffer
	b.WriteString("# Generated from the Config struct; do not edit. Copy it to .env, keep that file\n" +
		"# private (chmod 600 .env) and uncomment what you need. The environment wins\n" +
		"# over .env. A dollar sign in a value needs single quotes around the value.\n")
	group := ""
	for _, field := range Fields() {
		if field.Group != group {
			group = field.Group
			fmt.Fprintf(&b, "\n# --- %s ---\n", group)
		}
		b.WriteByte('\n')
		for _, line := range wrap(field.Help, exampleWidth) {
			b.WriteString("# " + line + "\n")
		}
		if field.Derived != "" {
			for _, line := range wrap("Default: "+field.Derived+".", exampleWidth) {
				b.WriteString("# " + line + "\n")
			}
		}
		value := field.Default
		if strings.Contains(value, " ") {
			value = `"` + value + `"`
		}
		fmt.Fprintf(&b, "#%s=%s\n", field.Name, value)
		if field.Secret {
			fmt.Fprintf(&b, "#%s=\n", field.FileName())
		}
	}
	return b.Bytes()
}

// wrap breaks text at spaces into lines of at most width bytes.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// Markdown returns the text of docs/configuration.md.
func Markdown() ([]byte, error) {
	type group struct {
		Name   string
		Fields []Field
	}
	var groups []group
	for _, name := range Groups() {
		groups = append(groups, group{Name: name})
	}
	for _, field := range Fields() {
		for i := range groups {
			if groups[i].Name == field.Group {
				groups[i].Fields = append(groups[i].Fields, field)
			}
		}
	}
	t, err := template.New("configuration.md").Funcs(template.FuncMap{"cell": cell}).Parse(markdownTemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, groups); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// cell makes text fit for a cell of a Markdown table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
