package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// tokenPolicies checks what tokens must be like beside whom they are from and
// for.
func (v *validator) tokenPolicies() {
	c := v.config
	for _, algorithm := range c.JWTAlgorithms {
		if !slices.Contains(algorithms, algorithm) {
			v.problem("JWT_ALGORITHMS", "entry "+quoted(algorithm), "use "+alternatives(algorithms)+": signatures with a public key, and nothing else")
		}
	}
	if len(c.JWTAlgorithms) == 0 {
		v.problem("JWT_ALGORITHMS", "empty", "name at least one algorithm, such as RS256")
	}
	for _, client := range c.JWTClients {
		if client == "" || strings.Contains(client, "*") {
			v.problem("JWT_CLIENTS", "entry "+quoted(client), "write each client out, or unset it: there is no wildcard")
		}
	}
	for _, policy := range []struct {
		name  string
		value time.Duration
	}{{"JWT_MAX_AGE", c.JWTMaxAge}, {"JWT_MAX_LIFETIME", c.JWTMaxLifetime}} {
		if policy.value < 0 || policy.value > 0 && policy.value < time.Second || policy.value > maxTokenAge {
			v.problem(policy.name, policy.value.String(), "use 1s to 8784h, or unset it")
		}
	}
}

// introspection holds the INTROSPECT settings to what asking an issuer takes.
func (v *validator) introspection() {
	c := v.config
	v.url("INTROSPECTION_URL", c.IntrospectionURL, v.rule()|queryAllowed)
	if c.Introspect == "" || c.Introspect == "none" {
		return
	}
	// An endpoint that answers anybody would tell anybody what tokens are worth
	// (RFC 7662 section 2.1).
	if c.IntrospectionClientID == "" {
		v.problem("INTROSPECTION_CLIENT_ID", "empty while INTROSPECT is "+c.Introspect, "name the client that this server is at the issuer")
	}
	if !c.IntrospectionClientSecret.IsSet() {
		v.problem("INTROSPECTION_CLIENT_SECRET", "empty while INTROSPECT is "+c.Introspect, "set the client's secret; for a private key use ISSUERS_FILE")
	}
	if c.JWTIssuer == "" && len(c.AuthorizationServers) > 1 && c.IssuersFile == "" {
		v.problem("JWT_ISSUER", "empty while INTROSPECT is "+c.Introspect+" and AUTHORIZATION_SERVERS has several entries",
			"name the issuer that is asked: tokens must not be shown to another one")
	}
}

// issuers holds the entries of ISSUERS_FILE to the rules that the settings have.
func (v *validator) issuers() {
	c := v.config
	if c.IssuersFile != "" {
		for _, replaced := range []struct {
			name string
			set  bool
		}{
			{"JWT_ISSUER", c.JWTIssuer != ""},
			{"JWKS_URL", c.JWKSURL != ""},
			{"INTROSPECT", c.Introspect != "" && c.Introspect != "none"},
		} {
			if replaced.set {
				v.problem(replaced.name, "set, and so is ISSUERS_FILE", "move it into the file, or unset one of the two")
			}
		}
	}
	lines := map[string]int{} // of issuers seen, without their slash
	asked := 0                // line of the issuer that is asked about opaque tokens
	for n, issuer := range c.Issuers {
		entry := issuerEntry{v, issuer, n}
		entry.urls()
		entry.lists()
		label := strings.TrimSuffix(issuer.Issuer, "/")
		if line, twice := lines[label]; twice {
			entry.problem("issuer", fmt.Sprintf("%s, which is at line %d already", quoted(issuer.Issuer), line), "keep one of the two: a slash at the end makes no other issuer")
		}
		lines[label] = issuer.Line
		if !issuer.Introspection.opaque() {
			continue
		}
		if asked != 0 {
			entry.problem("introspection.tokens", fmt.Sprintf("%s, and the issuer at line %d is asked about opaque tokens already", issuer.Introspection.Tokens, asked),
				"use jwt here: an opaque token does not tell whose it is, and may be shown to one issuer only")
		}
		asked = issuer.Line
	}
}

// issuerEntry is one entry of ISSUERS_FILE under validation.
type issuerEntry struct {
	v      *validator
	issuer Issuer
	index  int
}

func (e issuerEntry) problem(key, shape, fix string) {
	e.v.problem("ISSUERS_FILE", fmt.Sprintf("line %d: issuers[%d].%s: %s", e.issuer.Line, e.index, key, shape), fix)
}

func (e issuerEntry) urls() {
	for _, at := range []struct {
		key, raw string
		rule     urlRule
	}{
		{"issuer", e.issuer.Issuer, e.v.rule()},
		{"jwks_url", e.issuer.JWKSURL, e.v.rule() | queryAllowed},
		{"introspection.url", e.issuer.Introspection.URL, e.v.rule() | queryAllowed},
	} {
		if at.raw == "" {
			continue
		}
		if err := checkURL(at.raw, at.rule); err != nil {
			e.problem(at.key, urlShape(at.raw), err.Error())
		}
	}
}

func (e issuerEntry) lists() {
	for _, at := range []struct {
		key  string
		list []string
	}{{"audiences", e.issuer.Audiences}, {"clients", e.issuer.Clients}} {
		for _, text := range at.list {
			if text == "" || strings.Contains(text, "*") || strings.ContainsFunc(text, isControl) {
				e.problem(at.key, "entry "+quoted(text), "write each out: they are compared exactly, and there is no wildcard")
			}
		}
	}
}
