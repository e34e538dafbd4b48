package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tecrolabs.dev/oauth-mcp-server/internal/schema"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// methods lists the methods a tool may declare: those that mean something
// without a body, because nothing binds one.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodDelete}

var (
	// pathPattern is a literal path of the characters that RFC 3986 section 3.3
	// allows as they are, so that nothing about it depends on decoding.
	pathPattern      = regexp.MustCompile(`^(/[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?$`)
	parameterPattern = regexp.MustCompile(`^[A-Za-z0-9_.\[\]-]{1,64}$`)
	integerPattern   = regexp.MustCompile(`^-?[0-9]+$`)
)

// binding says how arguments become a request: a fixed method and path, and
// the query parameters that arguments fill.
type binding struct {
	method string
	path   string
	query  []parameter // sorted by argument
}

// parameter sends an argument as a query parameter.
type parameter struct {
	argument string
	name     string
}

// binding reads how a tool's request is made. Every argument must be bound:
// one that is taken and not sent would be a lie to the caller.
func (l *loader) binding(entry strictyaml.Object, input *schema.Schema) binding {
	result := binding{
		method: entry.Required("method", "write one of: "+strings.Join(methods, ", ")),
		path:   entry.Required("path", "write the path below the upstream's URL, such as /teams"),
	}
	if result.method != "" && !slices.Contains(methods, result.method) {
		l.Add(entry.Fields["method"], entry.At("method"), "unknown method %q; write one of: %s", strictyaml.Clip(result.method), strings.Join(methods, ", "))
	}
	if result.path != "" {
		if fault := pathFault(result.path); fault != "" {
			l.Add(entry.Fields["path"], entry.At("path"), "%q %s", strictyaml.Clip(result.path), fault)
		}
	}
	bound, taken := map[string]bool{}, map[string]bool{}
	if node := entry.Fields["query"]; node != nil {
		query := l.Object(node, entry.At("query"), nil)
		for _, argument := range query.Keys() {
			bound[argument] = true
			name := l.parameter(query, argument, input)
			if name != "" && taken[name] {
				l.Add(query.Fields[argument], query.At(argument), "another argument fills the parameter %q already", name)
			}
			taken[name] = true
			result.query = append(result.query, parameter{argument: argument, name: name})
		}
	}
	if input == nil {
		return result // what is wrong with it is reported
	}
	names, _ := input.Members()
	for _, name := range names {
		if !bound[name] {
			l.Add(entry.Node, entry.At("query"), "the argument %q goes nowhere; bind it here or remove it from input", strictyaml.Clip(name))
		}
	}
	return result
}

// parameter returns the query parameter that argument fills.
func (l *loader) parameter(query strictyaml.Object, argument string, input *schema.Schema) string {
	node := query.Fields[argument]
	if input == nil {
		return ""
	}
	names, _ := input.Members()
	switch {
	case !slices.Contains(names, argument):
		l.Add(node, query.At(argument), "there is no property %q in input; declare it", strictyaml.Clip(argument))
	case !input.Scalar(argument):
		l.Add(node, query.At(argument), "only a string, integer, number or boolean can be a query parameter; give the property one of these types")
	case node.Kind != yaml.ScalarNode || !parameterPattern.MatchString(node.Value):
		l.Add(node, query.At(argument), "want the parameter's name: letters, digits and any of _ . - [ ]")
	default:
		return node.Value
	}
	return ""
}

// pathFault says what is wrong with a declared path.
func pathFault(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "must start with a slash"
	}
	if !pathPattern.MatchString(path) {
		return "must be a plain path: no query, no escapes, no empty segments, no placeholders"
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "must not have dot segments"
		}
	}
	return ""
}

// request builds the request of a call, with a URL relative to the upstream's
// base, from arguments that were checked.
func (b binding) request(ctx context.Context, arguments map[string]json.RawMessage) (*http.Request, error) {
	query := url.Values{}
	for _, parameter := range b.query {
		raw, given := arguments[parameter.argument]
		if !given {
			continue
		}
		text, err := scalarText(raw)
		if err != nil {
			return nil, fmt.Errorf("argument %q: %w", parameter.argument, err)
		}
		query.Set(parameter.name, text)
	}
	target := url.URL{Path: b.path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, b.method, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	return request, nil
}

// scalarText returns a JSON scalar as the text of a parameter. Numbers keep
// their digits: as float64 a large id would become another one.
func scalarText(raw json.RawMessage) (string, error) {
	if raw[0] == '"' {
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err
	}
	text := string(raw)
	if text == "true" || text == "false" || integerPattern.MatchString(text) {
		return text, nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "", err
	}
	return strconv.FormatFloat(number, 'f', -1, 64), nil
}
