package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/alecthomas/kong"

	"tecrolabs.dev/oauth-mcp-server/internal/config"
)

// dotEnvPath is read in the working directory.
const dotEnvPath = ".env"

// settings is embedded by commands that take the configuration as flags. The
// flags are made of config.Fields, so that there is one list. They are plain
// text here: the config package decodes them together with what stands in the
// environment, to report every problem at once.
type settings struct {
	kong.Plugins
	names []string // variable of each field of the plugin struct
}

func allSettings(config.Field) bool { return true }

// reachSettings are the ones that say how to reach the server locally.
func reachSettings(field config.Field) bool {
	return slices.Contains([]string{"LISTEN_ADDR", "TLS_CERT_FILE", "TLS_KEY_FILE"}, field.Name)
}

// sharedSettings are the ones that say what replicas share, and where.
func sharedSettings(field config.Field) bool {
	return slices.Contains([]string{"SERVER_URL", "SESSION_KEY", "EGRESS_ALLOW", "CLUSTER_URL", "CLUSTER_CA_FILE"}, field.Name)
}

// outsideSettings are the ones that matter when this program is a client of a
// server that may run anywhere.
func outsideSettings(field config.Field) bool {
	return slices.Contains([]string{"SERVER_URL", "EGRESS_ALLOW"}, field.Name)
}

// toolSettings are the ones that the catalogue is made of.
func toolSettings(field config.Field) bool {
	return slices.Contains([]string{"OTUS_URL", "TOOLS_FILE"}, field.Name)
}

// newSettings returns the flags of the settings that want selects.
func newSettings(want func(config.Field) bool) settings {
	var s settings
	var fields []reflect.StructField
	add := func(variable, flag, group, placeholder, help string) {
		tag := fmt.Sprintf(`name:%s group:%s placeholder:%s help:%s`,
			strconv.Quote(flag), strconv.Quote(group+":"), strconv.Quote(placeholder), strconv.Quote(help+" ("+variable+")"))
		fields = append(fields, reflect.StructField{
			Name: "F" + strconv.Itoa(len(fields)), Type: reflect.TypeFor[*string](), Tag: reflect.StructTag(tag),
		})
		s.names = append(s.names, variable)
	}
	for _, field := range config.Fields() {
		if !want(field) {
			continue
		}
		help := field.Help
		if text := field.DefaultText(); text != "" {
			help += " Default: " + text + "."
		}
		add(field.Name, field.Flag(), field.Group, field.Placeholder, help)
		if field.Secret {
			add(field.FileName(), field.FileFlag(), field.Group, "PATH", "File that holds "+field.Name+".")
		}
	}
	s.Plugins = kong.Plugins{reflect.New(reflect.StructOf(fields)).Interface()}
	return s
}

// load reads the configuration with the flags that were given on top.
func (s settings) load(p process) (config.Loaded, error) {
	flags := map[string]string{}
	for _, plugin := range s.Plugins {
		values := reflect.ValueOf(plugin).Elem()
		for i, name := range s.names {
			if text, given := reflect.TypeAssert[*string](values.Field(i)); given && text != nil {
				flags[name] = *text
			}
		}
	}
	return config.Load(config.Source{Flags: flags, LookupEnv: p.lookupEnv, DotEnv: dotEnvPath})
}

// loadOnly reads the configuration for a command that uses some settings of it:
// problems of others are not its business.
func (s settings) loadOnly(p process) (config.Config, error) {
	loaded, err := s.load(p)
	var own []error
	for _, problem := range config.Problems(err) {
		if slices.Contains(s.names, problem.Name) {
			own = append(own, problem)
		}
	}
	return loaded.Config, errors.Join(own...)
}
