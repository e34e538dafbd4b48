package tool

import (
	"net/url"
	"regexp"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/discovery"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// The keys that say what is imported, and how.
var (
	importKeys   = append([]string{"from", "upstream", "offer", "prefix", "include", "exclude", "deprecated", "max", "security", "override"}, treated...)
	overrideKeys = append([]string{"name", "title", "description", "annotations", "ttl"}, treated...)
	treated      = []string{"scopes", "rule", "acr", "max_age", "confirm", "response", "output"}
	matchKeys    = []string{"operations", "tags", "paths", "methods"}
)

// maxImports bounds the documents of a catalogue.
const maxImports = 16

// prefixPattern leaves room for the names that package openapi makes.
var prefixPattern = regexp.MustCompile(`^[a-z0-9_]{1,24}$`)

// What an import offers.
const (
	offerTools  = "tools"
	offerSearch = "search"
)

func (l *loader) imports(top strictyaml.Object) {
	for _, entry := range l.items(top, "imports", maxImports, importKeys) {
		i := Import{
			From: l.from(entry), Upstream: l.upstreamOf(entry), Prefix: entry.Text("prefix"),
			Include: l.match(entry, "include"), Exclude: l.match(entry, "exclude"), Deprecated: isTrue(entry.Flag("deprecated")),
			Max:            entry.Count("max", 0, 1, maxTools),
			Search:         entry.OneOf("offer", offerTools, offerTools, offerSearch) == offerSearch,
			IgnoreSecurity: entry.OneOf("security", "scopes", "scopes", "ignore") == "ignore",
			Override:       map[string]Override{},
			Line:           entry.Node.Line, Path: entry.Path,
			treatment: l.treatment(entry), deny: l.deny, declared: nodeTexts(entry),
		}
		if i.Prefix != "" && !prefixPattern.MatchString(i.Prefix) {
			l.Add(entry.Fields["prefix"], entry.At("prefix"), "want 1 to 24 of the characters a-z, 0-9 and _, such as pets_")
		}
		if i.Search && entry.Fields["max"] != nil {
			l.Add(entry.Fields["max"], entry.At("max"), "this has no effect with offer: search, which takes any number; remove one of them")
		}
		l.overrides(entry, i)
		l.catalogue.imports = append(l.catalogue.imports, i)
	}
}

// from reads where the document is. What is wrong with a URL is said without
// repeating it: it might hold a password.
func (l *loader) from(entry strictyaml.Object) string {
	from := l.expand(entry, "from", entry.Required("from", "name the OpenAPI document: a file beside this one, or an https URL"))
	if strings.Contains(from, "://") {
		fault := ""
		if u, err := url.Parse(from); err != nil || discovery.CheckURL(from) != nil {
			fault = "want a file, or a URL that begins with https"
		} else if u.User != nil {
			fault = "a URL must not hold a user name or password; remove it, or download the document and import the file"
		}
		if fault != "" {
			l.Add(entry.Fields["from"], entry.At("from"), "%s", fault)
		}
	}
	return from
}

func (l *loader) match(entry strictyaml.Object, key string) Match {
	node := entry.Fields[key]
	if node == nil {
		return Match{}
	}
	lists := l.Object(node, entry.At(key), matchKeys)
	return Match{Operations: lists.Texts("operations"), Tags: lists.Texts("tags"), Paths: lists.Texts("paths"), Methods: lists.Texts("methods")}
}

// overrides reads what is said of single operations into i.
func (l *loader) overrides(entry strictyaml.Object, i Import) {
	node := entry.Fields["override"]
	if node == nil {
		return
	}
	all := l.Object(node, entry.At("override"), nil)
	for _, operation := range all.Keys() {
		one := l.Object(all.Fields[operation], all.At(strictyaml.Clip(operation)), overrideKeys)
		over := Override{
			Name:        one.Text("name"),
			Title:       l.bounded(one, "title", one.Text("title"), maxTitle),
			Description: l.bounded(one, "description", one.Text("description"), maxDescription),
			Annotations: l.annotations(one),
			TTL:         l.ttl(one, i.Upstream),
			treatment:   l.treatment(one),
		}
		if over.Name != "" && !namePattern.MatchString(over.Name) {
			l.Add(one.Fields["name"], one.At("name"), "%q is not a name: %s", strictyaml.Clip(over.Name), nameRule)
		}
		i.Override[operation] = over
	}
}

func (l *loader) treatment(entry strictyaml.Object) treatment {
	t := treatment{access: l.access(entry), scopes: entry.Fields["scopes"] != nil, output: entry.Flag("output")}
	if entry.Fields["confirm"] != nil {
		t.confirm = new(l.confirm(entry))
	}
	if node := entry.Fields["response"]; node != nil {
		t.response = new(l.response(l.Object(node, entry.At("response"), responseKeys)))
	}
	return t
}
