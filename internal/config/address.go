package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// urlRule says what a URL setting may look like.
type urlRule int

// The rules; queryAllowed is added to one of the others.
const (
	httpsOnly urlRule = 1 << iota
	httpsOrLoopback
	anyHTTP
	queryAllowed
)

// checkURL returns how to repair raw, as an error, or nil.
func checkURL(raw string, rule urlRule) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("use an absolute URL, such as https://idp.example.com")
	case u.User != nil:
		return errors.New("remove the user information: a URL is no place for credentials")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return errors.New("remove the fragment")
	case rule&queryAllowed == 0 && (u.RawQuery != "" || u.ForceQuery):
		return errors.New("remove the query")
	case !validPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return errors.New("use a port from 1 to 65535, or none")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && rule&anyHTTP != 0:
		return nil
	case u.Scheme == "http" && rule&httpsOrLoopback != 0 && isLoopbackHost(u.Hostname()):
		return nil
	case rule&httpsOnly != 0:
		return errors.New("use https: production refuses anything else")
	case rule&anyHTTP != 0:
		return errors.New("use https or http")
	default:
		return errors.New("use https; plain http is for loopback only")
	}
}

// checkOrigin returns how to repair SERVER_URL, or "". It must be an origin in
// canonical form: the well-known documents of RFC 9728 and the endpoints live
// at the root of the host, and clients and tokens compare it byte for byte.
func checkOrigin(raw string) string {
	if err := checkURL(raw, anyHTTP); err != nil {
		return err.Error()
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "use an absolute URL"
	}
	if strings.Trim(u.Path, "/") != "" {
		return "remove the path: the server's well-known documents and endpoints live at the root of its host"
	}
	if canonical := canonicalOrigin(raw); canonical != raw {
		return "write it as " + canonical
	}
	return ""
}

// canonicalOrigin returns an origin in lower case without final slash and
// default port. Any other text comes back as it is.
func canonicalOrigin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || strings.ContainsAny(raw, "?#") {
		return raw
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme { // lower case already
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}

// checkBrowserOrigin returns how to repair an entry of ALLOWED_ORIGINS, or "".
func checkBrowserOrigin(origin string, production bool) string {
	u, err := url.Parse(origin)
	switch {
	case strings.Contains(origin, "*") || origin == "null":
		return "list each origin: there is no wildcard, and null is anybody"
	case err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin || u.Hostname() == "" || origin != strings.ToLower(origin):
		return "write scheme and host only, in lower case, such as https://claude.ai"
	case canonicalOrigin(origin) != origin:
		return "leave out the default port, as browsers do"
	case production && u.Scheme == "http" && !isLoopbackHost(u.Hostname()):
		return "use https: production refuses pages that came over plain http"
	}
	return ""
}

// listenHost reads the host of a listen address; an empty one means every
// interface.
func listenHost(address string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" || port != "0" && !validPort(port) {
		return "", false
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", false
		}
	}
	return host, true
}

// isEveryAddress reports whether a listener at host takes connections on every
// address of the machine.
func isEveryAddress(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "" || err == nil && address.IsUnspecified()
}

// validPort accepts no port too.
func validPort(port string) bool {
	if port == "" {
		return true
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0
}

// validHost accepts what a Host header may hold.
func validHost(host string) bool {
	u, err := url.Parse("http://" + host)
	if err != nil || u.Host != host || u.Hostname() == "" || !validPort(u.Port()) || strings.HasSuffix(host, ":") {
		return false
	}
	return !strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII || strings.ContainsRune("*%, ", r) })
}

func isControl(r rune) bool { return unicode.IsControl(r) }
