package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Origin says where the value of a setting came from.
type Origin string

// The origins, strongest first.
const (
	FromFlag        Origin = "flag"
	FromEnvironment Origin = "environment"
	FromDotEnv      Origin = ".env"
	FromFile        Origin = "file" // named by NAME_FILE
	FromDefault     Origin = "default"
)

// Source is where [Load] looks. The zero Source gives the defaults.
type Source struct {
	// Flags holds the flags that were given, by variable name.
	Flags map[string]string
	// LookupEnv reads one environment variable.
	LookupEnv func(name string) (string, bool)
	// DotEnv is the path of the .env file; "" means none is read.
	DotEnv string
}

// Setting is one effective value, safe to print.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`             // secrets masked; "" when there is none
	Derived string `json:"derived,omitempty"` // what stands in for a value that is not known yet
	Origin  Origin `json:"origin"`
	Secret  bool   `json:"secret"`
}

// Loaded is the result of [Load].
type Loaded struct {
	Config   Config
	Settings []Setting // one per [Field], in its order
	Warnings []Warning
}

// Load reads the configuration: a flag beats the environment, which beats the
// .env file, which beats a secret file, which beats the default. An empty value
// counts as not set, wherever it stands.
//
// The error joins every [Problem], those of [Config.Validate] included; use
// [Problems] to list them. Loaded is filled as far as possible even then, for
// rendering only: do not start with it.
func Load(source Source) (Loaded, error) {
	if source.LookupEnv == nil {
		source.LookupEnv = func(string) (string, bool) { return "", false }
	}
	file, err := readDotEnv(source.DotEnv)
	l := loader{source: source, file: file, problems: []error{err}}
	l.loaded.Config = Default()
	l.loaded.Warnings = file.warnings()
	failed := map[string]bool{}
	for _, field := range Fields() {
		origin, err := l.field(field)
		if err != nil {
			l.problems = append(l.problems, err)
			failed[field.Name] = true
		}
		l.loaded.Settings = append(l.loaded.Settings, Setting{Name: field.Name, Origin: origin, Secret: field.Secret})
	}
	l.canonicalise()
	l.filesExist()
	l.issuersFile()
	// A setting that could not be read still has its default, so rules about it
	// would speak of a value that nobody wrote.
	for _, problem := range Problems(l.loaded.Config.Validate()) {
		if !failed[problem.Name] {
			l.problems = append(l.problems, problem)
		}
	}
	l.advise()
	for i, field := range Fields() {
		l.loaded.Settings[i].Value, l.loaded.Settings[i].Derived = l.loaded.Config.show(field)
	}
	return l.loaded, errors.Join(l.problems...)
}

// show returns the effective value as people read it, secrets masked, or what
// it will be derived from.
func (c Config) show(field Field) (value, derived string) {
	text := encode(c.pointer(field))
	if unset := field.Default == "" && text == "0s"; text != "" && !unset {
		return text, ""
	}
	if field.Name == "JWT_AUDIENCE" {
		return strings.Join(c.Audiences(), " "), ""
	}
	return "", field.Derived
}

type loader struct {
	source   Source
	file     dotEnv
	loaded   Loaded
	problems []error
}

func (l *loader) warn(name, text string) {
	l.loaded.Warnings = append(l.loaded.Warnings, Warning{Name: name, Text: text})
}

// find returns the strongest value of a variable.
func (l *loader) find(name string) (string, Origin) {
	if value := l.source.Flags[name]; strings.TrimSpace(value) != "" {
		return value, FromFlag
	}
	if value, _ := l.source.LookupEnv(name); strings.TrimSpace(value) != "" {
		return value, FromEnvironment
	}
	if value := l.file.values[name]; strings.TrimSpace(value) != "" {
		return value, FromDotEnv
	}
	return "", FromDefault
}

// field decodes one setting into the Config.
func (l *loader) field(field Field) (Origin, error) {
	text, origin := l.find(field.Name)
	if !field.Secret {
		if text == "" {
			return FromDefault, nil
		}
		return origin, decode(field, strings.TrimSpace(text), l.loaded.Config.pointer(field))
	}
	path, fileOrigin := l.find(field.FileName())
	switch {
	case text != "" && path != "":
		return origin, &Problem{
			Name:  field.Name,
			Shape: fmt.Sprintf("set twice: %s (%s) and %s (%s)", field.Name, origin, field.FileName(), fileOrigin),
			Fix:   "keep one of the two",
		}
	case path != "":
		secretText, err := l.secretFile(field, path)
		if err != nil {
			return FromFile, err
		}
		text, origin = secretText, FromFile
	case text == "":
		return FromDefault, nil
	case origin == FromFlag:
		l.warn(field.Name, "was given as a flag, which every user of this machine can see; use the environment or --"+field.FileFlag())
	}
	if strings.TrimSpace(text) != text || strings.ContainsFunc(text, unicode.IsControl) {
		return origin, &Problem{Name: field.Name, Shape: length(text) + " with white space around it or control characters in it", Fix: "remove them"}
	}
	return origin, decode(field, text, l.loaded.Config.pointer(field))
}

// secretFile reads the secret in the file at path, without the line end that
// editors put after it.
func (l *loader) secretFile(field Field, path string) (string, error) {
	name := field.FileName()
	text, open, err := readBounded(path, maxSecretBytes)
	if err != nil {
		return "", &Problem{Name: name, Shape: "path " + quoted(path) + ": " + cause(err), Fix: "name a readable file that holds only the secret"}
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return "", &Problem{Name: name, Shape: "path " + quoted(path) + ": is empty", Fix: "write the secret into the file, or unset " + name}
	}
	if open {
		l.warn(name, "every user of this machine may read "+quoted(path)+"; let only the server's user read it")
	}
	return text, nil
}

// canonicalise puts SERVER_URL into the one form that clients and tokens are
// compared with, and says so: everything else derives from it.
func (l *loader) canonicalise() {
	given := l.loaded.Config.ServerURL
	canonical := canonicalOrigin(given)
	if canonical != given {
		l.loaded.Config.ServerURL = canonical
		l.warn("SERVER_URL", "is used as "+quoted(canonical)+": lower case, no slash at the end, no default port")
	}
}

// filesExist reports files that are named and cannot be read, so that every
// problem is known at once. What they say is checked by the package they are for.
func (l *loader) filesExist() {
	c := l.loaded.Config
	for _, named := range []struct {
		name, path string
		private    bool
	}{
		{"TLS_CERT_FILE", c.TLSCertFile, false},
		{"TLS_KEY_FILE", c.TLSKeyFile, true},
		{"TOOLS_FILE", c.ToolsFile, false},
		{"CLUSTER_CA_FILE", c.ClusterCAFile, false},
	} {
		if named.path == "" {
			continue
		}
		_, open, err := readBounded(named.path, maxNamedFileBytes)
		if err != nil {
			l.problems = append(l.problems, &Problem{Name: named.name, Shape: "path " + quoted(named.path) + ": " + cause(err), Fix: "name a readable file"})
		} else if named.private && open {
			l.warn(named.name, "every user of this machine may read "+quoted(named.path)+"; run: chmod 600 "+named.path)
		}
	}
}

// maxNamedFileBytes bounds the files that other packages read later.
const maxNamedFileBytes = 4 << 20

// advise warns about settings that start and may not be meant.
func (l *loader) advise() {
	l.loaded.Warnings = append(l.loaded.Warnings, l.loaded.Config.advice()...)
	for _, name := range l.file.names {
		if value, _ := l.source.LookupEnv(name); strings.HasPrefix(name, "OTEL_") && value == "" {
			l.warn(name, "does nothing in .env: OpenTelemetry reads the environment of the process only")
		}
	}
}
