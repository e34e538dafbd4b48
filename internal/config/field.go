package config

import (
	"reflect"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/secret"
)

// fileSuffix makes the name of the variable that holds the path of a secret.
const fileSuffix = "_FILE"

// Field describes one setting as the struct tags of [Config] declare it.
type Field struct {
	Name        string   // environment variable, such as SERVER_URL
	Group       string   // heading in --help and in the documentation
	Default     string   // text form of the default; "" when there is none or it is derived
	Derived     string   // what a default that is not a constant is made of
	Placeholder string   // stands for the value in --help
	Values      []string // the only accepted words; empty when open
	Help        string   // what it means, in one or a few sentences
	Secret      bool     // masked everywhere; may be given as NAME_FILE

	index int // of the field in Config
}

// Flag returns the name of the command-line flag, without dashes.
func (f Field) Flag() string { return flagName(f.Name) }

// FileName returns the variable that may name a file with the value, or "" when
// the setting is not a secret.
func (f Field) FileName() string {
	if !f.Secret {
		return ""
	}
	return f.Name + fileSuffix
}

// FileFlag returns the flag of [Field.FileName], without dashes.
func (f Field) FileFlag() string { return flagName(f.FileName()) }

// DefaultText returns what people read in place of a value that is not set.
func (f Field) DefaultText() string {
	if f.Default != "" {
		return f.Default
	}
	return f.Derived
}

func flagName(variable string) string {
	return strings.ToLower(strings.ReplaceAll(variable, "_", "-"))
}

// Fields returns every setting in the order of declaration.
func Fields() []Field {
	t := reflect.TypeFor[Config]()
	fields := make([]Field, 0, t.NumField())
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Tag.Get("env") == "" {
			continue
		}
		fields = append(fields, Field{
			Name:        sf.Tag.Get("env"),
			Group:       sf.Tag.Get("group"),
			Default:     sf.Tag.Get("default"),
			Derived:     sf.Tag.Get("derived"),
			Placeholder: sf.Tag.Get("placeholder"),
			Values:      strings.Fields(sf.Tag.Get("values")),
			Help:        sf.Tag.Get("help"),
			Secret:      sf.Type == reflect.TypeFor[secret.Value](),
			index:       i,
		})
	}
	return fields
}

// Groups returns the headings in the order of declaration.
func Groups() []string {
	var groups []string
	for _, field := range Fields() {
		if len(groups) == 0 || groups[len(groups)-1] != field.Group {
			groups = append(groups, field.Group)
		}
	}
	return groups
}

// Default returns the configuration of a server for which nothing was set.
// It is valid, for development.
func Default() Config {
	var c Config
	for _, field := range Fields() {
		if field.Default != "" {
			// The defaults are constants that a test decodes; see TestDefaultIsValid.
			_ = decode(field, field.Default, c.pointer(field))
		}
	}
	return c
}

// pointer returns the address of the struct field that field describes.
func (c *Config) pointer(field Field) any {
	return reflect.ValueOf(c).Elem().Field(field.index).Addr().Interface()
}
