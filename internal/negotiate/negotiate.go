// Package negotiate reads what a client would like to get: the Accept and
// Accept-Language headers (RFC 9110 section 12.5), for pages and programs
// alike. It decides nothing about security.
package negotiate

import (
	"net/http"
	"strconv"
	"strings"
)

// maxPreferences bounds how many items of a header are looked at.
const maxPreferences = 32

// preferences gives the weight of each item of a header (RFC 9110 section
// 12.4.2), in lower case. An item that comes twice keeps its first weight.
func preferences(values []string) map[string]float64 {
	weights := map[string]float64{}
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if len(weights) == maxPreferences {
			break
		}
		name, parameters, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, seen := weights[name]; name == "" || seen {
			continue
		}
		weights[name] = weightOf(parameters)
	}
	return weights
}

// weightOf reads the q parameter: 1 without one, 0 for one that cannot be
// read.
func weightOf(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && q >= 0 && q <= 1 {
			return q
		}
		return 0
	}
	return 1
}

// weightFor is the weight of a media type: its own, else its family's, else
// everything's; 0 when the header does not allow it.
func weightFor(weights map[string]float64, mediaType string) float64 {
	family, _, _ := strings.Cut(mediaType, "/")
	for _, name := range []string{mediaType, family + "/*", "*/*"} {
		if q, named := weights[name]; named {
			return q
		}
	}
	return 0
}

// Accepts reports whether the request's Accept header allows mediaType. No
// header allows everything.
func Accepts(header http.Header, mediaType string) bool {
	values := header.Values("Accept")
	return strings.TrimSpace(strings.Join(values, "")) == "" || weightFor(preferences(values), mediaType) > 0
}

// Names reports whether the request's Accept header asks for mediaType itself,
// not only for everything.
func Names(header http.Header, mediaType string) bool {
	return preferences(header.Values("Accept"))[mediaType] > 0
}

// PrefersHTML reports whether the request comes from something that shows
// pages: it wants text/html more than JSON.
func PrefersHTML(header http.Header) bool {
	weights := preferences(header.Values("Accept"))
	return weightFor(weights, "text/html") > weightFor(weights, "application/json")
}

// PrefersJSON reports whether the request comes from a program: it wants JSON
// more than text/html.
func PrefersJSON(header http.Header) bool {
	weights := preferences(header.Values("Accept"))
	return weightFor(weights, "application/json") > weightFor(weights, "text/html")
}

// Languages of the pages.
const (
	English = "en"
	Spanish = "es"
)

// Language picks a page's language by Accept-Language: Spanish when it is
// wanted more than English, else English.
func Language(header http.Header) string {
	best := map[string]float64{}
	for tag, q := range preferences(header.Values("Accept-Language")) {
		primary, _, _ := strings.Cut(tag, "-")
		best[primary] = max(best[primary], q)
	}
	if best[Spanish] > best[English] {
		return Spanish
	}
	return English
}
