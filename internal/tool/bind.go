package tool

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/outbound"
	"tecrolabs.dev/oauth-mcp-server/internal/paramstyle"
	"tecrolabs.dev/oauth-mcp-server/internal/schema"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// methods lists the methods a tool may declare.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// IsMethod reports whether a tool may declare the method.
func IsMethod(method string) bool { return slices.Contains(methods, method) }

// bodyMethods lists those whose requests may have a body. In a DELETE it means
// what the API says it means (RFC 9110 section 9.3.5).
var bodyMethods = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

var (
	// parameterPattern is what an operator can have meant as a query parameter;
	// it is escaped when it is sent.
	parameterPattern = regexp.MustCompile(`^[A-Za-z0-9_.$@:~*!|/,(){}\[\]-]{1,128}$`)
	// tokenPattern is a token of RFC 9110 section 5.6.2, of bounded length.
	tokenPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")
)

// binding says how arguments become a request. It is made of a declaration
// without faults.
type binding struct {
	method     string
	path       string // as it was declared
	template   paramstyle.Template
	parameters []Parameter // in the order of the declaration
	queries    []string    // names in the query, that of a page included
	cookies    []string    // names of cookies
	body       *Body
	accept     string
	ttl        time.Duration
	confirm    string
}

// binder is the state of one Declaration.bind.
type binder struct {
	declaration Declaration
	faults      []fault
	input       bool     // false: what is wrong with it is reported, and its arguments are not known
	arguments   []string // that it declares
	required    []string
	own         []string        // header fields that the upstream has, see [Upstream.OwnHeaders]
	bound       map[string]bool // arguments that go somewhere
	taken       map[string]bool // places and names
	binding     binding
}

// bind checks how a tool's request is made, and what becomes of the answer.
// Input is nil when what is wrong with it is reported already.
func (d Declaration) bind(input *schema.Schema, upstream Upstream) (binding, response, []fault) {
	b := &binder{declaration: d, own: upstream.OwnHeaders(), bound: map[string]bool{}, taken: map[string]bool{}}
	b.binding = binding{method: d.Method, path: d.Path, body: d.Body, accept: d.Response.accept(), ttl: d.TTL, confirm: d.Confirm}
	if input != nil {
		b.input = true
		b.arguments, _ = input.Members()
		b.required = input.Required()
	}
	if d.Method != "" && !IsMethod(d.Method) {
		b.fault(partMethod, 0, "unknown method %q; write one of: %s", strictyaml.Clip(d.Method), strings.Join(methods, ", "))
	}
	b.path()
	for i, p := range b.binding.parameters {
		b.parameter(i, p)
	}
	b.names()
	b.body()
	b.ttl()
	if len(d.Confirm) > maxConfirm || strings.ContainsFunc(d.Confirm, func(r rune) bool { return r != visible(r) }) {
		b.fault(partConfirm, 0, "want true, or a question of at most %d bytes in one line", maxConfirm)
	}
	for _, name := range b.arguments {
		// An argument that is taken and not sent would be a lie to the caller.
		if !b.bound[name] {
			b.fault(partInput, 0, "the argument %q goes nowhere; bind it in path, query, params or body, or remove it from input", strictyaml.Clip(name))
		}
	}
	return b.binding, b.response(), b.faults
}

// names notes the names that are not for the keys of an exploded object.
func (b *binder) names() {
	for _, p := range b.binding.parameters {
		switch p.In {
		case InQuery:
			b.binding.queries = append(b.binding.queries, p.Write.Name)
		case InCookie:
			b.binding.cookies = append(b.binding.cookies, p.Write.Name)
		case InPath, InHeader: // each is one value
		}
	}
	if pages := b.declaration.Response.Paginate; pages != nil && pages.Query != "" {
		b.binding.queries = append(b.binding.queries, pages.Query)
	}
}

func (b *binder) fault(part part, index int, format string, args ...any) {
	b.faults = append(b.faults, fault{part, index, fmt.Sprintf(format, args...)})
}

// needsCache is wrong with a TTL whose upstream keeps nothing. It takes the
// upstream's name.
const needsCache = "the upstream %q keeps no answers; write cache: true there"

// ttl checks for how long answers may be given again.
func (b *binder) ttl() {
	switch ttl, method := b.declaration.TTL, b.declaration.Method; {
	case ttl < 0 || ttl > outbound.MaxFresh:
		b.fault(partTTL, 0, "want a length of time up to %s", outbound.MaxFresh)
	case ttl > 0 && method != "" && method != http.MethodGet && method != http.MethodHead:
		b.fault(partTTL, 0, "only an answer to GET or HEAD can be given again; remove it")
	}
}

// path reads the template, and binds its names that no parameter fills.
func (b *binder) path() {
	b.binding.parameters = slices.Clone(b.declaration.Parameters)
	if b.declaration.Path == "" {
		return // required, and reported by who reads it
	}
	var err error
	if b.binding.template, err = paramstyle.ParseTemplate(b.declaration.Path); err != nil {
		b.fault(partPath, 0, "%q %v", strictyaml.Clip(b.declaration.Path), err)
		return
	}
	pieces := map[string]string{}
	for _, name := range b.binding.template.Names() {
		if _, twice := pieces[name]; twice {
			b.fault(partPath, 0, "{%s} is there twice; give one another name", strictyaml.Clip(name))
		}
		pieces[name] = "x"
		fills := func(p Parameter) bool { return p.In == InPath && p.Write.Name == name }
		if slices.ContainsFunc(b.declaration.Parameters, fills) {
			continue
		}
		if b.input && !slices.Contains(b.arguments, name) {
			b.fault(partPath, 0, "nothing fills {%s}; declare the property %q in input", strictyaml.Clip(name), strictyaml.Clip(name))
			continue
		}
		b.binding.parameters = append(b.binding.parameters, Parameter{Argument: name, In: InPath, Write: paramstyle.Parameter{Name: name}})
	}
	// A literal that could not be sent must not be found by the first call.
	if path, err := b.binding.template.Expand(pieces); err != nil || checkRoute(b.declaration.Path, path) != nil {
		b.fault(partPath, 0, "%q has a segment that servers could read as another path; write it without encoded slashes and percent signs", strictyaml.Clip(b.declaration.Path))
	}
}

// argument notes that an argument goes somewhere, and reports whether input
// declares it.
func (b *binder) argument(part part, index int, name string) bool {
	b.bound[name] = true
	if !b.input || slices.Contains(b.arguments, name) {
		return true
	}
	b.fault(part, index, "there is no property %q in input; declare it", strictyaml.Clip(name))
	return false
}

// parameter checks one parameter. Those behind the declared ones come from the
// path, and their faults are the path's.
func (b *binder) parameter(index int, p Parameter) {
	where := partParameters
	if index >= len(b.declaration.Parameters) {
		where = partPath
	}
	allowed := paramstyle.Styles(string(p.In))
	if allowed == nil {
		b.fault(where, index, "unknown place %q; write one of: path, query, header, cookie", strictyaml.Clip(string(p.In)))
		return
	}
	if !b.argument(where, index, p.Argument) {
		return
	}
	if p.Write.Style != "" && !slices.Contains(allowed, p.Write.Style) {
		b.fault(where, index, "unknown style %q for a parameter in: %s; write one of: %v", strictyaml.Clip(string(p.Write.Style)), p.In, allowed)
	}
	if p.Write.AllowReserved && p.In != InPath && p.In != InQuery {
		b.fault(where, index, "only parameters in: path and in: query may hold reserved characters")
	}
	if text := nameFault(p); text != "" {
		b.fault(where, index, "%s", text)
		return
	}
	if p.In == InPath && !slices.Contains(b.binding.template.Names(), p.Write.Name) {
		b.fault(where, index, "the path has no {%s}", strictyaml.Clip(p.Write.Name))
	}
	if p.In == InPath && b.input && !slices.Contains(b.required, p.Argument) {
		b.fault(where, index, "the argument %q is a part of the path, so it must be there; add it to required in input", strictyaml.Clip(p.Argument))
	}
	key := string(p.In) + " " + p.Write.Name
	if p.In == InHeader {
		name := egress.FieldName(p.Write.Name)
		key = string(p.In) + " " + name
		if slices.Contains(b.own, name) {
			b.fault(where, index, "the header %s is one that the upstream %q has of its own; remove the argument", strictyaml.Clip(p.Write.Name), strictyaml.Clip(b.declaration.Upstream))
		}
	}
	if b.taken[key] {
		b.fault(where, index, "another argument fills the parameter %q already", strictyaml.Clip(p.Write.Name))
	}
	b.taken[key] = true
}

// nameFault says what is wrong with the name of a parameter.
func nameFault(p Parameter) string {
	switch p.In {
	case InHeader:
		if !tokenPattern.MatchString(p.Write.Name) {
			return "want the header's name: letters, digits and -"
		}
		if !egress.IsFillable(p.Write.Name) {
			return fmt.Sprintf("the header %s is not for tools to fill: it carries a credential, belongs to the connection or is set by this server", strictyaml.Clip(p.Write.Name))
		}
	case InCookie:
		if !tokenPattern.MatchString(p.Write.Name) {
			return "want the cookie's name: letters, digits and any of _ . -"
		}
	case InQuery:
		if !parameterPattern.MatchString(p.Write.Name) {
			return "want the parameter's name: letters, digits and punctuation without & = # + ? and quotes"
		}
	case InPath: // one of the template's
	}
	return ""
}
