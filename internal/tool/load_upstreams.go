package tool

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/egress"
	"tecrolabs.dev/oauth-mcp-server/internal/strictyaml"
)

// The keys each part of an upstream may have.
var (
	upstreamKeys = []string{
		"url", "credential", CredentialExchange, CredentialClient, CredentialStatic, "audience",
		"timeout", "connect_timeout", "response_timeout", "max_response", "max_concurrent", "max_queue", "retries",
		"redirects", "cache", "headers", "allow_networks", "tls",
	}
	tlsKeys = []string{"ca_file", "cert_file", "key_file"}
)

var (
	fieldNamePattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	envPattern       = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
)

func (l *loader) upstreams(top strictyaml.Object) {
	node := top.Fields["upstreams"]
	if node == nil {
		l.Add(top.Node, "upstreams", "missing; declare the APIs that tools call")
		return
	}
	all := l.Object(node, "upstreams", nil)
	if len(all.Fields) > maxUpstreams {
		l.Add(node, "upstreams", "there are %d; at most %d are allowed", len(all.Fields), maxUpstreams)
		return
	}
	for _, name := range all.Keys() {
		entry := l.Object(all.Fields[name], "upstreams."+strictyaml.Clip(name), upstreamKeys)
		if !namePattern.MatchString(name) {
			l.Add(entry.Node, entry.Path, nameRule)
		}
		l.catalogue.upstreams = append(l.catalogue.upstreams, l.upstream(name, entry))
		l.catalogue.upstreamTexts[name] = nodeText(entry.Node)
	}
}

func (l *loader) upstream(name string, entry strictyaml.Object) Upstream {
	upstream := Upstream{
		Name:            name,
		URL:             l.url(entry, "url", "give the API's base URL, such as https://api.example.com/v1"),
		Credential:      entry.Required("credential", "write forward (the caller's token goes to this API), exchange, client_credentials, static or none; there is no default"),
		Timeout:         entry.Duration("timeout", defaultTimeout, maxTimeout),
		ConnectTimeout:  entry.Duration("connect_timeout", defaultConnect, maxTimeout),
		ResponseTimeout: entry.Duration("response_timeout", 0, maxTimeout),
		MaxResponse:     entry.Bytes("max_response", defaultMaxResponse, maxMaxResponse),
		MaxConcurrent:   entry.Count("max_concurrent", defaultMaxConcurrent, 1, maxMaxConcurrent),
		MaxQueue:        entry.Count("max_queue", defaultMaxQueue, 1, maxMaxQueue),
		Retries:         entry.Count("retries", defaultRetries, 0, maxRetries),
		FollowRedirects: entry.OneOf("redirects", "none", "none", "same_origin") == "same_origin",
		Headers:         l.headers(entry),
		AllowNetworks:   l.networks(entry),
		TLS:             l.tls(entry),
	}
	if cache := entry.Flag("cache"); cache != nil {
		upstream.Cache = *cache
	}
	l.credential(entry, &upstream)
	return upstream
}

// credential reads the block that belongs to the credential mode, and refuses
// those of other modes: a setting that has no effect is a mistake.
func (l *loader) credential(entry strictyaml.Object, upstream *Upstream) {
	mode := upstream.Credential
	if mode != "" && !slices.Contains(credentialModes, mode) {
		l.Add(entry.Fields["credential"], entry.At("credential"), "unknown credential %q; write one of: %s", strictyaml.Clip(mode), strings.Join(credentialModes, ", "))
		return
	}
	blocks := []string{CredentialExchange, CredentialClient, CredentialStatic}
	for _, block := range blocks {
		node := entry.Fields[block]
		switch {
		case mode == block && node == nil:
			l.Add(entry.Node, entry.At(block), "missing; credential: %s needs its settings here", mode)
		case mode != "" && mode != block && node != nil:
			l.Add(node, entry.At(block), "this has no effect with credential: %s; remove one of them", mode)
		}
	}
	audience := l.expand(entry, "audience", entry.Text("audience"))
	switch node := entry.Fields[mode]; mode {
	case CredentialForward, CredentialNone:
		upstream.Audience = audience
	case CredentialExchange, CredentialClient:
		if node != nil {
			upstream.Tokens = l.tokens(node, entry.At(mode), mode)
			upstream.Tokens.Audience = audience
			l.checkTarget(node, entry.At(mode), mode, upstream.Tokens)
		}
	case CredentialStatic:
		if entry.Fields["audience"] != nil {
			l.Add(entry.Fields["audience"], entry.At("audience"), "this has no effect with credential: static; remove it")
		}
		if node != nil {
			upstream.Static = l.static(node, entry.At(mode))
		}
	}
}

// url reads a URL with its references resolved.
func (l *loader) url(entry strictyaml.Object, key, fix string) string {
	text := l.expand(entry, key, entry.Required(key, fix))
	if fault := urlFault(text); fault != "" && text != "" {
		l.Add(entry.Fields[key], entry.At(key), "%s", fault)
	}
	return text
}

// urlFault says what is wrong with a base URL, without repeating it: it might
// hold a password.
func urlFault(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return "want an absolute http or https URL, such as https://api.example.com/v1"
	case u.User != nil:
		return "a URL must not hold a user name or password; remove it"
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "a base URL must not have a query or fragment; remove it"
	case u.Scheme == "http" && !egress.IsLoopbackHost(u.Hostname()):
		return "want https: what goes to another machine over http can be read on its way"
	default:
		return ""
	}
}

func (l *loader) tls(entry strictyaml.Object) TLSFiles {
	node := entry.Fields["tls"]
	if node == nil {
		return TLSFiles{}
	}
	block := l.Object(node, entry.At("tls"), tlsKeys)
	files := TLSFiles{CA: block.Text("ca_file"), Cert: block.Text("cert_file"), Key: block.Text("key_file")}
	if (files.Cert == "") != (files.Key == "") {
		l.Add(node, block.Path, "a client certificate needs both cert_file and key_file")
	}
	return files
}

// headers reads the fixed header fields of every request. They are no place for
// secrets: those have credential: static.
func (l *loader) headers(entry strictyaml.Object) map[string]string {
	node := entry.Fields["headers"]
	if node == nil {
		return nil
	}
	block := l.Object(node, entry.At("headers"), nil)
	if len(block.Fields) > maxHeaders {
		l.Add(node, block.Path, "there are %d; at most %d are allowed", len(block.Fields), maxHeaders)
		return nil
	}
	headers, seen := map[string]string{}, map[string]bool{}
	for _, name := range block.Keys() {
		value, canonical := block.Text(name), http.CanonicalHeaderKey(name)
		switch {
		case !fieldNamePattern.MatchString(name):
			l.Add(block.Fields[name], block.At(strictyaml.Clip(name)), "a header name has letters, digits and -")
		case egress.IsReserved(name):
			l.Add(block.Fields[name], block.At(name), "this header belongs to the connection, or carries a credential; for those there is credential: static")
		case seen[canonical]:
			l.Add(block.Fields[name], block.At(name), "the header is there twice; remove one")
		case !plainValue(value):
			l.Add(block.Fields[name], block.At(name), "want 1 to %d visible ASCII characters", maxHeaderValue)
		}
		headers[name], seen[canonical] = value, true
	}
	return headers
}

func plainValue(value string) bool {
	return value != "" && len(value) <= maxHeaderValue && strings.TrimSpace(value) == value &&
		!strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// networks reads the special address ranges that an API may be in.
func (l *loader) networks(entry strictyaml.Object) []netip.Prefix {
	texts := entry.Texts("allow_networks")
	if len(texts) > maxNetworks {
		l.Add(entry.Fields["allow_networks"], entry.At("allow_networks"), "there are %d; at most %d are allowed", len(texts), maxNetworks)
		return nil
	}
	var networks []netip.Prefix
	for i, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || prefix != prefix.Masked() {
			l.Add(entry.Fields["allow_networks"], fmt.Sprintf("%s[%d]", entry.At("allow_networks"), i), "want a network such as 10.0.0.0/8, its host bits zero")
			continue
		}
		networks = append(networks, prefix)
	}
	return networks
}

// secret reads where a secret is, from the keys name_file and name_env.
func (l *loader) secret(entry strictyaml.Object, name string) Secret {
	file, env := name+"_file", name+"_env"
	found := Secret{File: entry.Text(file), Env: entry.Text(env)}
	switch {
	case found == Secret{}:
		l.Add(entry.Node, entry.At(file), "missing; name the file that holds the secret, or write %s with an environment variable's name", env)
	case found.File != "" && found.Env != "":
		l.Add(entry.Fields[env], entry.At(env), "there is %s already; remove one", file)
	case found.Env != "" && !envPattern.MatchString(found.Env):
		l.Add(entry.Fields[env], entry.At(env), "want the name of an environment variable, not the secret itself")
	}
	return found
}

// onlyWith reports keys that have no effect.
func (l *loader) onlyWith(entry strictyaml.Object, because string, keys ...string) {
	for _, key := range keys {
		if node := entry.Fields[key]; node != nil {
			l.Add(node, entry.At(key), "this has no effect %s; remove it", because)
		}
	}
}
